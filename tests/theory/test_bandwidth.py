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

from netfed.network.bandwidth import Radios
from netfed.network.cell_trace import CellTrace, TraceCourse
from netfed.network.course import Courses
from netfed.network.dedicated import Dedicated
from netfed.network.flows import Shared
from netfed.network.medium import Medium
from netfed.network.profiles import PROFILES
from netfed.network.rate_trace import Csv
from netfed.network.steps import Steps
from netfed.streams import Streams
from tests.conftest import FIXED, NOTHING, Play

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


def follow(env: Environment, medium: Medium, steps: Steps, best_bps: float, since_s: float = 0.0) -> None:
    course = TraceCourse(steps, best_bps, since_s, lambda share: medium.set_capacity(0, share, "trace"))
    Courses.follow(env, medium, [course])


@MEDIA
@given(traces(), st.floats(0, 30), st.floats(0, 30), st.integers(1, 10**9))
@settings(max_examples=40, deadline=None)
def test_a_transfer_in_a_traced_cell(kind: Any, steps: Steps, start_s: float, since_s: float, bits: int) -> None:
    """A radio of half the best rate gets half the trace, whenever it comes."""
    env = Environment()
    medium = kind(env, float("inf"))
    follow(env, medium, steps, 1e9, since_s)
    env.run(until=start_s + 1e-9)
    flow = medium.start(bits, 5e8)
    exact_s = steps.finish_s(env.now + since_s, 2 * bits) - since_s
    if exact_s > 5e4:
        return
    env.run(until=flow.finished)
    assert env.now == pytest.approx(exact_s, rel=1e-9, abs=1e-9)


@given(traces(), st.lists(st.integers(1, 1000).map(lambda count: count * 0.0412345678901), min_size=1, max_size=20))
@settings(max_examples=100, deadline=None)
def test_a_course_that_skips_is_where_one_that_does_not_skip_is(steps: Steps, gaps_s: list[float]) -> None:
    """Looked at when it asks to be, or seldom, it has told of the rate of the step that there is."""
    seldom: list[float] = []
    course = TraceCourse(steps, 1e9, 0.5, seldom.append)
    now_s = 0.0
    for gap_s in gaps_s:
        often: list[float] = []
        other = TraceCourse(steps, 1e9, 0.5, often.append)
        now_s += gap_s
        course.go_to(now_s)
        while other.next_s <= now_s:
            other.go_to(other.next_s)
        assert seldom[-1] == often[-1]
        assert course.next_s == other.next_s > now_s


def test_a_trace_costs_nothing_while_its_cell_rests() -> None:
    """However many steps have passed unseen, a look finds the present one without going through them."""
    looked: list[float] = []

    class Counted(Steps):
        def rates(self, from_s: float) -> Any:
            for change in super().rates(from_s):
                looked.append(from_s)
                yield change

    env = Environment()
    medium = Shared(env, float("inf"))
    follow(env, medium, Counted([0.0, 0.01], [1e6, 2e6], 0.02), 2e6)
    assert env.peek() == float("inf")
    env.run(until=1e6)
    env.run(until=medium.start(15_000, 2e6).finished)
    assert env.now == pytest.approx(1e6 + 0.0125, abs=1e-6)
    env.run()
    assert env.now < 1e6 + 0.1
    assert len(looked) < 10


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


def test_devices_follow_traces_of_their_own(tmp_path: Path, play: Play) -> None:
    """Those that are named at its beginning, some of the others at moments of their own, the rest none."""
    (tmp_path / "slow.csv").write_text("t_s,rate_bps\n0,2e6\n1,1e6\n")
    (tmp_path / "fast.csv").write_text("t_s,rate_bps\n0,4e6\n7,3e6\n")
    slow, fast = (f"kind: csv, path: {tmp_path / name}" for name in ("slow.csv", "fast.csv"))
    named = f"{{devices: [0, [2, 3]], uplink: {{{slow}, begins: 500 ms, repeat: false}}}}"
    shared = f"{{share: 0.5, uplink: {{{fast}, repeat: false}}, downlink: {{{fast}}}}}"
    played = play(FIXED, f"devices.traces=[{named}, {shared}]", "devices.count=40", "scheme.cohort=40", text=NOTHING)
    radios = played.sim.network.radios
    followed = radios._followed.tolist()
    assert [followed[device] for device in (0, 2, 3)] == [0, 0, 0]
    assert followed.count(0) == 3
    assert 10 < followed.count(1) < 28
    steps = [Csv(path=str(tmp_path / name), repeat=False).steps("uplink") for name in ("slow.csv", "fast.csv")]
    ways = [radios.since_s("uplink", device) for device in range(40) if followed[device] == 1]
    assert len({*ways}) == len(ways)
    assert ways == [radios.since_s("downlink", device) for device in range(40) if followed[device] == 1]
    for row in played.events:
        if row["kind"] == "transfer" and row["link"] == "uplink":
            which, start_s = followed[row["device"]], row["start_s"]
            exact_s = start_s + row["bits"] / 1e6
            if which >= 0:
                since_s = radios.since_s("uplink", row["device"]) if which else 0.5
                exact_s = steps[which].finish_s(start_s + since_s, row["bits"]) - since_s
            assert row["t_s"] - row["latency_s"] == pytest.approx(exact_s, rel=1e-9)


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


STEPPED = "t_s,rate_bps\n0,2e6\n1,0\n3,5e5\n4,4e6\n5,1e6\n"
"""Down to nothing, and above what the network's link says."""
LINKS = "uplink: {rate: 1 Mbit/s}, downlink: {rate: 1 Mbit/s}, backhaul: {rate: 1 Gbit/s}"
ALONE = (
    "task={kind: none, download: 900 kB, upload: 300 kB, compute: 700 ms}",
    "scheme={kind: fedavg, rounds: 8, cohort: 1}",
    "topology={kind: hexagonal, base_stations: 2}",
    "devices={count: 6}",
)


@pytest.fixture
def stepped(tmp_path: Path) -> Path:
    path = tmp_path / "trace.csv"
    path.write_text(STEPPED)
    return path


def traced(stepped: Path, kind: str = "fluid", cells: str = "all", links: str = LINKS) -> str:
    trace = f"{{kind: csv, path: {stepped}}}"
    return f"network={{kind: {kind}, {links}, traces: [{{cells: {cells}, uplink: {trace}, downlink: {trace}}}]}}"


def sent(played: Any) -> list[dict[str, Any]]:
    return [row for row in played.events if row["kind"] == "transfer" and "device" in row]


@pytest.mark.parametrize("kind", ["fluid", "fixed"])
@pytest.mark.parametrize("cells", ["all", "[0]"])
def test_a_scenario_whose_cells_follow_a_trace(stepped: Path, play: Play, kind: str, cells: str) -> None:
    """A device alone is done when the integral of the trace says so; in a cell that has none, when its link says so."""
    played = play(*ALONE, traced(stepped, kind, cells), text=NOTHING)
    steps, rows = Csv(path=str(stepped)).steps("uplink"), sent(played)
    assert len(rows) == 16
    assert {row["cell"] for row in rows} == {0, 1}
    for row in rows:
        if cells == "[0]" and row["cell"] == 1:
            assert row["t_s"] - row["start_s"] == pytest.approx(row["bits"] / 1e6, abs=1e-9)
            continue
        draw = played.sim.streams.draw(f"trace-{row['link']}/cell", row["cell"])
        since_s = 6.0 * draw if cells == "all" else 0.0
        assert row["t_s"] == pytest.approx(steps.finish_s(row["start_s"] + since_s, row["bits"]) - since_s, abs=1e-9)
        assert row["airtime_s"] == pytest.approx(row["bits"] / 4e6, abs=1e-9)
    ended_s = played.sim.env.now
    played.sim.env.run()
    assert played.sim.env.now < ended_s + 12


@pytest.mark.parametrize("scheme", ["fedavg, rounds: 1", "hierarchical, rounds: 1, edge_rounds: 1"])
def test_devices_of_a_traced_cell_share_it(stepped: Path, play: Play, scheme: str) -> None:
    """Each gets a third of the trace as long as there are three, times what its radio is better than the median."""
    played = play(
        *ALONE,
        f"scheme={{kind: {scheme}, cohort: 3}}",
        "topology.base_stations=1",
        "devices.count=3",
        traced(stepped, cells="[0]", links=LINKS.replace("downlink: {", "downlink: {spread: 0.5, ")),
        text=NOTHING,
    )
    steps, population = Csv(path=str(stepped)).steps("downlink"), played.sim.population
    rows = [row for row in sent(played) if row["link"] == "downlink"]
    better = population.rate_down_bps / 4e6
    assert better.std() > 0.1
    due, spent = [], 0.0
    needs = sorted(row["payload_bits"] / better[row["device"]] for row in rows)
    for rank, need in enumerate(needs):
        spent += (need - (needs[rank - 1] if rank else 0.0)) * (3 - rank)
        due.append(steps.finish_s(rows[0]["start_s"], spent))
    assert sorted(row["t_s"] for row in rows) == pytest.approx(due, abs=1e-9)


def test_traces_background_and_outages_take_their_shares_one_of_the_other(stepped: Path, play: Play) -> None:
    """A quarter of the trace is left, and from 5 s to 6 s nothing at all."""
    network = traced(stepped, cells="[0]")[:-1]
    network += ", background: {kind: constant, share: 0.75},"
    network += " outages: [{kind: scheduled, start: 5 s, duration: 1 s, cells: [0]}]}"
    (first, *_) = sent(play(*ALONE, "task.download=400 kB", "topology.base_stations=1", network, text=NOTHING))
    with_gap = Steps([0, 1, 3, 4, 5, 6, 7, 9, 10, 11], [2e6, 0, 5e5, 4e6, 0, 2e6, 0, 5e5, 4e6, 1e6], 12.0)
    assert first["t_s"] == pytest.approx(with_gap.finish_s(0.0, 4 * first["bits"]), abs=1e-9)
    assert first["t_s"] > 6


def test_energy_is_that_of_the_airtime_at_the_best_rate(stepped: Path, play: Play) -> None:
    """While others have the airtime the radio waits: at no moment does it draw more than it can."""
    played = play(*ALONE, traced(stepped), text=NOTHING)
    device = PROFILES["phone"]
    for row in sent(played):
        radio_w = device.transmit_w if row["link"] == "uplink" else device.receive_w
        waited_s = row["t_s"] - row["start_s"] - row["airtime_s"]
        assert row["airtime_s"] <= row["t_s"] - row["start_s"]
        assert row["energy_j"] == pytest.approx(radio_w * row["airtime_s"] + device.idle_w * waited_s)


def test_the_rate_of_the_link_does_not_matter_below_that_of_the_trace(stepped: Path, play: Play) -> None:
    slow, fast = (
        play(*ALONE, traced(stepped, links=LINKS.replace("1 Mbit/s", rate)), text=NOTHING)
        for rate in ("1 kbit/s", "3 Mbit/s")
    )
    assert slow.events == fast.events


def test_a_trace_leaves_other_draws_as_they_are(stepped: Path, play: Play) -> None:
    plain, changed = play(text=NOTHING).sim.population, play(traced(stepped), text=NOTHING).sim.population
    assert (plain.base_station == changed.base_station).all()
    assert (plain.speed == changed.speed).all()


def test_cells_are_at_moments_of_their_own_unless_they_are_named(stepped: Path) -> None:
    trace = CellTrace(uplink=Csv(path=str(stepped)))
    streams = Streams(3)
    moments_s = [trace.since_s("uplink", cell, streams) for cell in range(50)]
    assert len({*moments_s}) == 50
    assert all(0 < moment_s < 6 for moment_s in moments_s)
    assert CellTrace(uplink=Csv(path=str(stepped)), cells=(2,)).since_s("uplink", 2, streams) == 0.0
    assert CellTrace(uplink=Csv(path=str(stepped), repeat=False)).since_s("uplink", 2, streams) == moments_s[2]
    assert CellTrace(uplink=Csv(path=str(stepped), begins=0.0)).since_s("uplink", 2, streams) == 0.0
