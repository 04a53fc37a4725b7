"""A run as one web page that opens without a network: everything is in the file, and nothing is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, Literal

from netfed import charts, findings
from netfed.amounts import number
from netfed.results import Results

_COSTS: tuple[Literal["time", "bytes", "energy"], ...] = ("time", "bytes", "energy")
_WIDE = {"utilisation", "timeline"}


def page(results: Results) -> str:
    """Return the report of a run, as far as it has come, as HTML.

    Raises:
        RunFolderError: A file of the run is missing or damaged.
    """
    from plotly.offline import get_plotlyjs

    drawn = _drawn(results)
    figures = {name: figure for name, figure in drawn.items() if figure.data}
    template = Template((files("netfed") / "report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(findings.title(results)),
        standing=_standing(results),
        facts=_table(findings.facts(results)),
        panels=_panels(figures),
        absent=_absent(figure for figure in drawn.values() if not figure.data),
        scenario=escape(results.scenario),
        origin=_table(_origin(results)),
        plotly=get_plotlyjs(),
        figures=_script(figures),
    )


def _drawn(results: Results) -> dict[str, Any]:
    """Return all figures by name; none of the metric if rounds have ended and none was evaluated."""
    never_evaluated = results.metric and not any(map(math.isfinite, results.numbers(results.metric)))
    return {
        **{over: charts.metric(results, over=over) for over in _COSTS if not never_evaluated},
        "losses": charts.losses(results),
        "utilisation": charts.utilisation(results),
        "timeline": charts.timeline(results),
    }


def _standing(results: Results) -> str:
    rows = "\n".join(
        f'<tr><td>{escape(line.name)}</td><td class="value">{number(line.value)}</td>'
        f'<td><div class="bar" style="width: {100 * line.share:.1f}%"></div>'
        f'<div class="remark">{escape(line.remark)}</div></td></tr>'
        for line in findings.standing(results)
    )
    return f"<h2>{escape(results.metric)}</h2>\n<table>{rows}</table>" if rows else ""


def _table(facts: Mapping[str, object]) -> str:
    rows = "\n".join(f"<tr><td>{escape(name)}</td><td>{escape(str(fact))}</td></tr>" for name, fact in facts.items())
    return f"<table>{rows}</table>"


def _panels(figures: Mapping[str, Any]) -> str:
    """Return the places of figures, two side by side: one that is left over is as wide as those that need it."""
    halves = [name for name in figures if name not in _WIDE]
    wide = {*_WIDE, *(halves[-1:] if len(halves) % 2 else ())}
    return "\n".join(_panel(name, figure, name in wide) for name, figure in figures.items())


def _panel(name: str, figure: Any, wide: bool) -> str:
    """Move the title of a figure above it, where it can wrap."""
    caption = figure.layout.title.text
    figure.update_layout(title=None)
    kind = ' class="wide"' if wide else ""
    return f'<figure{kind}><figcaption>{caption}</figcaption><div id="{name}"></div></figure>'


def _absent(figures: Iterable[Any]) -> str:
    """Say of figures that have nothing to show why, once each."""
    reasons = dict.fromkeys(figure.layout.title.text for figure in figures)
    return "\n".join(f'<p class="remark">{reason}</p>' for reason in reasons)


def _script(figures: Mapping[str, Any]) -> str:
    """Return the figures as one object; plotly writes ``<`` so that no text in it ends the script."""
    return "{" + ", ".join(f'"{name}": {figure.to_json()}' for name, figure in figures.items()) + "}"


def _origin(results: Results) -> dict[str, object]:
    manifest, summary = results.manifest, results.summary or {}
    digests = {name.replace("_", " "): summary[name] for name in ("digest", "model_digest") if name in summary}
    return {**manifest.fingerprint, "scenario digest": manifest.scenario_digest, **digests}
