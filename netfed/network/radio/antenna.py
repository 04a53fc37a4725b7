"""Antennas of base stations: which way they send. Light to import: arrays come in inside methods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from netfed.network.radio.propagation import log10
from netfed.plugin import Plugin

if TYPE_CHECKING:
    from numpy import floating
    from numpy.typing import NDArray

    Floats = NDArray[floating[Any]]

_BEAMWIDTH_DEGREES = 65.0
_FLOOR_DB = 30.0
_ELEMENT_DBI = 8.0


class Antenna(Plugin):
    """The antennas of a base station.

    Attributes:
        sectors: How many cells a base station has.
        source: Where the pattern comes from.
    """

    sectors: int
    source: str

    def gain_db(self, east_m: Floats, north_m: Floats, rise_m: Floats) -> Floats:
        """Return the gain towards each device.

        Args:
            east_m: From the base station. [site, device]
            north_m: From the base station. [site, device]
            rise_m: From the height of the antennas. [device]

        Returns:
            [site, sector, device], or [site, 1, device] if it is the same for all.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Omnidirectional(Antenna, kind="omni"):
    """One cell all round.

    Attributes:
        gain_dbi: The same in all directions.
    """

    gain_dbi: Annotated[float, Field(ge=-30, le=60)] = 0.0
    sectors = 1
    source = "isotropic"

    def gain_db(self, east_m: Floats, north_m: Floats, rise_m: Floats) -> Floats:
        """Return the same gain towards all devices."""
        import numpy as np

        return np.full((len(east_m), 1, east_m.shape[1]), self.gain_dbi, east_m.dtype)


@dataclass(frozen=True)
class Sectors(Antenna, kind="sectors"):
    """Sectors, each a column of antenna elements half a wavelength apart: 3GPP TR 38.901, clause 7.3.

    Attributes:
        sectors: How many, evenly spread.
        elements: In each column; one has no electrical tilt.
        azimuth_degrees: Of the first sector, counter-clockwise from east. 0 points at a neighbour in a hexagonal grid,
            as where a cell is one of three hexagons around its base station: so do 3GPP's companies (see
            ``tests/theory/test_radio.py``); 30, between two neighbours, costs 0.8 dB of median geometry.
        electrical_tilt_degrees: Below the horizon: the elements' phases turn the beam.
        mechanical_tilt_degrees: Below the horizon: the whole column is turned.
    """

    sectors: Annotated[int, Field(ge=1, le=12)] = 3
    elements: Annotated[int, Field(ge=1, le=64)] = 10
    azimuth_degrees: Annotated[float, Field(ge=-360, le=360)] = 0.0
    electrical_tilt_degrees: Annotated[float, Field(ge=-90, le=90)] = 12.0
    mechanical_tilt_degrees: Annotated[float, Field(ge=-90, le=90)] = 0.0
    source = "3GPP TR 38.901, table 7.3-1 and equation 7.3-1"

    def gain_db(self, east_m: Floats, north_m: Floats, rise_m: Floats) -> Floats:
        """Return the gain of each sector's element towards each device, and of its column."""
        import numpy as np

        azimuth: Floats = np.degrees(np.arctan2(north_m, east_m))
        ground_m = np.sqrt(east_m * east_m + north_m * north_m)
        boresights = [self.azimuth_degrees + 360 / self.sectors * sector for sector in range(self.sectors)]
        beside = np.stack([azimuth - boresight for boresight in boresights], axis=1)
        beside -= 360 * np.rint(beside * (1 / 360))
        if self.mechanical_tilt_degrees:
            beside, sine = self._tilted(beside, ground_m[:, None], rise_m)
        else:
            sine = (rise_m / _length(ground_m, rise_m))[:, None]
        above = np.degrees(np.arcsin(sine))
        vertical_db = np.minimum(above * above * (12 / _BEAMWIDTH_DEGREES**2), _FLOOR_DB)
        horizontal_db = np.minimum(beside * beside * (12 / _BEAMWIDTH_DEGREES**2), _FLOOR_DB)
        pattern_db = np.minimum(vertical_db + horizontal_db, _FLOOR_DB)
        return np.asarray((_ELEMENT_DBI + self._column_db(sine)) - pattern_db)

    def _tilted(self, beside: Floats, ground_m: Floats, rise_m: Floats) -> tuple[Floats, Floats]:
        """Return azimuth and sine of the elevation as a column sees them that leans forward (clause 7.1.3)."""
        import numpy as np

        tilt = math.radians(self.mechanical_tilt_degrees)
        ahead_m = ground_m * np.cos(np.radians(beside))
        leaning_m = ahead_m * math.cos(tilt) - rise_m * math.sin(tilt)
        sine = (ahead_m * math.sin(tilt) + rise_m * math.cos(tilt)) / _length(ground_m, rise_m)
        return np.degrees(np.arctan2(ground_m * np.sin(np.radians(beside)), leaning_m)), np.clip(sine, -1, 1)

    def _column_db(self, sine: Floats) -> Floats:
        """Return the gain of a column over one element (equation 7.3-1: phases for the tilt, equal power).

        Args:
            sine: Of the elevation seen from the column.
        """
        import numpy as np

        half_phase = (sine + math.sin(math.radians(self.electrical_tilt_degrees))) * (math.pi / 2)
        one = np.abs(np.sin(half_phase))
        all_of_them = np.abs(np.sin(half_phase * self.elements))
        ahead = one < 1e-4
        sum_of_phases = np.where(ahead, self.elements, all_of_them / np.where(ahead, 1.0, one))
        return 20 * log10(np.maximum(sum_of_phases, 1e-3)) - 10 * math.log10(self.elements)


def _length(ground_m: Floats, rise_m: Floats) -> Floats:
    import numpy as np

    return np.asarray(np.sqrt(np.maximum(ground_m * ground_m + rise_m * rise_m, 1e-6)))
