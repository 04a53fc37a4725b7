"""How hot devices are, in closed form between their computations."""

from __future__ import annotations

import math
from dataclasses import dataclass

from simpy import Environment

from netfed.network.thermal import Thermal


@dataclass(frozen=True)
class Pace:
    """How a computation that begins now goes on.

    Attributes:
        full_s: At full speed at first, for so long.
        sustained: Share of the speed after that.
    """

    full_s: float
    sustained: float

    def duration_s(self, work_s: float) -> float:
        """Return how long work takes that takes ``work_s`` at full speed."""
        return work_s if work_s <= self.full_s else self.full_s + (work_s - self.full_s) / self.sustained

    def work_s(self, duration_s: float) -> float:
        """Return what is done by then, in seconds at full speed: the inverse."""
        return duration_s if duration_s <= self.full_s else self.full_s + (duration_s - self.full_s) * self.sustained


FULL_SPEED = Pace(math.inf, 1.0)
"""Of devices that never get too hot."""


class Heat:
    """The heat of every device that has computed.

    Args:
        env: The clock.
        thermal: What all devices have.
    """

    def __init__(self, env: Environment, thermal: Thermal) -> None:
        self._env = env
        self._thermal = thermal
        self._last: dict[int, tuple[float, float]] = {}  # when it ended, and what was left at full speed then

    def pace(self, device_id: int) -> Pace:
        """Return how a computation of a device goes on that begins now."""
        ended_s, left_s = self._last.get(device_id, (-math.inf, self._thermal.onset))
        return Pace(self._thermal.full_speed_s(self._env.now - ended_s, left_s), self._thermal.sustained)

    def end(self, device_id: int, pace: Pace, start_s: float) -> None:
        """Note that a computation that began at ``start_s`` has ended."""
        self._last[device_id] = self._env.now, max(0.0, pace.full_s - (self._env.now - start_s))
