"""Where arrivals wait for who collects them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from simpy import Event

from netfed.errors import SimulationError

if TYPE_CHECKING:
    from simpy import Environment

    from netfed.client import Arrival


class Inbox:
    """Arrivals in the order in which they came, for one who collects them.

    What SimPy's ``Store`` is for many who put and get, with no event for what is put: a twentieth of a participation.

    Args:
        env: The clock.

    Attributes:
        items: Those that nobody has taken yet.
    """

    def __init__(self, env: Environment) -> None:
        self.items: list[Arrival] = []
        self._env = env
        self._awaited: Event | None = None

    def put(self, arrival: Arrival) -> None:
        """Hand an arrival to whoever waits for one, or keep it."""
        if self._awaited is None:
            self.items.append(arrival)
        else:
            awaited, self._awaited = self._awaited, None
            awaited.succeed(arrival)

    def get(self) -> Event:
        """Return an event that brings the next arrival; `cut_short` brings None instead.

        Raises:
            SimulationError: Somebody waits for it already.
        """
        if self._awaited is not None:
            raise SimulationError("two wait for arrivals at one inbox")
        event = self._env.event()
        if self.items:
            event.succeed(self.items.pop(0))
        else:
            self._awaited = event
        return event

    def cut_short(self, wait: Event) -> None:
        """End a wait, unless it has ended already.

        Args:
            wait: As from `get`.
        """
        if self._awaited is wait:
            self._awaited = None
            wait.succeed()
