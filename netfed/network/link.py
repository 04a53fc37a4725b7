"""Sending a payload between the cloud and a device."""

from __future__ import annotations

import math
from collections.abc import Generator, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from simpy import Event, Interrupt

from netfed.errors import Dropped, ParticipationLost, SimulationError, TransferLost
from netfed.network.transfer import Transfer

if TYPE_CHECKING:
    from netfed.network.network import Network
    from netfed.network.population import Device
    from netfed.network.span import Way


class Payload(Protocol):
    """What travels.

    Attributes:
        bits: Its length.
        content: What is in it: two with the same content may be sent as one; None: it is nobody else's.
    """

    @property
    def bits(self) -> int: ...

    @property
    def content(self) -> Hashable: ...


class Link:
    """The way of one device's payloads in one direction.

    Args:
        network: What the link is a part of.
        ways: What it may share with other devices. [base station]
        device: At its end.
        edge: The base station whose server is at the other end, whichever serves the device; None: the cloud is.
    """

    __slots__ = ("_device", "_edge", "_network", "_radio_w", "_way", "_ways")

    def __init__(self, network: Network, ways: Sequence[Way], device: Device, edge: int | None = None) -> None:
        self._edge = edge
        self._network = network
        self._ways = ways
        self._way = ways[device.base_station]
        self._device = device
        self._radio_w = device.transmit_w if self._way.direction == "uplink" else device.receive_w

    def send(self, payload: Payload) -> Generator[Event, Any, None]:
        """Move a payload: its bits, then, a latency after the last of them, it is there.

        Energy and bits are charged as far as the transfer came.

        Raises:
            TransferLost: The connection broke.
            Dropped: The device left, its battery is empty, or the process was interrupted, on the way.
            SimulationError: The payload is empty.
        """
        network, device = self._network, self._device
        if payload.bits <= 0:
            raise SimulationError(f"device {device.id} was asked to move {payload.bits} bits")
        if network.connections is not None:
            yield from network.connections.connect(device)
        gap_s = 0.0 if network.radio_access is None else network.radio_access.gap_s(device.id)
        radio_bps, allocation = device.radio(self._way.direction)
        bits, loss = self._fate(payload.bits)
        start_s = network.env.now
        transfer = Transfer(network.env, self._ways, device, bits, loss is None, radio_bps, gap_s, allocation)
        network.transfers[transfer] = None
        if network.radios is not None:
            network.radios.follow(transfer)
        if network.batteries is not None:
            network.batteries.begin(device.id, lambda: sum(self._energy_j(transfer, start_s)))
        try:
            yield transfer.flow.finished
        except TransferLost as broken:
            loss = broken
        except Interrupt as interrupt:
            loss = Dropped(str(interrupt.cause))
            transfer.way.medium.stop(transfer.flow)
        self._settle(transfer, payload.bits, start_s, loss)
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

    def _edge_beyond(self, way: Way) -> int | None:
        """Return the base station whose server is at the other end, if it is not the one that serves the device."""
        return None if self._edge == way.base_station else self._edge

    def _energy_j(self, transfer: Transfer, start_s: float) -> tuple[float, float]:
        """Return what a transfer has drawn so far: on the air at the radio's power, and the rest as waiting."""
        airtime_s = transfer.flow.airtime_s
        waiting_s = max(0.0, self._network.env.now - start_s - airtime_s)
        return self._radio_w * airtime_s, self._device.idle_w * waiting_s

    def _charge(self, way: Way, radio_j: float, idle_j: float) -> None:
        """Charge what the radio has drawn, and waiting for it, now that it falls silent."""
        network, device_id = self._network, self._device.id
        network.ledger.charge(device_id, way.part, radio_j)
        network.ledger.charge(device_id, "idle", idle_j)
        if network.batteries is not None:
            network.batteries.end(device_id, radio_j + idle_j)
        if network.connections is not None:
            network.connections.release(device_id)

    def _settle(self, transfer: Transfer, payload_bits: int, start_s: float, loss: ParticipationLost | None) -> None:
        """Charge and record a transfer that has ended."""
        network, way, device_id = self._network, transfer.way, self._device.id
        del network.transfers[transfer]
        sent_bits = way.traffic.end(way.direction, way.base_station, transfer.flow, delivered=loss is None)
        radio_j, idle_j = self._energy_j(transfer, start_s)
        self._charge(way, radio_j, idle_j)
        network.recorder.row(
            "transfer",
            device=device_id,
            cell=way.base_station,
            edge=self._edge_beyond(way),
            link=way.direction,
            start_s=start_s,
            bits=sent_bits,
            payload_bits=payload_bits,
            delivered=loss is None,
            cause=None if loss is None else loss.cause,
            energy_j=radio_j + idle_j,
            airtime_s=transfer.flow.airtime_s,
            backhaul_s=max(0.0, transfer.flow.held_s - transfer.flow.limited_s),
            core_s=max(0.0, transfer.flow.limited_s),
            latency_s=network.env.now - transfer.flow.ended_s,
        )
