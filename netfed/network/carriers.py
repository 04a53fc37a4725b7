"""What carries the bits of base stations: a medium for each, or one for those whose paths to the cloud share links."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from simpy import Environment

from netfed.network.background import left
from netfed.network.backhaul import Edge, paths
from netfed.network.cell_trace import TraceCourse
from netfed.network.course import Course, Courses
from netfed.network.dedicated import Dedicated
from netfed.network.medium import Medium
from netfed.streams import Streams

if TYPE_CHECKING:
    import networkx as nx

    from netfed.network.spec import Network
    from netfed.network.traffic import Direction

Place = tuple[Medium, range]
"""What carries the bits of a base station, and which of its cells are the base station's."""


@dataclass(frozen=True)
class Cable:
    """Links one behind the other that carry the bits of the same base stations: together they are one.

    Attributes:
        edges: The links.
        rate_bps: Of the slowest.
    """

    edges: tuple[Edge, ...]
    rate_bps: float

    @property
    def ends(self) -> str:
        """What it links, the cloud's side first."""
        (near, _), (_, far) = self.edges[0], self.edges[-1]
        return f"{near} - {far}"


class Load(NamedTuple):
    """What goes over a cable.

    Attributes:
        cable: The links.
        base_stations: Whose bits.
        cells: Of the medium that carries them, all those of these base stations.
    """

    cable: Cable
    base_stations: tuple[int, ...]
    cells: tuple[int, ...]


@dataclass(frozen=True)
class Site:
    """A base station, or some whose paths share links.

    Attributes:
        base_stations: Their indices.
        cables: What is between them and the cloud.
        routes: Which of the cables the bits of each go over. [base station of the site]
    """

    base_stations: tuple[int, ...]
    cables: tuple[Cable, ...]
    routes: tuple[tuple[int, ...], ...]

    @property
    def users(self) -> list[tuple[int, ...]]:
        """The base stations whose bits go over each cable. [cable]"""
        routed = list(zip(self.base_stations, self.routes, strict=True))
        return [tuple(index for index, route in routed if cable in route) for cable in range(len(self.cables))]


class Carriers:
    """Makes the media of a network.

    Args:
        env: The clock.
        kind: How payloads travel.
        graph: The cloud, the base stations and their links.
        streams: The world's randomness.

    Attributes:
        loads: What goes over the cables behind each medium, for those that there are.
    """

    def __init__(self, env: Environment, kind: Network, graph: nx.Graph, streams: Streams) -> None:
        self._env = env
        self._kind = kind
        self._streams = streams
        self.loads: dict[Medium, list[Load]] = {}
        self._paths = paths(graph, kind)
        self._rates_bps: dict[Edge, float] = {
            edge: graph.edges[edge]["link"].rate for path in self._paths for edge in path
        }
        self._numbers = {frozenset(edge): number for number, edge in enumerate(graph.edges)}

    def whole(self, direction: Direction) -> list[Place]:
        """Return what carries bits the whole way. [base station]"""
        places: dict[int, Place] = {}
        for site in sites(self._paths, self._rates_bps):
            places |= self._shared(site, direction) or {
                index: self._own(index, direction) for index in site.base_stations
            }
        return [places[index] for index in range(len(self._paths))]

    def access(self, direction: Direction) -> list[Place]:
        """Return what carries bits between base stations and devices. [base station]"""
        places: list[Place] = []
        for index in range(len(self._paths)):
            medium = self._kind.medium(self._env, math.inf)
            Courses.follow(self._env, medium, self._cell_courses(medium, [index], direction))
            places.append((medium, range(self._kind.cells)))
        return places

    def backhaul(self) -> list[Place]:
        """Return what carries bits over backhauls alone, in one direction. [base station]"""
        places: dict[int, Place] = {}
        for site in sites(self._paths, self._rates_bps):
            places |= self._shared(site, None) or {index: self._wire(index) for index in site.base_stations}
        return [places[index] for index in range(len(self._paths))]

    def _own(self, index: int, direction: Direction) -> Place:
        """Return a medium of one base station."""
        cable = self._cable(self._paths[index])
        medium = self._kind.medium(self._env, cable.rate_bps)
        courses = [*self._cell_courses(medium, [index], direction), *self._cable_courses(medium, [cable])]
        Courses.follow(self._env, medium, courses)
        self.loads[medium] = [Load(cable, (index,), tuple(range(self._kind.cells)))]
        return medium, range(self._kind.cells)

    def _wire(self, index: int) -> Place:
        """Return what carries bits over one backhaul alone: the wire is to them what its airtime is to a cell."""
        cable = self._cable(self._paths[index])
        medium: Medium = Dedicated(self._env, math.inf)
        if cable.rate_bps < math.inf:
            medium = self._kind.medium(self._env, math.inf)
        Courses.follow(self._env, medium, self._cable_courses(medium, [Cable(cable.edges, math.inf)]))
        self.loads[medium] = [Load(cable, (index,), (0,))]
        return medium, range(1)

    def _shared(self, site: Site, direction: Direction | None) -> dict[int, Place] | None:
        """Return one medium for several base stations; None for a single one, or where nobody slows others down.

        Args:
            site: The base stations.
            direction: Of the bits that its cells carry; None: it carries bits over backhauls alone.
        """
        if len(site.base_stations) == 1:
            return None
        each = 1 if direction is None else self._kind.cells
        medium = self._kind.mesh(
            self._env, [cable.rate_bps for cable in site.cables], [route for route in site.routes for _ in range(each)]
        )
        if medium is None:
            return None
        courses = list(self._cable_courses(medium, site.cables))
        if direction is not None:
            courses += self._cell_courses(medium, site.base_stations, direction)
        Courses.follow(self._env, medium, courses)
        places = {
            index: (medium, range(place * each, (place + 1) * each)) for place, index in enumerate(site.base_stations)
        }
        self.loads[medium] = [
            Load(cable, users, tuple(cell for index in users for cell in places[index][1]))
            for cable, users in zip(site.cables, site.users, strict=True)
        ]
        return places

    def _cable(self, edges: Sequence[Edge]) -> Cable:
        return Cable(tuple(edges), min(self._rates_bps[edge] for edge in edges))

    def _cell_courses(self, medium: Medium, base_stations: Sequence[int], direction: Direction) -> Iterator[Course]:
        """Yield what takes airtime of the cells of some base stations: all those of a medium, in order."""
        kind = self._kind
        cells = [index * kind.cells + sector for index in base_stations for sector in range(kind.cells)]
        for place, cell in enumerate(cells):
            if backgrounds := kind.backgrounds(direction, cell):
                yield Course(left(backgrounds), partial(medium.set_capacity, place, cause="background"))
            for number, outages in enumerate(kind.outages):
                if outages.hits_cell(cell):
                    changes = outages.of_cell(self._streams, number, cell)
                    yield Course(changes, partial(medium.set_capacity, place, cause=f"outages-{number}"))
            for trace in kind.traces:
                if trace.leads(direction, cell):
                    steps, best_bps = trace.rates[direction], kind.best_bps(direction, cell)
                    since_s = trace.since_s(direction, cell, self._streams)
                    yield TraceCourse(steps, best_bps, since_s, partial(medium.set_capacity, place, cause="trace"))

    def _cable_courses(self, medium: Medium, cables: Sequence[Cable]) -> Iterator[Course]:
        for place, cable in enumerate(cables):
            state = _State(medium, place, cable.rate_bps)
            for edge in cable.edges:
                for number, outages in enumerate(self._kind.outages):
                    if outages.hits_link(edge):
                        changes = outages.of_link(self._streams, number, self._numbers[frozenset(edge)])
                        yield Course(changes, partial(state.set, (number, edge)))


class _State:
    """Whether a cable is in order: while one of its links is not, it carries nothing."""

    def __init__(self, medium: Medium, place: int, rate_bps: float) -> None:
        self._medium = medium
        self._place = place
        self._rate_bps = rate_bps
        self._down: set[tuple[int, Edge]] = set()

    def set(self, reason: tuple[int, Edge], share: float) -> None:
        if share > 0:
            self._down.discard(reason)
        else:
            self._down.add(reason)
        self._medium.set_link(0.0 if self._down else self._rate_bps, self._place)


def sites(paths: Sequence[Sequence[Edge]], rates_bps: dict[Edge, float]) -> list[Site]:
    """Return the base stations, those together that meet on a link whose rate has an end.

    Args:
        paths: Of each base station. [base station]
        rates_bps: Of the links.
    """
    import networkx as nx

    over: dict[Edge, list[int]] = {}
    for index, path in enumerate(paths):
        for edge in path:
            if rates_bps[edge] < math.inf:
                over.setdefault(edge, []).append(index)
    meetings = nx.Graph()
    meetings.add_nodes_from(range(len(paths)))
    cables: dict[tuple[int, ...], list[Edge]] = {}
    for edge, users in over.items():
        nx.add_path(meetings, users)
        cables.setdefault(tuple(users), []).append(edge)
    found = []
    for group in nx.connected_components(meetings):
        own = {users: edges for users, edges in cables.items() if users[0] in group}
        found.append(
            Site(
                base_stations=tuple(sorted(group)),
                cables=tuple(Cable(tuple(edges), min(rates_bps[edge] for edge in edges)) for edges in own.values()),
                routes=tuple(
                    tuple(place for place, users in enumerate(own) if index in users) for index in sorted(group)
                ),
            )
        )
    return found
