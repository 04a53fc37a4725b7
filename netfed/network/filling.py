"""Cells under several links of the backhaul, each of which may carry those of some cells and not those of others.

Every link has a level: what a flow over it gets at the most, per weight. A flow has the lowest of the levels on its
route. Max-min fairness fills the links one after the other, the one with the lowest level first: its cells have found
theirs, and what they send is taken off the other links (progressive filling: Bertsekas and Gallager, Data Networks,
1992, section 6.5.2). What is filled here are cells, not flows: what a cell sends at a level is a matter of one piece.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from netfed.network.cell import Cell
from netfed.network.rate_class import RateClass
from netfed.network.sharing import Sharing, drive_level, full_bps, walk
from netfed.network.virtual_time import VirtualClock


class Mesh(Sharing):
    """Cells under links that some of them share.

    Args:
        rates_bps: Of the links.
        routes: The links that each cell's flows go over. [cell]
    """

    def __init__(self, rates_bps: Sequence[float], routes: Sequence[Sequence[int]]) -> None:
        self._routes = routes
        self._under = [{cell for cell, route in enumerate(routes) if link in route} for link in range(len(rates_bps))]
        self._levels_bps = [math.inf] * len(routes)  # [cell]
        self._levels: list[VirtualClock[RateClass]] = [VirtualClock() for _ in routes]
        self._most_bps = [0.0] * len(routes)  # [cell]
        super().__init__(rates_bps, [Cell(level) for level in self._levels], self._levels)

    def settle(self, changed: Sequence[int], now_s: float) -> None:
        """Share anew, now that flows of some cells have come or gone, or a link has another rate."""
        for index in changed:
            self.cells[index].classify(now_s)
            self.cells[index].balance(self._levels_bps[index])
            self.cells[index].find_ends()
            self._most_bps[index] = self.cells[index].most_bps
        before_bps, self._levels_bps = self._levels_bps, self._fill()
        for index, (cell, level_bps) in enumerate(zip(self.cells, self._levels_bps, strict=True)):
            cell.go_to(level_bps)
            if index in changed or level_bps != before_bps[index]:
                self._drive((index,), level_bps, now_s)
                drive_level(self._levels[index], level_bps, now_s)
                self._set_alarm(self._levels[index])

    def _fill(self) -> list[float]:
        """Return the level of every cell."""
        levels_bps = [math.inf] * len(self.cells)
        waiting = [set(under) for under in self._under]  # [link]
        rooms_bps = list(self._rates_bps)
        filled_bps = [self._filled_bps(*link) for link in zip(waiting, rooms_bps, strict=True)]
        while (lowest_bps := min(filled_bps)) < math.inf:
            settled = sorted(waiting[filled_bps.index(lowest_bps)])
            for index in settled:
                levels_bps[index] = lowest_bps
                sent_bps = self.cells[index].go_to(lowest_bps)
                for link in self._routes[index]:
                    waiting[link].remove(index)
                    rooms_bps[link] = max(0.0, rooms_bps[link] - sent_bps)
            for link in {link for index in settled for link in self._routes[index]}:
                filled_bps[link] = self._filled_bps(waiting[link], rooms_bps[link])
        return levels_bps

    def _filled_bps(self, under: set[int], room_bps: float) -> float:
        """Return the level at which cells fill a link; inf if they cannot."""
        if math.fsum([self._most_bps[index] for index in under]) <= room_bps:
            return math.inf
        cells = [self.cells[index] for index in sorted(under)]
        return max(0.0, walk(cells, room_bps, full_bps(cells, room_bps)))
