"""Who gets which rate: cells share their airtime, and the flows of all cells share the backhaul.

Flow i has weight w_i and radio rate r_i; alone in its cell it would get r_i. Round-robin scheduling gives each flow of
cell c the share w_i s_c of the airtime, while the backhaul lets each have w_i b at the most:

    x_i = w_i min(r_i s_c, b)

The cells' airtime is used up, sum over c of x_i / r_i = 1, unless the backhaul caps all of its flows; the backhaul's
rate is used up, sum of x_i = C, unless b caps nobody. A capped flow leaves airtime that the others of its cell share.
A device that lacks power gathers it on a part n of the cell's N resource blocks, and others have the rest at the same
time. Its flow has r_i N / n in the place of r_i, and r_i as a limit: alone it gets r_i still, for n / N of the airtime.

This is weighted max-min fairness (Bertsekas and Gallager, Data Networks, 1992, section 6.5.2) with airtime as the
cells' resource.

What a cell sends in total grows with b, in straight pieces that get flatter: as b falls, flows become capped in the
order of their radio rates, the fastest first. When a flow starts or ends, the level is close to where it was: the one
at which the totals add up to C is found by walking there from piece to piece.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from netfed.network.cell import Cell
from netfed.network.rate_class import RateClass
from netfed.network.virtual_time import VirtualClock

_low_bps, _high_bps = attrgetter("low_bps"), attrgetter("high_bps")


class Sharing(ABC):
    """Cells, and the links that they send over.

    Args:
        rates_bps: Of the links.
        cells: The cells.
        levels: The clocks that drive who is held at their levels.

    Attributes:
        cells: See above.
        clocks: Those that real time drives: the airtime of each cell, the levels, and those of limits in cells.
        alarms_s: When the first flow, or rate class, of each is due. [clock]
    """

    def __init__(self, rates_bps: Sequence[float], cells: list[Cell], levels: list[VirtualClock[RateClass]]) -> None:
        self.cells = cells
        self.clocks: list[VirtualClock[Any]] = [*(cell.airtime for cell in cells), *levels]
        self.alarms_s = [math.inf] * len(self.clocks)
        self._rates_bps = list(rates_bps)
        self._places = {clock: place for place, clock in enumerate(self.clocks)}

    def set_rate(self, link: int, rate_bps: float) -> None:
        """Give a link another rate."""
        self._rates_bps[link] = rate_bps

    @abstractmethod
    def settle(self, changed: Sequence[int], now_s: float) -> None:
        """Share anew, now that flows of some cells have come or gone, or a link has another rate."""

    def _drive(self, changed: Iterable[int], level_bps: float, now_s: float) -> None:
        """Let the clocks of cells run as they do at a level."""
        for index in changed:
            cell = self.cells[index]
            cell.drive(level_bps, now_s)
            self.alarms_s[index] = cell.airtime.alarm()
            for tier in cell.limited:
                self._set_alarm(tier.level)

    def _set_alarm(self, clock: VirtualClock[Any]) -> None:
        place = self._places.setdefault(clock, len(self.clocks))
        if place == len(self.clocks):
            self.clocks.append(clock)
            self.alarms_s.append(math.inf)
        self.alarms_s[place] = clock.alarm()


class Backhaul(Sharing):
    """Cells under one link. Its level is what a flow gets at the most, per weight; inf while it caps nobody.

    Args:
        rate_bps: Of the link.
        cells: How many there are.
    """

    def __init__(self, rate_bps: float, cells: int) -> None:
        self._level_bps = math.inf
        self._level: VirtualClock[RateClass] = VirtualClock()
        super().__init__([rate_bps], [Cell(self._level) for _ in range(cells)], [self._level])

    def settle(self, changed: Sequence[int], now_s: float) -> None:
        """Share anew, now that flows of some cells have come or gone, or the link has another rate."""
        before_bps, (rate_bps,) = self._level_bps, self._rates_bps
        for index in changed:
            if self.cells[index].limited:
                self.cells[index].balance(before_bps)
        if before_bps == math.inf and self._has_room(rate_bps):
            self._drive(changed, math.inf, now_s)
            return
        for index in changed if before_bps < math.inf else range(len(self.cells)):
            self.cells[index].classify(now_s)
            self.cells[index].find_ends()
        self._level_bps = walk(self.cells, rate_bps, full_bps(self.cells, rate_bps))
        self._drive(range(len(self.cells)), self._level_bps, now_s)
        drive_level(self._level, self._level_bps, now_s)
        self._set_alarm(self._level)

    def _has_room(self, rate_bps: float) -> bool:
        """Return whether a link that caps nobody has room for what all cells send."""
        return rate_bps == math.inf or math.fsum([cell.intercept_bps for cell in self.cells]) <= rate_bps


def walk(cells: Sequence[Cell], room_bps: float, level_bps: float) -> float:
    """Go on to the pieces that hold the level at which cells fill a link, and return that level.

    Pieces meet at their borders, so what is beyond one by the piece before is beyond it by the next one too. Where
    radio rates are all but equal rounding may say otherwise, and is not heeded.

    Args:
        cells: Those under the link.
        room_bps: What they may send.
        level_bps: At which the link would be full if the present pieces had no ends.
    """
    while level_bps < (cell := max(cells, key=_low_bps)).low_bps:
        border_bps = cell.low_bps
        cell.hold()
        level_bps = min(border_bps, full_bps(cells, room_bps))
    while level_bps > (cell := min(cells, key=_high_bps)).high_bps:
        border_bps = cell.high_bps
        cell.release()
        level_bps = max(border_bps, full_bps(cells, room_bps))
    return level_bps


def full_bps(cells: Sequence[Cell], room_bps: float) -> float:
    """Return the level at which cells would fill a link if the present pieces had no ends."""
    room_bps -= math.fsum([cell.intercept_bps for cell in cells])
    slope = math.fsum([cell.slope for cell in cells])
    if slope > 0:
        return room_bps / slope
    return math.inf if room_bps >= 0 else -math.inf


def drive_level(clock: VirtualClock[RateClass], level_bps: float, now_s: float) -> None:
    """Let a clock run as a level says; where that is infinite it drives nobody."""
    clock.follow(None, level_bps if level_bps < math.inf else 0.0, now_s)
