"""Who gets which rate: cells share their airtime, and the flows of all cells share the backhaul.

Flow i has weight w_i and radio rate r_i; alone in its cell it would get r_i. Round-robin scheduling gives each flow of
cell c the share w_i s_c of the airtime, while the backhaul lets each have w_i b at the most:

    x_i = w_i min(r_i s_c, b)

The cells' airtime is used up, sum over c of x_i / r_i = 1, unless the backhaul caps all of its flows; the backhaul's
rate is used up, sum of x_i = C, unless b caps nobody. A capped flow leaves airtime that the others of its cell share.
This is weighted max-min fairness (Bertsekas and Gallager, Data Networks, 1992, section 6.5.2) with airtime as the
cells' resource.

What a cell sends in total grows with b, in straight pieces that get flatter: as b falls, flows become capped in the
order of their radio rates, the fastest first. When a flow starts or ends, the level is close to where it was: the one
at which the totals add up to C is found by walking there from piece to piece.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import attrgetter

from netfed.network.cell import Cell, RateClass
from netfed.network.virtual_time import VirtualClock

_low_bps, _high_bps = attrgetter("low_bps"), attrgetter("high_bps")


class Backhaul:
    """Cells under one link. Its level is what a flow gets at the most, per weight; inf while it caps nobody.

    Args:
        rate_bps: Of the link.
        cells: How many there are.

    Attributes:
        cells: The cells.
        clocks: Those that real time drives: the airtime of each cell, then the level.
        alarms_s: When the first rate class of each is due. [clock]
    """

    def __init__(self, rate_bps: float, cells: int) -> None:
        self._rate_bps = rate_bps
        self._level_bps = math.inf
        self._level: VirtualClock[RateClass] = VirtualClock()
        self.cells = [Cell(self._level) for _ in range(cells)]
        self.clocks = [*(cell.airtime for cell in self.cells), self._level]
        self.alarms_s = [math.inf] * len(self.clocks)

    def settle(self, changed: Sequence[int], now_s: float) -> None:
        """Share anew, now that flows of some cells have come or gone."""
        before_bps = self._level_bps
        self._level_bps = self._full_bps()
        if min(before_bps, self._level_bps) < math.inf:
            self._walk(now_s)
            self._level.follow(None, self._level_bps if self._level_bps < math.inf else 0.0, now_s)
            self.alarms_s[-1] = self._level.alarm()
            changed = range(len(self.cells))
        for index in changed:
            cell = self.cells[index]
            cell.share(self._level_bps, now_s)
            self.alarms_s[index] = cell.airtime.alarm()

    def _walk(self, now_s: float) -> None:
        """Go on to the piece that holds the level at which the backhaul is full.

        Pieces meet at their borders, so what is beyond one by the piece before is beyond it by the next one too. Where
        radio rates are all but equal rounding may say otherwise, and is not heeded.
        """
        while self._level_bps < (cell := max(self.cells, key=_low_bps)).low_bps:
            border_bps = cell.low_bps
            cell.cap(now_s)
            self._level_bps = min(border_bps, self._full_bps())
        while self._level_bps > (cell := min(self.cells, key=_high_bps)).high_bps:
            border_bps = cell.high_bps
            cell.release(now_s)
            self._level_bps = max(border_bps, self._full_bps())

    def _full_bps(self) -> float:
        """Return the level at which the backhaul would be full if the present pieces had no ends."""
        room_bps = self._rate_bps - math.fsum([cell.intercept_bps for cell in self.cells])
        slope = math.fsum([cell.slope for cell in self.cells])
        if slope > 0:
            return room_bps / slope
        return math.inf if room_bps >= 0 else -math.inf
