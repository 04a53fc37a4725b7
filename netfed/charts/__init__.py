"""Run folders as plotly figures: titles say what was found, axes carry units, hovering shows the rest.

A figure with nothing to show says so in its title. Texts that come from files are escaped: plotly reads tags in them.
"""

from netfed.charts.causes import losses
from netfed.charts.curves import metric
from netfed.charts.links import utilisation
from netfed.charts.rounds import timeline

__all__ = ["losses", "metric", "timeline", "utilisation"]
