"""Sending one payload to many devices at once: a cell transmits it once, at the rate of its worst receiver.

However many listen, it takes the airtime of one transfer: point-to-multipoint delivery of 3GPP TS 23.247, with the
modulation and coding that the worst receiver needs.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from simpy import Event, Interrupt

from netfed.errors import Dropped, ParticipationLost, SimulationError, TransferLost

if TYPE_CHECKING:
    from netfed.network.link import Payload
    from netfed.network.network import Network
    from netfed.network.population import Device
    from netfed.network.span import Way


class Multicast:
    """One transmission of one cell to devices that it serves, under way from the moment at which this is made.

    Args:
        network: What it is a part of.
        way: The downlink of the base station.
        sector: Which of its cells.
        payload: What travels.
        devices: Who listens, at least one; each must `receive`.

    Attributes:
        radio_bps: Rate of the worst receiver while the transmission has the cell for itself.
        flow: The bits.
    """

    def __init__(self, network: Network, way: Way, sector: int, payload: Payload, devices: Sequence[Device]) -> None:
        if payload.bits <= 0 or not devices:
            raise SimulationError(f"a multicast of {payload.bits} bits to {len(devices)} devices")
        self._network = network
        self._way = way
        self._payload = payload
        self._start_s = network.env.now
        self.radio_bps = min(device.rate_down_bps for device in devices)
        self.flow = way.medium.start(payload.bits, self.radio_bps, way.cells[sector], limit_bps=way.limit_bps)
        self.flow.finished.callbacks.append(self._finish)
        way.traffic.begin(way.direction, way.base_station, self.flow)

    def retune(self, radio_bps: float) -> None:
        """Go on at another rate of the worst receiver."""
        self.radio_bps = radio_bps
        self._way.medium.retune(self.flow, radio_bps)

    def receive(self, device: Device) -> Generator[Event, Any, None]:
        """Listen until all bits are there; what a device misses is not sent again.

        Raises:
            TransferLost: The connection broke.
            Dropped: The device left, its battery is empty, or the process was interrupted, on the way.
            SimulationError: Bits have left already.
        """
        network, way = self._network, self._way
        if self.flow.sent_bits > 0:
            raise SimulationError(f"device {device.id} listens to a multicast that is under way")
        share, loss = self._fate(device)
        if network.batteries is not None:
            network.batteries.begin(device.id, lambda: sum(self._energy_j(device, share)))
        try:
            yield self.flow.finished
            if loss is None and way.latency_s > 0:
                yield network.env.timeout(way.latency_s)
        except Interrupt as interrupt:
            loss = Dropped(str(interrupt.cause))
        receive_j, idle_j = self._energy_j(device, share)
        network.ledger.charge(device.id, "receive", receive_j)
        network.ledger.charge(device.id, "idle", idle_j)
        if network.batteries is not None:
            network.batteries.end(device.id, receive_j + idle_j)
        network.recorder.row(
            "reception",
            device=device.id,
            cell=way.base_station,
            link=way.direction,
            start_s=self._start_s,
            payload_bits=self._payload.bits,
            delivered=loss is None,
            cause=None if loss is None else loss.cause,
            energy_j=receive_j + idle_j,
        )
        if loss is not None:
            raise loss

    def _fate(self, device: Device) -> tuple[float, ParticipationLost | None]:
        """Draw what will stop a device from listening, and after what share of the bits."""
        way = self._way
        until: float = 1.0
        loss: ParticipationLost | None = None
        if (share := device.breaks_off(way.loss_cause, way.loss)) is not None:
            until, loss = share, TransferLost(way.loss_cause)
        if (share := device.breaks_off(way.dropout_cause, way.dropout)) is not None and share < until:
            until, loss = share, Dropped(way.dropout_cause)
        return until, loss

    def _energy_j(self, device: Device, share: float) -> tuple[float, float]:
        """Return what listening has drawn so far: up to a share of the bits, and the rest as waiting."""
        airtime_s = min(self.flow.airtime_s, share * self._payload.bits / self.radio_bps)
        waiting_s = max(0.0, self._network.env.now - self._start_s - airtime_s)
        return device.receive_w * airtime_s, device.idle_w * waiting_s

    def _finish(self, _: Event) -> None:
        way = self._way
        self._network.recorder.row(
            "transfer",
            cell=way.base_station,
            link=way.direction,
            start_s=self._start_s,
            bits=way.traffic.end(way.direction, way.base_station, self.flow, delivered=True),
            payload_bits=self._payload.bits,
            delivered=True,
            cause=None,
        )
