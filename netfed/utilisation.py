"""How busy the links of a run were over simulated time, and how much waited for them: from its transfers, when read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from netfed.results import Results

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Use:
    """What a link carried. A link is one direction of one base station: all its sectors, or its backhaul.

    Attributes:
        cell: The base station.
        link: ``uplink``, ``downlink``, or these of the backhaul.
        busy: Share of the time in which something was under way. [interval]
        transfers: How many were under way at a time, in the mean. [interval]
        rate_bps: As if each transfer had sent evenly from its beginning to its last bit. [interval]
    """

    cell: int
    link: str
    busy: Floats
    transfers: Floats
    rate_bps: Floats

    @cached_property
    def mean_busy(self) -> float:
        """Share of the whole time in which something was under way."""
        return float(self.busy.mean())

    @cached_property
    def mean_transfers(self) -> float:
        """How many were under way at a time, in the mean over the whole time."""
        return float(self.transfers.mean())


def utilisation(results: Results, intervals: int = 60) -> tuple[Floats, list[Use]]:
    """Return how busy each link was, the busiest first.

    A transfer counts at the base station where it ended, and as long as its bits flow or wait: latency is not use.

    Args:
        results: Of one run.
        intervals: Into which its simulated time is divided, all equally long.

    Returns:
        Where the intervals begin, and where the last one ends, in seconds; and the links that carried anything for any
        time.

    Raises:
        RunFolderError: A file of the run is missing or damaged.
    """
    table = results.events("transfer")
    if not len(table) or not {"start_s", "cell", "link"} <= set(table.column_names):
        return np.zeros(1), []
    end_s = max([table["t_s"].to_numpy()[-1], *results.numbers("t_s")[-1:]])
    edges_s = np.linspace(0.0, end_s, intervals + 1)
    uses = [_use(edges_s, *link) for link in _by_link(table)] if end_s else []
    used = [use for use in uses if use.mean_busy]
    return edges_s, sorted(used, key=lambda use: (-use.mean_busy, -use.mean_transfers))


def _by_link(table: Any) -> Iterator[tuple[int, str, Floats, Floats, Floats]]:
    """Yield each cell and link, and when its transfers began, sent their last bit, and how many bits they sent."""
    import pyarrow.compute as pc

    table = table.filter(pc.and_(pc.is_valid(table["cell"]), pc.is_valid(table["start_s"])))
    cell, bits = table["cell"].to_numpy(), table["bits"].fill_null(0.0).to_numpy()
    names, link = np.unique(table["link"].to_numpy().astype(str), return_inverse=True)
    start_s, end_s = table["start_s"].to_numpy(), table["t_s"].to_numpy()
    if "latency_s" in table.column_names:
        end_s = end_s - table["latency_s"].fill_null(0.0).to_numpy()
    order = np.lexsort((start_s, link, cell))
    borders = np.flatnonzero(np.diff(cell[order]) | np.diff(link[order])) + 1
    for rows in np.split(order, borders) if len(order) else ():
        yield int(cell[rows[0]]), str(names[link[rows[0]]]), start_s[rows], end_s[rows], bits[rows]


def _use(edges_s: Floats, cell: int, link: str, start_s: Floats, end_s: Floats, bits: Floats) -> Use:
    """Return what a link carried, from its transfers in the order in which they began."""
    until_s = np.maximum.accumulate(end_s)
    first = np.flatnonzero(np.concatenate([[True], start_s[1:] > until_s[:-1]]))  # of each busy period
    last = np.concatenate([first[1:], [len(start_s)]]) - 1
    busy = np.minimum(1.0, _means(edges_s, start_s[first], until_s[last], np.ones(len(first))))
    transfers = _means(edges_s, start_s, end_s, np.ones(len(start_s)))
    took_s = end_s - start_s
    slow = took_s > 0
    rate_bps = _means(edges_s, start_s[slow], end_s[slow], bits[slow] / took_s[slow])
    at_once_bits, _ = np.histogram(start_s[~slow], edges_s, weights=bits[~slow])
    return Use(cell, link, busy, transfers, rate_bps + at_once_bits / edges_s[1])


def _means(edges_s: Floats, since_s: Floats, until_s: Floats, values: Floats) -> Floats:
    """Return the mean, over each interval, of a sum of values that each hold from a moment to another. [interval]"""
    sums = _integral(edges_s, since_s, values) - _integral(edges_s, until_s, values)
    return np.asarray(np.maximum(0.0, np.diff(sums)) / edges_s[1])


def _integral(edges_s: Floats, since_s: Floats, values: Floats) -> Floats:
    """Return the integral, up to each edge, of the sum of values that each hold from a moment on. [edge]"""
    order = np.argsort(since_s)
    count = np.searchsorted(since_s[order], edges_s)
    value, moment = (np.concatenate([[0.0], np.cumsum(part[order])]) for part in (values, values * since_s))
    return np.asarray(value[count] * edges_s - moment[count])
