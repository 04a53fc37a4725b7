"""Power: of noise, and of what devices transmit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

_NOISE_DBM_PER_HZ = -174.0
"""Boltzmann's constant times 290 K, -173.98 dBm/Hz, as link budgets round it."""

_REFERENCE_SPACING_HZ = 15e3


def watts(power_dbm: float) -> float:
    """Return a power in watts."""
    return float(10 ** (power_dbm / 10 - 3))


def linear(ratio_db: Floats) -> Floats:
    """Return ratios that are given in decibels. [...]"""
    ratio: Floats = np.exp(ratio_db * ratio_db.dtype.type(math.log(10) / 10))
    return ratio


def decibels(ratio: Any) -> Any:
    """Return linear ratios in decibels. [...]"""
    return 10 * np.log10(np.maximum(ratio, 1e-30))


def dbm(power_w: Any) -> float:
    """Return a power in watts as decibels over a milliwatt."""
    return float(decibels(power_w)) + 30


def thermal_noise_w(bandwidth_hz: float, noise_figure_db: float) -> float:
    """Return the noise in a receiver, that of its own circuits included."""
    return watts(_NOISE_DBM_PER_HZ + 10 * math.log10(bandwidth_hz) + noise_figure_db)


def open_loop_power_w(
    gain: Floats,
    blocks: int,
    subcarrier_spacing_hz: float,
    target_dbm: float,
    compensation: float,
    most_dbm: float,
) -> Floats:
    """Return what devices transmit: TS 38.213, clause 7.1.1, without commands from the base station.

    In decibels it is the least of P_CMAX and P_0 + 10 log10(2^mu M) + alpha PL.

    Args:
        gain: From a device to its cell, linear: the path loss is its inverse. [device]
        blocks: Resource blocks that it transmits on, M.
        subcarrier_spacing_hz: 15 kHz times 2^mu.
        target_dbm: P_0.
        compensation: alpha, from 0 to 1.
        most_dbm: P_CMAX.

    Returns:
        Of all blocks together. [device]
    """
    target_w = watts(target_dbm) * blocks * subcarrier_spacing_hz / _REFERENCE_SPACING_HZ
    power_w: Floats = np.minimum(watts(most_dbm), target_w * gain**-compensation)
    return power_w
