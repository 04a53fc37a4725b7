"""Sending a payload between the cloud and a device."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol

from simpy import Event, Interrupt

from netfed.errors import Dropped, ParticipationLost, SimulationError, TransferLost
from netfed.network.medium import Flow

if TYPE_CHECKING:
    from netfed.network.network import Network
    from netfed.network.population import Device
    from netfed.network.span import Way


class Payload(Protocol):
    """What travels.

    Attributes:
        bits: Its length.
    """

    @property
    def bits(self) -> int: ...


class Link:
    """The way of one device's payloads in one direction.

    Args:
        network: What the link is a part of.
        way: What it shares with the other devices of its base station.
        device: At its end.
    """

    __slots__ = ("_device", "_network", "_radio_bps", "_radio_w", "_way")

    def __init__(self, network: Network, way: Way, device: Device) -> None:
        self._network = network
        self._way = way
        self._device = device
        if way.direction == "uplink":
            self._radio_bps, self._radio_w = device.rate_up_bps, device.transmit_w
        else:
            self._radio_bps, self._radio_w = device.rate_down_bps, device.receive_w

    def send(self, payload: Payload) -> Generator[Event, Any, None]:
        """Move a payload: its bits, then, a latency after the last of them, it is there.

        Energy and bits are charged as far as the transfer came.

        Raises:
            TransferLost: The connection broke.
            Dropped: The device left, its battery is empty, or the process was interrupted, on the way.
            SimulationError: The payload is empty.
        """
        network, way, device = self._network, self._way, self._device
        if payload.bits <= 0:
            raise SimulationError(f"device {device.id} was asked to move {payload.bits} bits")
        bits, loss = self._fate(payload.bits)
        start_s = network.env.now
        flow = way.medium.start(bits, self._radio_bps)
        way.traffic.begin(way.direction, way.base_station, flow)
        if network.batteries is not None:
            network.batteries.begin(device.id, lambda: sum(self._energy_j(self._sent_bits(flow), start_s)))
        try:
            yield flow.finished
            if loss is None and way.latency_s > 0:
                yield network.env.timeout(way.latency_s)
        except Interrupt as interrupt:
            loss = Dropped(str(interrupt.cause))
            way.medium.stop(flow)
        self._settle(flow, payload.bits, start_s, loss)
        if loss is not None:
            raise loss

    def _fate(self, bits: int) -> tuple[int, ParticipationLost | None]:
        """Draw what will stop a transfer, and after how many bits; the first of two that would."""
        way, device = self._way, self._device
        until = bits
        loss: ParticipationLost | None = None
        if (share := device.breaks_off(way.loss_cause, way.loss)) is not None:
            until, loss = math.floor(share * bits), TransferLost(way.loss_cause)
        if (share := device.breaks_off(way.dropout_cause, way.dropout)) is not None and share * bits < until:
            until, loss = math.floor(share * bits), Dropped(way.dropout_cause)
        return until, loss

    def _sent_bits(self, flow: Flow) -> float:
        return flow.bits - self._way.medium.left_bits(flow)

    def _energy_j(self, sent_bits: float, start_s: float) -> tuple[float, float]:
        """Return what a transfer has drawn so far: its airtime at the radio's power, and the rest as waiting."""
        airtime_s = sent_bits / self._radio_bps
        waiting_s = max(0.0, self._network.env.now - start_s - airtime_s)
        return self._radio_w * airtime_s, self._device.idle_w * waiting_s

    def _settle(self, flow: Flow, payload_bits: int, start_s: float, loss: ParticipationLost | None) -> None:
        """Charge and record a transfer that has ended."""
        network, way, device_id = self._network, self._way, self._device.id
        sent_bits = way.traffic.end(way.direction, way.base_station, flow, delivered=loss is None)
        radio_j, idle_j = self._energy_j(sent_bits, start_s)
        network.ledger.charge(device_id, way.part, radio_j)
        network.ledger.charge(device_id, "idle", idle_j)
        if network.batteries is not None:
            network.batteries.end(device_id, radio_j + idle_j)
        network.recorder.row(
            "transfer",
            device=device_id,
            cell=way.base_station,
            link=way.direction,
            start_s=start_s,
            bits=sent_bits,
            payload_bits=payload_bits,
            delivered=loss is None,
            cause=None if loss is None else loss.cause,
            energy_j=radio_j + idle_j,
        )
