from __future__ import annotations

import networkx as nx
import numpy as np
import pytest

from netfed.network.backhaul import base_stations, positions_m
from netfed.network.topology import CLOUD, Hexagonal


@pytest.mark.parametrize(
    ("count", "rings_m"), [(1, {0: 1}), (7, {0: 1, 500: 6}), (19, {0: 1, 500: 6, 866: 6, 1000: 6})]
)
def test_layout_is_hexagonal(count: int, rings_m: dict[int, int]) -> None:
    places = positions_m(Hexagonal(count, spacing=500.0).graph())
    distances, counts = np.unique(np.linalg.norm(places, axis=1).round(), return_counts=True)
    assert dict(zip(distances.astype(int).tolist(), counts.tolist(), strict=True)) == rings_m
    between = np.linalg.norm(places[:, None] - places, axis=-1)[~np.eye(count, dtype=bool)]
    assert (between > 499.999).all()


def test_another_base_station_moves_no_other() -> None:
    few, many = positions_m(Hexagonal(5).graph()), positions_m(Hexagonal(40).graph())
    assert (many[:5] == few).all()


def test_each_base_station_has_a_link_of_its_own_to_the_cloud() -> None:
    graph = Hexagonal(7).graph()
    assert nx.is_tree(graph)
    assert list(graph[CLOUD]) == base_stations(graph) == [f"base-station-{index}" for index in range(7)]
