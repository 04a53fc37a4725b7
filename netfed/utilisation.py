"""How busy the links of a run were over simulated time, and how much waited for them: what its meter recorded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from netfed.results import Results

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class LinkHistory:
    """What a link carried in a run, and what was waiting for it: one direction of a cell's radio, or of the backhaul.

    Attributes:
        name: Of the link.
        lasts_s: How long each interval is. [interval]
        busy: Share of the link's airtime, or of its rate, that was used; where transfers do not slow each other down it
            may pass 1. [interval]
        bits: Carried. [interval]
        backlog_bits: Under way and not gone yet, at the most of the looks. [interval]
        transfers: How many were under way, at the most of the looks. [interval]
    """

    name: str
    lasts_s: Floats
    busy: Floats
    bits: Floats
    backlog_bits: Floats
    transfers: Ints

    @cached_property
    def mean_busy(self) -> float:
        """Share of the whole time's airtime, or rate, that was used."""
        return float(self.busy @ self.lasts_s / self.lasts_s.sum())

    @property
    def rate_bps(self) -> Floats:
        """In the mean. [interval]"""
        return self.bits / self.lasts_s


def utilisation(results: Results, most: int = 60) -> tuple[Floats, list[LinkHistory]]:
    """Return how busy each link was, the busiest first.

    Args:
        results: Of one run.
        most: Intervals into which its simulated time is divided, at the most. All are equally long, but for the last,
            and as many of the meter's as fit in.

    Returns:
        Where the intervals begin, and where the last one ends, in seconds; and the links. Without any, nothing was
        recorded.

    Raises:
        RunFolderError: A file of the run is missing or damaged.
    """
    table = results.events("link")
    if not len(table):
        return np.zeros(1), []
    start_s, at_s = table["start_s"].to_numpy(), table["t_s"].to_numpy()
    edges_s = _edges_s(start_s, at_s, max([at_s[-1], *results.numbers("t_s")[-1:]]), most)
    interval = np.searchsorted(edges_s, (start_s + at_s) / 2, side="right") - 1
    names, link = np.unique(_names(table), return_inverse=True)
    place = link, interval
    busy_s, bits, backlog_bits, transfers = (np.zeros((len(names), len(edges_s) - 1)) for _ in range(4))
    np.add.at(busy_s, place, table["busy"].to_numpy() * (at_s - start_s))
    np.add.at(bits, place, table["bits"].to_numpy())
    np.maximum.at(backlog_bits, place, table["backlog_bits"].to_numpy())
    np.maximum.at(transfers, place, table["transfers"].to_numpy())
    lasts_s = np.diff(edges_s)
    columns = zip(names, busy_s / lasts_s, bits, backlog_bits, transfers.astype(np.int64), strict=True)
    links = [LinkHistory(str(name), lasts_s, *column) for name, *column in columns]
    return edges_s, sorted(links, key=lambda one: (-one.mean_busy, -one.bits.sum(), one.name))


def _edges_s(start_s: Floats, at_s: Floats, end_s: float, most: int) -> Floats:
    """Return the borders of intervals that hold whole ones of the meter's: all begin at multiples of the longest."""
    longest_s = (at_s - start_s).max()
    width_s = longest_s * math.ceil(end_s / longest_s / most)
    edges_s = width_s * np.arange(math.ceil(end_s / width_s))
    return np.append(edges_s[edges_s < end_s], end_s)


def _names(table: Any) -> list[str]:
    """Return what the link of each row is called."""
    import json

    columns = [
        table[name].to_pylist() if name in table.column_names else [None] * len(table)
        for name in ("link", "cell", "sector", "more")
    ]
    sectors = any(columns[2])
    names = []
    for link, cell, sector, more in zip(*columns, strict=True):
        where = "" if cell is None else f"cell {cell}"
        if sectors and sector is not None:
            where += f" sector {sector}"
        for key, value in json.loads(more or "{}").items():
            where += value if key == "ends" else f"{key} {value}"
        names.append(f"{where} {link}".strip())
    return names
