"""When cells and links are out of order. Light to import."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Literal

from netfed.network.cells import Cells, check_numbers
from netfed.network.course import Change
from netfed.plugin import Plugin
from netfed.units import Seconds

if TYPE_CHECKING:
    import networkx as nx

    from netfed.streams import Streams


class Outages(Plugin):
    """Times in which some cells or links carry nothing: what is under way there waits.

    Attributes:
        cells: By number: those of the first base station come first; ``all`` of them.
        links: Of the topology's graph, each by the names of its two ends; ``all`` of them.
    """

    cells: Cells
    links: tuple[tuple[str, str], ...] | Literal["all"]

    def hits_cell(self, cell: int) -> bool:
        """Return whether it is about a cell."""
        return self.cells == "all" or cell in self.cells

    def hits_link(self, ends: Collection[str]) -> bool:
        """Return whether it is about the link between two sites."""
        return self.links == "all" or any(set(link) == set(ends) for link in self.links)

    def absent_links(self, graph: nx.Graph) -> Iterator[str]:
        """Yield a line for each link that a topology's graph does not have."""
        for one, other in self.links if self.links != "all" else ():
            if not graph.has_edge(one, other):
                yield f"the topology has no link between {one!r} and {other!r}"

    def of_cell(self, streams: Streams, index: int, cell: int) -> Iterator[Change]:
        """Yield 0 when an outage of a cell begins, 1 when it ends: the same, whoever asks.

        Args:
            streams: The world's randomness.
            index: Of these outages among those of the network.
            cell: Its number.
        """
        return self.left(streams, f"outages-{index}/cell", cell)

    def of_link(self, streams: Streams, index: int, link: int) -> Iterator[Change]:
        """Yield 0 when an outage of a link begins, 1 when it ends: the same, whoever asks.

        Args:
            streams: The world's randomness.
            index: Of these outages among those of the network.
            link: Its number among the edges of the topology's graph.
        """
        return self.left(streams, f"outages-{index}/link", link)

    def left(self, streams: Streams, name: str, number: int) -> Iterator[Change]:
        """Yield 0 when an outage begins, 1 when it ends.

        Args:
            streams: The world's randomness.
            name: Of the stream, where there is one.
            number: Of the cell or of the link.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Scheduled(Outages, kind="scheduled"):
    """Outages at given times: of all these cells and links at once.

    Attributes:
        cells: By number: those of the first base station come first; ``all`` of them.
        links: Of the topology's graph, each by the names of its two ends; ``all`` of them.
        start: When the first begins.
        duration: How long each lasts.
        every: From the beginning of one to that of the next; null: there is one.
    """

    start: Seconds
    duration: Seconds
    every: Seconds | None = None
    cells: Cells = ()
    links: tuple[tuple[str, str], ...] | Literal["all"] = ()

    def __post_init__(self) -> None:
        _check_whom(self)
        if not 0 <= self.start < math.inf:
            raise ValueError("start must be 0 s or more")
        if not 0 < self.duration < math.inf:
            raise ValueError("duration must be more than 0 s")
        if self.every is not None and not self.duration < self.every < math.inf:
            raise ValueError("every must be more than duration")

    def left(self, streams: Streams, name: str, number: int) -> Iterator[Change]:
        """Yield 0 when an outage begins, 1 when it ends."""
        for index in range(1) if self.every is None else count():
            begin_s = self.start + index * (self.every or 0.0)
            yield begin_s, 0.0
            yield begin_s + self.duration, 1.0


@dataclass(frozen=True)
class Random(Outages, kind="random"):
    """Outages at random: each cell and each link fails and is repaired by itself.

    The times between are exponentially distributed, as in the standard model of reliability: of the time, the share
    between / (between + duration) is without an outage (alternating renewal process: Ross, Introduction to Probability
    Models, chapter 7).

    Attributes:
        cells: By number: those of the first base station come first; ``all`` of them.
        links: Of the topology's graph, each by the names of its two ends; ``all`` of them.
        between: Mean time from the end of one to the beginning of the next, and to that of the first.
        duration: Mean time that one lasts.
    """

    between: Seconds
    duration: Seconds
    cells: Cells = ()
    links: tuple[tuple[str, str], ...] | Literal["all"] = ()

    def __post_init__(self) -> None:
        _check_whom(self)
        for name in ("between", "duration"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be more than 0 s")

    def left(self, streams: Streams, name: str, number: int) -> Iterator[Change]:
        """Yield 0 when an outage begins, 1 when it ends."""
        now_s = 0.0
        for index in count():
            for mean_s, share, draw in ((self.between, 0.0, 2 * index), (self.duration, 1.0, 2 * index + 1)):
                now_s -= mean_s * math.log(streams.draw(name, number, draw))
                yield now_s, share


def _check_whom(outages: Outages) -> None:
    if not (outages.cells or outages.links):
        raise ValueError("cells or links must say what is out of order")
    check_numbers(outages.cells)
