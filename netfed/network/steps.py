"""A rate that changes in steps, and its integral."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Steps:
    """A rate over time.

    Args:
        start_s: When each step begins: the first at 0, ascending. [step]
        rate_bps: During it; 0 or more. [step]
        period_s: When the last one ends.
        repeat: Whether all begin anew then; if not, the last rate goes on for good.
        begins_s: Where whoever follows it is when the simulation begins; None: each at a place of its own.

    Attributes:
        start_s: See above; likewise ``rate_bps``, ``period_s``, ``repeat`` and ``begins_s``.
        period_bits: The integral of the rate from 0 to ``period_s``.
    """

    def __init__(
        self,
        start_s: ArrayLike,
        rate_bps: ArrayLike,
        period_s: float,
        repeat: bool = True,
        begins_s: float | None = None,
    ) -> None:
        self.start_s: Floats = np.asarray(start_s, np.float64)
        self.rate_bps: Floats = np.asarray(rate_bps, np.float64)
        self.period_s = period_s
        self.repeat = repeat
        self.begins_s = begins_s
        self._bits = np.append(0.0, np.cumsum(self.rate_bps * np.diff(self.start_s, append=period_s)))  # by each start
        self.period_bits = float(self._bits[-1])
        self._constant = bool((self.rate_bps == self.rate_bps[0]).all())

    def bits(self, from_s: float, to_s: float) -> float:
        """Return the integral of the rate between two moments, 0 s or later."""
        (from_periods, from_bits), (to_periods, to_bits) = self._until(from_s), self._until(to_s)
        return (to_periods - from_periods) * self.period_bits + (to_bits - from_bits)

    def finish_s(self, from_s: float, bits: float) -> float:
        """Return when the integral from ``from_s`` on comes to so many bits, more than 0: the inverse of `bits`."""
        periods, before_bits = self._until(from_s)
        total_bits = before_bits + bits
        if self.repeat:
            whole = max(0, math.ceil(total_bits / self.period_bits) - 1)
            periods, total_bits = periods + whole, total_bits - whole * self.period_bits
        step = min(int(np.searchsorted(self._bits, total_bits)), len(self.start_s)) - 1
        over_bits = total_bits - self._bits.item(step)
        return float(periods * self.period_s + self.start_s.item(step) + over_bits / self.rate_bps.item(step))

    def rates(self, from_s: float) -> Iterator[tuple[float, float]]:
        """Yield the rate at a moment, then each other one: when it begins, and what it is."""
        periods = math.floor(from_s / self.period_s) if self.repeat else 0
        step = int(np.searchsorted(self.start_s, max(0.0, from_s - periods * self.period_s), side="right")) - 1
        moment_s, last_bps = from_s, math.nan
        while True:
            rate_bps = self.rate_bps.item(step)
            if rate_bps != last_bps:
                yield moment_s, rate_bps
            last_bps, step = rate_bps, step + 1
            if step == len(self.start_s):
                if not self.repeat or self._constant:
                    return
                periods, step = periods + 1, 0
            moment_s = periods * self.period_s + self.start_s.item(step)

    def _until(self, moment_s: float) -> tuple[int, float]:
        """Return how many whole periods there have been, and the integral since."""
        periods = math.floor(moment_s / self.period_s) if self.repeat else 0
        since_s = max(0.0, moment_s - periods * self.period_s)
        step = int(np.searchsorted(self.start_s, since_s, side="right")) - 1
        return periods, self._bits.item(step) + (since_s - self.start_s.item(step)) * self.rate_bps.item(step)
