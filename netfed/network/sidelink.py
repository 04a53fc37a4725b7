"""Devices that send to each other without a base station, on resource pools of their own (3GPP TS 38.214, clause 8)."""

from __future__ import annotations

import math
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from simpy import Event, Interrupt

from netfed.errors import Dropped, SimulationError
from netfed.network.flows import Shared

if TYPE_CHECKING:
    from netfed.network.energy import Part
    from netfed.network.link import Payload
    from netfed.network.medium import Flow
    from netfed.network.network import Network
    from netfed.network.population import Device


class Sidelink:
    """Resource pools: the transfers in a pool share its airtime, and those in different pools do not meet.

    Args:
        network: What it is a part of.
        pools: How many there are.

    Attributes:
        medium: What carries the bits: a cell is a pool.
        delivered_bits: Of transfers that arrived whole.
        lost_bits: Of those that did not.
    """

    def __init__(self, network: Network, pools: int = 1) -> None:
        self._network = network
        self._pools = pools
        self._live: dict[Flow, None] = {}
        self.medium = Shared(network.env, math.inf, pools)
        if network.meter is not None:
            for pool in range(pools):
                network.meter.add(self.medium, [pool], link="sidelink", pool=pool)
        self.delivered_bits = 0
        self.lost_bits = 0

    def send(
        self, sender: Device, receiver: Device, payload: Payload, radio_bps: float, pool: int = 0
    ) -> Generator[Event, Any, None]:
        """Move a payload from one device to another; both radios are charged for the airtime, as far as it came.

        Args:
            sender: Whose process this is.
            receiver: Who is sent to.
            payload: What travels.
            radio_bps: Rate between the two while they have the pool for themselves.
            pool: Whose airtime they use.

        Raises:
            Dropped: A battery is empty, the sender's or the receiver's, or the process was interrupted, on the way.
            SimulationError: The payload is empty, or goes to its sender.
        """
        network, medium = self._network, self.medium
        if payload.bits <= 0 or sender.id == receiver.id:
            raise SimulationError(f"device {sender.id} was asked to send {payload.bits} bits to device {receiver.id}")
        start_s, loss = network.env.now, None
        flow = medium.start(payload.bits, radio_bps, pool)
        self._live[flow] = None
        ends: list[tuple[int, Part, float]] = [
            (sender.id, "transmit", sender.transmit_w),
            (receiver.id, "receive", receiver.receive_w),
        ]
        if network.batteries is not None:
            for device_id, _, power_w in ends:
                network.batteries.begin(device_id, partial(_energy_j, flow, power_w))
        try:
            yield flow.finished
        except Interrupt as interrupt:
            loss = Dropped(str(interrupt.cause))
            medium.stop(flow)
        del self._live[flow]
        if loss is None:
            self.delivered_bits += flow.sent_bits
        else:
            self.lost_bits += flow.sent_bits
        for device_id, part, power_w in ends:
            network.ledger.charge(device_id, part, _energy_j(flow, power_w))
            if network.batteries is not None:
                network.batteries.end(device_id, _energy_j(flow, power_w))
        network.recorder.row(
            "transfer",
            device=sender.id,
            receiver=receiver.id,
            link="sidelink",
            start_s=start_s,
            bits=flow.sent_bits,
            payload_bits=payload.bits,
            delivered=loss is None,
            cause=None if loss is None else loss.cause,
            energy_j=sum(_energy_j(flow, power_w) for _, _, power_w in ends),
        )
        if loss is not None:
            raise loss

    def check(self) -> None:
        """Make sure that no bit has vanished or appeared.

        Raises:
            SimulationError: What was sent is not what was delivered, lost, and in flight.
        """
        sent_bits = sum(self.medium.carried_bits(pool) for pool in range(self._pools))
        in_flight_bits = sum(flow.sent_bits for flow in self._live)
        if sent_bits != self.delivered_bits + self.lost_bits + in_flight_bits:
            raise SimulationError("sidelink does not add up")


def _energy_j(flow: Flow, power_w: float) -> float:
    """Return what a radio has drawn for a transfer so far."""
    return power_w * flow.airtime_s
