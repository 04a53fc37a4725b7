"""Who is connected to whom: the cloud, base stations around it, devices around those."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from netfed.network.spec import LinkClass, Network, Topology
from netfed.streams import Streams

if TYPE_CHECKING:
    from netfed.network.population import Population

CLOUD = "cloud"


def base_station(index: int) -> str:
    """Return the name of a base station in the graph."""
    return f"base-station-{index}"


def device(index: int) -> str:
    """Return the name of a device in the graph."""
    return f"device-{index}"


def hexagonal_layout(topology: Topology) -> NDArray[np.float64]:
    """Return where base stations are: the first in the middle, the others in rings around it.

    Returns:
        Coordinates in metres. [base station, 2]
    """
    turns = np.exp(1j * np.pi / 3 * np.arange(6))
    places, ring = [0j], 0
    while len(places) < topology.base_stations:
        ring += 1
        place = complex(ring)
        for side in range(6):
            for _ in range(ring):
                places.append(place)
                place += turns[(side + 2) % 6]
    return _coordinates(np.array(places[: topology.base_stations], np.complex128) * topology.spacing)


def scatter(topology: Topology, centre_m: NDArray[np.float64], streams: Streams) -> NDArray[np.float64]:
    """Return places drawn uniformly from hexagonal cells: each is three rhombi about its centre.

    Args:
        topology: Gives the size of a cell.
        centre_m: Where each device's base station is. [device, 2]
        streams: Addressed by device.

    Returns:
        Coordinates in metres. [device, 2]
    """
    ids = np.arange(len(centre_m))
    corners = topology.spacing / np.sqrt(3.0) * np.exp(1j * np.pi * (1 / 6 + 2 / 3 * np.arange(3)))
    rhombus = np.floor(3 * streams.uniform("position", ids, 0)).astype(np.int64)
    along = streams.uniform("position", ids, 1) * corners[rhombus]
    across = streams.uniform("position", ids, 2) * corners[(rhombus + 1) % 3]
    return centre_m + _coordinates(along + across)


def connect(topology: Topology, network: Network, population: Population) -> nx.Graph:
    """Return the graph of the cloud, the base stations and the devices.

    Nodes carry ``position_m`` (the cloud has none), edges the `LinkClass` of each direction as ``uplink`` and
    ``downlink``. A backhaul link is full duplex: it has its rate both ways.
    """
    graph = nx.Graph()
    graph.add_node(CLOUD)
    for index, place in enumerate(hexagonal_layout(topology).tolist()):
        graph.add_node(base_station(index), position_m=tuple(place))
        graph.add_edge(CLOUD, base_station(index), uplink=network.backhaul, downlink=network.backhaul)
    for index, place in enumerate(population.position_m.tolist()):
        graph.add_node(device(index), position_m=tuple(place))
        serving = base_station(int(population.base_station[index]))
        graph.add_edge(serving, device(index), uplink=network.uplink, downlink=network.downlink)
    return graph


def route(graph: nx.Graph, base_station_index: int, device_index: int, direction: str) -> list[LinkClass]:
    """Return the classes of the links between the cloud and a device, in one direction."""
    path = (CLOUD, base_station(base_station_index), device(device_index))
    return [graph.get_edge_data(*hop)[direction] for hop in pairwise(path)]


def _coordinates(places: NDArray[np.complex128]) -> NDArray[np.float64]:
    return np.stack((places.real, places.imag), axis=-1)
