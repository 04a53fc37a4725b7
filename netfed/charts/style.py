"""What all charts look like."""

from __future__ import annotations

from typing import Any

BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
PALETTE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION)
"""Six of the eight colours of Okabe and Ito, "Color Universal Design", 2008, told apart with any kind of colour vision;
yellow is left out for the sake of light pages, black for that of dark ones."""

GREY = "#888888"


def figure(title: str, x: str = "", y: str = "", **layout: Any) -> Any:
    """Return a `plotly.graph_objects.Figure` without traces, clear as glass, for pages light or dark.

    Args:
        title: What the chart shows, as a sentence, escaped.
        x: Title of the axis, with its unit.
        y: Title of the axis, with its unit.
        layout: Of plotly.
    """
    import plotly.graph_objects as go

    drawn = go.Figure()
    drawn.update_layout(
        template="plotly_white",
        title={"text": title, "automargin": True, "yref": "container", "font": {"size": 15}},
        font={"family": "system-ui, sans-serif"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom", "traceorder": "normal"},
        hoverlabel={"align": "left"},
        **layout,
    )
    drawn.update_xaxes(title=x, automargin=True, gridcolor="rgba(128,128,128,0.25)", zeroline=False)
    drawn.update_yaxes(title=y, automargin=True, gridcolor="rgba(128,128,128,0.25)", zeroline=False)
    return drawn


def blank(title: str) -> Any:
    """Return a figure that has nothing to show; its title says why."""
    drawn = figure(title, height=80)
    drawn.update_xaxes(visible=False)
    drawn.update_yaxes(visible=False)
    return drawn
