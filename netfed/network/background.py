"""Traffic that is not ours: the share of every cell's airtime that others take. Light to import."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from netfed.network.course import Change
from netfed.plugin import Plugin
from netfed.units import Fraction, Seconds


class Background(Plugin):
    """How much of the airtime of every cell others take, up and down alike."""

    def left(self) -> Iterator[Change]:
        """Yield the share of airtime that is left from each moment on at which it changes, the first at 0."""
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Background, kind="constant"):
    """Always the same share.

    Attributes:
        share: Of the airtime, less than all of it.
    """

    share: Fraction

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise ValueError("share must be from 0 to less than 1")

    def left(self) -> Iterator[Change]:
        """Yield one share for good."""
        yield 0.0, 1.0 - self.share


@dataclass(frozen=True)
class DailyCurve(Background, kind="diurnal"):
    """A share that follows the time of day.

    Attributes:
        curve: Shares of the airtime at moments equally far apart, from midnight on; straight in between, and the same
            each day. Each is less than all of it.
        day: How long a day is.
        begins: Time of day when the simulation begins.
        step: How long the share stays as it is: that of the middle of this time.
    """

    curve: tuple[Fraction, ...]
    day: Seconds = 86400.0
    begins: Seconds = 0.0
    step: Seconds = 900.0

    def __post_init__(self) -> None:
        if len(self.curve) < 2:
            raise ValueError("curve must have at least 2 shares, of midnight and noon, say")
        if not all(0 <= share < 1 for share in self.curve):
            raise ValueError("curve must be shares from 0 to less than 1")
        if not 0 < self.day < math.inf:
            raise ValueError("day must be more than 0 s")
        if not 0 <= self.begins < math.inf:
            raise ValueError("begins must be 0 s or more")
        if not 0 < self.step <= self.day:
            raise ValueError("step must be more than 0 s, and a day at the most")

    def left(self) -> Iterator[Change]:
        """Yield a share for each step."""
        for index in count():
            yield index * self.step, 1.0 - self._share(self.begins + (index + 0.5) * self.step)

    def _share(self, moment_s: float) -> float:
        knots = len(self.curve)
        place = moment_s / self.day % 1.0 * knots
        knot = min(int(place), knots - 1)
        before, after = self.curve[knot], self.curve[(knot + 1) % knots]
        return before + (place - knot) * (after - before)
