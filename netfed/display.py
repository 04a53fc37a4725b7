"""What a run looks like on a terminal: a line while it runs, a summary when it has ended."""

from __future__ import annotations

import math
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from netfed.amounts import duration, number, size
from netfed.findings import TIE, Line, facts, foreseen, standing, title
from netfed.progress import Progress
from netfed.results import Headline, Results

if TYPE_CHECKING:
    from netfed.forecast import Forecast

_WIDTH = 80
_LABEL = 13
_PLAIN_EVERY_S = 5.0


class ProgressLine:
    """Shows on stderr how far a run has come: one line that moves, or, where there is no terminal, one now and then.

    Use it as a context manager, and call it after each window.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, SpinnerColumn, TextColumn
        from rich.progress import Progress as Bar

        console = Console(stderr=True)
        columns = SpinnerColumn(), BarColumn(bar_width=10), TextColumn("{task.description}")
        self._bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("loading, preparing the first round", total=None)
        self._began_s: float | None = None
        self._began_round = 0
        self._printed_s = time.monotonic()

    def __call__(self, progress: Progress) -> None:
        """Show it."""
        now_s = time.monotonic()
        if self._began_s is None:
            self._began_s, self._began_round = now_s, progress.version
        done, left = progress.version - self._began_round, progress.versions - progress.version
        eta_s = (now_s - self._began_s) / done * left if done else None
        line = progress_line(progress, eta_s)
        self._bar.update(self._task, description=line, completed=progress.version, total=progress.versions)
        if self._bar.disable and (now_s - self._printed_s >= _PLAIN_EVERY_S or not left):
            print(line, file=sys.stderr, flush=True)
            self._printed_s = now_s

    def __enter__(self) -> ProgressLine:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()


def progress_line(progress: Progress, eta_s: float | None) -> str:
    """Return at most 65 characters."""
    name, value = progress.metric
    parts = [
        f"{progress.version}/{progress.versions}",
        f"t {duration(progress.t_s)}",
        *([] if value is None else [f"{name} {number(value)}"]),
        size(progress.bits),
        f"{progress.lost} lost",
    ]
    if eta_s is not None and progress.version < progress.versions:
        parts.append(f"{duration(eta_s)} left")
    return " · ".join(parts)


def summary(results: Results) -> str:
    """Return the summary of a run, as far as it has come: at most 80 columns wide."""
    told = [line for label, text in facts(results).items() for line in _labelled(label, text)]
    if results.summary is None:
        return "\n".join([title(results), "", *told, *_curve(results)])
    lines = standing(results)
    found = [results.metric, *_bars(lines), *_curve(results), ""] if lines else []
    return "\n".join([title(results), "", *found, *told])


def prospect(forecast: Forecast) -> str:
    """Return what a run will come to: at most 80 columns wide."""
    told = [line for label, text in foreseen(forecast).items() for line in _labelled(label, text)]
    title = f"{forecast.name} · {forecast.scheme} · seed {forecast.seed} · dry run: nothing was trained"
    return "\n".join([title, "", *told])


def listing(headlines: Sequence[Headline]) -> str:
    """Return a table of runs, a line each."""
    head = ("run", "state", "scheme", "seed", "round", "metric", "simulated", "sent")
    rows = [head, *map(_cells, headlines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _cells(headline: Headline) -> list[str]:
    seed = "-" if headline.seed is None else str(headline.seed)
    cells = [headline.run.name, headline.state, headline.scheme or "-", seed]
    if (progress := headline.progress) is None:
        return [*cells, "-", "-", "-", "-"]
    name, value = progress.metric
    far = f"{progress.version}/{progress.versions}"
    metric = "-" if value is None else f"{name} {number(value)}"
    return [*cells, far, metric, duration(progress.t_s), size(progress.bits)]


def _bars(lines: Sequence[Line]) -> Iterator[str]:
    pad = max(_LABEL - 2, *(len(line.name) + 1 for line in lines))
    digits = max(len(number(line.value)) for line in lines)
    for line in lines:
        bar = "━" * round(20 * line.share)
        yield f"  {line.name:<{pad}}{number(line.value):>{digits}}  {bar:<20}  {line.remark}".rstrip()


def _curve(results: Results, width: int = 60) -> list[str]:
    values = list(filter(math.isfinite, results.numbers(results.metric)))
    if len(values) < 3 or min(values) == max(values):
        return []
    count = min(width, len(values))
    shown = [values[index * (len(values) - 1) // (count - 1)] for index in range(count)]
    low, high = min(values), max(values)
    marks = "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * (value - low) / (high - low)))] for value in shown)
    return _labelled("by round", marks)


def _labelled(label: str, text: str) -> list[str]:
    first, *rest = (line.replace(TIE, " ") for line in textwrap.wrap(text, _WIDTH - _LABEL) or [""])
    return [f"{label:<{_LABEL}}{first}", *(" " * _LABEL + line for line in rest)]
