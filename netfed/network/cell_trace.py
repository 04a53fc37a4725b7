"""Rates of cells over time, as they were measured. Light to import: arrays come in inside methods."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from netfed.network.cells import Cells, check_numbers
from netfed.network.course import Change, Course
from netfed.network.rate_trace import RateTrace, by_direction

if TYPE_CHECKING:
    from netfed.network.steps import Steps
    from netfed.network.traffic import Direction
    from netfed.streams import Streams


@dataclass(frozen=True)
class CellTrace:
    """What some cells have to give over time, in one direction or in both.

    A cell is as fast as at the best moment of its trace, or as its link says if that is faster; what it is slower at
    other moments is airtime that others take, like that of the background. A rate of 0 is an outage of the cell.

    Attributes:
        uplink: What a device whose radio has the median rate gets while it has the cell for itself; others get as much
            more or less as their radios are faster or slower. null: the rate of the network's uplink.
        downlink: Likewise.
        cells: By number: those of the first base station come first. They are at its beginning when the simulation
            begins. ``all`` of them: each is at a moment of the trace of its own, and keeps the distance.
    """

    uplink: RateTrace | None = None
    downlink: RateTrace | None = None
    cells: Cells = "all"

    def __post_init__(self) -> None:
        if self.cells == ():
            raise ValueError("cells must say who follows the trace, or be all")
        check_numbers(self.cells)
        if not self.rates:
            raise ValueError("uplink or downlink must be a trace")

    @cached_property
    def rates(self) -> dict[Direction, Steps]:
        """What a device with the median rate gets, by direction.

        Raises:
            ValueError: A trace does not say what it should.
        """
        return by_direction(self.uplink, self.downlink)

    def leads(self, direction: Direction, cell: int) -> bool:
        """Return whether a cell follows it in a direction."""
        return direction in self.rates and (self.cells == "all" or cell in self.cells)

    def meets(self, other: CellTrace, direction: Direction) -> bool:
        """Return whether a cell may follow both in a direction."""
        both = direction in self.rates and direction in other.rates
        return both and ("all" in (self.cells, other.cells) or bool({*self.cells} & {*other.cells}))

    def since_s(self, direction: Direction, cell: int, streams: Streams) -> float:
        """Return the moment of the trace at which a cell is at time 0: what the trace says, or, where all cells follow
        it, drawn by cell.
        """
        steps = self.rates[direction]
        if steps.begins_s is not None or self.cells != "all":
            return steps.begins_s or 0.0
        return steps.period_s * streams.draw(f"trace-{direction}/cell", cell)


class TraceCourse(Course):
    """The share of a cell's best rate that its trace leaves. What nobody saw is skipped at once, however long it was.

    Args:
        steps: The trace.
        best_bps: What is all of the cell's airtime worth, to a device with the median rate.
        since_s: Moment of the trace at time 0.
        tell: Called with the share, each time that it has changed.
    """

    def __init__(self, steps: Steps, best_bps: float, since_s: float, tell: Callable[[float], None]) -> None:
        self._steps = steps
        self._best_bps = best_bps
        self._since_s = since_s
        super().__init__(self._left(0.0), tell)

    def go_to(self, now_s: float) -> None:
        """Tell of the share that there is now, if it has changed."""
        if now_s > self.next_s:
            self._begin(self._left(now_s))
        super().go_to(now_s)

    def _left(self, from_s: float) -> Iterator[Change]:
        rates = self._steps.rates(from_s + self._since_s)
        _, rate_bps = next(rates)
        yield from_s, rate_bps / self._best_bps
        for moment_s, rate_bps in rates:
            yield moment_s - self._since_s, rate_bps / self._best_bps
