"""Who can be reached by the hour, and under several conditions at once."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.network.availability import Availability, Windows
from netfed.network.diurnal import Diurnal, Eligible
from netfed.network.spec import Devices
from netfed.plugin import read, write
from netfed.streams import Streams

DAY = 24.0
NIGHT = (0.8, 0.9, 0.5, 0.2, 0.1, 0.25, 0.6, 0.7)
MANY = Streams(1).uniform("availability", np.arange(20_000))

CURVES = st.lists(st.floats(0, 0.9), min_size=2, max_size=6).filter(lambda curve: max(curve) >= 0.05)


def reached(availability: Availability, now_s: float, phase: np.ndarray = MANY) -> np.ndarray:
    return availability.window(phase, now_s)[0] <= now_s


def on(curve: tuple[float, ...], hour: float) -> float:
    return float(np.interp(hour, np.linspace(0, DAY, len(curve) + 1), [*curve, curve[0]]))


@pytest.mark.parametrize("hour", [0.0, 1.5, 4.0, 11.9, 12.1, 20.0, 23.99])
@pytest.mark.parametrize("day", [0, 3])
def test_the_share_that_can_be_reached_is_the_curve(hour: float, day: int) -> None:
    share = reached(Diurnal(curve=NIGHT, day=DAY), day * DAY + hour).mean()
    assert share == pytest.approx(on(NIGHT, hour), abs=0.012)


def test_simulation_begins_at_a_time_of_day_and_clocks_are_ahead() -> None:
    late = Diurnal(curve=NIGHT, day=DAY, begins=15.0)
    assert np.array_equal(reached(late, 2.0), reached(Diurnal(curve=NIGHT, day=DAY), 17.0))
    apart = Diurnal(curve=NIGHT, day=DAY, time_zones=6.0)
    for zone, phase in ((0.0, MANY[MANY < 0.05]), (6.0, MANY[MANY > 0.95])):
        assert reached(apart, 10.0, phase).mean() == pytest.approx(on(NIGHT, 10.0 + zone), abs=0.06)


def test_days_are_independent_and_so_are_devices() -> None:
    first, second = (reached(Diurnal(curve=NIGHT, day=DAY), now_s) for now_s in (0.0, DAY))
    assert np.corrcoef(first, second)[0, 1] == pytest.approx(0.0, abs=0.03)
    assert np.corrcoef(first[:-1], first[1:])[0, 1] == pytest.approx(0.0, abs=0.03)
    assert (
        Diurnal(curve=NIGHT, day=DAY).window(MANY[7:8], 0.0)[1] == Diurnal(curve=NIGHT, day=DAY).window(MANY, 0.0)[1][7]
    )


@given(CURVES, st.floats(0, 100), st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_windows_are_where_the_curve_is_above_the_levels(curve: list[float], now_s: float, seed: int) -> None:
    """Within a window it can be reached, before and after it cannot, and there is none between now and its start."""
    diurnal = Diurnal(curve=tuple(curve), day=DAY, begins=3.0, time_zones=5.0)
    phase = Streams(seed).uniform("availability", np.arange(20))
    start_s, end_s = diurnal.window(phase, now_s)
    assert (end_s > now_s).all()
    assert (end_s > start_s).all()
    for share in (0.01, 0.5, 0.99):
        inside = np.maximum(start_s, now_s) + share * (end_s - np.maximum(start_s, now_s))
        assert (diurnal.window(phase, inside)[0] <= inside + 1e-9).all()
        assert np.allclose(diurnal.window(phase, inside)[1], end_s)
        before = now_s + share * (start_s - now_s)
        waits = (start_s > now_s + 1e-6) & (before < start_s)
        assert np.allclose(diurnal.window(phase, before)[0][waits], start_s[waits])
        assert (diurnal.window(phase, before)[0] > before)[waits].all()
    after = end_s + 1e-7
    assert (diurnal.window(phase, after)[0] > end_s).all()


def test_who_can_always_be_reached_on_two_days_is_not_interrupted_at_midnight() -> None:
    diurnal = Diurnal(curve=(0.9, 1.0), day=DAY)
    start_s, end_s = diurnal.window(MANY, 6.0)
    assert end_s.max() > 20 * DAY
    assert (end_s - start_s).mean() > 3 * DAY


def test_past_all_windows() -> None:
    start_s, end_s = Diurnal(curve=NIGHT, day=DAY).window(MANY[:3], math.inf)
    assert (start_s == math.inf).all()
    assert (end_s == math.inf).all()


def test_conditions_hold_together() -> None:
    night = Diurnal(curve=NIGHT, day=DAY)
    both = Eligible(charging=night, idle=night)
    assert reached(both, 30.0).mean() == pytest.approx(on(NIGHT, 6.0) ** 2, abs=0.012)
    start_s, end_s = both.window(MANY[:200], 30.0)
    assert (end_s > 30.0).all()
    middle_s = (np.maximum(start_s, 30.0) + end_s) / 2
    assert (both.window(MANY[:200], middle_s)[0] <= middle_s).all()
    assert np.allclose(both.window(MANY[:200], middle_s)[1], end_s)


def test_a_charger_keeps_its_hours_beside_other_conditions() -> None:
    charging = Windows(period=DAY, duration=8.0)
    eligible = Eligible(charging=charging, unmetered=Diurnal(curve=(0.5, 0.5), day=DAY))
    share = reached(eligible, 40.0)
    assert (share <= reached(charging, 40.0)).all()
    assert share.mean() == pytest.approx(0.5 * 8 / 24, abs=0.012)


def test_conditions_that_never_meet() -> None:
    day, night = Diurnal(curve=(0, 0, 0, 0, 1, 0, 0, 0), day=DAY), Diurnal(curve=(1, 0, 0, 0, 0, 0, 0, 0), day=DAY)
    start_s, end_s = Eligible(charging=day, idle=night).window(MANY[:3], 0.0)
    assert (start_s == math.inf).all()
    assert (end_s == math.inf).all()


def test_scenario_keys() -> None:
    tree = {
        "count": 3,
        "availability": {
            "kind": "eligible",
            "charging": {"kind": "diurnal", "curve": [0.7, 0.2], "time_zones": "4 h"},
            "unmetered": {"kind": "windows", "period": "24 h", "duration": "12 h"},
        },
    }
    devices = read(Devices, tree)
    assert read(Devices, write(devices)) == devices


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Diurnal(curve=(0.5,)), "at least 2 probabilities"),
        (lambda: Diurnal(curve=(0.5, 1.2)), "probabilities from 0 to 1"),
        (lambda: Diurnal(curve=(0.0, 0.0)), "at least one from 0.01 up"),
        (lambda: Diurnal(curve=(1.0, 1.0)), "one up to 0.99"),
        (lambda: Diurnal(curve=(0.5, 0.6), day=0.0), "day must be more than 0 s"),
    ],
)
def test_refuses_what_makes_no_sense(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
