"""Slots, and the resource blocks that a channel holds."""

from __future__ import annotations

from collections.abc import Iterable

SYMBOLS_PER_SLOT = 14
"""OFDM symbols of a slot with normal cyclic prefix: TS 38.211, Table 4.3.2-1."""

SUBCARRIERS_PER_BLOCK = 12
"""TS 38.211, clause 4.4.4.1."""

FR1_UP_TO_HZ = 7.125e9
"""Where frequency range 1 ends: TS 38.104, Table 5.1-1."""

FR2_2_FROM_HZ = 52.6e9
"""Where frequency range 2-2 begins, and 2-1 ends: likewise. It reaches up to 71 GHz."""

_FR1 = {
    15: {3: 15, 5: 25, 10: 52, 15: 79, 20: 106, 25: 133, 30: 160, 35: 188, 40: 216, 45: 242, 50: 270},
    30: {5: 11, 10: 24, 15: 38, 20: 51, 25: 65, 30: 78, 35: 92, 40: 106, 45: 119, 50: 133}
    | {60: 162, 70: 189, 80: 217, 90: 245, 100: 273},
    60: {10: 11, 15: 18, 20: 24, 25: 31, 30: 38, 35: 44, 40: 51, 45: 58, 50: 65}
    | {60: 79, 70: 93, 80: 107, 90: 121, 100: 135},
}
"""TS 38.101-1, Table 5.3.2-1: resource blocks by subcarrier spacing in kHz and channel bandwidth in MHz."""

_FR2_1 = {
    60: {50: 66, 100: 132, 200: 264},
    120: {50: 32, 100: 66, 200: 132, 400: 264},
}
"""TS 38.101-2, Table 5.3.2-1, range 2-1."""

_FR2_2 = {
    120: {100: 66, 400: 264},
    480: {400: 66, 800: 124, 1600: 248},
    960: {400: 33, 800: 62, 1600: 124, 2000: 148},
}
"""TS 38.101-2, Table 5.3.2-1, range 2-2."""


def slot_s(subcarrier_spacing_hz: float) -> float:
    """Return the duration of a slot: TS 38.211, clause 4.3.2."""
    return 1e-3 * 15e3 / subcarrier_spacing_hz


def resource_blocks(bandwidth_hz: float, subcarrier_spacing_hz: float, frequency_hz: float) -> int:
    """Return how many resource blocks a channel holds.

    Frequency ranges 1, 2-1 and 2-2 have a table each. Frequencies for which 3GPP has none yet are taken to follow the
    nearest range 2: from 7.125 to 24.25 GHz range 2-1, above 71 GHz range 2-2.

    Args:
        bandwidth_hz: Of the channel, guard bands included.
        subcarrier_spacing_hz: 15 kHz times a power of two.
        frequency_hz: Of the carrier.

    Raises:
        ValueError: The table has no such channel.
    """
    spacings = _FR1 if frequency_hz <= FR1_UP_TO_HZ else _FR2_1 if frequency_hz < FR2_2_FROM_HZ else _FR2_2
    spacing_khz, bandwidth_mhz = subcarrier_spacing_hz / 1e3, bandwidth_hz / 1e6
    if spacing_khz not in spacings:
        raise ValueError(
            f"no subcarrier spacing of {spacing_khz:g} kHz at {frequency_hz / 1e9:g} GHz:"
            f" there are {_listed(spacings)} kHz"
        )
    blocks = spacings[int(spacing_khz)]
    if bandwidth_mhz not in blocks:
        raise ValueError(
            f"no channel of {bandwidth_mhz:g} MHz with {spacing_khz:g} kHz spacing at {frequency_hz / 1e9:g} GHz:"
            f" there are {_listed(blocks)} MHz"
        )
    return blocks[int(bandwidth_mhz)]


def _listed(numbers: Iterable[int]) -> str:
    return ", ".join(map(str, numbers))
