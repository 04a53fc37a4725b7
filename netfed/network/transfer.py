"""A payload on its way over a device's radio, and what may happen to it there: other rates, other cells, its loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from simpy import Environment, Event

from netfed.errors import TransferLost

if TYPE_CHECKING:
    from netfed.network.population import Device
    from netfed.network.span import Way


class Transfer:
    """Bits of a payload under way between a device and its base station.

    Args:
        env: The clock.
        ways: What it may share with others. [base station]
        device: At the end of its radio link.
        bits: How many there are.
        arrives: Whether they do, a latency after the last of them has left.
        radio_bps: Rate of the device's radio while it has the cell for itself.
        gap_s: How long there is no service yet.
        allocation: Share of the cell's resource blocks that it is on.

    Attributes:
        device: See above.
        way: That of the base station that serves it.
        sector: Which of its cells does.
        flow: The bits, wherever they are.
    """

    __slots__ = (
        "_allocation",
        "_arrives",
        "_env",
        "_radio_bps",
        "_served_from_s",
        "_ways",
        "device",
        "flow",
        "sector",
        "way",
    )

    def __init__(
        self,
        env: Environment,
        ways: Sequence[Way],
        device: Device,
        bits: int,
        arrives: bool,
        radio_bps: float,
        gap_s: float = 0.0,
        allocation: float = 1.0,
    ) -> None:
        self.device = device
        self.way = way = ways[device.base_station]
        self.sector = device.sector
        self._env = env
        self._ways = ways
        self._arrives = arrives
        self._radio_bps, self._allocation = radio_bps, allocation
        self._served_from_s = env.now + gap_s
        served_bps = 0.0 if gap_s > 0 else radio_bps
        self.flow = way.medium.start(bits, served_bps, way.cells[self.sector], device.weight, way.limit_bps, allocation)
        self._lag()
        way.traffic.begin(way.direction, way.base_station, self.flow)
        if gap_s > 0:
            env.timeout(gap_s).callbacks.append(self._resume)

    def retune(self, radio_bps: float, allocation: float = 1.0) -> None:
        """Go on at another rate of the radio, or on other resource blocks; at 0 the transfer waits."""
        self._radio_bps, self._allocation = radio_bps, allocation
        if self._env.now >= self._served_from_s:
            self.way.medium.retune(self.flow, radio_bps, allocation)

    def hand_over(
        self, base_station: int, sector: int, radio_bps: float, interruption_s: float = 0.0, allocation: float = 1.0
    ) -> None:
        """Go on in another cell with the bits that have not left yet; if all have, nothing changes.

        Args:
            base_station: The cell's.
            sector: Which of the base station's cells it is.
            radio_bps: Rate of the device's radio there.
            interruption_s: How long there is no service in between.
            allocation: Share of that cell's resource blocks that it is on.
        """
        if self.way.medium.left_bits(self.flow) == 0:
            return
        source, self.way, self.sector = self.way, self._ways[base_station], sector
        served_bps = 0.0 if interruption_s > 0 else radio_bps
        self.way.medium.take_over(self.flow, self.way.cells[sector], served_bps, allocation)
        self._lag()
        source.traffic.move(source.direction, source.base_station, base_station, self.flow)
        self._radio_bps, self._allocation = radio_bps, allocation
        self._served_from_s = self._env.now + interruption_s
        if interruption_s > 0:
            self._env.timeout(interruption_s).callbacks.append(self._resume)

    def lose(self, cause: str) -> None:
        """Break the connection, unless all bits have left: whoever sends the payload meets `TransferLost`."""
        if self.flow.left_bits is None:
            self.way.medium.stop(self.flow)
            self.flow.finished.fail(TransferLost(cause))
            self.flow.finished.defused = True

    def _lag(self) -> None:
        """Let the last bit arrive as late as the way has it, if it arrives."""
        self.flow.lag_s = self.way.latency_s if self._arrives else 0.0

    def _resume(self, _: Event) -> None:
        self.retune(self._radio_bps, self._allocation)
