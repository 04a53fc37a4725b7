"""Movements as they were recorded. Light to import: arrays come in inside methods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from netfed.files import FromFile
from netfed.network.mobility import ns2, sumo
from netfed.network.mobility.spec import Area, Mobility
from netfed.network.mobility.track import Track
from netfed.units import Seconds

if TYPE_CHECKING:
    from netfed.network.mobility.spec import Floats
    from netfed.network.mobility.trajectories import Trajectories
    from netfed.streams import Streams

_READ = {"sumo-fcd": sumo.read, "ns-2": ns2.read}
_FORMATS = {".xml": "sumo-fcd", ".tcl": "ns-2", ".ns_movements": "ns-2", ".movements": "ns-2"}


@dataclass(frozen=True)
class Movements(FromFile, Mobility, kind="trace"):
    """Devices move as those of a file did.

    Either floating car data of SUMO (``sumo --fcd-output``: XML, in metres, so without ``--fcd-output.geo``), or a
    movement file of ns-2 (``setdest``, BonnMotion's ``NSFile``, SUMO's traceExporter). Between the file's moments they
    go straight; before its first and after its last a device stands. Time 0 is the first moment of the file.

    Device 0 moves as the first in the file, device 1 as the second, ...; if there are more devices than movements, they
    begin again with the first, and share its places.

    Attributes:
        path: Of the file: a relative path starts at the folder of the scenario that names it.
        format: ``sumo-fcd`` or ``ns-2``; null: by the end of the file's name, which is ``.xml`` for the first, and
            ``.tcl``, ``.movements`` or ``.ns_movements`` for the second.
        origin: What of the file's coordinates (x and y, in metres) is 0, 0 in the topology; null: the middle of all its
            places.
        period: After which all movements begin anew: devices jump back; null: they do not.
        sha256: Of the file; filled in when it is first read.
    """

    format: Literal["sumo-fcd", "ns-2"] | None = None
    origin: tuple[float, float] | None = None
    period: Seconds | None = None

    def __post_init__(self) -> None:
        last_s = max(track[-1][0] for track in self._tracks) - self._begin_s
        if self.period is not None and not 0 < max(last_s, self.period) <= self.period < math.inf:
            raise ValueError(
                f"{self.path}: period must be more than 0 s, and no less than the {last_s:g} s of the file"
            )

    def trajectories(self, start_m: Floats, area: Area, streams: Streams) -> Trajectories:
        """Return the movements of the file; neither the area nor where devices would stand plays a part."""
        from netfed.network.mobility.recorded import Recorded

        return Recorded(self._tracks, self.origin, self._begin_s, self.period)

    @property
    def _begin_s(self) -> float:
        return min(track[0][0] for track in self._tracks)

    @cached_property
    def _tracks(self) -> list[Track]:
        data = self._bytes()
        form = self.format or _FORMATS.get(Path(self.path).suffix)
        if form is None:
            ends = ", ".join(_FORMATS)
            raise ValueError(f"{self.path}: its name ends in none of {ends}: say format: sumo-fcd or format: ns-2")
        return list(_READ[form](data, self.path).values())
