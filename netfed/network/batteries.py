"""What is left in every device's battery, in closed form between the moments at which the task draws from it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from simpy import Environment, Event, Process

from netfed.errors import SimulationError
from netfed.network.battery import NEGLIGIBLE_J, Battery
from netfed.network.population import Population
from netfed.network.resting import Resting
from netfed.network.rrc import Rrc

Floats = NDArray[np.float64]

CAUSE = "battery"
"""Why a device drops whose battery is empty."""


class _Draw:
    """What one process, or the tail of a radio, draws from one battery.

    Attributes:
        drawn_j: Returns how much so far.
        stop: Ends it, when nothing is left.
        sure_j: How much it will be, if nobody interferes, as far as that is known.
        taken_j: How much of it is off the charge already.
    """

    __slots__ = ("drawn_j", "stop", "sure_j", "taken_j")

    def __init__(self, drawn_j: Callable[[], float], stop: Callable[[], None], sure_j: float = 0.0) -> None:
        self.drawn_j = drawn_j
        self.stop = stop
        self.sure_j = sure_j
        self.taken_j = 0.0

    def end(self, drawn_j: float) -> None:
        """Let it be this much for good."""
        self.drawn_j, self.sure_j = lambda: drawn_j, drawn_j

    def take(self) -> float:
        """Return what has been drawn since this was last asked."""
        drawn_j = self.drawn_j()
        since_j, self.taken_j = drawn_j - self.taken_j, drawn_j
        return since_j


class Batteries:
    """The charge of every device.

    The charge is what it was when somebody last began or ended to draw from it, and what the charger could have given
    since, less what has been drawn since, and the capacity at most. Whoever draws drops at the moment at which nothing
    is left. When that will be is not known, since transfers slow each other down, but not before the device could have
    used up its charge at its greatest power, for each process that draws. That is when it is looked at, and if need be
    again: ever closer to the end, until what is left is negligible. While the tail of its radio is all that draws, a
    device is looked at too when it may have fallen below the minimum.

    Args:
        env: The clock.
        battery: What all devices have.
        population: Their rows; ``ready_s`` is kept up to date, or, where there is a background, ``charged`` is set.
        radio: How their radios connect; None: at once, without a tail.

    Attributes:
        charge_j: When somebody last began or ended to draw from it. [device]
        gained_j: From chargers, less the background, up to then. [device]
    """

    def __init__(self, env: Environment, battery: Battery, population: Population, radio: Rrc | None = None) -> None:
        least, most = battery.initial
        share = least + (most - least) * population.streams.uniform("battery", np.arange(len(population)))
        powers_w = (population.compute_w, population.transmit_w, population.receive_w, population.idle_w)
        self._env = env
        self._battery = battery
        self._population = population
        self._tail_w = 0.0 if radio is None else radio.tail_power
        promotion_w = 0.0 if radio is None else radio.promotion_power
        self._most_w = np.maximum(np.max(powers_w, axis=0), promotion_w) + self._tail_w
        self._initial_j = share * battery.capacity
        self._minimum_j = battery.minimum * battery.capacity
        charging = battery.charging
        self._given_j = np.zeros(len(population)) if charging is None else charging.given_j(population.phase, env.now)
        self._first_given_j = self._given_j.copy()
        self._drawing: dict[int, dict[Process | None, _Draw]] = {}  # None: the tail of the radio
        self._looks: dict[int, tuple[float, Event]] = {}  # the next at each device, and when
        self._emptied: set[int] = set()
        self._resting = Resting(battery) if battery.background else None
        self._settled_s = np.full(len(population), float(env.now)) if self._resting else None
        self._in_tail = np.zeros(len(population), np.bool_) if self._resting and radio else None
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
        return self._left_j(device_id, drawn_j + self._drained_j(device_id), self._charger_now_j(device_id))

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
        self._begin(device_id, process, _Draw(drawn_j, partial(process.interrupt, CAUSE)))

    def end(self, device_id: int, drawn_j: float) -> None:
        """Take what the active process has drawn out of the battery."""
        self._end(device_id, self._env.active_process, drawn_j)

    def begin_tail(
        self, device_id: int, drawn_j: Callable[[], float], stop: Callable[[], None], whole_j: float
    ) -> None:
        """Let the tail of a radio draw from a battery, besides the background or whatever else does.

        Args:
            device_id: Whose.
            drawn_j: Returns what the tail has drawn so far.
            stop: Ends the tail, when the battery is empty.
            whole_j: What it draws if nothing ends it before its time.
        """
        self._begin(device_id, None, _Draw(drawn_j, stop, whole_j))
        if self._in_tail is not None:
            self._in_tail[device_id] = True

    def end_tail(self, device_id: int, drawn_j: float) -> None:
        """Take what the tail of a radio has drawn out of the battery."""
        self._end(device_id, None, drawn_j)
        if self._in_tail is not None:
            self._in_tail[device_id] = False

    def charged(self, index: NDArray[np.int64], from_s: Floats) -> tuple[Floats, Floats]:
        """Return the first stretch of time with the minimum charge of each of some devices at rest.

        Tails that are under way are taken to end now.

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
            SimulationError: Energy has vanished or appeared, or more is being drawn than there is.
        """
        drawn_j = self._initial_j + self.gained_j - self.charge_j
        for device_id, draws in self._drawing.items():
            drawn_j[device_id] -= sum(draw.taken_j for draw in draws.values())
            if (left_j := self.left_j(device_id)) < -2 * NEGLIGIBLE_J:
                raise SimulationError(f"device {device_id} draws {-left_j} J more than its battery has")
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

    def _begin(self, device_id: int, who: Process | None, draw: _Draw) -> None:
        self._settle(device_id)
        self._drawing.setdefault(device_id, {})[who] = draw
        self._watch(device_id)

    def _end(self, device_id: int, who: Process | None, drawn_j: float) -> None:
        draws = self._drawing[device_id]
        draws[who].end(drawn_j)
        self._settle(device_id)
        del draws[who]
        if draws:
            self._watch(device_id)
        else:
            del self._drawing[device_id]

    def _settle(self, device_id: int) -> None:
        """Take off the charge what has been drawn since it was last settled."""
        given_j = self._charger_now_j(device_id)
        draws = self._drawing.get(device_id, {}).values()
        drawn_j = sum(draw.take() for draw in draws)
        if self._resting is None or device_id in self._drawing:
            left_j = max(0.0, self._left_j(device_id, drawn_j + self._drained_j(device_id), given_j))
        else:
            rested_j, least_j = (charge_j.item() for charge_j in self._rested_j([device_id], self._env.now))
            left_j = max(0.0, rested_j)
            if least_j <= NEGLIGIBLE_J:
                self._emptied.add(device_id)
        self.gained_j[device_id] += left_j - self.charge_j.item(device_id) + drawn_j
        self.charge_j[device_id] = left_j
        self._given_j[device_id] = given_j
        if self._settled_s is not None:
            self._settled_s[device_id] = self._env.now
        elif left_j < self._minimum_j:
            phase = self._population.phase.item(device_id)
            coming_j = sum(max(0.0, draw.sure_j - draw.taken_j) for draw in draws)
            self._population.ready_s[device_id] = self._charged_s(left_j - coming_j, given_j, phase)

    def _rested_j(self, index: NDArray[np.int64] | list[int], to_s: Floats | float) -> tuple[Floats, Floats]:
        """Return the charge of devices at rest at a moment, now or later, and the least since they came to rest."""
        assert self._resting is not None
        assert self._settled_s is not None
        charge_j, settled_s = self.charge_j[index], self._settled_s[index]
        if self._in_tail is not None:
            tail_j = self._tail_w * (self._env.now - settled_s)
            charge_j = np.maximum(charge_j - tail_j * self._in_tail[index], 0.0)
        return self._resting.left_j(self._population.phase[index], charge_j, settled_s, to_s)

    def _drained_j(self, device_id: int) -> float:
        """Return what the background has drawn beside a tail since the charge was last settled."""
        if self._settled_s is None or [*self._drawing.get(device_id, ())] != [None]:
            return 0.0
        settled_s: float = self._settled_s.item(device_id)
        return self._battery.background * (self._env.now - settled_s)

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

    def _watch(self, device_id: int) -> None:
        """Look at a device, whose charge is settled, at the first moment at which it may have to be told something."""
        left_j, processes = self.charge_j.item(device_id), len(self._drawing[device_id].keys() - {None})
        if processes:
            spare_j, most_w = left_j, processes * self._most_w.item(device_id)
        else:
            spare_j = left_j if left_j < self._minimum_j else left_j - self._minimum_j + NEGLIGIBLE_J
            most_w = self._tail_w + self._battery.background
        wait_s = spare_j / most_w if most_w else math.inf
        planned_s, _ = self._looks.get(device_id, (math.inf, None))
        if wait_s < (planned_s - self._env.now) * (1 - 1e-9):  # by more than rounding
            look = self._env.timeout(wait_s)
            look.callbacks.append(partial(self._look, device_id))
            self._looks[device_id] = self._env.now + wait_s, look

    def _look(self, device_id: int, look: Event) -> None:
        _, planned = self._looks.get(device_id, (math.inf, None))
        if planned is not look:
            return
        del self._looks[device_id]
        if device_id not in self._drawing:
            return
        self._settle(device_id)
        if self.charge_j.item(device_id) > NEGLIGIBLE_J:
            self._watch(device_id)
        else:
            self._emptied.add(device_id)
            for draw in [*self._drawing[device_id].values()]:
                draw.stop()
