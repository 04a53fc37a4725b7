"""What a run looks like on a terminal: a line while it runs, a summary when it has ended."""

from __future__ import annotations

import math
import sys
import textwrap
import time
from collections.abc import Callable, Iterable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from netfed.results import Results

if TYPE_CHECKING:
    from netfed.experiment import Progress

_WIDTH = 80
_LABEL = 13
_TIE = "\u00a0"
"""Lines are not broken here."""
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
        self._task = self._bar.add_task("loading PyTorch, preparing the first round", total=None)
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
        f"{name} {number(value)}",
        size(progress.bits),
        f"{progress.lost} lost",
    ]
    if eta_s is not None and progress.version < progress.versions:
        parts.append(f"{duration(eta_s)} left")
    return " · ".join(parts)


def summary(results: Results) -> str:
    """Return the summary of a run, as far as it has come: at most 80 columns wide."""
    title = f"{results.manifest.run} · {results.manifest.scheme} · seed {results.manifest.seed}"
    paragraphs = _finished(results, results.summary) if results.summary else _unfinished(results)
    return "\n".join([title, "", *paragraphs])


def size(bits: float) -> str:
    """Return an amount of data in decimal units of bytes: ``12.3 MB``."""
    return _scaled(bits / 8, ["B", "kB", "MB", "GB", "TB", "PB"])


def energy(joules: float) -> str:
    """Return an energy: ``1.94 kJ``."""
    return _scaled(joules * 1000, ["mJ", "J", "kJ", "MJ", "GJ"]) if joules else "0 J"


def duration(seconds: float) -> str:
    """Return a duration: ``41 min 12 s``."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.{0 if seconds >= 0.1 else 1}f} ms"
    if seconds < 10:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours:02} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {whole % 60:02} s" if minutes else f"{whole} s"


def number(value: float | None) -> str:
    """Return a metric: three decimals, or four digits if it is large; a dash if there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.4g}"


def _finished(results: Results, outcome: Mapping[str, Any]) -> list[str]:
    bits, updates, jobs, losses = (outcome[name] for name in ("bits", "updates", "jobs", "losses"))
    energy_j = outcome.get("energy_parts_j", {})
    sent = ", ".join(f"{size(bits[way])} {way}" for way in ("up", "down", "backhaul"))
    lines = {
        "time": f"{duration(outcome['sim_time_s'])} simulated in {outcome['rounds']} rounds;"
        f" {duration(outcome['wall_s'])} to compute, {duration(outcome['torch_s'])} CPU",
        "sent": sent + (f"; of this {size(bits['lost'])} in vain" if bits["lost"] else ""),
        "energy": _counted(energy(outcome["energy_j"]), _without(energy_j, "cloud"), energy),
        "cloud": energy(energy_j.get("cloud", 0.0)) if energy_j.get("cloud") else "",
        "updates": _counted(f"{updates['selected']} selected", _without(updates, "selected")),
        "lost to": _counted("", _without(losses, "late", "dismissed")),
        "trainings": _counted(f"{jobs['planned']} planned", _without(jobs, "planned")),
        "digest": f"{outcome['digest'][:16]}, final model {outcome['model_digest'][:16]}",
    }
    return [
        *_compared(results.manifest.scheme, outcome["metric"], outcome["references"]),
        *_curve(results, outcome["metric"]["name"]),
        "",
        *(line for label, text in lines.items() if text for line in _labelled(label, text)),
    ]


def _unfinished(results: Results) -> list[str]:
    progress, error = results.status["progress"], results.status["error"]
    lines = _labelled("state", results.state)
    if error:
        lines += _labelled("because", error)
    if progress:
        name, value = progress["metric"]
        lines += [
            *_labelled("round", f"{progress['version']} of {progress['versions']}"),
            *_labelled("time", f"{duration(progress['t_s'])} simulated"),
            *_labelled(name, number(value)),
            *_curve(results, name),
            *_labelled("sent", f"{size(progress['bits'])} up and down"),
            *_labelled("lost", f"{progress['lost']} update{'' if progress['lost'] == 1 else 's'}"),
        ]
    return lines


def _compared(scheme: str, metric: Mapping[str, Any], references: Mapping[str, float]) -> list[str]:
    """The result among its reference lines, highest first, each with its distance to the result."""
    last = -math.inf if metric["last"] is None else metric["last"]
    lines = {**references, scheme: last}
    names = sorted(lines, key=lambda name: lines[name], reverse=True)
    pad = max(_LABEL - 2, *(len(name) + 1 for name in names))
    digits = max(len(number(value)) for value in lines.values())
    rows = [metric["name"]]
    for name in names:
        remark = f"first {number(metric['first'])}, best {number(metric['best'])}"
        if name != scheme:
            remark = _distance(metric["name"], last - lines[name], scheme)
        rows.append(
            f"  {name:<{pad}}{number(lines[name]):>{digits}}  {_bar(lines[name], lines.values())}  {remark}".rstrip()
        )
    return rows


def _distance(metric: str, gain: float, scheme: str) -> str:
    if not math.isfinite(gain):
        return ""
    amount = f"{abs(gain) * 100:.1f} points" if metric == "accuracy" else number(abs(gain))
    return f"{scheme} is {amount} {'above' if gain >= 0 else 'below'}"


def _bar(value: float, values: Iterable[float], width: int = 20) -> str:
    top = max((other for other in values if math.isfinite(other)), default=0.0)
    share = value / top if top > 0 and math.isfinite(value) else 0.0
    return ("━" * round(width * max(share, 0.0))).ljust(width)


def _curve(results: Results, name: str, width: int = 60) -> list[str]:
    values = [float(value) for value in results.rounds.get(name, []) if isinstance(value, float | int)]
    values = [value for value in values if math.isfinite(value)]
    if len(values) < 3 or min(values) == max(values):
        return []
    count = min(width, len(values))
    shown = [values[index * (len(values) - 1) // (count - 1)] for index in range(count)]
    low, high = min(values), max(values)
    marks = "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * (value - low) / (high - low)))] for value in shown)
    return _labelled("by round", marks)


def _labelled(label: str, text: str) -> list[str]:
    first, *rest = (line.replace(_TIE, " ") for line in textwrap.wrap(text, _WIDTH - _LABEL) or [""])
    return [f"{label:<{_LABEL}}{first}", *(" " * _LABEL + line for line in rest)]


def _counted(total: str, amounts: Mapping[str, Any], unit: Callable[[Any], str] = str) -> str:
    """``total: amount name, ...``, the largest first, zeros left out."""
    ranked = sorted(((name, amount) for name, amount in amounts.items() if amount), key=lambda item: -item[1])
    items = (f"{unit(amount)} {name}".replace(" ", _TIE) for name, amount in ranked)
    return ": ".join(filter(None, [total, ", ".join(items)]))


def _without(amounts: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: amount for name, amount in amounts.items() if name not in names}


def _scaled(value: float, units: list[str]) -> str:
    index = 0
    while abs(value) >= 999.5 and index < len(units) - 1:
        value /= 1000
        index += 1
    return f"{value:.3g} {units[index]}"
