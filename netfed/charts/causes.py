"""What was lost, and why."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from netfed.charts.style import PALETTE, blank, figure

if TYPE_CHECKING:
    from netfed.results import Results

_PATTERNS = ("", "/", "x", ".")
_MOST_BARS = 60
_EVERY_COUNT = 5


class _Bar(NamedTuple):
    """One bar: where it stands, how it is called, and how often each cause struck."""

    place: float | str
    name: str
    causes: Counter[str]


def losses(*runs: Results) -> Any:
    """Draw how many participations came to nothing, and why: those of one run by round, those of several in all.

    Args:
        runs: At least one.

    Returns:
        A `plotly.graph_objects.Figure`: a bar a round, a series of rounds, or a run, stacked by cause.
    """
    lost = [_lost(run) for run in runs]
    if not any(lost):
        return blank("Nothing was lost." if any(run.manifest.events for run in runs) else "Nothing is recorded yet.")
    bars = _by_round(runs[0], lost[0]) if len(runs) == 1 else _by_run(runs, lost)
    totals = sum((bar.causes for bar in bars), Counter[str]())
    selected = sum(int(run.numbers("selected")[-1]) for run in runs)
    drawn = figure(
        _finding(totals, selected),
        x=_axis(runs[0]) if len(runs) == 1 else "",
        y="participations",
        height=340,
        barmode="stack",
        bargap=0.15,
    )
    for index, (cause, _) in enumerate(totals.most_common()):
        drawn.add_bar(
            x=[bar.place for bar in bars],
            y=[bar.causes[cause] for bar in bars],
            name=escape(cause),
            customdata=[escape(bar.name) for bar in bars],
            hovertemplate="%{customdata}: %{y} %{fullData.name}<extra></extra>",
            marker={
                "line": {"width": 0},
                "color": PALETTE[index % len(PALETTE)],
                "pattern": {"shape": _PATTERNS[index // len(PALETTE) % len(_PATTERNS)]},
            },
        )
    if max(bar.causes.total() for bar in bars) <= _EVERY_COUNT:
        drawn.update_yaxes(dtick=1)  # there are no half participations
    return drawn


def _finding(totals: Counter[str], selected: int) -> str:
    (cause, times), *_ = totals.most_common()
    return escape(f"{totals.total()} of {selected} participations came to nothing, {times} of them: {cause}")


def _lost(run: Results) -> list[tuple[float, str]]:
    """When each was lost, and why; an update that arrived has a cause if it was quarantined."""
    table = run.events("lost", "arrival")
    causes = table["cause"].to_pylist() if "cause" in table.column_names else [None] * len(table)
    return [(t_s, cause) for t_s, cause in zip(table["t_s"].to_pylist(), causes, strict=True) if cause is not None]


def _by_run(runs: Sequence[Results], lost: Sequence[list[tuple[float, str]]]) -> list[_Bar]:
    names = [run.manifest.run for run in runs]
    return [_Bar(name, name, Counter(cause for _, cause in those)) for name, those in zip(names, lost, strict=True)]


def _by_round(run: Results, lost: list[tuple[float, str]]) -> list[_Bar]:
    """Count in the round at whose end, or before, it was lost; many rounds share a bar."""
    ends_s = run.numbers("t_s")
    last = len(ends_s) - 1
    share = _rounds_to_a_bar(run)
    bars = []
    for first in range(1, last + 1, share):
        end = min(first + share - 1, last)
        bars.append(_Bar((first + end) / 2, _named(first, end), Counter()))
    for time_s, cause in lost:
        index = min(max(bisect_left(ends_s, time_s), 1), last)
        bars[(index - 1) // share].causes[cause] += 1
    return bars


def _rounds_to_a_bar(run: Results) -> int:
    return math.ceil(max(len(run.numbers("t_s")) - 1, 1) / _MOST_BARS)


def _axis(run: Results) -> str:
    share = _rounds_to_a_bar(run)
    return "round" if share == 1 else f"round ({share} to a bar)"


def _named(first: int, last: int) -> str:
    return f"round {first}" if first == last else f"rounds {first} to {last}"
