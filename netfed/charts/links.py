"""How busy links were."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from netfed.amounts import DURATIONS, duration, size, unit
from netfed.charts.style import blank, figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netfed.results import Results
    from netfed.utilisation import Floats, LinkHistory

_SHADES = [[0.0, "rgba(0,114,178,0.06)"], [1.0, "rgba(0,114,178,1)"]]
_ROW_PX, _AXES_PX = 20, 110


def utilisation(results: Results, most: int = 12) -> Any:
    """Draw how busy links were: a row a link, the busiest at the top, a field an interval, the darker the busier.

    Args:
        results: Of one run.
        most: Links shown: the busiest.

    Returns:
        A `plotly.graph_objects.Figure`.
    """
    from netfed.utilisation import utilisation

    edges_s, links = utilisation(results)
    if not links:
        missing = "How busy links were was not recorded (network.meter)."
        return blank(missing if results.manifest.events else "Nothing is recorded yet.")
    shown = links[most - 1 :: -1]
    in_unit = unit(float(edges_s[-1]), DURATIONS, at_least=2)
    drawn = figure(_finding(links, len(shown)), x=f"simulated time ({in_unit})", height=_AXES_PX + _ROW_PX * len(shown))
    drawn.add_heatmap(
        x=(edges_s / DURATIONS[in_unit]).tolist(),
        y=[escape(link.name) for link in shown],
        z=[(100 * link.busy).tolist() for link in shown],
        customdata=[list(_said(edges_s, link)) for link in shown],
        hovertemplate="%{customdata}<extra></extra>",
        zmin=0,
        zmax=100,
        ygap=2,
        colorscale=_SHADES,
        colorbar={
            "orientation": "h",
            "y": 1.0,
            "yanchor": "bottom",
            "x": 0.0,
            "xanchor": "left",
            "len": 0.5,
            "thickness": 8,
            "outlinewidth": 0,
            "ypad": 4,
            "tickvals": [0, 100],
            "ticktext": ["idle", "busy"],
            "tickangle": 0,
        },
    )
    drawn.update_yaxes(type="category", dtick=1, showgrid=False)
    return drawn


def _said(edges_s: Floats, link: LinkHistory) -> Iterator[str]:
    fields = zip(edges_s, edges_s[1:], link.busy, link.rate_bps, link.transfers, link.backlog_bits, strict=False)
    for begin_s, end_s, busy, rate_bps, transfers, backlog_bits in fields:
        yield "<br>".join(
            [
                f"{escape(link.name)}, {duration(begin_s)} to {duration(end_s)}",
                f"busy {_share(busy)}",
                f"{rate_bps / 1e6:.3g} Mbit/s",
                f"up to {transfers} transfers with {size(backlog_bits)} to go",
            ]
        )


def _share(busy: float) -> str:
    """Say how busy a link was: beyond all of the time where transfers do not slow each other down."""
    return f"{100 * busy:.0f} % of the time" if busy <= 1.005 else f"{busy:.3g} times over"


def _finding(links: list[LinkHistory], shown: int) -> str:
    first, *_ = links
    most = f"{escape(first.name)}, {_share(first.mean_busy)}"
    left_out = f" ({shown} of {len(links)} links are shown)" if shown < len(links) else ""
    return f"Busiest: {most}{left_out}"
