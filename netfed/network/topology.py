"""Where base stations are, and how they reach the cloud. Light to import: arrays and graphs come in inside methods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from netfed.plugin import Plugin
from netfed.units import Meters

if TYPE_CHECKING:
    import networkx as nx

CLOUD, BASE_STATION, ROUTER = "cloud", "base-station", "router"
"""The roles of a graph's nodes."""

MOST_BASE_STATIONS = 100_000
"""In a topology: each takes kilobytes, for its links and for what they carry."""


class Topology(Plugin):
    """The cloud, the base stations, and the links between them.

    Attributes:
        spacing: Between neighbouring base stations (inter-site distance): devices are scattered over a hexagon of this
            width about their base station. Rates depend on where they are in a ``cellular`` network alone.
    """

    spacing: Meters

    def graph(self) -> nx.Graph:
        """Return the sites and their links.

        Nodes carry their ``role``, base stations their ``position_m`` too; exactly one is the cloud, and a path leads
        from it to every base station. Edges carry what they have of ``rate``, ``latency`` and ``loss``: these replace
        figures of the network's backhaul (`LinkClass`). A link is full duplex: it has its rate both ways.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Hexagonal(Topology, kind="hexagonal"):
    """Base stations on a hexagonal grid, the first one in the middle, each with a link of its own to the cloud.

    The layout of 3GPP TR 38.901, table 7.2-1.

    Attributes:
        base_stations: How many: 1, 7, 19, 37, ... are whole rings.
        spacing: Between neighbours: 500 m is the table's urban macro cell, 200 m its micro cell.
    """

    base_stations: Annotated[int, Field(ge=1, le=MOST_BASE_STATIONS)] = 7
    spacing: Meters = 500.0

    def __post_init__(self) -> None:
        if self.base_stations < 1:
            raise ValueError("base_stations must be at least 1")
        check_size(self.base_stations)
        check_spacing(self.spacing)

    def graph(self) -> nx.Graph:
        """Return a star: the cloud and its base stations, in rings outwards."""
        import networkx as nx

        graph = nx.Graph()
        graph.add_node(CLOUD, role=CLOUD)
        for index, place in enumerate(_hexagonal_grid(self.base_stations)):
            name = f"{BASE_STATION}-{index}"
            position_m = (place.real * self.spacing, place.imag * self.spacing)
            graph.add_node(name, role=BASE_STATION, position_m=position_m)
            graph.add_edge(CLOUD, name)
        return graph


def whole_rings(sites: int) -> int:
    """Return how many rings of hexagons around one there are.

    Raises:
        ValueError: There is none, or the last is not whole.
    """
    rings = round(math.sqrt((4 * sites - 1) / 12) - 0.5)
    if rings < 1 or 3 * rings * (rings + 1) + 1 != sites:
        raise ValueError(f"{sites} base stations are no whole rings: 7, 19, 37 or 61 are")
    return rings


def check_size(base_stations: int) -> None:
    """Refuse more base stations than a computer may hold.

    Raises:
        ValueError: There are more.
    """
    if base_stations > MOST_BASE_STATIONS:
        raise ValueError(f"{base_stations} base stations are more than the {MOST_BASE_STATIONS} that fit in memory")


def check_spacing(spacing_m: float) -> None:
    """Refuse a distance that spreads nobody out.

    Raises:
        ValueError: It is zero.
    """
    if not 0 < spacing_m < math.inf:
        raise ValueError("spacing must be more than 0 m")


def _hexagonal_grid(count: int) -> list[complex]:
    """Return places a unit apart: one in the middle, the others in rings around it."""
    import cmath

    turns = [cmath.exp(1j * math.pi / 3 * side) for side in range(6)]
    places, ring = [0j], 0
    while len(places) < count:
        ring += 1
        place = complex(ring)
        for side in range(6):
            for _ in range(ring):
                places.append(place)
                place += turns[(side + 2) % 6]
    return places[:count]
