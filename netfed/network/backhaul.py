"""From the graph of a topology to what each base station has between itself and the cloud."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from netfed.network.spec import LinkClass, Network
from netfed.network.topology import BASE_STATION, CLOUD


def base_stations(graph: nx.Graph) -> list[str]:
    """Return the names of the base stations, in the order of the graph: devices refer to them by index."""
    return [name for name, role in graph.nodes(data="role") if role == BASE_STATION]


def positions_m(graph: nx.Graph) -> NDArray[np.float64]:
    """Return where the base stations are. [base station, 2]"""
    return np.array([graph.nodes[name]["position_m"] for name in base_stations(graph)], np.float64)


def routes(graph: nx.Graph, network: Network) -> list[LinkClass]:
    """Return what links each base station with the cloud, as one link. [base station]

    Bits take the path of least latency, by the first found in the order of the graph where several have it. Its links
    count as one: as fast as the slowest of them, with the latencies added up and the losses compounded. Each base
    station has that rate to itself, even where paths share a link: a link is a bottleneck of one path here, not of all
    that run over it.
    """
    for _, _, edge in graph.edges(data=True):
        edge["link"] = network.backhaul_link(**{key: edge[key] for key in ("rate", "latency", "loss") if key in edge})
    (cloud,) = (name for name, role in graph.nodes(data="role") if role == CLOUD)
    paths = nx.single_source_dijkstra_path(graph, cloud, weight=lambda _from, _to, edge: edge["link"].latency)
    return [in_series([graph.edges[hop]["link"] for hop in pairwise(paths[name])]) for name in base_stations(graph)]


def in_series(links: Sequence[LinkClass]) -> LinkClass:
    """Return links one behind the other as one."""
    return replace(
        links[0],
        rate=min(link.rate for link in links),
        latency=math.fsum(link.latency for link in links),
        loss=1.0 - math.prod(1.0 - link.loss for link in links),
    )
