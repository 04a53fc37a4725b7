"""How busy links are: looked at every so often while anything is under way, and once more at the end.

A look is taken afterwards: just before anything changes for the first time since it was due, when what there was can
still be told to the bit. So no look is an event: none wakes anybody, keeps the clock going, or changes what comes next.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from simpy import Environment

    from netfed.network.counters import MediumSnapshot
    from netfed.network.medium import Medium
    from netfed.recorder import Recorder, Row, Scalar

FIRST_S, LOOKS, ROWS = 1.0, 10, 1000
"""The interval of a meter that chooses it: at first, and after how many looks and rows it is twice as long."""


class _Line(NamedTuple):
    """What a medium carries over one link.

    Attributes:
        number: Of the link.
        cells: Of the medium, whose bits go over it.
        rate_bps: Of the link; None: what it has is the cells' airtime.
    """

    number: int
    cells: tuple[int, ...]
    rate_bps: float | None


class _LinkInterval(NamedTuple):
    """What one link did from one look to the next.

    Attributes:
        busy_s: How much of its time that took.
        bits: It carried.
        backlog_bits: Had not left at the second look.
        transfers: Were under way at it.
    """

    busy_s: float
    bits: int
    backlog_bits: int
    transfers: int


class Meter:
    """Records how busy links were from one look to the next, and what they hold at it.

    A row of kind ``link`` tells of a link that carried something since the last look, or holds something at this one,
    which is at ``t_s``:

    - ``start_s``: when the interval began;
    - ``link``, ``cell`` and ``sector``: which it is. A link of the backhaul has no sector, and one that carries bits of
      several base stations has no cell, but says what it links by ``ends``;
    - ``busy``: of the airtime in the interval, the share that our own transfers used; of a link of the backhaul, bits
      over what its rate could have carried. What others take of the airtime (background) is not in it, nor is that of
      an outage: both leave less that can become busy. Where transfers do not slow each other down it is their sum, and
      passes 1 where they ask for more than there is; elsewhere by the rounding of whole bits alone;
    - ``bits``: carried in the interval, whole ones;
    - ``backlog_bits``: begun, and not gone yet. A transfer that will break ends where it breaks;
    - ``transfers``: under way.

    What goes the whole way between a device and the cloud goes over both its links at once, and counts on each.

    Args:
        env: The clock.
        recorder: Takes the rows.
        interval: Looks are at multiples of it, in seconds; or ``auto``: it is `FIRST_S` at first, and doubles each time
            that `LOOKS` looks have been taken of it and `ROWS` rows recorded.

    Attributes:
        due_s: When the next look is due; inf while nothing is under way.
    """

    def __init__(self, env: Environment, recorder: Recorder, interval: float | Literal["auto"]) -> None:
        self._env = env
        self._recorder = recorder
        self._chooses = interval == "auto"
        self._interval_s = FIRST_S if interval == "auto" else interval
        self._names: list[dict[str, Scalar]] = []  # of links
        self._numbers: dict[tuple[tuple[str, Scalar], ...], int] = {}  # of links, by their names
        self._lines: dict[Medium, list[_Line]] = {}
        self._before: dict[Medium, MediumSnapshot] = {}  # at the last look
        self._watched: dict[Medium, None] = {}  # those that have carried something since
        self._looks = self._recorded = 0  # at the present interval
        self._since_s = 0.0
        self.due_s = math.inf

    def add(self, medium: Medium, cells: Iterable[int], rate_bps: float | None = None, **name: Scalar) -> None:
        """Look at a link from now on; media may share one.

        Args:
            medium: Carries its bits.
            cells: Of the medium: those whose bits go over it.
            rate_bps: Of the link; None: what it has is the cells' airtime.
            name: What rows call it.
        """
        number = self._numbers.setdefault(tuple(name.items()), len(self._names))
        if number == len(self._names):
            self._names.append(name)
        self._lines.setdefault(medium, []).append(_Line(number, tuple(cells), rate_bps))
        medium.meter = self

    def watch(self, medium: Medium) -> None:
        """Note that a medium, now idle, will carry something."""
        self._watched[medium] = None
        if medium not in self._before:
            self._before[medium] = medium.snapshot(self._env.now)
        if self.due_s == math.inf:
            self._plan(self._env.now)

    def look(self) -> None:
        """Take the looks that have been due before now."""
        while self.due_s < self._env.now:
            self._record(self.due_s)

    def close(self) -> None:
        """Take a last look now, whenever the next one would be."""
        self.look()
        if self._watched and self._env.now > self._since_s:
            self._record(self._env.now)

    def _plan(self, now_s: float) -> None:
        """Let the next look be at the next multiple of the interval, and the interval begin at the one before."""
        if self._chooses and self._looks >= LOOKS and self._recorded >= ROWS:
            self._interval_s *= 2.0
            self._looks = self._recorded = 0
        interval_s = self._interval_s
        looks = math.floor(now_s / interval_s)
        while looks * interval_s <= now_s:
            looks += 1
        self._since_s = max(self._since_s, (looks - 1) * interval_s)
        self.due_s = looks * interval_s

    def _record(self, at_s: float) -> None:
        rows = list(self._rows(at_s))
        self._recorder.insert(rows)
        self._looks += 1
        self._recorded += len(rows)
        self._watched = {medium: None for medium in self._watched if not medium.idle}
        self._since_s, self.due_s = at_s, math.inf
        if self._watched:
            self._plan(at_s)

    def _rows(self, at_s: float) -> Iterator[Row]:
        names, links, lasted_s = self._names, self._intervals(at_s), at_s - self._since_s
        for number in sorted(links):
            busy_s, bits, backlog_bits, transfers = links[number]
            yield {
                "t_s": at_s,
                "kind": "link",
                "start_s": self._since_s,
                **names[number],
                "busy": busy_s / lasted_s,
                "bits": bits,
                "backlog_bits": backlog_bits,
                "transfers": transfers,
            }

    def _intervals(self, at_s: float) -> dict[int, _LinkInterval]:
        """Return what links have carried since the last look, or hold at this one, by number."""
        links: dict[int, _LinkInterval] = {}
        for medium in self._watched:
            before, self._before[medium] = self._before[medium], (now := medium.snapshot(at_s))
            for number, cells, rate_bps in self._lines[medium]:
                busy_s, bits, backlog_bits, transfers = links.get(number, _NOTHING)
                for cell in cells:
                    bits += now.bits[cell] - before.bits[cell]
                    backlog_bits += now.backlog_bits[cell]
                    transfers += now.transfers[cell]
                    if rate_bps is None:
                        busy_s += max(0.0, now.occupied_s[cell] - before.occupied_s[cell])
                    else:
                        busy_s += (now.bits[cell] - before.bits[cell]) / rate_bps
                if bits or transfers:
                    links[number] = _LinkInterval(busy_s, bits, backlog_bits, transfers)
        return links


_NOTHING = _LinkInterval(0.0, 0, 0, 0)
