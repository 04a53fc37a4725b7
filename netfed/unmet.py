"""Keys that nothing met in a run: what happened shows that with another value it would have gone the same way."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

from netfed.network.backhaul import base_stations
from netfed.network.cellular import Cellular
from netfed.network.mobility.handover import Handover
from netfed.streams import Streams

if TYPE_CHECKING:
    from netfed.network.course import Change
    from netfed.network.outages import Outages
    from netfed.network.thermal import Thermal
    from netfed.network.traffic import Direction
    from netfed.scenario import Scenario

KINDS = ("transfer", "compute", "handover", "promotion")
"""Of the rows that tell."""

_ROUNDING = 1e-9
_OF_A_HANDOVER = ("offset", "hysteresis", "interruption", "transfers")
_DIRECTIONS: tuple[Direction, ...] = ("uplink", "downlink")
_FAILURE = "radio-link-failure"

Span = tuple[float, float]
"""When something began, and when it ended."""


@dataclass(frozen=True)
class Happened:
    """What happened in a run.

    Attributes:
        rows: Of the `KINDS`, by kind, in order of time.
        end_s: When the run ended, or how far it has come.
        summary: Of the run; None while there is none.
    """

    rows: dict[str, list[dict[str, Any]]]
    end_s: float
    summary: dict[str, Any] | None

    def transfers(self) -> dict[tuple[str, int], list[Span]]:
        """Return when bits were under way, by link and base station, in the order in which they began."""
        spans: dict[tuple[str, int], list[Span]] = defaultdict(list)
        for row in self.rows["transfer"]:
            spans[row["link"], row["cell"]].append((row["start_s"], row["t_s"]))
        return {where: sorted(these) for where, these in spans.items()}


def unmet(scenario: Scenario, happened: Happened) -> Iterator[tuple[str, str]]:
    """Yield each key that is set and that nothing met, and what shows it."""
    devices, network, summary = scenario.devices, scenario.network, happened.summary
    if devices.thermal is not None and not _throttled(devices.thermal, happened.rows["compute"]):
        yield "devices.thermal", "no device computed for so long that it was throttled"
    if summary is not None:
        if devices.memory is not None and summary["devices"]["refused"] == 0:
            yield "devices.memory", "it refused nobody"
        if devices.radio is not None and not summary["energy_parts_j"]["tail"] and not happened.rows["promotion"]:
            yield "devices.radio", "no radio was promoted, and no tail drew power"
    transfers = happened.transfers()
    went = {link for link, _ in transfers}
    ways: dict[str, set[str]] = defaultdict(set)
    for path, direction in devices.traced():
        ways[".".join(map(str, path))].add(direction)
    for key, directions in ways.items():
        if not directions & went:
            yield key, "nobody transferred in this direction"
    for index, outages in enumerate(network.outages):
        if not _hit(scenario, index, outages, happened.end_s, transfers):
            yield f"network.outages.{index}", "none was while anything was under way"
    if isinstance(network, Cellular):
        yield from _of_radio(network, happened, transfers)
    else:
        yield from _of_cells(scenario, transfers)


def _of_radio(
    network: Cellular, happened: Happened, transfers: dict[tuple[str, int], list[Span]]
) -> Iterator[tuple[str, str]]:
    changes = {row.get("cause") for row in happened.rows["handover"]}
    for key in _OF_A_HANDOVER if not changes - {_FAILURE} else ():
        if getattr(network.handover, key) != getattr(Handover(), key):
            yield f"network.handover.{key}", "no device was handed over"
    if network.handover.failure not in (None, Handover().failure) and _FAILURE not in changes:
        yield "network.handover.failure", "no device lost its cell"
    if network.scheduler != "round-robin" and not any(map(_meet, transfers.values())):
        yield "network.scheduler", "no two transfers of a base station were under way at the same time"


def _of_cells(scenario: Scenario, transfers: dict[tuple[str, int], list[Span]]) -> Iterator[tuple[str, str]]:
    """Yield what is about cells in which nothing was under way: there, nobody feels who else takes airtime."""
    network, nothing = scenario.network, "nothing was under way there"
    places = [(direction, cell) for direction in _DIRECTIONS for link, cell in transfers if link == direction]
    for index, trace in enumerate(network.traces):
        if not any(trace.leads(direction, cell) for direction, cell in places):
            yield f"network.traces.{index}", nothing
    for index, background in enumerate(network.every_background):
        if not any(background.takes(direction, cell) for direction, cell in places):
            yield "network.background" + (f".{index}" if isinstance(network.background, tuple) else ""), nothing


def _throttled(thermal: Thermal, computations: Sequence[dict[str, Any]]) -> bool:
    """Return whether any device computed for longer than it can at full speed, after what it had computed before."""
    last: dict[int, tuple[float, float]] = {}
    for row in sorted(computations, key=lambda row: row["start_s"]):
        device, start_s, duration_s = row["device"], row["start_s"], row["t_s"] - row["start_s"]
        ended_s, left_s = last.get(device, (-math.inf, thermal.onset))
        full_s = thermal.full_speed_s(start_s - ended_s, left_s)
        if duration_s > full_s * (1 + _ROUNDING):
            return True
        last[device] = row["t_s"], max(0.0, full_s - duration_s)
    return False


def _meet(spans: Sequence[Span]) -> bool:
    """Return whether any two of some spans, in the order in which they begin, overlap."""
    return any(start_s < end_s for (_, end_s), (start_s, _) in pairwise(spans))


def _hit(
    scenario: Scenario,
    number: int,
    outages: Outages,
    end_s: float,
    transfers: dict[tuple[str, int], list[Span]],
) -> bool:
    """Return whether outages may have made a difference: one was while anything was under way in its cell.

    Those of links, and of cells that interfere, count if they were before the end at all.
    """
    streams = Streams(scenario.seed)
    spans: dict[int, list[Span]] = defaultdict(list)
    for (link, cell), these in transfers.items():
        if link in _DIRECTIONS:
            spans[cell] += these
    if isinstance(scenario.network, Cellular):
        sites = len(base_stations(scenario.topology.graph()))
        spans = {cell: [(0.0, end_s)] for cell in range(sites * scenario.network.cells)}
    for cell, these in spans.items():
        if outages.hits_cell(cell) and _overlap(outages.of_cell(streams, number, cell), these, end_s):
            return True
    edges = enumerate(scenario.topology.graph().edges) if outages.links else ()
    hit = (link for link, ends in edges if outages.hits_link(ends))
    return any(_overlap(outages.of_link(streams, number, link), [(0.0, end_s)], end_s) for link in hit)


def _overlap(changes: Iterator[Change], spans: Sequence[Span], end_s: float) -> bool:
    """Return whether any of some spans is, for a time, while a share of 0 is left."""
    ordered = sorted(spans)
    starts_s, ends_s = [start_s for start_s, _ in ordered], [*accumulate((end for _, end in ordered), max)]
    begin_s: float | None = None
    for moment_s, share in changes:
        if begin_s is not None:
            begun = bisect_left(starts_s, moment_s)
            if begun and ends_s[begun - 1] > begin_s:
                return True
        if moment_s >= end_s:
            return False
        begin_s = moment_s if share == 0 else None
    return begin_s is not None and bool(ends_s) and ends_s[-1] > begin_s
