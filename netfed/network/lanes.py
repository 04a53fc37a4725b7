"""One cell: its flows in lanes, some of which share its airtime while the backhaul caps the others."""

from __future__ import annotations

import math
from bisect import bisect_left
from operator import attrgetter

from netfed.network.medium import Flow
from netfed.network.virtual_time import VirtualClock

_FINE = 2.0**60
_radio_bps = attrgetter("radio_bps")


def fine(amount: float) -> int:
    """Return a positive amount as a positive whole number, in units of 2^-60.

    Sums of these are exact: they depend on what is there, not on what was and has gone.
    """
    return math.ceil(amount * _FINE)


class Lane(VirtualClock[Flow]):
    """The flows of one cell and one radio rate: per weight they are equally fast, whatever happens.

    It is a clock that shows bits per weight.

    Attributes:
        radio_bps: Their radio rate.
        radio: The same, in fine units.
        airtime: Of one bit; in fine units of fine units, for it is small.
        weight: Of all of them, in fine units.
    """

    __slots__ = ("airtime", "radio", "radio_bps", "weight")

    def __init__(self, radio_bps: float) -> None:
        super().__init__()
        self.radio_bps = radio_bps
        self.radio = fine(radio_bps)
        self.airtime = fine(_FINE / radio_bps)
        self.weight = 0


class Cell:
    """The lanes of a cell, the slowest first: the first of them are free, and share the airtime that the rest leaves.

    What the cell sends in total is a function of the backhaul's level, made of straight pieces.

    Args:
        level: The clock that drives the lanes that the backhaul caps: bits per weight.

    Attributes:
        airtime: The clock that drives the free lanes: seconds per weight.
        slope: Of the piece that belongs to the present lanes; a weight.
        intercept_bps: Of that piece.
        low_bps: Its lower end, per weight: where the fastest free lane would become capped.
        high_bps: Its upper end, per weight: where the slowest capped lane would become free.
    """

    def __init__(self, level: VirtualClock[Lane]) -> None:
        self.airtime: VirtualClock[Lane] = VirtualClock()
        self._level = level
        self._lanes: list[Lane] = []
        self._free = 0  # how many lanes are
        self._free_weight = 0
        self._free_radio = 0  # weight times radio rate
        self._capped_weight = 0
        self._capped_airtime = 0  # weight times airtime of a bit
        self._find_piece()

    def join(self, flow: Flow, bits: float, radio_bps: float, weight: int, now_s: float) -> Lane:
        """Let a flow into its lane, and return that."""
        index = self._index(radio_bps)
        if index == len(self._lanes) or self._lanes[index].radio_bps != radio_bps:
            self._open(index, radio_bps, now_s)
        lane = self._lanes[index]
        lane.expect(flow, lane.read(now_s) + bits / weight)
        self._weigh(index, weight)
        return lane

    def leave(self, flow: Flow, lane: Lane, weight: int) -> None:
        """Let a flow out of its lane."""
        lane.forget(flow)
        self._weigh(self._index(lane.radio_bps), -weight)

    def cap(self, now_s: float) -> None:
        """Let the backhaul's level drive the fastest free lane."""
        self._free -= 1
        lane = self._lanes[self._free]
        self._count_free(lane, -lane.weight)
        self._count_capped(lane, lane.weight)
        self._hand_over(lane, self.airtime, self._level, 1.0, now_s)

    def release(self, now_s: float) -> None:
        """Let airtime drive the slowest capped lane."""
        lane = self._lanes[self._free]
        self._free += 1
        self._count_capped(lane, -lane.weight)
        self._count_free(lane, lane.weight)
        self._hand_over(lane, self._level, self.airtime, lane.radio_bps, now_s)

    def share(self, level_bps: float, now_s: float) -> None:
        """Share the airtime that is left at a level among the free lanes."""
        left = 1.0 - level_bps * self._capped_s if self._capped_s else 1.0
        rate = left / self._free_weight if self._free else 0.0
        if rate != self.airtime.rate:
            self.airtime.follow(None, rate, now_s)

    def _index(self, radio_bps: float) -> int:
        return bisect_left(self._lanes, radio_bps, key=_radio_bps)

    def _open(self, index: int, radio_bps: float, now_s: float) -> None:
        lane = Lane(radio_bps)
        self._lanes.insert(index, lane)
        if index <= self._free:
            self._free += 1
            lane.follow(self.airtime, radio_bps, now_s)
        else:
            lane.follow(self._level, 1.0, now_s)

    def _weigh(self, index: int, weight: int) -> None:
        lane = self._lanes[index]
        lane.weight += weight
        if index < self._free:
            self._count_free(lane, weight)
            driver = self.airtime
        else:
            self._count_capped(lane, weight)
            driver = self._level
        if lane.weight:
            driver.expect(lane, lane.alarm())
        else:
            driver.forget(lane)
            del self._lanes[index]
            self._free -= driver is self.airtime
        self._find_piece()

    def _count_free(self, lane: Lane, weight: int) -> None:
        self._free_weight += weight
        self._free_radio += weight * lane.radio

    def _count_capped(self, lane: Lane, weight: int) -> None:
        self._capped_weight += weight
        self._capped_airtime += weight * lane.airtime

    def _hand_over(
        self, lane: Lane, source: VirtualClock[Lane], target: VirtualClock[Lane], rate: float, now_s: float
    ) -> None:
        source.forget(lane)
        lane.follow(target, rate, now_s)
        target.expect(lane, lane.alarm())
        self._find_piece()

    def _find_piece(self) -> None:
        lanes, free = self._lanes, self._free
        self._capped_s = self._capped_airtime / _FINE**2
        self.intercept_bps = self._free_radio / self._free_weight / _FINE if free else 0.0
        self.slope = self._capped_weight - self._capped_s * self.intercept_bps
        self.low_bps = self._border_bps(lanes[free - 1]) if free else 0.0
        self.high_bps = self._border_bps(lanes[free]) if free < len(lanes) else math.inf

    def _border_bps(self, lane: Lane) -> float:
        """Return the level that the lane, one of the two in the middle, just reaches with its share of the airtime."""
        return 1.0 / (self._capped_s + self._free_weight / lane.radio_bps)
