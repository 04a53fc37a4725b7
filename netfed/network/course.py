"""What takes part of a cell's airtime, or of a link's rate, by itself over time.

Light to import: arrays and clocks come in inside methods.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simpy import Environment, Event

    from netfed.network.medium import Medium

Change = tuple[float, float]
"""A moment in seconds, and the share that is left from then on."""


class Course:
    """Shares over time, and who is told of them.

    Args:
        changes: Ascending, the first at time 0 or later; until then the share is 1.
        tell: Called with the share, each time that it has changed.

    Attributes:
        next_s: When the next change is; inf if there is none.
    """

    def __init__(self, changes: Iterable[Change], tell: Callable[[float], None]) -> None:
        self._tell = tell
        self.next_s, self._next_share = math.inf, 1.0
        self._begin(changes)

    def go_to(self, now_s: float) -> None:
        """Tell of the share that there is now, if it has changed."""
        if self.next_s > now_s:
            return
        while self.next_s <= now_s:
            share = self._next_share
            self.next_s, self._next_share = next(self._changes, (math.inf, 1.0))
        self._tell(share)

    def _begin(self, changes: Iterable[Change]) -> None:
        self._changes: Iterator[Change] = iter(changes)
        self.next_s, self._next_share = next(self._changes, (math.inf, 1.0))


class Courses:
    """The courses of what a medium is made of. They are followed while it carries something, so that a world in which
    nothing happens any more comes to its end.

    Args:
        env: The clock.
        medium: What carries the bits; it wakes the courses.
        courses: All of them.
    """

    def __init__(self, env: Environment, medium: Medium, courses: Sequence[Course]) -> None:
        self._env = env
        self._medium = medium
        self._courses = courses
        self._looking = False
        medium.wake = self._wake

    @classmethod
    def follow(cls, env: Environment, medium: Medium, courses: Iterable[Course]) -> None:
        """Let a medium follow its courses, if there are any."""
        if courses := list(courses):
            cls(env, medium, courses)

    def _wake(self) -> None:
        self._go_to_now()
        if not self._looking:
            self._look_at_next()

    def _go_to_now(self) -> None:
        for course in self._courses:
            course.go_to(self._env.now)

    def _look_at_next(self) -> None:
        next_s = min(course.next_s for course in self._courses)
        self._looking = next_s < math.inf
        if self._looking:
            self._env.timeout(max(0.0, next_s - self._env.now)).callbacks.append(self._look)

    def _look(self, _: Event) -> None:
        self._looking = False
        if not self._medium.idle:
            self._go_to_now()
            self._look_at_next()
