from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.network.radio.power import linear
from netfed.network.radio.sinr import downlink_sinr, uplink_interference_w, uplink_received_w, uplink_sinr

NOISE_W = 1e-12


def world(seed: int, devices: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.Generator(np.random.PCG64(seed))
    gain = linear(draw.normal(-110.0, 15.0, (devices, cells)).astype(np.float32))
    return gain, gain.argmax(axis=1)


def test_signal_over_interference_and_noise() -> None:
    gain = np.array([[4.0, 2.0, 1.0], [1.0, 3.0, 5.0]])
    load = np.array([1.0, 0.5, 0.25])
    sinr = downlink_sinr(gain, np.array([0, 2]), 10.0, load, 2.0)
    assert sinr.tolist() == [40 / (10 + 2.5 + 2), 50 / (10 + 15 + 2)]


def test_beams_help_the_signal_only() -> None:
    gain, serving = world(1, 50, 5)
    load = np.ones(5)
    beams = downlink_sinr(gain, serving, 10.0, load, NOISE_W, 8.0)
    assert beams == pytest.approx(8 * downlink_sinr(gain, serving, 10.0, load, NOISE_W), rel=1e-6)


def test_the_own_cells_load_does_not_interfere() -> None:
    gain, _ = world(2, 50, 3)
    serving = np.zeros(50, int)
    idle, busy = (downlink_sinr(gain, serving, 10.0, np.array([own, 0.5, 0.5]), NOISE_W) for own in (0.0, 1.0))
    assert (idle == busy).all()


def test_without_interference_it_is_the_snr() -> None:
    gain, serving = world(3, 50, 4)
    snr = gain[np.arange(50), serving] * 10.0 / NOISE_W
    assert downlink_sinr(gain, serving, 10.0, np.zeros(4), NOISE_W) == pytest.approx(snr, rel=1e-6)


@given(st.integers(0, 99), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=20)
def test_load_only_harms(seed: int, low: float, high: float) -> None:
    gain, serving = world(seed, 40, 6)
    low, high = sorted((low, high))
    quiet, loud = (downlink_sinr(gain, serving, 10.0, np.full(6, load), NOISE_W) for load in (low, high))
    assert (quiet >= loud * (1 - 1e-6)).all()


@pytest.mark.parametrize("cells", [1, 7, 57])
def test_a_device_has_the_same_sinr_to_the_bit_in_any_chunk(cells: int) -> None:
    gain, serving = world(4, 501, cells)
    load = np.linspace(0.1, 1.0, cells)
    whole = downlink_sinr(gain, serving, 10.0, load, NOISE_W)
    chunks = [downlink_sinr(gain[at : at + 7], serving[at : at + 7], 10.0, load, NOISE_W) for at in range(0, 501, 7)]
    assert whole.dtype == np.float32
    assert np.concatenate(chunks).tobytes() == whole.tobytes()


def test_float32_is_enough() -> None:
    gain, serving = world(5, 2000, 57)
    single = downlink_sinr(gain, serving, 80.0, np.ones(57), 1e-13)
    double = downlink_sinr(gain.astype(np.float64), serving, 80.0, np.ones(57), 1e-13)
    assert single == pytest.approx(double, rel=1e-5)


def test_uplink_interference_is_the_mean_over_who_transmits_elsewhere() -> None:
    gain = np.array([[9.0, 1.0], [9.0, 3.0], [2.0, 8.0]])
    serving, power_w = np.array([0, 0, 1]), np.array([1.0, 2.0, 3.0])
    received_w = uplink_received_w(gain, serving, power_w)
    assert received_w.tolist() == [[27.0, 7.0], [6.0, 24.0]]
    mean_w = received_w / np.array([[2], [1]])
    assert uplink_interference_w(mean_w, np.array([0.5, 0.1])).tolist() == pytest.approx([0.1 * 6.0, 0.5 * 3.5])
    assert mean_w[0, 0] == 13.5  # kept


def test_uplink_sums_are_summed_over_chunks() -> None:
    gain, serving = world(6, 300, 5)
    power_w = np.full(300, 0.2, np.float32)
    halves = [uplink_received_w(gain[half], serving[half], power_w[half]) for half in (slice(150), slice(150, 300))]
    assert sum(halves) == pytest.approx(uplink_received_w(gain, serving, power_w), rel=1e-12)


def test_uplink_signal_over_interference_and_noise() -> None:
    sinr = uplink_sinr(
        np.array([0.5, 0.25]), np.array([1, 0]), np.array([4.0, 8.0]), np.array([1.0, 3.0]), 1.0, beam_gain=3.0
    )
    assert sinr.tolist() == [3 * 2 / 4, 3 * 2 / 2]
