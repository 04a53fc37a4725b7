"""Where one device of a file was, and when."""

from __future__ import annotations

import math

Moment = tuple[float, float, float]
"""Seconds, and x and y in metres."""

Track = list[Moment]
"""At least one moment, in order of time."""


def finite(text: str | None) -> float | None:
    """Return the number that a text is, or None."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None
