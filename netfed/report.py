"""A run as one web page that opens without a network: everything is in the file, and nothing is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from netfed import charts, findings
from netfed.amounts import number
from netfed.results import Results


def page(results: Results) -> str:
    """Return the report of a run, as far as it has come, as HTML.

    Raises:
        RunFolderError: A file of the run is missing or damaged.
    """
    from plotly.offline import get_plotlyjs

    figures = {
        "time": charts.metric(results, over="time"),
        "bytes": charts.metric(results, over="bytes"),
        "energy": charts.metric(results, over="energy"),
        "losses": charts.losses(results),
        "utilisation": charts.utilisation(results),
        "timeline": charts.timeline(results),
    }
    template = Template((files("netfed") / "report.html").read_text(encoding="utf-8"))
    return template.substitute(
        title=escape(findings.title(results)),
        standing=_standing(results),
        facts=_table(findings.facts(results)),
        captions="\n".join(_captioned(name, figure) for name, figure in figures.items()),
        scenario=escape(results.scenario),
        origin=_table(_origin(results)),
        plotly=get_plotlyjs(),
        figures=_script(figures),
    )


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


def _captioned(name: str, figure: Any) -> str:
    """Move the title of a figure above it, where it can wrap."""
    caption = figure.layout.title.text
    figure.update_layout(title=None)
    return f'<figure><figcaption>{caption}</figcaption><div id="{name}"></div></figure>'


def _script(figures: Mapping[str, Any]) -> str:
    """Return the figures as one object; plotly writes ``<`` so that no text in it ends the script."""
    return "{" + ", ".join(f'"{name}": {figure.to_json()}' for name, figure in figures.items()) + "}"


def _origin(results: Results) -> dict[str, object]:
    manifest, summary = results.manifest, results.summary or {}
    digests = {name.replace("_", " "): summary[name] for name in ("digest", "model_digest") if name in summary}
    return {**manifest.fingerprint, "scenario digest": manifest.scenario_digest, **digests}
