"""Traffic that is not ours: the share of cells' airtime that others take. Light to import."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, product
from typing import TYPE_CHECKING, Literal

from netfed.network.cells import Cells, check_numbers
from netfed.network.course import Change
from netfed.plugin import Plugin
from netfed.units import Fraction, Seconds

if TYPE_CHECKING:
    from netfed.network.traffic import Direction

Directions = Literal["uplink", "downlink", "both"]


class Background(Plugin):
    """How much of the airtime of some cells others take.

    Attributes:
        cells: By number: those of the first base station come first; ``all`` of them.
        direction: In which; ``both``: as much up as down.
    """

    cells: Cells = "all"
    direction: Directions = "both"

    def takes(self, direction: Direction, cell: int) -> bool:
        """Return whether it takes airtime of a cell in a direction."""
        return self.direction in ("both", direction) and (self.cells == "all" or cell in self.cells)

    def left(self) -> Iterator[Change]:
        """Yield the share of airtime that is left from each moment on at which it changes, the first at 0."""
        raise NotImplementedError

    def most(self) -> float:
        """Return the greatest share that it ever takes."""
        raise NotImplementedError


@dataclass(frozen=True)
class Constant(Background, kind="constant"):
    """Always the same share.

    Attributes:
        share: Of the airtime, less than all of it.
        cells: By number: those of the first base station come first; ``all`` of them.
        direction: In which; ``both``: as much up as down.
    """

    share: Fraction
    cells: Cells = "all"
    direction: Directions = "both"

    def __post_init__(self) -> None:
        _check_cells(self.cells)
        if not 0 <= self.share < 1:
            raise ValueError("share must be from 0 to less than 1")

    def left(self) -> Iterator[Change]:
        """Yield one share for good."""
        yield 0.0, 1.0 - self.share

    def most(self) -> float:
        """Return the share."""
        return self.share


@dataclass(frozen=True)
class DailyCurve(Background, kind="diurnal"):
    """A share that follows the time of day.

    Attributes:
        curve: Shares of the airtime at moments equally far apart, from midnight on; straight in between, and the same
            each day. Each is less than all of it.
        day: How long a day is.
        begins: Time of day when the simulation begins.
        step: How long the share stays as it is: that of the middle of this time.
        cells: By number: those of the first base station come first; ``all`` of them.
        direction: In which; ``both``: as much up as down.
    """

    curve: tuple[Fraction, ...]
    day: Seconds = 86400.0
    begins: Seconds = 0.0
    step: Seconds = 900.0
    cells: Cells = "all"
    direction: Directions = "both"

    def __post_init__(self) -> None:
        _check_cells(self.cells)
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

    def most(self) -> float:
        """Return the curve's top."""
        return max(self.curve)

    def _share(self, moment_s: float) -> float:
        knots = len(self.curve)
        place = moment_s / self.day % 1.0 * knots
        knot = min(int(place), knots - 1)
        before, after = self.curve[knot], self.curve[(knot + 1) % knots]
        return before + (place - knot) * (after - before)


def left(backgrounds: Sequence[Background]) -> Iterator[Change]:
    """Yield the share of airtime that is left from each moment on at which it changes, when all take theirs of it."""
    if len(backgrounds) == 1:
        yield from backgrounds[0].left()
        return
    taken = [0.0] * len(backgrounds)
    for moment_s, number, share in heapq.merge(*(_numbered(*each) for each in enumerate(backgrounds))):
        taken[number] = 1.0 - share
        yield moment_s, 1.0 - math.fsum(taken)


def _numbered(number: int, background: Background) -> Iterator[tuple[float, int, float]]:
    return ((moment_s, number, share) for moment_s, share in background.left())


def too_much(backgrounds: Sequence[Background]) -> Iterator[tuple[int, str]]:
    """Yield the number of each that may leave a cell no airtime, with those before it, and a line that says so."""
    named = {cell for each in backgrounds if each.cells != "all" for cell in each.cells}
    nobody = -1  # any cell that nobody names
    for number, latest in enumerate(backgrounds):
        for direction, cell in product(_DIRECTIONS, (nobody, *sorted(named))):
            with_it = [other for other in range(number) if backgrounds[other].takes(direction, cell)]
            if not (with_it and latest.takes(direction, cell)):
                continue
            if (most := math.fsum(backgrounds[each].most() for each in (*with_it, number))) >= 1:
                names = " and ".join(f"background.{other}" for other in with_it)
                yield number, f"with {names}, others take {most:.6g} of a cell's {direction}: some of it must be left"
                break


_DIRECTIONS: tuple[Direction, ...] = ("uplink", "downlink")


def _check_cells(cells: Cells) -> None:
    if cells == ():
        raise ValueError("cells must say whose airtime others take, or be all")
    check_numbers(cells)
