"""Availability by the hour of the day, and under several conditions at once.

Light to import: arrays come in inside methods.

Phones take part while they are idle, on a charger and on an unmetered network, which is at night, mostly (Bonawitz et
al., "Towards federated learning at scale: system design", MLSys 2019, arXiv:1902.01046).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from netfed.network.availability import Always, Availability, overlap
from netfed.units import Fraction, Seconds

if TYPE_CHECKING:
    from numpy import bool_, float64, int64
    from numpy.typing import NDArray

    from netfed.network.availability import Condition

    Floats = NDArray[float64]
    Windows = tuple[Floats, Floats]


@dataclass(frozen=True)
class Diurnal(Availability, kind="diurnal"):
    """Each device can be reached with a probability that follows the time of day.

    Each day, each device draws a level from 0 to 1, and can be reached while the curve is above it. So the curve is the
    share of devices that can be reached, and a device comes and goes about once a day, at another hour each day. Days
    begin where the curve is lowest.

    Attributes:
        curve: Probability at moments equally far apart, from midnight on; straight in between, and the same each day.
        day: How long a day is.
        begins: Time of day when the simulation begins, where the clocks are latest.
        time_zones: How far clocks of devices are ahead of that at the most; each device's is drawn uniformly.
    """

    curve: tuple[Fraction, ...]
    day: Seconds = 86400.0
    begins: Seconds = 0.0
    time_zones: Seconds = 0.0

    def __post_init__(self) -> None:
        if len(self.curve) < 2:
            raise ValueError("curve must have at least 2 probabilities, of midnight and noon, say")
        if not (all(0 <= share <= 1 for share in self.curve) and max(self.curve) >= 0.01 and min(self.curve) <= 0.99):
            raise ValueError("curve must be probabilities from 0 to 1, at least one from 0.01 up, and one up to 0.99")
        if not 0 < self.day < math.inf:
            raise ValueError("day must be more than 0 s")
        if not (0 <= self.begins < math.inf and 0 <= self.time_zones < math.inf):
            raise ValueError("begins and time_zones must be 0 s or more")

    def window(self, phase: Floats, now_s: float | Floats) -> Windows:
        """Return each device's present or next stretch above its levels; stretches that touch are one."""
        import numpy as np

        knots, table = len(self.curve), self._table
        step_s = self.day / knots
        # Of each device's clock, in steps from the day's beginning before the simulation's.
        ahead = (self.begins + phase * self.time_zones) / step_s - table.lowest + knots
        gone = np.isinf(now_s)
        now = np.where(gone, 0.0, now_s) / step_s + ahead
        day = np.floor(now / knots).astype(np.int64)
        knot = np.minimum(np.floor(now - day * knots).astype(np.int64), knots - 1)
        start, end = np.empty_like(now), np.empty_like(now)
        seeking = np.arange(len(now))
        while len(seeking):
            begun, over, day[seeking], knot[seeking] = self._stretch(phase[seeking], day[seeking], knot[seeking])
            start[seeking], end[seeking] = begun, over
            seeking = seeking[over <= now[seeking]]
        start_s, end_s = (start - ahead) * step_s, (end - ahead) * step_s
        end_s = np.where(end_s > now_s, end_s, np.nextafter(now_s, math.inf))
        return np.where(gone, math.inf, start_s), np.where(gone, math.inf, end_s)

    def _stretch(
        self, phase: Floats, day: NDArray[int64], knot: NDArray[int64]
    ) -> tuple[Floats, Floats, NDArray[int64], NDArray[int64]]:
        """Return the first stretch above the level at a knot from the given one on, and at which knot it is over.

        Returns:
            Its start and end in steps, and day and knot of its end. [device]
        """
        import numpy as np

        knots, table = len(self.curve), self._table
        curve, day = table.curve, day.copy()
        level, rank = self._levels(phase, day)
        first = table.next_above[rank, knot]
        while len(asleep := np.flatnonzero(first == knots)):
            day[asleep] += 1
            level[asleep], rank[asleep] = self._levels(phase[asleep], day[asleep])
            first[asleep] = table.next_above[rank[asleep], 0]
        rise = np.maximum(first - 1, 0)
        start = day * knots + rise + _crossing(curve[rise], curve[first], level)
        last = table.next_below[rank, first]
        while len(awake := np.flatnonzero(last > knots)):
            day[awake] += 1
            level[awake], rank[awake] = self._levels(phase[awake], day[awake])
            last[awake] = table.next_below[rank[awake], 0]
        fall = np.maximum(last - 1, 0)
        end = day * knots + fall + _crossing(curve[fall], curve[last], level)
        over = last == knots
        return start, end, day + over, np.where(over, 0, last)

    def _levels(self, phase: Floats, day: NDArray[int64]) -> tuple[Floats, NDArray[int64]]:
        """Return each device's level of a day, and how many of the curve's values are not above it.

        A phase is a draw of the world's, so that a draw addressed by its bits is one too.
        """
        import numpy as np

        from netfed.streams import Streams

        level = Streams(0).uniform("availability", np.asarray(phase, np.float64).view(np.uint64), day)
        return level, np.searchsorted(self._table.values, level, side="right")

    @cached_property
    def _table(self) -> _Table:
        import numpy as np

        lowest = self.curve.index(min(self.curve))
        curve = np.array([*self.curve[lowest:], *self.curve[: lowest + 1]])
        values = np.unique(curve)
        above = np.searchsorted(values, curve) >= np.arange(len(values) + 1)[:, None]
        return _Table(lowest, curve, values, _next(above[:, :-1]), _next(~above))


class _Table(NamedTuple):
    """A day from its lowest moment to the next day's, and where it is above levels.

    Attributes:
        lowest: Index of that moment in the curve that was written.
        curve: From there on. [step + 1]
        values: All different ones, ascending. [value]
        next_above: First knot from each on that is above a level; as many as there are steps if none is.
            [values that are not above, step]
        next_below: First knot from each on that is not, the next day's first included; one more if none is.
            [values that are not above, step + 1]
    """

    lowest: int
    curve: Floats
    values: Floats
    next_above: NDArray[int64]
    next_below: NDArray[int64]


def _next(where: NDArray[bool_]) -> NDArray[int64]:
    """Return the first column from each on that is true; as many as there are if none is. [row, column]"""
    import numpy as np

    width = where.shape[1]
    columns = np.where(where, np.arange(width), width)
    return np.minimum.accumulate(columns[:, ::-1], axis=1)[:, ::-1]


def _crossing(before: Floats, after: Floats, level: Floats) -> Floats:
    """Return where between two knots the curve crosses a level, as a share of the step; 0 if it does not."""
    import numpy as np

    crosses = (before > level) != (after > level)
    return np.where(crosses, (level - before) / np.where(crosses, after - before, 1.0), 0.0)


@dataclass(frozen=True)
class Eligible(Availability, kind="eligible"):
    """Each device can be reached while all of several conditions hold.

    Attributes:
        charging: When it is on a charger.
        unmetered: When it is on a network on which traffic costs its owner nothing.
        idle: When its owner does not use it.
    """

    charging: Availability = field(default_factory=Always)
    unmetered: Availability = field(default_factory=Always)
    idle: Availability = field(default_factory=Always)

    def window(self, phase: Floats, now_s: float | Floats) -> Windows:
        """Return each device's present or next window in which all conditions hold.

        To each condition a device has the same phase but for a hair: the same time zone and the same trace, but levels
        of its own.
        """
        import numpy as np

        def held(condition: Availability, phase: Floats) -> Condition:
            return lambda index, from_s: condition.window(phase[index], from_s)

        phases = [phase := np.nextafter(np.asarray(phase, np.float64), 0.0) for _ in range(3)]
        conditions = self.charging, self.unmetered, self.idle
        return overlap(list(map(held, conditions, phases)), np.full(phase.shape, now_s, np.float64))
