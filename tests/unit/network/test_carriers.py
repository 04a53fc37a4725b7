from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import networkx as nx
import pytest
from simpy import Environment

from netfed.network.background import Constant
from netfed.network.carriers import Cable, Carriers, Site, sites
from netfed.network.cell_trace import CellTrace
from netfed.network.flows import Meshed, Shared
from netfed.network.outages import Random, Scheduled
from netfed.network.rate_trace import Csv
from netfed.network.spec import Fixed, Fluid, LinkClass, Rated
from netfed.network.topology import BASE_STATION, CLOUD, ROUTER
from netfed.streams import Streams

ACCESS = LinkClass(rate=10e6)


def tree(shared_bps: float = 6e6) -> nx.Graph:
    """Two base stations behind a router, one with a link of its own."""
    graph = nx.Graph()
    graph.add_node("cloud", role=CLOUD)
    graph.add_node("router", role=ROUTER)
    for index, name in enumerate("abc"):
        graph.add_node(name, role=BASE_STATION, position_m=(500.0 * index, 0.0))
    graph.add_edge("cloud", "router", rate=shared_bps)
    graph.add_edge("router", "a", rate=4e6)
    graph.add_edge("router", "b")
    graph.add_edge("cloud", "c", rate=5e6)
    return graph


def carriers(kind: type[Rated] = Fluid, graph: nx.Graph | None = None, **keys: Any) -> tuple[Environment, Carriers]:
    env = Environment()
    network = kind(ACCESS, ACCESS, LinkClass(rate=8e6), **keys)
    return env, Carriers(env, network, tree() if graph is None else graph, Streams(1))


def test_base_stations_that_meet_on_a_link_are_one_site() -> None:
    trunk, to_a, to_b, to_c = ("cloud", "router"), ("router", "a"), ("router", "b"), ("cloud", "c")
    rates_bps = {trunk: 6e6, to_a: 4e6, to_b: 8e6, to_c: 5e6}
    paths = [[trunk, to_a], [trunk, to_b], [to_c]]
    both, alone = sites(paths, rates_bps)
    assert both == Site((0, 1), (Cable((trunk,), 6e6), Cable((to_a,), 4e6), Cable((to_b,), 8e6)), ((0, 1), (0, 2)))
    assert alone == Site((2,), (Cable((to_c,), 5e6),), ((0,),))
    assert [site.base_stations for site in sites(paths, rates_bps | {trunk: math.inf})] == [(0,), (1,), (2,)]


def test_links_that_carry_the_same_are_one_cable() -> None:
    first, second, to_a, to_b = ("cloud", "r"), ("r", "s"), ("s", "a"), ("s", "b")
    rates_bps = {first: 6e6, second: 5e6, to_a: math.inf, to_b: math.inf}
    (site,) = sites([[first, second, to_a], [first, second, to_b]], rates_bps)
    assert site == Site((0, 1), (Cable((first, second), 5e6),), ((0,), (0,)))


def test_flows_share_the_links_that_their_paths_share() -> None:
    """Six for two, of whom one has four at the most behind its own link; five for the third."""
    _, made = carriers()
    places = made.whole("uplink")
    media = [medium for medium, _ in places]
    assert media[0] is media[1]
    assert isinstance(media[0], Meshed)
    assert type(media[2]) is Shared
    flows = [medium.start(10**9, 10e6, cells.start) for medium, cells in places]
    assert [medium.rate_bps(flow) for medium, flow in zip(media, flows, strict=True)] == [3e6, 3e6, 5e6]
    medium, _ = places[1]
    medium.stop(flows[1])
    assert medium.rate_bps(flows[0]) == pytest.approx(4e6)


def test_where_nobody_slows_others_down_each_has_its_medium() -> None:
    _, made = carriers(Fixed)
    places = made.whole("uplink")
    flows = [medium.start(10**9, 10e6, cells.start) for medium, cells in places]
    assert [medium.rate_bps(flow) for (medium, _), flow in zip(places, flows, strict=True)] == [4e6, 6e6, 5e6]


def test_wires_share_too() -> None:
    _, made = carriers()
    places = made.backhaul()
    rates_bps = (4e6, 6e6, 5e6)
    flows = [
        medium.start(10**9, rate_bps, cells.start) for (medium, cells), rate_bps in zip(places, rates_bps, strict=True)
    ]
    assert [medium.rate_bps(flow) for (medium, _), flow in zip(places, flows, strict=True)] == [3e6, 3e6, 5e6]


def test_background_takes_airtime_of_cells_and_not_of_wires() -> None:
    _, made = carriers(graph=tree(shared_bps=100e6), background=Constant(0.75))
    for places, expected_bps in ((made.whole("uplink"), 2.5e6), (made.access("uplink"), 2.5e6), (made.backhaul(), 4e6)):
        medium, cells = places[0]
        flow = medium.start(10**9, 4e6 if expected_bps == 4e6 else 10e6, cells.start)
        assert medium.rate_bps(flow) == pytest.approx(expected_bps)


def test_others_take_airtime_of_the_cells_and_in_the_direction_that_they_say() -> None:
    background = (Constant(0.5, cells=(0,)), Constant(0.2, direction="downlink"), Constant(0.1, (0, 2), "uplink"))
    _, made = carriers(background=background)
    for direction, shares in (("uplink", (0.4, 1.0, 0.9)), ("downlink", (0.3, 0.8, 0.8))):
        for (medium, cells), share in zip(made.access(direction), shares, strict=True):
            flow = medium.start(10**9, 10e6, cells.start)
            assert medium.rate_bps(flow) == pytest.approx(10e6 * share)


def watch(
    env: Environment, places: list[Any], moments_s: tuple[float, ...], radios_bps: Sequence[float] = (10e6,) * 3
) -> list[list[float]]:
    """Return the rates of a flow at each base station at some moments. [moment][base station]"""
    flows = [
        medium.start(10**9, radio_bps, cells.start)
        for (medium, cells), radio_bps in zip(places, radios_bps, strict=True)
    ]
    rates = []
    for moment_s in moments_s:
        env.run(until=moment_s)
        rates.append([round(medium.rate_bps(flow)) for (medium, _), flow in zip(places, flows, strict=True)])
    return rates


@pytest.mark.parametrize("kind", [Fluid, Fixed])
def test_an_outage_of_a_cell_stops_its_flows_only(kind: type[Rated]) -> None:
    env, made = carriers(kind, outages=(Scheduled(start=1.0, duration=2.0, cells=(0,)),))
    before, during, after = watch(env, made.whole("uplink"), (0.5, 1.5, 3.5))
    assert during[0] == 0
    assert during[2] == before[2]
    assert after == before


@pytest.mark.parametrize("kind", [Fluid, Fixed])
def test_an_outage_of_a_link_stops_whoever_sends_over_it(kind: type[Rated]) -> None:
    outage = Scheduled(start=1.0, duration=2.0, links=(("router", "cloud"), ("cloud", "c")))
    again = Scheduled(start=2.0, duration=2.0, links=(("cloud", "c"),))
    env, made = carriers(kind, outages=(outage, again))
    before, during, later, after = watch(env, made.whole("uplink"), (0.5, 1.5, 3.5, 4.5))
    assert during == [0, 0, 0]
    assert later == [*before[:2], 0]
    assert after == before


def test_an_outage_of_a_link_stops_its_wires_too() -> None:
    env, made = carriers(outages=(Scheduled(start=1.0, duration=2.0, links="all"),))
    before, during, after = watch(env, made.backhaul(), (0.5, 1.5, 3.5))
    assert during == [0, 0, 0]
    assert after == before


def test_a_link_fails_both_ways_at_once() -> None:
    env, made = carriers(outages=(Random(between=1.0, duration=1.0, links="all"),))
    moments_s = tuple(0.1 * tenth for tenth in range(1, 100))
    up, down = made.whole("uplink"), made.whole("downlink")
    for places in (up, down):
        for medium, cells in places:
            medium.start(10**12, 10e6, cells.start)
    states = set()
    for moment_s in moments_s:
        env.run(until=moment_s)
        rates = [[medium.rate_bps(flow) for medium, _ in places for flow in medium._live] for places in (up, down)]
        assert rates[0] == rates[1]
        states.add(tuple(rate > 0 for rate in rates[0]))
    assert len(states) > 3


@pytest.mark.parametrize("kind", [Fluid, Fixed])
def test_a_cell_follows_its_trace_among_those_that_meet_on_a_link(tmp_path: Path, kind: type[Rated]) -> None:
    """Half of 20 Mbit/s at first, then all of it: the links behind hold what they hold."""
    (tmp_path / "trace.csv").write_text("t_s,rate_bps\n0,2e6\n1,0\n2,2e7\n")
    trace = CellTrace(downlink=Csv(path=str(tmp_path / "trace.csv")), cells=(1,))
    env, made = carriers(kind, traces=(trace,))
    before, during, after = watch(env, made.whole("downlink"), (0.5, 1.5, 2.5), radios_bps=(10e6, 20e6, 10e6))
    others = {Fluid: (4e6, 3e6), Fixed: (4e6, 4e6)}[kind]
    assert [before, during, after] == [[4e6, 2e6, 5e6], [4e6, 0, 5e6], [others[1], {Fluid: 3e6, Fixed: 6e6}[kind], 5e6]]
    upwards, through = made.whole("uplink"), made.backhaul()
    assert watch(env, upwards, (1.5 + 6,)) == [[others[1], {Fluid: 3e6, Fixed: 6e6}[kind], 5e6]]
    assert watch(env, through, (1.5 + 9,))[0][1] > 0
