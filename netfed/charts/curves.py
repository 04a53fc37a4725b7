"""How well the model does, over what that has cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from html import escape
from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from netfed.amounts import DURATIONS, ENERGIES, SIZES, duration, energy, number, size, unit
from netfed.charts.style import GREEN, ORANGE, PALETTE, PURPLE, blank, figure

if TYPE_CHECKING:
    from netfed.results import Results

_MOST_MARKERS = 60
_DASHES = (ORANGE, "dash"), (GREEN, "dashdot"), (PURPLE, "dot")


class _Cost(NamedTuple):
    name: str
    columns: tuple[str, ...]
    units: Mapping[str, float]
    said: Callable[[float], str]
    finding: str


_COSTS = {
    "time": _Cost("simulated time", ("t_s",), DURATIONS, duration, "after {}"),
    "bytes": _Cost("sent up and down", ("bits_up", "bits_down"), SIZES, size, "with {} sent"),
    "energy": _Cost("energy of the devices", ("energy_j",), ENERGIES, energy, "with {} spent by devices"),
}


class _Point(NamedTuple):
    version: int
    value: float
    costs: dict[str, float]

    @property
    def said(self) -> str:
        costs = "<br>".join(f"{_COSTS[name].name} {_COSTS[name].said(cost)}" for name, cost in self.costs.items())
        return f"round {self.version}: {number(self.value)}<br>{costs}"


def metric(*runs: Results, over: Literal["time", "bytes", "energy"] = "time") -> Any:
    """Draw the metric of one run, or of several to compare, over what it has cost.

    Args:
        runs: At least one; the metric is that of the first.
        over: Simulated time, bytes sent up and down, or joules of the devices.

    Returns:
        A `plotly.graph_objects.Figure`, with those reference lines that all runs share.
    """
    cost, name = _COSTS[over], runs[0].metric
    curves = [_points(run, name) for run in runs]
    last = max((points[-1].costs[over] for points in curves if points), default=None)
    if last is None:
        return blank("No round has been evaluated yet.")
    in_unit = unit(last, cost.units, at_least=2)
    factor = cost.units[in_unit]
    title = _finding(runs[0], name, curves[0][-1], over) if len(runs) == 1 else escape(f"{name} over {cost.name}")
    drawn = figure(title, x=f"{cost.name} ({in_unit})", y=escape(name), height=380)
    for run, points, colour in zip(runs, curves, cycle(PALETTE), strict=False):
        drawn.add_scatter(
            x=[point.costs[over] / factor for point in points],
            y=[point.value for point in points],
            name=escape(run.manifest.scheme if len(runs) == 1 else run.manifest.run),
            text=[point.said for point in points],
            hovertemplate="%{text}",
            mode="lines+markers" if len(points) <= _MOST_MARKERS else "lines",
            line={"color": colour, "width": 2.5},
            showlegend=True,
        )
    for (label, value), (colour, dash) in zip(_shared_references(*runs), cycle(_DASHES), strict=False):
        drawn.add_scatter(
            x=[0, last / factor],
            y=[value, value],
            name=f"{escape(label)} {number(value)}",
            hovertemplate="%{fullData.name}<extra></extra>",
            mode="lines",
            line={"color": colour, "width": 1.5, "dash": dash},
        )
    return drawn


def _points(run: Results, name: str) -> list[_Point]:
    """The rounds that were evaluated."""
    costs = {
        over: [math.fsum(amounts) for amounts in zip(*map(run.numbers, cost.columns), strict=True)]
        for over, cost in _COSTS.items()
    }
    return [
        _Point(int(version), value, {over: amounts[index] for over, amounts in costs.items()})
        for index, (version, value) in enumerate(zip(run.numbers("version"), run.numbers(name), strict=True))
        if math.isfinite(value)
    ]


def _finding(run: Results, name: str, last: _Point, over: str) -> str:
    cost = _COSTS[over]
    after = cost.finding.format(cost.said(last.costs[over]))
    return escape(f"{run.manifest.scheme}: {name} {number(last.value)} {after}")


def _shared_references(*runs: Results) -> list[tuple[str, float]]:
    """The reference lines that are the same in all runs, highest first."""
    first, *others = ((run.summary or {}).get("references", {}) for run in runs)
    shared = [(name, value) for name, value in first.items() if all(other.get(name) == value for other in others)]
    return sorted(shared, key=lambda line: -line[1])
