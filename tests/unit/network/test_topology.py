from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest

from netfed.network.network import Network
from netfed.network.spec import LinkClass, Topology
from netfed.network.topology import CLOUD, base_station, device, hexagonal_layout, route, scatter
from netfed.streams import Streams


@pytest.mark.parametrize(
    ("count", "rings_m"), [(1, {0: 1}), (7, {0: 1, 500: 6}), (19, {0: 1, 500: 6, 866: 6, 1000: 6})]
)
def test_layout_is_hexagonal(count: int, rings_m: dict[int, int]) -> None:
    places = hexagonal_layout(Topology(count, spacing=500.0))
    distances, counts = np.unique(np.linalg.norm(places, axis=1).round(), return_counts=True)
    assert dict(zip(distances.astype(int).tolist(), counts.tolist(), strict=True)) == rings_m
    between = np.linalg.norm(places[:, None] - places, axis=-1)[~np.eye(count, dtype=bool)]
    assert (between > 499.999).all()


def test_another_base_station_moves_no_other() -> None:
    few, many = hexagonal_layout(Topology(5)), hexagonal_layout(Topology(40))
    assert (many[:5] == few).all()


def test_devices_are_scattered_uniformly_over_a_hexagon() -> None:
    spacing_m, count = 200.0, 60_000
    places = scatter(Topology(spacing=spacing_m), np.full((count, 2), [1000.0, -300.0]), Streams(3)) - [1000.0, -300.0]
    normals = np.exp(1j * np.pi / 3 * np.arange(6))
    reach_m = places[:, :1] * normals.real + places[:, 1:] * normals.imag
    assert reach_m.max() <= spacing_m / 2 + 1e-9
    assert reach_m.max(axis=0) == pytest.approx(np.full(6, spacing_m / 2), rel=0.01)
    # Second moment of a hexagon of side a about its centre: 5 a^2 / 12; and a circle inside holds its area's share.
    assert (places**2).sum(axis=1).mean() == pytest.approx(5 / 12 * spacing_m**2 / 3, rel=0.01)
    inside = (np.linalg.norm(places, axis=1) < spacing_m / 4).mean()
    assert inside == pytest.approx(np.pi / 16 / (np.sqrt(3) / 2), rel=0.03)
    assert places.mean(axis=0) == pytest.approx([0, 0], abs=1.0)


def test_graph_is_a_tree_whose_edges_carry_link_classes(build: Callable[..., Network]) -> None:
    network = build(base_stations=7, count=30)
    graph = network.graph
    assert nx.is_tree(graph)
    assert set(graph[CLOUD]) == {base_station(index) for index in range(7)}
    for index in range(30):
        serving = int(network.population.base_station[index])
        assert list(graph[device(index)]) == [base_station(serving)]
        distances_m = np.linalg.norm(hexagonal_layout(Topology(7)) - network.population.position_m[index], axis=1)
        assert distances_m.argmin() == serving
        assert graph.nodes[device(index)]["position_m"] == tuple(network.population.position_m[index])
    serving = int(network.population.base_station[0])
    backhaul, access = route(graph, serving, 0, "uplink")
    assert backhaul == LinkClass(rate=20e6, latency=0.010)
    assert access == LinkClass(rate=10e6, latency=0.005)
    assert route(graph, serving, 0, "downlink")[1] == LinkClass(rate=40e6, latency=0.005)
