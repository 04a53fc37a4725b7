"""What a user writes about batteries. Light to import."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netfed.network.availability import check_window
from netfed.units import Fraction, Joules, Seconds, Watts

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    Floats = NDArray[float64]


@dataclass(frozen=True)
class Charging:
    """Each device is on its charger for some of each period, at a phase of its own.

    It is the phase of `Windows` too: where both have one period, a device is put on its charger when it becomes
    available.

    Attributes:
        power: Of the charger.
        period: From one start to the next.
        duration: On the charger, each time.
    """

    power: Watts
    period: Seconds
    duration: Seconds

    def __post_init__(self) -> None:
        if not 0 < self.power < math.inf:
            raise ValueError("power must be more than 0 W")
        check_window(self.period, self.duration)

    def given_j(self, phase: Floats | float, now_s: float) -> Floats:
        """Return what a charger could have given by now, up to a constant of each device: differences are joules.

        Args:
            phase: Each device's own, uniform in (0, 1). [device] or one
            now_s: The present.
        """
        import numpy as np

        index = np.floor(now_s / self.period - phase)
        on_s = np.minimum(now_s - (index + phase) * self.period, self.duration)
        return np.asarray(self.power * (index * self.duration + on_s))

    def given_s(self, phase: Floats | float, given_j: Floats | float) -> Floats:
        """Return when a charger will have given so much: the inverse of `given_j`."""
        import numpy as np

        total_s = given_j / self.power
        index = np.ceil(total_s / self.duration) - 1
        return np.asarray((index + phase) * self.period + total_s - index * self.duration)


NEGLIGIBLE_J = 1e-6
"""A battery with no more left than this is empty: a radio transmits with it for a quarter of a microsecond."""


@dataclass(frozen=True)
class Battery:
    """What devices run on. Only the task draws from it, and the background: capacity is what their owners leave to it.

    Attributes:
        capacity: Charge when full: milliampere-hours times volts, e.g. 4000 mAh at 3.85 V are 15.4 Wh.
        initial: Charge at the start as a share of the capacity: least and most, drawn uniformly between them.
        minimum: Share of the capacity below which a device is not available. One that is at work goes on until the
            battery is empty.
        charging: When and how fast it is charged; null: never.
        background: What a device draws while it neither computes nor transfers for the task, so that it may go flat
            without taking part. It is on no device's account: the task has not spent it.
    """

    capacity: Joules
    initial: tuple[Fraction, Fraction] = (1.0, 1.0)
    minimum: Fraction = 0.2
    charging: Charging | None = None
    background: Watts = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.capacity < math.inf:
            raise ValueError("capacity must be more than 0 J")
        least, most = self.initial
        if not 0 <= least <= most <= 1:
            raise ValueError("initial must be two shares from 0 to 1, the least first")
        if not 0 < self.minimum <= 1:
            raise ValueError("minimum must be more than 0, or empty devices would take part, and at most 1")
        if not 0 <= self.background < math.inf:
            raise ValueError("background must be 0 W or more")
        if self.charging is not None and self.charging.power <= self.background:
            raise ValueError("charging: power must be more than the background's, or no charger ever fills a battery")
        if self.charging is None and most < self.minimum:
            raise ValueError("no device ever has the minimum charge: raise initial, lower minimum, or add charging")
