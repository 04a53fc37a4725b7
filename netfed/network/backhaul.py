"""From the graph of a topology to what each base station has between itself and the cloud."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netfed.network.spec import LinkClass, Network
from netfed.network.topology import BASE_STATION, CLOUD

if TYPE_CHECKING:
    import networkx as nx


def base_stations(graph: nx.Graph) -> list[str]:
    """Return the names of the base stations, in the order of the graph: devices refer to them by index."""
    return [name for name, role in graph.nodes(data="role") if role == BASE_STATION]


def positions_m(graph: nx.Graph) -> NDArray[np.float64]:
    """Return where the base stations are. [base station, 2]"""
    return np.array([graph.nodes[name]["position_m"] for name in base_stations(graph)], np.float64)


Edge = tuple[str, str]
"""A link of the graph, by its ends; the cloud's side first."""


def paths(graph: nx.Graph, network: Network) -> list[list[Edge]]:
    """Return the links between the cloud and each base station, and give every link its figures. [base station]

    Bits take the path of least latency, by the first found in the order of the graph where several have it.
    """
    import networkx as nx

    for _, _, edge in graph.edges(data=True):
        edge["link"] = network.backhaul_link(**{key: edge[key] for key in ("rate", "latency", "loss") if key in edge})
    (cloud,) = (name for name, role in graph.nodes(data="role") if role == CLOUD)
    found = nx.single_source_dijkstra_path(graph, cloud, weight=lambda _from, _to, edge: edge["link"].latency)
    return [list(pairwise(found[name])) for name in base_stations(graph)]


def routes(graph: nx.Graph, network: Network) -> list[LinkClass]:
    """Return what links each base station with the cloud, as one link. [base station]

    It is as fast as the slowest of the links on the path, with their latencies added up and their losses compounded.
    """
    return [in_series([graph.edges[edge]["link"] for edge in path]) for path in paths(graph, network)]


def in_series(links: Sequence[LinkClass]) -> LinkClass:
    """Return links one behind the other as one."""
    return replace(
        links[0],
        rate=min(link.rate for link in links),
        latency=math.fsum(link.latency for link in links),
        loss=1.0 - math.prod(1.0 - link.loss for link in links),
    )
