"""The charge of a device at rest, against small steps in time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.network.battery import Battery, Charging
from netfed.network.resting import Resting

POWERS = st.sampled_from([1.5, 2.0, 5.0])
CHARGING = st.none() | st.builds(
    lambda power, share: Charging(power=power, period=10.0, duration=share * 10.0),
    POWERS,
    st.sampled_from([0.2, 0.5, 1.0]),
)
BATTERIES = st.builds(
    lambda charging, capacity, minimum: Battery(capacity, (1, 1), minimum, charging, background=1.0),
    CHARGING,
    st.sampled_from([3.0, 12.0, 100.0]),
    st.sampled_from([0.2, 0.6, 1.0]),
)
PHASE = st.floats(0.01, 0.99)
STEP_S = 1 / 256


def stepped_j(battery: Battery, phase: float, charge_j: float, from_s: float, steps: int) -> list[float]:
    """Return the charge after each of small steps: an integral of its own."""
    charges = []
    for step in range(steps):
        middle_s = from_s + (step + 0.5) * STEP_S
        charging = battery.charging
        on = charging is not None and (middle_s / charging.period - phase) % 1.0 * charging.period < charging.duration
        power_w = (charging.power if on and charging is not None else 0.0) - battery.background
        charge_j = min(battery.capacity, max(0.0, charge_j + power_w * STEP_S))
        charges.append(charge_j)
    return charges


def one(value: float) -> np.ndarray:
    return np.array([value])


@given(BATTERIES, PHASE, st.floats(0, 1), st.floats(0, 30))
@settings(max_examples=40, deadline=None)
def test_as_in_small_steps(battery: Battery, phase: float, share: float, from_s: float) -> None:
    charge_j, resting = share * battery.capacity, Resting(battery)
    charges = stepped_j(battery, phase, charge_j, from_s, 256 * 45)
    tolerance_j = 0.05  # a step in which the charger comes or goes is of neither kind
    for seconds in (0.5, 3, 9, 21, 45):
        steps = int(seconds * 256)
        left_j, least_j = resting.left_j(one(phase), one(charge_j), one(from_s), from_s + seconds)
        assert left_j[0] == pytest.approx(charges[steps - 1], abs=tolerance_j)
        assert 0 <= least_j[0] <= left_j[0] <= battery.capacity
        assert min(charge_j, least_j[0]) == pytest.approx(min([charge_j, *charges[:steps]]), abs=tolerance_j)


@given(BATTERIES, PHASE, st.floats(0, 1), st.floats(0, 1e4), st.floats(0.1, 100))
@settings(max_examples=100, deadline=None)
def test_to_rest_twice_is_to_rest_once(battery: Battery, phase: float, share: float, from_s: float, lag: float) -> None:
    resting, charge_j = Resting(battery), one(share * battery.capacity)
    middle_j, _ = resting.left_j(one(phase), charge_j, one(from_s), from_s + lag)
    twice_j, _ = resting.left_j(one(phase), middle_j, one(from_s + lag), from_s + 3 * lag)
    once_j, _ = resting.left_j(one(phase), charge_j, one(from_s), from_s + 3 * lag)
    assert twice_j[0] == pytest.approx(once_j[0], abs=1e-6)


@given(BATTERIES, PHASE, st.floats(0, 1), st.floats(0, 1e3))
@settings(max_examples=150, deadline=None)
def test_ready_while_there_is_the_minimum(battery: Battery, phase: float, share: float, now_s: float) -> None:
    resting, charge_j = Resting(battery), one(share * battery.capacity)
    least_j = battery.minimum * battery.capacity

    def left_j(to_s: float) -> float:
        return resting.left_j(one(phase), charge_j, one(now_s), to_s)[0].item()

    start_s, end_s = (bound.item() for bound in resting.ready(one(phase), charge_j, one(now_s)))
    if charge_j[0] >= least_j:
        assert start_s == now_s
    waiting_s = min(start_s, now_s + 300) - now_s
    assert all(left_j(now_s + part * waiting_s) < least_j + 1e-6 for part in np.linspace(0.001, 0.999, 40) if waiting_s)
    if start_s < math.inf:
        assert end_s > start_s or battery.minimum == 1.0
        assert left_j(start_s) >= least_j - 2e-6
        lasting_s = min(end_s, start_s + 300) - start_s
        assert all(left_j(start_s + part * lasting_s) >= least_j - 3e-6 for part in np.linspace(0, 0.999, 40))
        if end_s < math.inf:
            assert left_j(end_s) == pytest.approx(least_j, abs=3e-6)
            assert left_j(end_s + 1e-4) < least_j


def test_never_again() -> None:
    resting = Resting(Battery(capacity=10.0, background=1.0))
    start_s, end_s = resting.ready(np.array([0.5, 0.5]), np.array([5.0, 1.0]), np.array([100.0, 100.0]))
    assert start_s.tolist() == [100.0, math.inf]
    assert end_s.tolist() == pytest.approx([103.0, math.inf], abs=1e-5)
