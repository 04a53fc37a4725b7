"""Receiving a payload together with other devices, and the rest of it alone if need be."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simpy import Event, Interrupt

from netfed.errors import Dropped, ParticipationLost, SimulationError, TransferLost
from netfed.network.link import Link, Payload

if TYPE_CHECKING:
    from netfed.network.multicast import Listener
    from netfed.network.network import Network
    from netfed.network.population import Device
    from netfed.network.span import Way


@dataclass(frozen=True)
class _Bits:
    """A payload that is nobody else's."""

    bits: int
    content: None = None


class Rest(Link):
    """The way of what is left of a payload whose fate is drawn.

    Args:
        network: What the link is a part of.
        ways: What it may share with other devices. [base station]
        device: At its end.
        edge: As of `Link`.
        bits: How many of the rest will come.
        loss: Why no more, if these are not all.
    """

    __slots__ = ("_bits", "_loss")

    def __init__(
        self,
        network: Network,
        ways: Sequence[Way],
        device: Device,
        edge: int | None,
        bits: int,
        loss: ParticipationLost | None,
    ) -> None:
        super().__init__(network, ways, device, edge)
        self._bits = bits
        self._loss = loss

    def _fate(self, bits: int) -> tuple[int, ParticipationLost | None]:
        return self._bits, self._loss


class Reception(Link):
    """The way of payloads down to one device, which it shares with those that receive the same at the same moment.

    Whom no modulation and coding scheme reaches at that moment, and who is between cells, is sent the payload by
    itself.
    """

    __slots__ = ()

    def send(self, payload: Payload) -> Generator[Event, Any, None]:
        """Receive a payload: its bits, then, a latency after the last of them, it is there.

        Energy is charged as far as the reception came. A device's losses are those that it would have by itself.

        Raises:
            TransferLost: The connection broke.
            Dropped: The device left, its battery is empty, or the process was interrupted, on the way.
            SimulationError: The payload is empty.
        """
        network, device = self._network, self._device
        if payload.bits <= 0:
            raise SimulationError(f"device {device.id} was asked to receive {payload.bits} bits")
        if network.connections is not None:
            yield from network.connections.connect(device)
        bits, loss = self._fate(payload.bits)
        heard_bits = 0
        if device.rate_down_bps > 0 and (network.radio_access is None or network.radio_access.gap_s(device.id) == 0):
            heard_bits = yield from self._listen(payload, bits, loss)
        if heard_bits < payload.bits:
            if network.connections is not None:
                network.connections.release(device.id)
            rest = Rest(network, self._ways, device, self._edge, bits - heard_bits, loss)
            yield from rest.send(_Bits(payload.bits - heard_bits))

    def _listen(self, payload: Payload, bits: int, loss: ParticipationLost | None) -> Generator[Event, Any, int]:
        """Receive together with others; return how many bits: fewer than all if the rest comes in another way."""
        network, device, way = self._network, self._device, self._ways[self._device.base_station]
        start_s, sent_s = network.env.now, math.inf
        listener = network.multicasts.join(way, device, payload, bits, loss)
        if network.batteries is not None:
            network.batteries.begin(device.id, lambda: sum(self._heard_j(listener, start_s)))
        heard_bits = 0
        broken: ParticipationLost | None = None
        try:
            heard_bits = yield listener.over
            sent_s = network.env.now
            if heard_bits == payload.bits and way.latency_s > 0:
                yield network.env.timeout(way.latency_s)
            elif heard_bits == bits:
                broken = loss
        except TransferLost as lost:
            broken = lost
        except Interrupt as interrupt:
            broken = Dropped(str(interrupt.cause))
            listener.multicast.leave(listener, broken.cause)
        receive_j, idle_j = self._heard_j(listener, start_s)
        self._charge(way, receive_j, idle_j)
        backhaul_s, core_s = listener.multicast.held_s
        network.recorder.row(
            "reception",
            device=device.id,
            cell=way.base_station,
            edge=self._edge_beyond(way),
            link=way.direction,
            start_s=start_s,
            payload_bits=payload.bits,
            delivered=broken is None and heard_bits == payload.bits,
            cause=None if broken is None else broken.cause,
            energy_j=receive_j + idle_j,
            airtime_s=listener.multicast.airtime_s,
            backhaul_s=backhaul_s,
            core_s=core_s,
            latency_s=max(0.0, network.env.now - sent_s),
        )
        if broken is not None:
            raise broken
        return heard_bits

    def _heard_j(self, listener: Listener, start_s: float) -> tuple[float, float]:
        """Return what listening has drawn so far: its airtime at the radio's power, and the rest as waiting."""
        airtime_s = listener.multicast.airtime_s
        waiting_s = max(0.0, self._network.env.now - start_s - airtime_s)
        return self._radio_w * airtime_s, self._device.idle_w * waiting_s
