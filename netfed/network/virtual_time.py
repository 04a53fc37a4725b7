"""Virtual time: clocks that run as fast as those who follow them are served.

Flows that share something by weight get the same rate per weight, and that rate changes whenever one of them comes or
goes. On a clock that runs at just this rate, each of them is due at a reading that is known when it starts and never
changes, so that an arrival or a departure costs the logarithm of their number (Parekh and Gallager, A generalized
processor sharing approach to flow control, IEEE/ACM Transactions on Networking 1(3), 1993).
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator
from heapq import heappop, heappush
from typing import Any, Generic, TypeVar

SAME_INSTANT_ULP = 4
"""How many units in the last place of a time count as none."""

Item = TypeVar("Item", bound=Hashable)


class VirtualClock(Generic[Item]):
    """A clock that another one drives, or real time does; and the items that are due on it.

    Attributes:
        rate: How far it moves while its driver moves by one.
    """

    __slots__ = ("_driver", "_entries", "_heap", "_pushed", "_reading", "_since", "rate")

    def __init__(self) -> None:
        self._driver: VirtualClock[Any] | None = None  # None is real time
        self.rate = 0.0
        self._since = 0.0  # what the driver showed
        self._reading = 0.0  # when this clock showed this
        self._heap: list[tuple[float, int, Item]] = []
        self._entries: dict[Item, tuple[float, int, Item]] = {}  # those in the heap that still hold
        self._pushed = 0

    def read(self, now_s: float) -> float:
        """Return what it shows."""
        driver = now_s if self._driver is None else self._driver.read(now_s)
        return self._reading + (driver - self._since) * self.rate

    @property
    def speed(self) -> float:
        """How far it moves in a second."""
        return self.rate if self._driver is None else self.rate * self._driver.speed

    def follow(self, driver: VirtualClock[Any] | None, rate: float, now_s: float) -> None:
        """Go on by this driver and at this rate: from the present reading, or from 0 if nothing is due."""
        self._reading = self.read(now_s) if self._entries else 0.0
        self._since = now_s if driver is None else driver.read(now_s)
        self._driver, self.rate = driver, rate

    def expect(self, item: Item, due: float) -> None:
        """Let an item be due at a reading, and no more at another one."""
        entry = self._entries.get(item)
        if entry is None or entry[0] != due:
            self._pushed += 1
            self._entries[item] = entry = (due, self._pushed, item)
            heappush(self._heap, entry)

    def forget(self, item: Item) -> None:
        """Let an item be due no more."""
        del self._entries[item]
        if not self._entries:
            self._heap.clear()

    def due(self, item: Item) -> float:
        """Return the reading at which an item is due."""
        return self._entries[item][0]

    def first(self) -> tuple[float, int, Item]:
        """Return what is due first, after the reading at which it is; there must be something."""
        heap, entries = self._heap, self._entries
        while entries.get(heap[0][2]) is not heap[0]:
            heappop(heap)
        return heap[0]

    def alarm(self) -> float:
        """Return what the driver shows when the first item is due; inf if none is, or if the clock stands still."""
        if not (self._entries and self.rate):
            return math.inf
        return self._since + (self.first()[0] - self._reading) / self.rate

    def ripe(self, now_s: float) -> Iterator[Item]:
        """Yield the first item, and those that are due at the same instant but for rounding.

        Each must be forgotten, or be due later, before the next is asked for.
        """
        reading = self.read(now_s)
        rounding = SAME_INSTANT_ULP * (math.ulp(reading) + self.rate * math.ulp(now_s))
        entry = self.first()
        last = max(reading + rounding, entry[0])
        while entry[0] <= last:
            yield entry[2]
            if not self._entries:
                return
            entry = self.first()
