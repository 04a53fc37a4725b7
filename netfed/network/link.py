"""Sending a payload between the cloud and a device."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any, Protocol

from simpy import Event, Interrupt

from netfed.errors import Dropped, ParticipationLost, SimulationError, TransferLost
from netfed.network.medium import Flow
from netfed.network.topology import route

if TYPE_CHECKING:
    from netfed.network.energy import Part
    from netfed.network.network import Network
    from netfed.network.population import Device
    from netfed.network.traffic import Direction


class Payload(Protocol):
    """What travels.

    Attributes:
        bits: Its length.
    """

    @property
    def bits(self) -> int: ...


class Link:
    """The way of one device's payloads in one direction: its access link and the backhaul of its base station.

    Args:
        network: What the link is a part of.
        device: At its end.
        direction: Of the payloads.
    """

    def __init__(self, network: Network, device: Device, direction: Direction) -> None:
        self._network = network
        self._device = device
        self._direction = direction
        self._medium = network.media[direction][device.base_station]
        classes = route(network.graph, device.base_station, device.id, direction)
        self._latency_s = math.fsum(link.latency for link in classes)
        self._loss = 1.0 - math.prod(1.0 - link.loss for link in classes)
        self._part: Part
        if direction == "uplink":
            self._phase, self._dropout = "upload", device.dropout.upload
            self._radio_bps, self._part, self._radio_w = device.rate_up_bps, "transmit", device.transmit_w
        else:
            self._phase, self._dropout = "download", device.dropout.download
            self._radio_bps, self._part, self._radio_w = device.rate_down_bps, "receive", device.receive_w

    def send(self, payload: Payload) -> Generator[Event, Any, None]:
        """Move a payload: its bits, then, a latency after the last of them, it is there.

        Energy and bits are charged as far as the transfer came.

        Raises:
            TransferLost: The connection broke.
            Dropped: The device left, or the process was interrupted, on the way.
            SimulationError: The payload is empty.
        """
        if payload.bits <= 0:
            raise SimulationError(f"device {self._device.id} was asked to move {payload.bits} bits")
        network, base_station = self._network, self._device.base_station
        bits, loss = self._fate(payload.bits)
        start_s = network.env.now
        flow = self._medium.start(bits, self._radio_bps)
        network.traffic.begin(self._direction, base_station, flow)
        try:
            yield flow.finished
            if loss is None and self._latency_s > 0:
                yield network.env.timeout(self._latency_s)
        except Interrupt as interrupt:
            loss = Dropped(str(interrupt.cause))
            self._medium.stop(flow)
        self._settle(flow, payload.bits, start_s, loss)
        if loss is not None:
            raise loss

    def _fate(self, bits: int) -> tuple[int, ParticipationLost | None]:
        """Draw what will stop a transfer, and after how many bits; the first of two that would."""
        fates: list[tuple[int, ParticipationLost | None]] = [(bits, None)]
        link, dropout = f"loss-{self._direction}", f"dropout-{self._phase}"
        if (share := self._device.breaks_off(link, self._loss)) is not None:
            fates.append((math.floor(share * bits), TransferLost(link)))
        if (share := self._device.breaks_off(dropout, self._dropout)) is not None:
            fates.append((math.floor(share * bits), Dropped(dropout)))
        return min(fates, key=lambda fate: fate[0])

    def _settle(self, flow: Flow, payload_bits: int, start_s: float, loss: ParticipationLost | None) -> None:
        """Charge and record a transfer that has ended: its airtime at the radio's power, the rest as waiting."""
        network, device = self._network, self._device
        sent_bits = network.traffic.end(self._direction, device.base_station, flow, delivered=loss is None)
        airtime_s = sent_bits / self._radio_bps
        radio_j = self._radio_w * airtime_s
        idle_j = device.idle_w * max(0.0, network.env.now - start_s - airtime_s)
        network.ledger.charge(device.id, self._part, radio_j)
        network.ledger.charge(device.id, "idle", idle_j)
        network.recorder.row(
            "transfer",
            device=device.id,
            cell=device.base_station,
            link=self._direction,
            start_s=start_s,
            bits=sent_bits,
            payload_bits=payload_bits,
            delivered=loss is None,
            cause=None if loss is None else loss.cause,
            energy_j=radio_j + idle_j,
        )
