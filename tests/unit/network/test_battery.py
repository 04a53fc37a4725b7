from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfed.network.battery import Charging

PHASE = st.floats(0, 1, exclude_min=True, exclude_max=True)


def on_charger_s(charging: Charging, phase: float, start_s: float, end_s: float) -> float:
    """Add up the charging windows between two moments, one by one."""
    total_s, opening_s = 0.0, (phase - 1) * charging.period
    while opening_s < end_s:
        total_s += max(0.0, min(end_s, opening_s + charging.duration) - max(start_s, opening_s))
        opening_s += charging.period
    return total_s


@given(PHASE, st.floats(0.05, 1), st.floats(0, 50), st.floats(0, 50))
def test_what_a_charger_gives_is_its_power_over_its_windows(phase: float, share: float, one: float, two: float) -> None:
    charging = Charging(power=3.0, period=7.0, duration=share * 7.0)
    start_s, end_s = sorted((one, two))
    given_j = float(charging.given_j(phase, end_s) - charging.given_j(phase, start_s))
    assert given_j == pytest.approx(3.0 * on_charger_s(charging, phase, start_s, end_s), abs=1e-9)


@given(PHASE, st.floats(0.05, 1), st.floats(0, 50), st.floats(0.1, 200))
def test_charged_at_the_first_moment_that_is_enough(phase: float, share: float, now_s: float, need_j: float) -> None:
    charging = Charging(power=3.0, period=7.0, duration=share * 7.0)
    now_j = float(charging.given_j(phase, now_s))
    then_s = float(charging.given_s(phase, now_j + need_j))
    assert then_s > now_s
    assert charging.given_j(phase, then_s) - now_j == pytest.approx(need_j, abs=1e-9)
    assert charging.given_j(phase, then_s - 1e-6) - now_j < need_j


def test_charged_at_the_end_of_a_window_not_at_the_start_of_the_next() -> None:
    charging = Charging(power=4.0, period=8.0, duration=2.0)
    assert charging.given_s(0.5, charging.given_j(0.5, 6.0)) == 6.0


def test_devices_are_rows() -> None:
    charging = Charging(power=3.0, period=7.0, duration=2.0)
    phase = np.linspace(0.1, 0.9, 5)
    given_j = charging.given_j(phase, 31.0)
    assert given_j.tolist() == [float(charging.given_j(one, 31.0)) for one in phase]
    assert charging.given_s(phase, given_j + 4.0).tolist() == [
        float(charging.given_s(one, own + 4.0)) for one, own in zip(phase, given_j, strict=True)
    ]
