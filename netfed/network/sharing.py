"""Who gets which rate: cells share their airtime, and the flows of all cells share the backhaul.

Flow i has weight w_i and radio rate r_i; alone in its cell it would get r_i. Round-robin scheduling gives each flow of
cell c the share w_i s_c of the airtime, while the backhaul lets each have w_i b at the most:

    x_i = w_i min(r_i s_c, b)

The cells' airtime is used up, sum over c of x_i / r_i = 1, unless the backhaul caps all of its flows; the backhaul's
rate is used up, sum of x_i = C, unless b caps nobody. A capped flow leaves airtime that the others of its cell share.
This is weighted max-min fairness (Bertsekas and Gallager, Data Networks, 1992, section 6.5.2) with airtime as the
cells' resource.

What a cell sends in total grows with b, in straight pieces that get flatter: as b falls, flows become capped in the
order of their radio rates, the fastest first. So Newton's method for the level at which the totals add up to C, from
the level at which every flow is capped, walks from piece to piece and ends on the exact solution.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def share(cell: NDArray[np.int64], weight: Floats, radio_bps: Floats, backhaul_bps: float) -> Floats:
    """Return every flow's rate in bit/s. [flow]

    Args:
        cell: Index of its cell. [flow]
        weight: Its share relative to others. [flow]
        radio_bps: What it would get alone in its cell. [flow]
        backhaul_bps: Rate of the link behind all cells.
    """
    rate_bps = weight / np.bincount(cell, weight)[cell] * radio_bps
    if rate_bps.sum() <= backhaul_bps:
        return rate_bps
    members = [np.flatnonzero(cell == index) for index in np.unique(cell)]
    cells = [_Cell(weight[flows], radio_bps[flows]) for flows in members]
    level_bps = _level(cells, float(weight.sum()), backhaul_bps)
    for flows, own in zip(members, cells, strict=True):
        rate_bps[flows] = own.rates_bps(level_bps)
    return rate_bps


class _Cell:
    """The flows of one cell as functions of the backhaul's level. Entry k of an array: the k fastest are capped."""

    def __init__(self, weight: Floats, radio_bps: Floats) -> None:
        self._weight = weight
        self._radio_bps = radio_bps
        order = np.argsort(-radio_bps, kind="stable")
        weight, radio_bps = weight[order], radio_bps[order]
        zero = np.zeros(1)
        self._capped_weight = np.concatenate((zero, np.cumsum(weight)))
        self._capped_airtime_s = np.concatenate((zero, np.cumsum(weight / radio_bps)))
        self._free_weight = np.concatenate((np.cumsum(weight[::-1])[::-1], zero))
        free_bps = np.cumsum((weight * radio_bps)[::-1])[::-1]
        self._free_mean_bps = np.concatenate((free_bps / self._free_weight[:-1], zero))
        # The level that flow k just reaches with its share of the airtime that the capped ones leave.
        rising = 1.0 / (self._capped_airtime_s[1:] + self._free_weight[1:] / radio_bps)
        self._levels_bps = rising[::-1]

    def line(self, level_bps: float) -> tuple[float, float]:
        """Return slope and intercept of the total rate at a level."""
        k = self._capped(level_bps)
        mean_bps = self._free_mean_bps[k]
        return float(self._capped_weight[k] - self._capped_airtime_s[k] * mean_bps), float(mean_bps)

    def rates_bps(self, level_bps: float) -> Floats:
        """Return the rates at a level, in the order in which the flows were given."""
        k = self._capped(level_bps)
        if k == len(self._weight):
            return self._weight * level_bps
        airtime = (1.0 - level_bps * self._capped_airtime_s[k]) / self._free_weight[k]
        rate_bps: Floats = self._weight * np.minimum(self._radio_bps * airtime, level_bps)
        return rate_bps

    def _capped(self, level_bps: float) -> int:
        return len(self._levels_bps) - int(np.searchsorted(self._levels_bps, level_bps))


def _level(cells: list[_Cell], weight: float, backhaul_bps: float) -> float:
    """Return the level at which the cells' totals add up to the backhaul's rate."""
    level_bps = backhaul_bps / weight
    while True:
        slopes, intercepts_bps = zip(*(cell.line(level_bps) for cell in cells), strict=True)
        slope = sum(slopes)
        if slope <= 0:
            return level_bps
        higher_bps = (backhaul_bps - sum(intercepts_bps)) / slope
        if higher_bps <= level_bps:
            return level_bps
        level_bps = higher_bps
