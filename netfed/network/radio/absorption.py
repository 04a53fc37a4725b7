"""What the air absorbs: water vapour and oxygen, which count above 100 GHz."""

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


def absorption_db_per_m(frequency_hz: float) -> float:
    """Return the specific attenuation of air at sea level.

    Args:
        frequency_hz: From 90 to 310 GHz.
    """
    import numpy as np

    frequencies_ghz, losses_db_per_km = np.array(_SEA_LEVEL).T
    logarithm = np.interp(math.log(frequency_hz / 1e9), np.log(frequencies_ghz), np.log(losses_db_per_km))
    return math.exp(logarithm) / 1000
