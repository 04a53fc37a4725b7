"""A topology as a graph in a file. Light to import: networkx comes in inside methods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict

from netfed.files import FromFile, parse_json
from netfed.network.topology import BASE_STATION, CLOUD, Topology, check_size, check_spacing
from netfed.plugin import STRICT
from netfed.spelling import did_you_mean
from netfed.units import BitsPerSecond, Fraction, Meters, Seconds
from netfed.validation import SpecError, validate

if TYPE_CHECKING:
    import networkx as nx

_MOST = 5


@dataclass(frozen=True)
class GraphFile(FromFile, Topology, kind="file"):
    """Base stations, and their links to the cloud, from GraphML or from node-link JSON (as networkx writes it).

    Each node has a ``role``: ``cloud`` (one of them), ``base-station``, with ``x`` and ``y`` in metres, or ``router``.
    An edge is a link, the same both ways; it may have a ``rate`` and a ``latency``, with units as in scenarios, and a
    ``loss``, which then replace those of the network's backhaul. Other attributes are ignored. Names are text, so that
    1 and "1" are one; what is there twice is refused, and so is a link from a node to itself.

    What a base station has between itself and the cloud is the path of least latency: it is as fast as the slowest link
    on it. Under ``fluid``, base stations slow each other down on links that their paths share.

    Attributes:
        path: Of the file, which ends in ``.graphml`` or ``.json``: a relative path starts at the folder of the scenario
            that names it.
        spacing: Between base stations: devices are scattered over a hexagon of this width about theirs.
        sha256: Of the file; filled in when it is first read.
    """

    spacing: Meters = 500.0

    def __post_init__(self) -> None:
        check_spacing(self.spacing)
        _ = self._graph

    def graph(self) -> nx.Graph:
        """Return the graph of the file."""
        return self._graph.copy()

    @cached_property
    def _graph(self) -> nx.Graph:
        text = self._text()
        read = {".graphml": _from_graphml, ".json": _from_node_link}.get(Path(self.path).suffix)
        if read is None:
            raise ValueError(f"{self.path}: a topology is a file that ends in .graphml or .json")
        try:
            graph = read(text)
            check_size(sum(role == BASE_STATION for _, role in graph.nodes(data="role")))
        except ValueError as error:
            raise ValueError(f"{self.path}: {error}") from error
        mistakes = list(_interpret(graph)) or list(_disconnected(graph))
        if mistakes:
            raise ValueError(f"{self.path}: {_told(mistakes)}")
        return graph


@dataclass(frozen=True)
class _Site:
    """Attributes of a node."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    role: Literal["cloud", "base-station", "router"]
    x: float | None = None
    y: float | None = None

    def __post_init__(self) -> None:
        if self.role == BASE_STATION and (self.x is None or self.y is None):
            raise ValueError("a base station needs x and y, in metres")


@dataclass(frozen=True)
class _Link:
    """Attributes of an edge."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    rate: BitsPerSecond | None = None
    latency: Seconds | None = None
    loss: Fraction | None = None

    def __post_init__(self) -> None:
        if self.rate == 0:
            raise ValueError("rate must be more than 0 bit/s")


_NOT_SIMPLE = "links go both ways, at most one between two nodes: write an undirected, simple graph"


def _from_graphml(text: str) -> nx.Graph:
    """Return the graph of a GraphML file.

    Raises:
        ValueError: It is not GraphML, has a document type (where entities are defined that blow a file up), or its
            graph is not a simple one.
    """
    import warnings
    from xml.etree.ElementTree import ParseError, fromstring

    import networkx as nx

    if "<!DOCTYPE" in text.upper():
        raise ValueError("a document type (<!DOCTYPE) is not allowed: remove it")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it ignores: ports, types that it does not know
            graph = nx.parse_graphml(text)
        tree = fromstring(text)  # noqa: S314 (no document type, no entities)
        parts = [(part.tag.rpartition("}")[2], part.attrib) for part in tree.find("{*}graph") or ()]
    except (nx.NetworkXException, ParseError, LookupError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"not GraphML: {' '.join(str(error).split())}") from error
    if graph.is_directed():
        raise ValueError(_NOT_SIMPLE)
    nodes = [its.get("id", "") for tag, its in parts if tag == "node"]
    links = [(its.get("source", ""), its.get("target", "")) for tag, its in parts if tag == "edge"]
    if not all(nodes) or not all(one and other for one, other in links):
        raise ValueError("each node needs an id, each edge a source and a target")
    _check_that_each_is_there_once(nodes, links)
    return nx.Graph(graph)


def _from_node_link(text: str) -> nx.Graph:
    """Return the graph of a node-link JSON file.

    Raises:
        ValueError: It is not JSON, or not a graph of this form.
    """
    import networkx as nx

    try:
        tree = parse_json(text)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from error
    tree = tree if isinstance(tree, dict) else {}
    nodes = [(str(row.pop("id")), row) for row in _rows(tree.get("nodes"), "id")]
    rows = _rows(tree.get("links", tree.get("edges")), "source", "target")
    links = [(str(row.pop("source")), str(row.pop("target")), row) for row in rows]
    if tree.get("directed") or tree.get("multigraph"):
        raise ValueError(_NOT_SIMPLE)
    _check_that_each_is_there_once([name for name, _ in nodes], [(one, other) for one, other, _ in links])
    graph = nx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(links)
    return graph


def _check_that_each_is_there_once(nodes: Sequence[str], links: Sequence[tuple[str, str]]) -> None:
    """Refuse what a graph would make one of, and links that lead nowhere.

    Raises:
        ValueError: Names them.
    """
    mistakes = [f"node {name!r} is there {count} times" for name, count in Counter(nodes).items() if count > 1]
    ends = Counter(tuple(sorted(link)) for link in links)
    mistakes += [f"link {one!r} to {other!r} leads nowhere" for one, other in ends if one == other]
    mistakes += [
        f"link {one!r} to {other!r} is there {n} times" for (one, other), n in ends.items() if n > 1 and one != other
    ]
    if mistakes:
        raise ValueError(_told(mistakes))


def _rows(rows: Any, *columns: str) -> list[dict[str, Any]]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) and set(columns) <= set(row) for row in rows):
        raise ValueError("expected {nodes: [{id, ...}, ...], links: [{source, target, ...}, ...]}")
    return rows


def _told(mistakes: Sequence[str]) -> str:
    more = f"; and {len(mistakes) - _MOST} more" if len(mistakes) > _MOST else ""
    return "; ".join(mistakes[:_MOST]) + more


def _interpret(graph: nx.Graph) -> Iterator[str]:
    """Give nodes and edges the attributes that `Topology.graph` speaks of, and yield what is wrong with theirs."""
    for name, written in graph.nodes(data=True):
        if "role" not in written:
            yield f"node {name!r} has no role (cloud, base-station or router): does a link misspell its name?"
            continue
        yield from _mistakes(f"node {name!r}", _Site, written)
    for one, other, written in graph.edges(data=True):
        yield from _mistakes(f"link {one!r} to {other!r}", _Link, written)


def _mistakes(what: str, spec: type[_Site] | type[_Link], written: dict[str, Any]) -> Iterator[str]:
    """Replace attributes as they are written by what they mean, or yield what is wrong with them."""
    known = [field.name for field in fields(spec)]
    ours = {key: value for key, value in written.items() if key in known or did_you_mean(str(key), known)}
    try:
        read = validate(spec, ours)
    except SpecError as error:
        for problem in error.problems:
            yield ": ".join([what, *map(str, problem.path), problem.message])
        return
    written.clear()
    if isinstance(read, _Site):
        written["role"] = read.role
        if read.role == BASE_STATION:
            written["position_m"] = (read.x, read.y)
    else:
        written.update({key: value for key in known if (value := getattr(read, key)) is not None})


def _disconnected(graph: nx.Graph) -> Iterator[str]:
    """Yield why devices could not reach the cloud."""
    import networkx as nx

    by_role = {role: [name for name, its in graph.nodes(data="role") if its == role] for role in (CLOUD, BASE_STATION)}
    clouds, stations = by_role[CLOUD], by_role[BASE_STATION]
    if len(clouds) != 1:
        yield f"{len(clouds)} nodes have the role 'cloud': there must be one"
    if not stations:
        yield "no node has the role 'base-station'"
    if len(clouds) == 1:
        reached = nx.node_connected_component(graph, clouds[0])
        yield from (f"no path from base station {name!r} to the cloud" for name in stations if name not in reached)
