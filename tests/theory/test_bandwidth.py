"""Transfers whose rates follow traces are done when the integral of the rate says so."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simpy import Environment

from netfed.network.bandwidth import Radios, follow_cell
from netfed.network.flows import Shared
from netfed.network.medium import Dedicated, Medium
from netfed.network.rate_trace import Csv
from netfed.network.steps import Steps
from netfed.streams import Streams
from tests.conftest import FIXED, Play

MEDIA = pytest.mark.parametrize("kind", [Dedicated, Shared])
RATES = st.lists(st.sampled_from([0.0, 1e3, 2e6, 3.7e7, 1e9]), min_size=1, max_size=6).filter(any)


@st.composite
def traces(draw: Callable[..., Any]) -> Steps:
    rates = draw(RATES)
    lengths = draw(st.lists(st.floats(0.01, 20), min_size=len(rates), max_size=len(rates)))
    starts = [sum(lengths[:index]) for index in range(len(lengths))]
    return Steps(starts, rates, sum(lengths), repeat=draw(st.booleans()) or rates[-1] == 0)


@given(traces(), st.floats(0, 100), st.floats(1e-3, 100), st.floats(1e-3, 100))
@settings(max_examples=100, deadline=None)
def test_the_integral_adds_up_and_has_an_inverse(steps: Steps, from_s: float, first_s: float, second_s: float) -> None:
    middle_s, to_s = from_s + first_s, from_s + first_s + second_s
    whole = steps.bits(from_s, to_s)
    assert whole == pytest.approx(steps.bits(from_s, middle_s) + steps.bits(middle_s, to_s), rel=1e-9, abs=1e-3)
    bits = 0.7 * whole + 1e3
    assert steps.bits(from_s, steps.finish_s(from_s, bits)) == pytest.approx(bits, rel=1e-9, abs=1e-3)


@given(traces(), st.floats(0, 50))
@settings(max_examples=50, deadline=None)
def test_rates_are_the_steps_one_after_the_other(steps: Steps, from_s: float) -> None:
    changes = []
    for change in steps.rates(from_s):
        if len(changes) == 12:
            break
        changes.append(change)
    for (moment_s, rate_bps), (next_s, next_bps) in pairwise(changes):
        assert moment_s < next_s
        assert rate_bps != next_bps
        assert steps.bits(moment_s, next_s) == pytest.approx(rate_bps * (next_s - moment_s), rel=1e-6, abs=1e-3)


class OnTheWay:
    """What `Radios` needs of a transfer."""

    def __init__(self, medium: Medium, bits: int) -> None:
        self.medium = medium
        self.flow = medium.start(bits, 5e6)
        self.way = type("Way", (), {"direction": "uplink"})
        self.device = type("Device", (), {"id": 3})

    def retune(self, radio_bps: float) -> None:
        self.medium.retune(self.flow, radio_bps)


@MEDIA
@given(traces(), st.floats(0, 30), st.integers(1, 10**9))
@settings(max_examples=40, deadline=None)
def test_a_transfer_over_a_traced_radio(kind: Any, steps: Steps, start_s: float, bits: int) -> None:
    env = Environment(start_s)
    radios = Radios(env, {"uplink": steps}, Streams(4))
    transfer: Any = OnTheWay(kind(env, float("inf")), bits)
    radios.follow(transfer)
    since_s = radios.since_s("uplink", 3)
    exact_s = steps.finish_s(start_s + since_s, bits) - since_s
    if exact_s > 5e4:
        return  # thousands of seconds at 1 kbit/s tell nothing new
    env.run(until=transfer.flow.finished)
    assert env.now == pytest.approx(exact_s, rel=1e-9, abs=1e-9)


@MEDIA
@given(traces(), st.integers(1, 10**9))
@settings(max_examples=40, deadline=None)
def test_a_transfer_in_a_traced_cell(kind: Any, steps: Steps, bits: int) -> None:
    """A radio of twice the nominal rate gets twice the trace."""
    env = Environment()
    medium = kind(env, float("inf"))
    follow_cell(env, medium, 0, steps, nominal_bps=1e7)
    flow = medium.start(bits, 2e7)
    exact_s = steps.finish_s(0.0, bits / 2)
    if exact_s > 5e4:
        return
    env.run(until=flow.finished)
    assert env.now == pytest.approx(exact_s, rel=1e-9, abs=1e-9)


def test_a_trace_leaves_no_clock_running_after_the_transfer() -> None:
    env = Environment()
    transfer: Any = OnTheWay(Dedicated(env, float("inf")), 10**6)
    Radios(env, {"uplink": Steps([0.0, 1.0], [1e6, 2e6], 2.0)}, Streams(4)).follow(transfer)
    env.run()
    assert env.now < 3.0


def test_other_directions_keep_their_rates() -> None:
    env = Environment()
    transfer: Any = OnTheWay(Dedicated(env, float("inf")), 10**6)
    Radios(env, {"downlink": Steps([0.0], [1e9], 1.0)}, Streams(4)).follow(transfer)
    env.run(until=transfer.flow.finished)
    assert env.now == pytest.approx(0.2)


def test_a_scenario_whose_devices_follow_traces(tmp_path: Path, play: Play) -> None:
    """Devices are at moments of their own of a trace that stands still for half of the time."""
    (tmp_path / "trace.csv").write_text("t_s,rate_bps\n0,2e6\n1,0\n")
    trace = f"{{kind: csv, path: {tmp_path / 'trace.csv'}}}"
    played = play(FIXED, f"devices.uplink={trace}")
    transfers = [row for row in played.events if row["kind"] == "transfer" and row["link"] == "uplink"]
    steps = Csv(path=str(tmp_path / "trace.csv")).steps("uplink")
    radios = played.sim.network.radios
    since_s = [radios.since_s("uplink", row["device"]) for row in transfers]
    assert len({*since_s}) > 4
    for row, begun_s in zip(transfers, since_s, strict=True):
        exact_s = steps.finish_s(row["start_s"] + begun_s, row["bits"]) - begun_s
        assert row["t_s"] == pytest.approx(exact_s, abs=1e-9)
    energy_j = {row["device"]: row["energy_j"] for row in transfers}
    assert len(energy_j) > 4
