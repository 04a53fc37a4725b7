"""The charge of batteries while no task draws from them but the device itself does, in closed form.

In each period the charger comes first: the charge rises until that is taken away or the battery is full, then falls
until the period ends or the battery is empty. From one end of a period to the next the charge changes by the same
amount, except where it meets a full battery once or an empty one for good. So it is known after any number of periods.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from netfed.network.battery import NEGLIGIBLE_J, Battery

Floats = NDArray[np.float64]


class Resting:
    """The charge of devices at rest.

    Args:
        battery: What all devices have; its background is more than 0 W.
    """

    def __init__(self, battery: Battery) -> None:
        charging = battery.charging
        self._capacity_j = battery.capacity
        self._ready_j = battery.minimum * battery.capacity
        self._fall_w = battery.background
        self._rise_w = 0.0 if charging is None else charging.power - battery.background
        self._period_s = 1.0 if charging is None else charging.period
        self._duration_s = 0.0 if charging is None else charging.duration
        self._rise_j = self._rise_w * self._duration_s
        self._fall_j = self._fall_w * (self._period_s - self._duration_s)
        self._gain_j = self._rise_j - self._fall_j

    def left_j(self, phase: Floats, charge_j: Floats, from_s: Floats, to_s: Floats | float) -> tuple[Floats, Floats]:
        """Return the charge at a later moment, and the least that there was at the ends of falls until then. [device]

        Args:
            phase: Each device's own: where its charger's period starts. [device]
            charge_j: At ``from_s``. [device]
            from_s: Since when it rests. [device]
            to_s: The later moment. [device] or one
        """
        begun, from_s = self._place(phase, from_s)
        ended, to_s = self._place(phase, to_s)
        same = begun == ended
        first_j = self._go(charge_j, from_s, np.where(same, to_s, self._period_s))
        periods = ended - begun - 1
        second_j, whole_j = self._after(first_j, np.minimum(periods, 1)), self._after(first_j, periods)
        last_j = np.where(same, first_j, self._go(whole_j, 0.0, to_s))
        return last_j, np.minimum.reduce([first_j, second_j, whole_j, last_j])

    def ready(self, phase: Floats, charge_j: Floats, now_s: Floats) -> tuple[Floats, Floats]:
        """Return the first stretch of time with the minimum charge that ends after ``now_s``.

        Args:
            phase: As above. [device]
            charge_j: Now. [device]
            now_s: The present. [device]

        Returns:
            When it begins and when it ends; inf: never. [device]
        """
        period, place_s = self._place(phase, now_s)
        ready = charge_j > self._ready_j - NEGLIGIBLE_J
        climb_period, climb_s = self._climb(period, place_s, charge_j)
        never = ~ready & np.isinf(climb_period)
        period = np.where(ready | never, period, climb_period)
        place_s = np.where(ready | never, place_s, climb_s)
        start_s = np.where(ready, now_s, np.where(never, math.inf, (period + phase) * self._period_s + place_s))
        fall_period, fall_s = self._drop(period, place_s, np.where(ready, charge_j, self._ready_j))
        return start_s, np.where(never, math.inf, (fall_period + phase) * self._period_s + fall_s)

    def _place(self, phase: Floats, moment_s: Floats | float) -> tuple[Floats, Floats]:
        """Return the period of a moment, and how far it has come."""
        period = np.floor(moment_s / self._period_s - phase)
        return period, np.clip(moment_s - (period + phase) * self._period_s, 0.0, self._period_s)

    def _go(self, charge_j: Floats, from_s: Floats | float, to_s: Floats) -> Floats:
        """Return the charge at a later place in the same period."""
        on_s = np.minimum(to_s, self._duration_s) - np.minimum(from_s, self._duration_s)
        full_j = np.minimum(charge_j + self._rise_w * on_s, self._capacity_j)
        return np.asarray(np.maximum(full_j - self._fall_w * (to_s - from_s - on_s), 0.0))

    def _after(self, charge_j: Floats, periods: Floats) -> Floats:
        """Return the charge after whole periods; after none, or fewer, it is what it was."""
        once_j = np.maximum(np.minimum(charge_j + self._rise_j, self._capacity_j) - self._fall_j, 0.0)
        later_j = once_j + (periods - 1) * self._gain_j
        most_j = max(0.0, self._capacity_j - self._fall_j)
        return np.where(periods < 1, charge_j, np.clip(later_j, 0.0, np.maximum(once_j, most_j)))

    def _climb(self, period: Floats, place_s: Floats, charge_j: Floats) -> tuple[Floats, Floats]:
        """Return the period in which the minimum is reached from below, inf if never, and how far it has come then."""
        if self._rise_w == 0:
            return np.full(period.shape, math.inf), place_s
        soon_s = place_s + (self._ready_j - charge_j) / self._rise_w
        end_j = self._go(charge_j, place_s, np.full(place_s.shape, self._period_s))
        short_j = np.maximum(self._ready_j - self._rise_j - end_j, 0.0)
        never = np.where(short_j > 0, math.inf, 0.0)
        periods = np.ceil(short_j / self._gain_j) if self._gain_j > 0 else never
        finite = np.where(np.isinf(periods), 0.0, periods)
        later_s = (self._ready_j - self._after(end_j, finite)) / self._rise_w
        soon = soon_s <= self._duration_s
        return np.where(soon, period, period + 1 + periods), np.where(soon, soon_s, later_s)

    def _drop(self, period: Floats, place_s: Floats, charge_j: Floats) -> tuple[Floats, Floats]:
        """Return the period in which the charge falls below the minimum, inf if never, and how far it has come then."""
        least_j = self._ready_j - NEGLIGIBLE_J
        top_s = np.maximum(place_s, self._duration_s)
        top_j = self._go(charge_j, place_s, top_s)
        end_j = top_j - self._fall_w * (self._period_s - top_s)
        next_j = np.minimum(end_j + self._rise_j, self._capacity_j) - self._fall_j
        if self._gain_j < 0:
            periods = 2 + np.floor((next_j - least_j) / -self._gain_j)
        else:
            periods = np.full(period.shape, math.inf)
        periods = np.where(next_j < least_j, 1.0, periods)
        finite = np.where(np.isinf(periods), 1.0, periods)
        later_j = np.minimum(self._after(end_j, finite - 1) + self._rise_j, self._capacity_j)
        now = end_j < least_j
        drop_s = np.where(now, top_s + (top_j - least_j) / self._fall_w, 0.0)
        later_s = self._duration_s + (later_j - least_j) / self._fall_w
        return np.where(now, period, period + periods), np.where(now, drop_s, later_s)
