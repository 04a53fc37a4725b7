"""Amounts as people write them: ``12.3 MB``, ``1.94 kJ``, ``41 min 12 s``."""

from __future__ import annotations

import math
from collections.abc import Mapping

SIZES = {"B": 8.0, "kB": 8e3, "MB": 8e6, "GB": 8e9, "TB": 8e12, "PB": 8e15}
"""Decimal units of bytes, in bits."""

ENERGIES = {"mJ": 1e-3, "J": 1.0, "kJ": 1e3, "MJ": 1e6, "GJ": 1e9}
"""Units of energy, in joules."""

DURATIONS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
"""Units of time, in seconds."""


def size(bits: float) -> str:
    """Return an amount of data in decimal units of bytes: ``12.3 MB``."""
    return _scaled(bits, SIZES)


def energy(joules: float) -> str:
    """Return an energy: ``1.94 kJ``."""
    return _scaled(joules, ENERGIES) if joules else "0 J"


def duration(seconds: float) -> str:
    """Return a duration: ``41 min 12 s``."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.{0 if seconds >= 0.1 else 1}f} ms"
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours:02} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {whole % 60:02} s" if minutes else f"{whole} s"


def number(value: float | None) -> str:
    """Return a metric: three decimals, or four digits if it is large; a dash if there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def unit(amount: float, units: Mapping[str, float], at_least: float = 1.0) -> str:
    """Return the largest unit of which there are enough, else the smallest."""
    fitting = [name for name, factor in units.items() if abs(amount) >= at_least * factor]
    return fitting[-1] if fitting else next(iter(units))


def _scaled(amount: float, units: Mapping[str, float]) -> str:
    name = unit(amount, units, at_least=0.9995)
    return f"{amount / units[name]:.3g} {name}"
