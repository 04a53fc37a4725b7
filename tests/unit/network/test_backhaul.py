from __future__ import annotations

import networkx as nx
import pytest

from netfed.network.backhaul import base_stations, in_series, routes
from netfed.network.spec import Fluid, Ideal, LinkClass
from netfed.network.topology import BASE_STATION, CLOUD, ROUTER, Hexagonal

ACCESS = LinkClass(rate=1e6)
FLUID = Fluid(ACCESS, ACCESS, LinkClass(rate=1e9, latency=0.010, loss=0.1))


def ring() -> nx.Graph:
    """The cloud, a router, and two base stations; a slow direct link to the first, and one between the two."""
    graph = nx.Graph()
    graph.add_node("a", role=BASE_STATION, position_m=(0.0, 0.0))
    graph.add_node("r", role=ROUTER)
    graph.add_node("c", role=CLOUD)
    graph.add_node("b", role=BASE_STATION, position_m=(5.0, 0.0))
    graph.add_edge("c", "r", rate=1e10, latency=0.001, loss=0.0)
    graph.add_edge("r", "a", latency=0.002, rate=2e8)
    graph.add_edge("c", "a")
    graph.add_edge("a", "b", latency=0.004)
    return graph


def test_links_in_series_are_as_fast_as_the_slowest() -> None:
    links = [LinkClass(rate=3e6, latency=0.001, loss=0.5), LinkClass(rate=2e6, latency=0.002, loss=0.2)]
    series = in_series(links)
    assert (series.rate, series.latency) == (2e6, 0.003)
    assert series.loss == pytest.approx(1 - 0.5 * 0.8)
    assert in_series(links[:1]) == links[0]


def test_routes_take_the_least_latency_and_figures_of_their_own() -> None:
    graph = ring()
    assert base_stations(graph) == ["a", "b"]
    to_a, to_b = routes(graph, FLUID)
    assert (to_a.rate, to_a.latency) == (2e8, 0.003)
    assert to_a.loss == pytest.approx(0.1)
    assert (to_b.rate, to_b.latency) == (2e8, 0.007)
    assert to_b.loss == pytest.approx(1 - 0.9 * 0.9)


def test_of_equal_latencies_the_first_path_is_taken() -> None:
    graph = nx.cycle_graph(["c", "r", "a", "s"], create_using=nx.Graph)
    roles = {"c": CLOUD, "r": ROUTER, "s": ROUTER, "a": BASE_STATION}
    nx.set_node_attributes(graph, roles, "role")
    graph.edges["c", "r"]["rate"] = 5e8
    assert [route.rate for route in routes(graph, FLUID)] == [5e8]


def test_an_ideal_network_has_no_effects_whatever_the_graph_says() -> None:
    assert routes(ring(), Ideal()) == [Ideal.backhaul] * 2


def test_without_figures_of_their_own_links_are_the_networks_backhaul() -> None:
    assert routes(Hexagonal(3).graph(), FLUID) == [in_series([FLUID.backhaul])] * 3
