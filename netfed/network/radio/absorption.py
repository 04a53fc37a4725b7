"""What the air absorbs: oxygen about 60 GHz, and oxygen and water vapour above 100 GHz."""

from __future__ import annotations

import math

_SEA_LEVEL = (
    (90, 0.381),
    (104.3, 0.502),
    (112, 0.641),
    (113.9, 0.731),
    (115.4, 0.880),
    (116.5, 1.108),
    (118.1, 1.786),
    (118.7, 1.948),
    (119.3, 1.835),
    (121, 1.150),
    (122.2, 0.936),
    (123.9, 0.821),
    (126.3, 0.781),
    (132.7, 0.820),
    (144.4, 1.001),
    (154.1, 1.238),
    (161.4, 1.546),
    (168.4, 2.204),
    (171.2, 2.770),
    (173.6, 3.625),
    (175.4, 4.735),
    (177.1, 6.537),
    (178.8, 9.816),
    (181.9, 23.317),
    (182.6, 26.559),
    (183.3, 28.017),
    (184, 27.038),
    (184.8, 23.648),
    (187.9, 10.636),
    (189.6, 7.391),
    (191.2, 5.667),
    (192.9, 4.569),
    (195.3, 3.677),
    (198, 3.131),
    (205.2, 2.571),
    (212, 2.455),
    (221.2, 2.500),
    (252.7, 3.172),
    (291.6, 4.681),
    (302.7, 5.490),
    (310, 6.530),
)
"""Frequency in GHz and specific attenuation in dB/km at sea level: 15 degrees Celsius, 1013.25 hPa, 7.5 g/m3 of water.

Rec. ITU-R P.676-12 (2019), annex 1 (line by line), as the Python package itur 0.4.0 computes it. Between these points,
chosen so, a straight line in logarithms is within 3 % of it.
"""

_OXYGEN = (0.0, 1.0, 2.2, 4.0, 6.6, 9.7, 12.6, 14.6, 15.0, 14.6, 14.3, 10.5, 6.8, 3.9, 1.9, 1.0, 0.0)
"""Loss in dB/km at 52, 53, ... 68 GHz: 3GPP TR 38.901, table 7.6.1-1. Elsewhere up to 100 GHz it has none."""


def oxygen_db_per_m(frequency_hz: float) -> float:
    """Return what oxygen takes up to 100 GHz: 3GPP TR 38.901, clause 7.6.1, a straight line between its points.

    Args:
        frequency_hz: Up to 100 GHz.
    """
    import numpy as np

    return float(np.interp(frequency_hz / 1e9, np.arange(52, 69), _OXYGEN)) / 1000


def absorption_db_per_m(frequency_hz: float) -> float:
    """Return the specific attenuation of air at sea level above 90 GHz.

    Args:
        frequency_hz: From 90 to 310 GHz.
    """
    import numpy as np

    frequencies_ghz, losses_db_per_km = np.array(_SEA_LEVEL).T
    logarithm = np.interp(math.log(frequency_hz / 1e9), np.log(frequencies_ghz), np.log(losses_db_per_km))
    return math.exp(logarithm) / 1000
