"""One cell: its flows in rate classes, some of which share its airtime while the backhaul caps the others."""

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


class RateClass(VirtualClock[Flow]):
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
    """The rate classes of a cell, the slowest first. The first are free, and share the airtime that the rest leaves.

    What the cell sends in total is a function of the backhaul's level, made of straight pieces.

    Args:
        level: The clock that drives the rate classes that the backhaul caps: bits per weight.

    Attributes:
        airtime: The clock that drives the free rate classes: seconds per weight.
        slope: Of the piece that belongs to the present rate classes; a weight.
        intercept_bps: Of that piece.
        low_bps: Its lower end, per weight: where the fastest free rate class would become capped.
        high_bps: Its upper end, per weight: where the slowest capped rate class would become free.
    """

    def __init__(self, level: VirtualClock[RateClass]) -> None:
        self.airtime: VirtualClock[RateClass] = VirtualClock()
        self._level = level
        self._rate_classes: list[RateClass] = []
        self._free = 0  # how many rate classes are
        self._free_weight = 0
        self._free_radio = 0  # weight times radio rate
        self._capped_weight = 0
        self._capped_airtime = 0  # weight times airtime of a bit
        self._find_piece()

    def join(self, flow: Flow, bits: float, radio_bps: float, weight: int, now_s: float) -> RateClass:
        """Let a flow into its rate class, and return that."""
        index = self._index(radio_bps)
        if index == len(self._rate_classes) or self._rate_classes[index].radio_bps != radio_bps:
            self._open(index, radio_bps, now_s)
        rate_class = self._rate_classes[index]
        rate_class.expect(flow, rate_class.read(now_s) + bits / weight)
        self._weigh(index, weight)
        return rate_class

    def leave(self, flow: Flow, rate_class: RateClass, weight: int) -> None:
        """Let a flow out of its rate class."""
        rate_class.forget(flow)
        self._weigh(self._index(rate_class.radio_bps), -weight)

    def cap(self, now_s: float) -> None:
        """Let the backhaul's level drive the fastest free rate class."""
        self._free -= 1
        rate_class = self._rate_classes[self._free]
        self._count_free(rate_class, -rate_class.weight)
        self._count_capped(rate_class, rate_class.weight)
        self._hand_over(rate_class, self.airtime, self._level, 1.0, now_s)

    def release(self, now_s: float) -> None:
        """Let airtime drive the slowest capped rate class."""
        rate_class = self._rate_classes[self._free]
        self._free += 1
        self._count_capped(rate_class, -rate_class.weight)
        self._count_free(rate_class, rate_class.weight)
        self._hand_over(rate_class, self._level, self.airtime, rate_class.radio_bps, now_s)

    def share(self, level_bps: float, now_s: float) -> None:
        """Share the airtime that is left at a level among the free rate classes."""
        left = 1.0 - level_bps * self._capped_s if self._capped_s else 1.0
        rate = left / self._free_weight if self._free else 0.0
        if rate != self.airtime.rate:
            self.airtime.follow(None, rate, now_s)

    def _index(self, radio_bps: float) -> int:
        return bisect_left(self._rate_classes, radio_bps, key=_radio_bps)

    def _open(self, index: int, radio_bps: float, now_s: float) -> None:
        rate_class = RateClass(radio_bps)
        self._rate_classes.insert(index, rate_class)
        if index <= self._free:
            self._free += 1
            rate_class.follow(self.airtime, radio_bps, now_s)
        else:
            rate_class.follow(self._level, 1.0, now_s)

    def _weigh(self, index: int, weight: int) -> None:
        rate_class = self._rate_classes[index]
        rate_class.weight += weight
        if index < self._free:
            self._count_free(rate_class, weight)
            driver = self.airtime
        else:
            self._count_capped(rate_class, weight)
            driver = self._level
        if rate_class.weight:
            driver.expect(rate_class, rate_class.alarm())
        else:
            driver.forget(rate_class)
            del self._rate_classes[index]
            self._free -= driver is self.airtime
        self._find_piece()

    def _count_free(self, rate_class: RateClass, weight: int) -> None:
        self._free_weight += weight
        self._free_radio += weight * rate_class.radio

    def _count_capped(self, rate_class: RateClass, weight: int) -> None:
        self._capped_weight += weight
        self._capped_airtime += weight * rate_class.airtime

    def _hand_over(
        self,
        rate_class: RateClass,
        source: VirtualClock[RateClass],
        target: VirtualClock[RateClass],
        rate: float,
        now_s: float,
    ) -> None:
        source.forget(rate_class)
        rate_class.follow(target, rate, now_s)
        target.expect(rate_class, rate_class.alarm())
        self._find_piece()

    def _find_piece(self) -> None:
        rate_classes, free = self._rate_classes, self._free
        self._capped_s = self._capped_airtime / _FINE**2
        self.intercept_bps = self._free_radio / self._free_weight / _FINE if free else 0.0
        self.slope = self._capped_weight - self._capped_s * self.intercept_bps
        self.low_bps = self._border_bps(rate_classes[free - 1]) if free else 0.0
        self.high_bps = self._border_bps(rate_classes[free]) if free < len(rate_classes) else math.inf

    def _border_bps(self, rate_class: RateClass) -> float:
        """Return the level that a rate class, one of the two in the middle, just reaches with its share of airtime."""
        return 1.0 / (self._capped_s + self._free_weight / rate_class.radio_bps)
