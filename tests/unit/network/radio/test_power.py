from __future__ import annotations

import math

import numpy as np
import pytest

from netfed.network.radio.power import dbm, decibels, linear, open_loop_power_w, thermal_noise_w, watts


def test_decibels() -> None:
    assert watts(30.0) == pytest.approx(1.0)
    assert watts(23.0) == pytest.approx(0.1995, rel=1e-3)
    assert linear(np.array([-150.0, 0.0, 3.0], np.float32)) == pytest.approx([1e-15, 1.0, 1.9953], rel=1e-4)
    assert linear(np.zeros(1, np.float32)).dtype == np.float32


def test_thermal_noise() -> None:
    # -174 dBm/Hz + 80 dB + 9 dB
    assert 10 * math.log10(thermal_noise_w(100e6, 9.0)) + 30 == pytest.approx(-85.0)
    # Boltzmann's constant times 290 K
    assert thermal_noise_w(1.0, 0.0) == pytest.approx(1.380649e-23 * 290, rel=0.01)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_power_control_is_the_formula_of_38_213(dtype: type) -> None:
    path_loss_db = np.array([60.0, 90.0, 100.0, 140.0])
    in_decibels = np.minimum(23.0, -80 + 10 * np.log10(2 * 273) + 0.8 * path_loss_db)
    power_w = open_loop_power_w(linear(-path_loss_db.astype(dtype)), 273, 30e3, -80.0, 0.8, 23.0)
    assert power_w.dtype == dtype
    assert 10 * np.log10(power_w) + 30 == pytest.approx(in_decibels, abs=1e-4)
    assert in_decibels.tolist()[-1] == 23.0
    assert in_decibels.tolist()[0] < 23.0


def test_full_compensation_makes_all_devices_heard_alike() -> None:
    gain = linear(-np.array([60.0, 80.0, 90.0]))
    power_w = open_loop_power_w(gain, 1, 15e3, -100.0, 1.0, 23.0)
    assert gain * power_w == pytest.approx(watts(-100.0))


def test_without_compensation_all_devices_are_as_loud() -> None:
    power_w = open_loop_power_w(linear(-np.array([60.0, 80.0, 90.0])), 4, 15e3, 0.0, 0.0, 23.0)
    assert power_w == pytest.approx(4 * watts(0.0))


def test_decibels_are_the_inverse_of_linear_ratios() -> None:
    ratio = np.array([1e-12, 0.5, 1.0, 2e3])
    assert linear(decibels(ratio)) == pytest.approx(ratio)
    assert decibels(0.0) == pytest.approx(-300.0)
    assert dbm(watts(23.0)) == pytest.approx(23.0)
