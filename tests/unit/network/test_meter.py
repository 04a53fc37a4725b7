"""What a meter records: in closed form, against somebody who looks on the clock, and without a trace of its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import networkx as nx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from simpy import Environment, Process

from netfed.errors import ScenarioError
from netfed.network import meter as meters
from netfed.network.background import Constant
from netfed.network.cellular import Cellular
from netfed.network.dedicated import Dedicated
from netfed.network.flows import Meshed, Shared
from netfed.network.medium import Medium
from netfed.network.meter import Meter
from netfed.network.network import Network
from netfed.network.outages import Scheduled
from netfed.network.population import Device
from netfed.network.radio.carrier import Fr1MidBand
from netfed.network.radio.outdoor import UrbanMicro
from netfed.network.sidelink import Sidelink
from netfed.network.spec import Devices, Fixed, Fluid, Ideal, LinkClass, Rated
from netfed.network.topology import BASE_STATION, CLOUD, ROUTER, Hexagonal, Topology
from netfed.recorder import Recorder
from netfed.scenario import loads
from netfed.streams import Streams
from tests.conftest import NOTHING

Build = Callable[..., Network]
Row = dict[str, Any]


@dataclass(frozen=True)
class Payload:
    bits: int


def kind(of: type[Rated] = Fluid, backhaul_bps: float = 20e6, **keys: Any) -> Rated:
    return of(LinkClass(10e6), LinkClass(40e6), LinkClass(backhaul_bps), **keys)


def send(network: Network, device: int, bits: int, direction: str = "uplink", start_s: float = 0.0) -> Process:
    def wait() -> Any:
        yield network.env.timeout(start_s)
        end = Device(network.population, device, 0)
        yield from (network.uplink(end) if direction == "uplink" else network.downlink(end)).send(Payload(bits))

    return network.env.process(wait())


def looks(network: Network, link: str | None = None) -> list[Row]:
    """Close the meter, and return its rows."""
    assert network.meter is not None
    network.meter.close()
    return [row for row in network.recorder.take() if row["kind"] == "link" and link in (None, row["link"])]


def column(rows: list[Row], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


@pytest.mark.parametrize("of", [Fixed, Fluid])
def test_one_transfer_is_seen_from_look_to_look(build: Build, of: type[Rated]) -> None:
    network = build(kind(of), meter=1.0)
    network.env.run(until=send(network, 0, 22_500_000, start_s=10.5))
    rows = looks(network)
    uplink, backhaul = rows[::2], rows[1::2]
    assert uplink[0] == {
        "t_s": 11.0,
        "kind": "link",
        "start_s": 10.0,
        "link": "uplink",
        "cell": 0,
        "sector": 0,
        "busy": pytest.approx(0.5),
        "bits": 5_000_000,
        "backlog_bits": 17_500_000,
        "transfers": 1,
    }
    names = ("start_s", "t_s", "busy", "bits", "backlog_bits", "transfers")
    assert column(uplink, *names) == [
        (10.0, 11.0, pytest.approx(0.5), 5_000_000, 17_500_000, 1),
        (11.0, 12.0, pytest.approx(1.0), 10_000_000, 7_500_000, 1),
        (12.0, 12.75, pytest.approx(1.0), 7_500_000, 0, 0),
    ]
    assert column(backhaul, "link", "cell", "busy", "bits") == [
        ("backhaul-uplink", 0, pytest.approx(busy), bits)
        for busy, bits in ((0.25, 5_000_000), (0.5, 10_000_000), (0.5, 7_500_000))
    ]
    assert all("sector" not in row and "ends" not in row for row in backhaul)


def test_two_that_share_are_as_busy_as_one(build: Build) -> None:
    network = build(kind(), meter=0.5)
    send(network, 0, 5_000_000)
    network.env.run(until=send(network, 1, 10_000_000))
    rows = looks(network, "uplink")
    assert column(rows, "t_s", "busy", "bits", "backlog_bits", "transfers") == [
        (0.5, pytest.approx(1.0), 5_000_000, 10_000_000, 2),
        (1.0, pytest.approx(1.0), 5_000_000, 5_000_000, 1),
        (1.5, pytest.approx(1.0), 5_000_000, 0, 0),
    ]


def test_where_transfers_do_not_meet_their_airtimes_add_up(build: Build) -> None:
    network = build(kind(Fixed), meter=1.0)
    send(network, 0, 10_000_000)
    network.env.run(until=send(network, 1, 10_000_000))
    assert column(looks(network, "uplink"), "busy", "bits") == [(pytest.approx(2.0), 20_000_000)]


@pytest.mark.parametrize("of", [Fixed, Fluid])
def test_behind_a_full_backhaul_the_radio_is_not_busy(build: Build, of: type[Rated]) -> None:
    network = build(kind(of), meter=1.0)
    network.env.run(until=send(network, 0, 20_000_000, "downlink"))
    assert column(looks(network), "link", "busy") == [
        ("downlink", pytest.approx(0.5)),
        ("backhaul-downlink", pytest.approx(1.0)),
    ]


def test_airtime_that_held_flows_leave_is_used_by_others() -> None:
    """100 and 10 Mbit/s under a backhaul of 20: 11.11 and 8.89 (see `sharing`)."""
    env = Environment()
    recorder, medium = Recorder(lambda: env.now), Shared(env, 20e6)
    meter = Meter(env, recorder, 1.0)
    meter.add(medium, [0], link="uplink")
    meter.add(medium, [0], 20e6, link="backhaul-uplink")
    medium.start(10**9, 100e6)
    medium.start(10**9, 10e6)
    env.run(until=1.0)
    meter.close()
    radio, backhaul = recorder.take()
    assert (radio["busy"], backhaul["busy"]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert radio["bits"] == backhaul["bits"] == pytest.approx(20e6, abs=2)


@pytest.mark.parametrize("of", [Fixed, Fluid])
@pytest.mark.parametrize("what", [{"cells": (0,)}, {"links": (("cloud", "base-station-0"),)}])
def test_in_an_outage_nothing_is_busy_and_all_waits(build: Build, of: type[Rated], what: dict[str, Any]) -> None:
    network = build(kind(of, outages=(Scheduled(start=1.0, duration=2.0, **what),)), meter=1.0)
    network.env.run(until=send(network, 0, 20_000_000))
    assert network.env.now == pytest.approx(4.0)
    assert column(looks(network, "uplink"), "t_s", "busy", "bits", "backlog_bits", "transfers") == [
        (1.0, pytest.approx(1.0), 10_000_000, 10_000_000, 1),
        (2.0, 0.0, 0, 10_000_000, 1),
        (3.0, 0.0, 0, 10_000_000, 1),
        (4.0, pytest.approx(1.0), 10_000_000, 0, 0),
    ]


def test_what_breaks_off_after_a_look_was_under_way_at_it() -> None:
    env = Environment()
    recorder, medium = Recorder(lambda: env.now), Shared(env, math.inf)
    meter = Meter(env, recorder, 1.0)
    meter.add(medium, [0])
    flow = medium.start(100, 10.0)
    env.run(until=1.5)
    medium.stop(flow)
    meter.close()
    assert column(recorder.take(), "t_s", "bits", "backlog_bits", "transfers") == [(1.0, 10, 90, 1), (1.5, 5, 0, 0)]


def test_what_others_take_is_not_ours(build: Build) -> None:
    network = build(kind(background=Constant(0.25)), meter=1.0)
    network.env.run(until=send(network, 0, 15_000_000))
    assert column(looks(network, "uplink"), "busy") == [(pytest.approx(0.75),)] * 2


def test_under_a_hierarchical_scheme_each_way_is_a_link_of_its_own(build: Build) -> None:
    network = build(kind(), base_stations=2, meter=1.0)
    end = Device(network.population, 0, 0)
    network.env.process(network.link("uplink", end, network.access).send(Payload(10_000_000)))
    network.env.process(network.trunk("uplink", 1).send(Payload(5_000_000), 0))
    network.env.run()
    assert column(looks(network), "link", "cell", "busy", "bits") == [
        ("uplink", end.base_station, pytest.approx(1.0), 10_000_000),
        ("backhaul-uplink", 1, pytest.approx(0.25), 5_000_000),
    ]


def test_both_ways_over_one_link_are_counted_on_it_together(build: Build) -> None:
    network = build(kind(), meter=1.0)
    send(network, 0, 5_000_000)
    network.env.process(network.trunk("uplink", 0).send(Payload(5_000_000), 0))
    network.env.process(network.link("uplink", Device(network.population, 1, 0), network.access).send(Payload(2)))
    network.env.run()
    assert column(looks(network), "link", "bits") == [("uplink", 5_000_002), ("backhaul-uplink", 10_000_000)]


@dataclass(frozen=True)
class Tree(Topology):
    """Two base stations behind a router, one with a link of its own whose rate has no end."""

    spacing: float = 500.0

    def graph(self) -> nx.Graph:
        graph = nx.Graph()
        graph.add_node("cloud", role=CLOUD)
        graph.add_node("router", role=ROUTER)
        for index, name in enumerate("abc"):
            graph.add_node(name, role=BASE_STATION, position_m=(500.0 * index, 0.0))
        graph.add_edge("cloud", "router", rate=16e6)
        graph.add_edge("router", "a", rate=4e6)
        graph.add_edge("router", "b")
        graph.add_edge("cloud", "c", rate=math.inf)
        return graph


@pytest.mark.parametrize("span", ["whole", "backhaul"])
def test_every_link_of_a_graph_is_told_apart(span: str) -> None:
    env = Environment()
    recorder = Recorder(lambda: env.now)
    network = Network(env, kind(meter=1.0), Tree(), Devices(4), Streams(1), recorder)
    assert isinstance(network.backhaul.media["uplink"][0], Meshed)
    for index in range(3):
        way = getattr(network, span).ways["uplink"][index]
        way.medium.start(50_000_000, 10e6, way.cells.start)
    env.run(until=1.0)
    backhaul = [row for row in looks(network) if row["link"].startswith("backhaul")]
    assert column(backhaul, "busy", "bits") == [
        (pytest.approx(14 / 16), 14_000_000),
        (pytest.approx(1.0), 4_000_000),
        (pytest.approx(0.5), 10_000_000),
    ]
    assert [(row.get("ends"), row.get("cell")) for row in backhaul] == [("cloud - router", None), (None, 0), (None, 1)]


def test_pools_of_sidelinks_are_links(build: Build) -> None:
    network = build(kind(), meter=1.0)
    sidelink = Sidelink(network, pools=2)
    ends = (Device(network.population, 0, 0), Device(network.population, 1, 0))
    network.env.run(until=network.env.process(sidelink.send(*ends, Payload(5_000_000), 10e6, pool=1)))
    assert column(looks(network), "link", "pool", "busy", "bits") == [("sidelink", 1, pytest.approx(1.0), 5_000_000)]


def test_sectors_are_told_apart() -> None:
    env = Environment()
    cellular = Cellular(UrbanMicro(), Fr1MidBand(), LinkClass(1e9), meter=1.0)
    network = Network(env, cellular, Hexagonal(2), Devices(4), Streams(1), Recorder(lambda: env.now))
    way = network.whole.ways["uplink"][1]
    way.medium.start(1_000_000, 1e6, way.cells[2])
    env.run(until=1.0)
    assert column(looks(network, "uplink"), "cell", "sector", "busy") == [(1, 2, pytest.approx(1.0))]


def test_nobody_looks_at_what_is_ideal_or_unless_asked(build: Build) -> None:
    assert build(Ideal()).meter is None
    assert build(kind()).meter is None


def test_an_idle_year_costs_nothing_and_the_grid_stays(build: Build) -> None:
    network = build(kind(), meter=1.0)
    send(network, 0, 10_000_000, start_s=0.25)
    network.env.run(until=send(network, 1, 10_000_000, start_s=31_536_000.75))
    assert column(looks(network, "uplink"), "start_s", "t_s", "bits") == [
        (0.0, 1.0, 7_500_000),
        (1.0, 2.0, 2_500_000),
        (31_536_000.0, 31_536_001.0, 2_500_000),
        (31_536_001.0, 31_536_001.75, 7_500_000),
    ]
    assert network.meter is not None
    assert network.meter.due_s == math.inf


def test_it_is_no_event(build: Build) -> None:
    """Nothing is left to happen that would not be there without it, and all happens in the same order."""
    told = []
    for meter in (None, 0.01):
        network = build(kind(), meter=meter, count=30)
        for device in range(30):
            send(network, device, 1_000_000 + device, "uplink" if device % 2 else "downlink", 0.02 * device)
        order = []
        while network.env._queue:
            order.append([(at_s, number) for at_s, _, number, _ in sorted(network.env._queue)])
            network.env.step()
        rows = network.recorder.take()
        told.append((order, network.env.now, [row for row in rows if row["kind"] != "link"]))
        assert any(row["kind"] == "link" for row in rows) == (meter is not None)
    assert told[0] == told[1]


def test_rows_stand_where_they_belong_in_time(build: Build) -> None:
    network = build(kind(), meter=0.25)
    network.env.process(iter_rows(network))
    send(network, 1, 3_000_000)
    network.env.run(until=send(network, 0, 15_000_000))
    assert network.meter is not None
    network.meter.close()
    times_s = [row["t_s"] for row in network.recorder.take()]
    assert times_s == sorted(times_s)
    assert len(times_s) > 20


def iter_rows(network: Network) -> Any:
    for _ in range(14):
        yield network.env.timeout(0.1)
        network.recorder.row("note")


def test_a_meter_that_chooses_its_interval_looks_less_often_the_more_it_has_seen(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meters, "LOOKS", 4)
    monkeypatch.setattr(meters, "ROWS", 4)
    network = build(kind(), meter="auto")
    network.env.run(until=send(network, 0, 250_000_000))
    rows = looks(network, "uplink")
    assert [row["t_s"] for row in rows] == [1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 25]
    assert all(after["start_s"] == before["t_s"] for before, after in pairwise(rows))
    assert sum(row["bits"] for row in rows) == 250_000_000


def test_what_is_under_way_at_the_end_is_told(build: Build) -> None:
    network = build(kind(), meter=10.0)
    send(network, 0, 100_000_000)
    network.env.run(until=4.0)
    assert column(looks(network, "uplink"), "t_s", "busy", "backlog_bits") == [(4.0, pytest.approx(1.0), 60_000_000)]
    assert looks(network) == []


FLOWS = st.lists(
    st.tuples(
        st.floats(0, 4),  # when it starts
        st.integers(0, 30_000),  # bits
        st.sampled_from([0.0, 1e3, 1e4, 7e4]),  # radio
        st.integers(0, 2),  # cell
        st.sampled_from(["stay", "stop", "retune", "move", "cut", "starve"]),
        st.floats(0, 2),  # after how long
    ),
    min_size=1,
    max_size=10,
)


@pytest.mark.parametrize(
    "make",
    [
        lambda env: Dedicated(env, 2e4, 3),
        lambda env: Shared(env, 2e4, 3),
        lambda env: Meshed(env, [2e4, 5e3], [[0], [0, 1], [1]]),
    ],
    ids=["dedicated", "shared", "meshed"],
)
@settings(max_examples=60, deadline=None)
@given(flows=FLOWS, interval_s=st.sampled_from([0.1, 0.37, 1.0, 3.1]))
@example(flows=[(0.0, 10, 1e3, 0, "stay", 0.0)], interval_s=0.1)
def test_it_sees_what_one_sees_who_looks_on_the_clock(
    make: Callable[[Environment], Medium], flows: list[Any], interval_s: float
) -> None:
    env = Environment()
    recorder, medium = Recorder(lambda: env.now), make(env)
    meter = Meter(env, recorder, interval_s)
    for cell in range(3):
        meter.add(medium, [cell], cell=cell)
    meter.add(medium, [0, 1, 2], 2e4, cell=-1)
    started: list[Any] = []
    seen: dict[tuple[float, int], tuple[int, int, int, float]] = {}

    def play(flow: tuple[float, int, float, int, str, float]) -> Any:
        start_s, bits, radio_bps, cell, what, after_s = flow
        yield env.timeout(start_s)
        started.append(ours := medium.start(bits, radio_bps, cell))
        yield env.timeout(after_s)
        match what:
            case "stop":
                medium.stop(ours)
            case "retune":
                medium.retune(ours, 2.5e4)
            case "move":
                medium.take_over(ours, (cell + 1) % 3, 1e4)
            case "cut":
                medium.set_capacity(cell, 0.4, str(start_s))
            case "starve":
                medium.set_link(3e3)

    def on_the_clock() -> Any:
        for look in range(1, int(40 / interval_s)):
            yield env.timeout(look * interval_s - env.now)
            live = [flow for flow in started if flow.left_bits is None]
            for cell in range(3):
                here = [flow for flow in live if flow.cell == cell]
                seen[look * interval_s, cell] = (
                    medium.carried_bits(cell),
                    sum(flow.bits - flow.sent_bits for flow in here),
                    len(here),
                    medium.airtime_s()[cell],
                )

    for flow in flows:
        env.process(play(flow))
    env.process(on_the_clock())
    env.run(until=40)
    meter.close()
    rows = recorder.take()
    instants = {start_s for start_s, *_ in flows} | {start_s + after_s for start_s, *_, after_s in flows}
    bits, airtime_s = [0, 0, 0], [0.0, 0.0, 0.0]
    for row in rows:
        if row["cell"] >= 0:
            bits[row["cell"]] += row["bits"]
            airtime_s[row["cell"]] += row["busy"] * (row["t_s"] - row["start_s"])
            assert row["busy"] >= 0
            assert row["t_s"] - row["start_s"] <= interval_s * (1 + 1e-9)
            there = seen.get((row["t_s"], row["cell"]))
            if there is not None and row["t_s"] not in instants:
                carried, backlog_bits, transfers, used_s = there
                assert abs(bits[row["cell"]] - carried) <= 1 + transfers
                assert abs(row["backlog_bits"] - backlog_bits) <= 1 + transfers
                assert airtime_s[row["cell"]] == pytest.approx(used_s, abs=(1 + transfers) * 1e-3)
                assert abs(row["transfers"] - transfers) <= sum(f.left_bits == 0 for f in started)
    assert bits == [medium.carried_bits(cell) for cell in range(3)]
    assert airtime_s == pytest.approx(medium.airtime_s(), abs=1e-3 * (1 + sum(f.left_bits is None for f in started)))
    together = [row for row in rows if row["cell"] < 0]
    assert sum(row["bits"] for row in together) == sum(bits)
    carried_s = sum(row["busy"] * (row["t_s"] - row["start_s"]) for row in together)
    assert carried_s == pytest.approx(sum(bits) / 2e4)


@pytest.mark.parametrize("written", ["0 s", "-1 s", "often", "3"])
def test_an_interval_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(ScenarioError, match=r"network\.meter|network: meter"):
        loads(NOTHING, "test.yaml", sets=[f"network.meter={written}"])


@pytest.mark.parametrize(("written", "interval"), [("250 ms", 0.25), ("auto", "auto"), ("null", None)])
def test_a_scenario_says_how_often(written: str, interval: object) -> None:
    assert loads(NOTHING, "test.yaml", sets=[f"network.meter={written}"]).network.meter == interval
    assert loads(NOTHING, "test.yaml").network.meter == "auto"
