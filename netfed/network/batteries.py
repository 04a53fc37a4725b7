"""What is left in every device's battery, in closed form between the moments at which the task draws from it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from simpy import Environment, Event, Process

from netfed.errors import SimulationError
from netfed.network.battery import NEGLIGIBLE_J, Battery
from netfed.network.population import Population
from netfed.network.resting import Resting

Floats = NDArray[np.float64]

CAUSE = "battery"
"""Why a device drops whose battery is empty."""


class _Draw:
    """What one process draws from one battery.

    Attributes:
        drawn_j: Returns how much so far.
        taken_j: How much of it is off the charge already.
    """

    __slots__ = ("drawn_j", "taken_j")

    def __init__(self, drawn_j: Callable[[], float]) -> None:
        self.drawn_j = drawn_j
        self.taken_j = 0.0

    def take(self) -> float:
        """Return what has been drawn since this was last asked."""
        drawn_j = self.drawn_j()
        since_j, self.taken_j = drawn_j - self.taken_j, drawn_j
        return since_j


class Batteries:
    """The charge of every device.

    The charge is what it was when a process last began or ended to draw from it, and what the charger could have given
    since, less what has been drawn since, and the capacity at most. Whoever draws drops at the moment at which nothing
    is left. When that will be is not known, since transfers slow each other down, but not before the device could have
    used up its charge at its greatest power, for each that draws. That is when it is looked at, and if need be again:
    ever closer to the end, until what is left is negligible.

    Args:
        env: The clock.
        battery: What all devices have.
        population: Their rows; ``ready_s`` is kept up to date, or, where there is a background, ``charged`` is set.
        promotion_w: What a radio draws while it is promoted.

    Attributes:
        charge_j: When a process last began or ended to draw from it. [device]
        gained_j: From chargers, less the background, up to then. [device]
    """

    def __init__(self, env: Environment, battery: Battery, population: Population, promotion_w: float = 0.0) -> None:
        least, most = battery.initial
        share = least + (most - least) * population.streams.uniform("battery", np.arange(len(population)))
        powers_w = (population.compute_w, population.transmit_w, population.receive_w, population.idle_w)
        self._env = env
        self._battery = battery
        self._population = population
        self._most_w = np.maximum(np.max(powers_w, axis=0), promotion_w)
        self._initial_j = share * battery.capacity
        self._minimum_j = battery.minimum * battery.capacity
        charging = battery.charging
        self._given_j = np.zeros(len(population)) if charging is None else charging.given_j(population.phase, env.now)
        self._first_given_j = self._given_j.copy()
        self._drawing: dict[int, dict[Process, _Draw]] = {}
        self._looks: dict[int, Event] = {}  # the next at each device
        self._emptied: set[int] = set()
        self._resting = Resting(battery) if battery.background else None
        self._settled_s = np.full(len(population), float(env.now)) if self._resting else None
        self.charge_j = self._initial_j.copy()
        self.gained_j = np.zeros(len(population))
        if self._resting is not None:
            population.charged = self.charged
        else:
            charged_s = self._charged_s(self.charge_j, self._given_j, population.phase)
            population.ready_s[:] = np.where(self.charge_j >= self._minimum_j, env.now, charged_s)

    def left_j(self, device_id: int) -> float:
        """Return what a device has left now, less what is being drawn."""
        draws = self._drawing.get(device_id)
        if draws is None and self._resting is not None:
            left_j, _ = self._rested_j([device_id], self._env.now)
            return left_j.item()
        drawn_j = 0.0 if draws is None else sum(draw.drawn_j() - draw.taken_j for draw in draws.values())
        return self._left_j(device_id, drawn_j, self._charger_now_j(device_id))

    def begin(self, device_id: int, drawn_j: Callable[[], float]) -> None:
        """Let the active process draw from a battery; it is interrupted when the battery is empty.

        Others may draw from it too; then all of them are.

        Args:
            device_id: Whose battery.
            drawn_j: Returns what the process has drawn so far.

        Raises:
            SimulationError: There is no active process, or it draws from this battery already.
        """
        process = self._env.active_process
        if process is None or process in self._drawing.get(device_id, ()):
            raise SimulationError(f"device {device_id} draws power outside of a process, or twice in one")
        self._settle(device_id)
        draws = self._drawing.setdefault(device_id, {})
        draws[process] = _Draw(drawn_j)
        if device_id not in self._looks or len(draws) > 1:
            self._watch(device_id, self.charge_j.item(device_id))

    def end(self, device_id: int, drawn_j: float) -> None:
        """Take what the active process has drawn out of the battery."""
        draws, process = self._drawing[device_id], self._env.active_process
        assert process is not None
        draws[process].drawn_j = lambda: drawn_j
        self._settle(device_id)
        del draws[process]
        if not draws:
            del self._drawing[device_id]

    def take(self, device_id: int, wanted_j: float) -> float:
        """Take out what nobody has drawn through a process, as much of it as there is; return how much."""
        taken_j = min(wanted_j, self.left_j(device_id))
        self._settle(device_id, taken_j)
        if device_id in self._drawing:
            self._watch(device_id, self.charge_j.item(device_id))
        else:
            self._looks.pop(device_id, None)  # planned when there was more
        return taken_j

    def charged(self, index: NDArray[np.int64], from_s: Floats) -> tuple[Floats, Floats]:
        """Return the first stretch of time with the minimum charge of each of some devices at rest.

        Args:
            index: Of the devices.
            from_s: A moment of each, now or later: the stretch ends after it.
        """
        assert self._resting is not None
        left_j, _ = self._rested_j(index, from_s)
        return self._resting.ready(self._population.phase[index], left_j, from_s)

    def emptied(self) -> int:
        """Return how many devices have had an empty battery so far."""
        if self._resting is None:
            return len(self._emptied)
        ids = np.arange(len(self._population))
        _, least_j = self._rested_j(ids, self._env.now)
        at_rest = [device for device in np.flatnonzero(least_j <= NEGLIGIBLE_J).tolist() if device not in self._drawing]
        return len(self._emptied.union(at_rest))

    def spent(self) -> int:
        """Return how many devices will not have the minimum charge again."""
        if self._resting is None:
            return int(np.sum(self._population.ready_s == np.inf)) - self._population.refused
        ids = np.arange(len(self._population))
        start_s, _ = self.charged(ids, np.full(len(ids), self._env.now))
        return int(np.sum(start_s == np.inf))

    def check(self, spent_j: Floats) -> None:
        """Make sure that what devices have spent is what their batteries have lost, and gained from chargers.

        Args:
            spent_j: By the ledger, which is charged when a process has ended to draw. [device]

        Raises:
            SimulationError: Energy has vanished or appeared.
        """
        drawn_j = self._initial_j + self.gained_j - self.charge_j
        for device_id, draws in self._drawing.items():
            drawn_j[device_id] -= sum(draw.taken_j for draw in draws.values())
        given_j = self._given_j - self._first_given_j
        background_j = self._battery.background * self._env.now
        wrong = ~np.isclose(drawn_j, spent_j, rtol=1e-9, atol=NEGLIGIBLE_J)
        wrong |= (self.gained_j < -background_j * (1 + 1e-9) - NEGLIGIBLE_J) | (
            self.gained_j > given_j * (1 + 1e-9) + NEGLIGIBLE_J
        )
        for index in np.flatnonzero(wrong)[:1]:
            raise SimulationError(
                f"device {index} has spent {spent_j[index]} J, but its battery gave {drawn_j[index]} J, "
                f"of which {self.gained_j[index]} J are from a charger that gave {given_j[index]} J at most"
            )

    def _settle(self, device_id: int, drawn_j: float = 0.0) -> None:
        """Take off the charge what processes have drawn since it was last settled, and some more."""
        given_j = self._charger_now_j(device_id)
        for draw in self._drawing.get(device_id, {}).values():
            drawn_j += draw.take()
        if self._resting is None or device_id in self._drawing:
            left_j = max(0.0, self._left_j(device_id, drawn_j, given_j))
        else:
            rested_j, least_j = (charge_j.item() for charge_j in self._rested_j([device_id], self._env.now))
            left_j = max(0.0, rested_j - drawn_j)
            if least_j <= NEGLIGIBLE_J:
                self._emptied.add(device_id)
        self.gained_j[device_id] += left_j - self.charge_j.item(device_id) + drawn_j
        self.charge_j[device_id] = left_j
        self._given_j[device_id] = given_j
        if self._settled_s is not None:
            self._settled_s[device_id] = self._env.now
        elif left_j < self._minimum_j:
            phase = self._population.phase.item(device_id)
            self._population.ready_s[device_id] = self._charged_s(left_j, given_j, phase)

    def _rested_j(self, index: NDArray[np.int64] | list[int], to_s: Floats | float) -> tuple[Floats, Floats]:
        """Return the charge of devices at rest at a moment, now or later, and the least since they came to rest."""
        assert self._resting is not None
        assert self._settled_s is not None
        return self._resting.left_j(self._population.phase[index], self.charge_j[index], self._settled_s[index], to_s)

    def _left_j(self, device_id: int, drawn_j: float, given_j: float) -> float:
        left_j = self.charge_j.item(device_id) + (given_j - self._given_j.item(device_id)) - drawn_j
        return min(left_j, self._battery.capacity)

    def _charger_now_j(self, device_id: int) -> float:
        if self._battery.charging is None:
            return 0.0
        return float(self._battery.charging.given_j(self._population.phase.item(device_id), self._env.now))

    def _charged_s(self, charge_j: Floats | float, given_j: Floats | float, phase: Floats | float) -> Floats | float:
        """Return when chargers will have filled batteries to the minimum."""
        charging = self._battery.charging
        return np.inf if charging is None else charging.given_s(phase, given_j + self._minimum_j - charge_j)

    def _watch(self, device_id: int, left_j: float) -> None:
        most_w = self._most_w.item(device_id) * len(self._drawing[device_id])
        self._looks[device_id] = look = self._env.timeout(left_j / most_w)
        look.callbacks.append(partial(self._look, device_id))

    def _look(self, device_id: int, look: Event) -> None:
        if self._looks.get(device_id) is not look:
            return
        del self._looks[device_id]
        if device_id not in self._drawing:
            return
        left_j = self.left_j(device_id)
        if left_j > NEGLIGIBLE_J:
            self._watch(device_id, left_j)
        else:
            self._emptied.add(device_id)
            for process in self._drawing[device_id]:
                process.interrupt(CAUSE)
