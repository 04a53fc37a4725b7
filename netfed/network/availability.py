"""When devices can be reached. Light to import: arrays come in inside methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from netfed.plugin import Plugin
from netfed.units import Seconds

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

    Floats = NDArray[float64]

Condition: TypeAlias = "Callable[[NDArray[int64], Floats], tuple[Floats, Floats]]"
"""Returns the first window of each of some devices, of the indices given, that ends after a moment of each."""

_MOST_WINDOWS = 1000
"""In none of so many do conditions hold together: they never will."""


class Availability(Plugin):
    """When devices can be reached."""

    def window(
        self, phase: NDArray[float64], now_s: float | NDArray[float64]
    ) -> tuple[NDArray[float64], NDArray[float64]]:
        """Return the first window of each device that ends after ``now_s``: the present one, or the next.

        Args:
            phase: Each device's own, uniform in (0, 1). [device]
            now_s: The present; inf is past all windows. [device] or one for all

        Returns:
            When it starts (``now_s`` will do if it has started) and when it ends, the end excluded; inf for both if no
            window is left. [device]
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Always(Availability, kind="always"):
    """Devices can always be reached."""

    def window(
        self, phase: NDArray[float64], now_s: float | NDArray[float64]
    ) -> tuple[NDArray[float64], NDArray[float64]]:
        """Return windows that never end."""
        import numpy as np

        return np.full(phase.shape, now_s, np.float64), np.full(phase.shape, math.inf)


@dataclass(frozen=True)
class Windows(Availability, kind="windows"):
    """Each device can be reached for some of each period, at a phase of its own: at night while it charges, say.

    Attributes:
        period: From one window to the next.
        duration: Of a window.
    """

    period: Seconds
    duration: Seconds

    def __post_init__(self) -> None:
        check_window(self.period, self.duration)

    def window(
        self, phase: NDArray[float64], now_s: float | NDArray[float64]
    ) -> tuple[NDArray[float64], NDArray[float64]]:
        """Return each device's present or next window; windows that touch are one."""
        import numpy as np

        if self.duration == self.period:
            return Always().window(phase, now_s)
        index = np.floor(now_s / self.period - phase)
        index += (index + phase) * self.period + self.duration <= now_s
        start_s = (index + phase) * self.period
        return start_s, start_s + self.duration


def check_window(period_s: float, duration_s: float) -> None:
    """Refuse windows that do not fit their period.

    Raises:
        ValueError: The period is zero, or the duration is zero or longer than the period.
    """
    if not 0 < period_s < math.inf:
        raise ValueError("period must be more than 0 s")
    if not 0 < duration_s <= period_s:
        raise ValueError(f"duration must be more than 0 s and at most period ({period_s:g} s)")


def overlap(conditions: Sequence[Condition], now_s: Floats) -> tuple[Floats, Floats]:
    """Return the first window of each device in which all conditions hold and that ends after ``now_s``.

    Args:
        conditions: When each holds.
        now_s: The present of each device. [device]

    Returns:
        As of `Availability.window`; inf for both, too, where conditions have not met in 1000 windows.
    """
    import numpy as np

    start_s, end_s = now_s.copy(), np.full(now_s.shape, math.inf)
    seeking = np.flatnonzero(now_s < math.inf)
    for _ in range(_MOST_WINDOWS):
        from_s = start_s[seeking]
        windows = [condition(seeking, from_s) for condition in conditions]
        start_s[seeking] = latest_s = np.max([from_s, *(start for start, _ in windows)], axis=0)
        end_s[seeking] = np.min([end for _, end in windows], axis=0)
        seeking = seeking[(latest_s > from_s) & (latest_s < math.inf)]
        if not len(seeking):
            return start_s, end_s
    start_s[seeking] = end_s[seeking] = math.inf
    return start_s, end_s
