"""What a user writes about heat. Light to import."""

from __future__ import annotations

import math
from dataclasses import dataclass

from netfed.units import Fraction, Seconds


@dataclass(frozen=True)
class Thermal:
    """A device that computes for long gets hot, and then computes more slowly.

    Phones lower their clocks before they overheat (Zhou et al., "Play it cool: dynamic shifting prevents thermal
    throttling", arXiv:2206.10849). The device is one thermal mass: at full speed its heat goes to 1, at rest to 0, both
    with one time constant. At the heat that it has after computing from cold for ``onset``, it is throttled: its speed,
    and its power with it, fall to ``sustained``, and the heat is taken to stay where it is until the device rests.

    What it is throttled to is a figure of its own, as benchmarks of sustained performance have it: how the clock is
    governed decides it, not the thermal mass alone. A mass whose heat is proportional to power in the end would stay
    where it is at just ``1 - exp(-onset / time_constant)`` of full power: a device with another ``sustained`` gives
    off more or less heat at a lower clock than in proportion.

    Attributes:
        onset: How long a cold device computes at full speed.
        sustained: Share of its speed, and of its power, that is left then, whatever the other two are.
        time_constant: Of heating up and cooling down.
    """

    onset: Seconds
    sustained: Fraction
    time_constant: Seconds

    def __post_init__(self) -> None:
        if not 0 < self.onset < math.inf:
            raise ValueError("onset must be more than 0 s")
        if not 0 < self.sustained <= 1:
            raise ValueError("sustained must be more than 0, and at most 1")
        if not 0 < self.time_constant < math.inf:
            raise ValueError("time_constant must be more than 0 s")

    def full_speed_s(self, rested_s: float, left_s: float) -> float:
        """Return how long a device computes at full speed.

        Args:
            rested_s: How long it has rested, inf if it never computed.
            left_s: How long it could have gone on at full speed before that.
        """
        cooled = math.exp(-rested_s / self.time_constant)
        # Heat is 1 - exp(-t / time constant), t from cold; what is left is the time from there to the onset.
        heat = cooled * -math.expm1((left_s - self.onset) / self.time_constant)
        return self.onset + self.time_constant * math.log1p(-heat)
