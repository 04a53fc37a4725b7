"""Devices that get hot compute more slowly, and at full speed again when they have cooled."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from simpy import Event

from netfed.network.heat import FULL_SPEED, Pace
from netfed.network.network import Network
from netfed.network.population import Device
from netfed.network.profiles import PROFILES
from netfed.network.thermal import Thermal

PHONE = PROFILES["phone"]
THERMAL = Thermal(onset=10.0, sustained=0.25, time_constant=20.0)
Build = Callable[..., Network]


@dataclass(frozen=True)
class Cost:
    flops: float
    bytes: float = 1.0


def stepped_s(rested_s: float, left_s: float, steps: int = 20_000) -> float:
    """Integrate heat in small steps: at rest from what it was, then at full speed up to the onset's."""
    onset = heat = 0.0
    for _ in range(steps):
        onset += (1.0 - onset) * THERMAL.onset / steps / THERMAL.time_constant
        heat += (1.0 - heat) * (THERMAL.onset - left_s) / steps / THERMAL.time_constant
    for _ in range(steps):
        heat -= heat * rested_s / steps / THERMAL.time_constant
    lasting_s, step_s = 0.0, THERMAL.onset / steps
    while heat < onset:
        heat += (1.0 - heat) * step_s / THERMAL.time_constant
        lasting_s += step_s
    return lasting_s


@pytest.mark.parametrize(("rested_s", "left_s"), [(0.0, 10.0), (0.0, 4.0), (5.0, 0.0), (30.0, 0.0), (7.0, 6.0)])
def test_as_heat_in_small_steps(rested_s: float, left_s: float) -> None:
    assert THERMAL.full_speed_s(rested_s, left_s) == pytest.approx(stepped_s(rested_s, left_s), abs=0.01)


def test_cold_warm_and_cold_again() -> None:
    assert THERMAL.full_speed_s(math.inf, 10.0) == 10.0
    assert THERMAL.full_speed_s(0.0, 3.0) == pytest.approx(3.0)
    assert THERMAL.full_speed_s(0.0, 0.0) == pytest.approx(0.0, abs=1e-12)
    assert THERMAL.full_speed_s(1e4, 0.0) == pytest.approx(10.0)


@given(st.floats(0, 100), st.floats(0.01, 1), st.floats(0, 1000))
def test_work_and_time(full_s: float, sustained: float, work_s: float) -> None:
    pace = Pace(full_s, sustained)
    assert pace.work_s(pace.duration_s(work_s)) == pytest.approx(work_s, abs=1e-9)
    assert pace.duration_s(work_s) >= work_s
    assert FULL_SPEED.duration_s(work_s) == work_s == FULL_SPEED.work_s(work_s)


def test_sustained_computing_is_throttled_and_a_rest_helps(build: Build) -> None:
    """10 s at full speed, then a quarter of it; after 15 s of rest 10 s of work do not take 40 s."""
    network = build(thermal=THERMAL)
    ends_s = []

    def client() -> Generator[Event, Any, None]:
        for seconds, rest_s in ((12.0, 0.0), (5.0, 15.0), (8.0, 0.0)):
            yield from network.compute(Device(network.population, 0, 0), Cost(PHONE.flops_per_s * seconds))
            ends_s.append(network.env.now)
            yield network.env.timeout(rest_s)

    network.env.run(until=network.env.process(client()))
    full_s = THERMAL.full_speed_s(15.0, 0.0)
    assert 0 < full_s < 8
    assert ends_s == pytest.approx([18.0, 18.0 + 20.0, 53.0 + full_s + (8.0 - full_s) / 0.25])


def test_a_throttled_device_draws_less_power(build: Build) -> None:
    network = build(thermal=THERMAL)
    network.env.run(
        until=network.env.process(network.compute(Device(network.population, 0, 0), Cost(12 * PHONE.flops_per_s)))
    )
    assert network.env.now == pytest.approx(18.0)
    assert network.ledger.totals_j()["compute"] == pytest.approx(12 * PHONE.compute_w)


@pytest.mark.parametrize("name", ["onset", "sustained", "time_constant"])
def test_refuses_what_makes_no_sense(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be more than 0"):
        Thermal(**{"onset": 1.0, "sustained": 0.5, "time_constant": 1.0, name: 0.0})
