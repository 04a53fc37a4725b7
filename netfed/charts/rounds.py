"""Who did what when, while one version of the model was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from netfed.amounts import DURATIONS, duration, energy, size, unit
from netfed.charts.style import BLUE, GREEN, GREY, ORANGE, SKY, VERMILION, blank, figure

if TYPE_CHECKING:
    from netfed.results import Results

_KINDS = ("transfer", "reception", "compute")
_PHASES = {"downlink": "download", "uplink": "upload"}
_COLOURS = {"download": SKY, "compute": ORANGE, "upload": BLUE}
_ROW_PX, _AXES_PX = 17, 130


class _Round(NamedTuple):
    version: int
    begin_s: float
    end_s: float


class _Span(NamedTuple):
    """What a device did for a while; ``cause`` is why it came to nothing, if it did."""

    device: int
    phase: str
    start_s: float
    end_s: float
    cause: str
    said: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> _Span:
        link = row.get("link")
        phase = _PHASES.get(link, link) if link else row["kind"]
        lines = [
            f"device {row['device']}: {phase}",
            duration(row["t_s"] - row["start_s"]),
            size(row["bits"]) if row.get("bits") else "",
            f"cell {row['cell']}" if row.get("cell") is not None else "",
            energy(row.get("energy_j") or 0.0),
            row.get("cause") or "",
        ]
        said = "<br>".join(escape(line) for line in lines if line)
        return cls(row["device"], phase, row["start_s"], row["t_s"], row.get("cause") or "", said)


def timeline(results: Results, version: int | None = None, most: int = 40) -> Any:
    """Draw who did what when while a version was made: a row a device, a bar a download, computation or upload.

    Bars that reach beyond the round are shown whole: asynchronous schemes have such.

    Args:
        results: Of one run.
        version: That the round made; the last by default.
        most: Devices shown. Where there are more, they are taken evenly from the first to be done to the last.

    Returns:
        A `plotly.graph_objects.Figure`.

    Raises:
        ValueError: No round has made this version.
    """
    ends_s = dict(zip(map(int, results.numbers("version")), results.numbers("t_s"), strict=True))
    if version is None and len(ends_s) < 2:
        return blank("No round has ended yet.")
    version = max(ends_s) if version is None else version
    if version - 1 not in ends_s or version not in ends_s:
        raise ValueError(f"{results.path}: no round has made version {version}")
    this = _Round(version, ends_s[version - 1], ends_s[version])
    rows = _rows(results, this)
    spans = [_Span.of(row) for row in rows if row["kind"] in _KINDS and row["start_s"] < this.end_s]
    if not spans:
        return blank(f"Round {version}: no transfer or computation that took time was recorded.")
    devices = list(dict.fromkeys(span.device for span in sorted(spans, key=lambda span: -span.end_s)))
    shown = _evenly(devices, most)
    drawn = figure(_finding(this, rows, len(shown), len(devices)), y="device", height=_AXES_PX + _ROW_PX * len(shown))
    _draw(drawn, this, [span for span in spans if span.device in set(shown)])
    drawn.update_yaxes(type="category", categoryarray=[str(device) for device in shown], dtick=1, showgrid=False)
    return drawn


def _rows(results: Results, this: _Round) -> list[dict[str, Any]]:
    """The events of devices that ended after the round began, and began no later than it ended."""
    import pyarrow.compute as pc

    table = results.events(*_KINDS, "arrival", "lost")
    if not {"start_s", "device"} <= set(table.column_names):
        return []
    begin_s = pc.coalesce(table["start_s"], table["t_s"])
    within = pc.and_(pc.greater(table["t_s"], this.begin_s), pc.less_equal(begin_s, this.end_s))
    rows: list[dict[str, Any]] = table.filter(pc.and_(within, pc.is_valid(table["device"]))).to_pylist()
    return rows


def _evenly(devices: Sequence[int], most: int) -> list[int]:
    count = min(most, len(devices))
    return [devices[index * (len(devices) - 1) // max(count - 1, 1)] for index in range(count)]


def _finding(this: _Round, rows: Sequence[dict[str, Any]], shown: int, devices: int) -> str:
    ends = Counter(row.get("cause") or "arrived" for row in rows if row["kind"] in ("arrival", "lost"))
    counts = ", ".join(f"{count} {end}" for end, count in ends.most_common()) or "no update ended"
    left_out = f" ({shown} of {devices} devices are shown)" if shown < devices else ""
    return escape(f"Round {this.version}: {counts} in {duration(this.end_s - this.begin_s)}{left_out}")


def _draw(drawn: Any, this: _Round, spans: Sequence[_Span]) -> None:
    in_unit = unit(this.end_s - this.begin_s, DURATIONS, at_least=2)

    def place(time_s: float) -> float:
        return time_s / DURATIONS[in_unit]

    for phase in dict.fromkeys([*_COLOURS, *(span.phase for span in spans)]):
        chosen = [span for span in spans if span.phase == phase]
        drawn.add_bar(
            base=[place(span.start_s - this.begin_s) for span in chosen],
            x=[place(span.end_s - span.start_s) for span in chosen],
            y=[str(span.device) for span in chosen],
            name=escape(phase),
            customdata=[span.said for span in chosen],
            hovertemplate="%{customdata}<extra></extra>",
            orientation="h",
            marker={"color": _COLOURS.get(phase, GREEN), "line": {"width": 0}},
        )
    broken = [span for span in spans if span.cause]
    drawn.add_scatter(
        x=[place(span.end_s - this.begin_s) for span in broken],
        y=[str(span.device) for span in broken],
        name="lost",
        customdata=[span.said for span in broken],
        hovertemplate="%{customdata}<extra></extra>",
        mode="markers",
        marker={"color": VERMILION, "symbol": "x", "size": 8},
    )
    for time_s in (this.begin_s, this.end_s):
        drawn.add_vline(x=place(time_s - this.begin_s), line={"color": GREY, "width": 1, "dash": "dot"})
    drawn.update_layout(barmode="overlay", xaxis_title=f"time in the round ({in_unit})")
