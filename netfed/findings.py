"""What a run has found, in words: the terminal and the report say the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from netfed.amounts import duration, energy, number, size
from netfed.results import Results

if TYPE_CHECKING:
    from netfed.forecast import Forecast

_TRAININGS = {"update": "for updates", "reference": "for reference lines", "pretrained": "before version 0"}

TIE = "\u00a0"
"""A space at which lines are not broken."""


class Line(NamedTuple):
    """A result, or a line that it is read against.

    Attributes:
        name: Of the scheme or the reference line.
        value: Of the metric; minus infinity if there is none.
        share: Of the highest line, from 0 to 1.
        remark: How far the result is from here; for the result itself, from where it came.
    """

    name: str
    value: float
    share: float
    remark: str


def title(results: Results) -> str:
    """Return the name of the run, its scheme and its seed."""
    return f"{results.manifest.run} · {results.manifest.scheme} · seed {results.manifest.seed}"


def standing(results: Results) -> list[Line]:
    """Return the result among its reference lines, the highest first; nothing before the run has finished, nor of one
    in which nothing was evaluated.
    """
    if results.summary is None:
        return []
    scheme, metric, references = results.manifest.scheme, results.summary["metric"], results.summary["references"]
    if metric["last"] is None and not references:
        return []
    last = -math.inf if metric["last"] is None else metric["last"]
    values = {**references, scheme: last}
    remarks = {name: _distance(metric["name"], last - value, scheme) for name, value in references.items()}
    remarks[scheme] = f"first {number(metric['first'])}, best {number(metric['best'])}"
    top = max(filter(math.isfinite, values.values()), default=0.0)
    ranked = sorted(values.items(), key=lambda line: -line[1])
    return [Line(name, value, _share(value, top), remarks[name]) for name, value in ranked]


def facts(results: Results) -> dict[str, str]:
    """Return label and text of all else there is to say, as far as the run has come."""
    found = _finished(results.summary) if results.summary else _unfinished(results)
    return {label: text for label, text in found.items() if text}


def foreseen(forecast: Forecast) -> dict[str, str]:
    """Return label and text of all that can be said before a run."""
    trainings = {_TRAININGS[kind]: count for kind, count in forecast.trainings.items()}
    memory = {
        "model": forecast.model_bytes,
        "frozen part": forecast.frozen_bytes,
        "data": forecast.data_bytes,
        "values at once": forecast.values_bytes,
    }
    found = {
        **_simulated(asdict(forecast), f"about {duration(forecast.wall_s)} to compute here"),
        "trainings": _counted(f"{sum(trainings.values())} to do", trainings)
        + (f"; {forecast.reused} more are spared by the store" if forecast.reused else ""),
        "memory": _counted(f"about {size(8 * forecast.memory_bytes)}", memory, lambda count: size(8 * count)),
    }
    return {label: text for label, text in found.items() if text}


def _finished(outcome: Mapping[str, Any]) -> dict[str, str]:
    jobs, model = outcome["jobs"], outcome["model_digest"]
    values = f", {duration(outcome['torch_s'])} CPU" if outcome["torch_s"] else ""
    return {
        **_simulated(outcome, f"{duration(outcome['wall_s'])} to compute{values}"),
        "quarantined": _counted("", outcome.get("quarantined", {})),
        "trainings": _counted(f"{jobs['planned']} planned", _without(jobs, "planned")) if jobs["planned"] else "",
        "digest": outcome["digest"][:16] + (f", final model {model[:16]}" if model else ""),
    }


def _simulated(outcome: Mapping[str, Any], computing: str) -> dict[str, str]:
    bits, updates, energy_j = outcome["bits"], outcome["updates"], outcome.get("energy_parts_j", {})
    rounds = f"{duration(outcome['sim_time_s'])} simulated in {outcome['rounds']} rounds"
    if idle := outcome.get("rounds_without_updates"):
        rounds += f", of which {idle} brought no update"
    sent = ", ".join(f"{size(bits[way])} {way}" for way in ("up", "down", "backhaul"))
    return {
        "time": f"{rounds}; {computing}",
        "sent": sent + (f"; of this {size(bits['lost'])} in vain" if bits["lost"] else ""),
        "energy": _counted(energy(outcome["energy_j"]), _without(energy_j, "cloud"), energy),
        "cloud": energy(energy_j["cloud"]) if energy_j.get("cloud") else "",
        "updates": _counted(f"{updates['selected']} selected", _without(updates, "selected")),
        "devices": _devices(outcome.get("devices", {})),
        "lost to": _counted("", _without(outcome["losses"], "late", "dismissed")),
    }


def _devices(counts: Mapping[str, int]) -> str:
    """Return what became of devices, if there is anything to say of it."""
    words = {"refused": "with too little memory", "emptied": "emptied their batteries"}
    told = [f"{counts[name]} {text}" for name, text in words.items() if counts.get(name)]
    return f"{counts['registered']} registered: {', '.join(told)}" if told else ""


def _unfinished(results: Results) -> dict[str, str]:
    head = {"state": results.state, "because": results.status["error"]}
    if (progress := results.progress) is None:
        return head
    name, value = progress.metric
    return {
        **head,
        "round": f"{progress.version} of {progress.versions}",
        "time": f"{duration(progress.t_s)} simulated",
        name: "" if value is None else number(value),
        "sent": f"{size(progress.bits)} up and down",
        "lost": f"{progress.lost} update{'' if progress.lost == 1 else 's'}",
    }


def _share(value: float, top: float) -> float:
    return max(value / top, 0.0) if top > 0 and math.isfinite(value) else 0.0


def _distance(metric: str, gain: float, scheme: str) -> str:
    if not math.isfinite(gain):
        return ""
    amount = f"{abs(gain) * 100:.1f} points" if metric == "accuracy" else number(abs(gain))
    return f"{scheme} is {amount} {'above' if gain >= 0 else 'below'}"


def _counted(total: str, amounts: Mapping[str, Any], unit: Callable[[Any], str] = str) -> str:
    """``total: amount name, ...``, the largest first, zeros left out; an amount and its name stay on one line."""
    ranked = sorted(((name, amount) for name, amount in amounts.items() if amount), key=lambda item: -item[1])
    items = (f"{unit(amount)} {name}".replace(" ", TIE) for name, amount in ranked)
    return ": ".join(filter(None, [total, ", ".join(items)]))


def _without(amounts: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: amount for name, amount in amounts.items() if name not in names}
