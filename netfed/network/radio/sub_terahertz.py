"""Above 100 GHz, where 3GPP TR 38.901 ends. Light to import: arrays come in inside methods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from netfed.network.radio.absorption import absorption_db_per_m
from netfed.network.radio.propagation import Propagation, Shadowing, check_heights, free_space_db, slant_m
from netfed.units import Meters

if TYPE_CHECKING:
    from numpy import floating
    from numpy.typing import NDArray

    Floats = NDArray[floating[Any]]

_BODY_LOSS_DB = 30.0


@dataclass(frozen=True)
class SubTerahertz(Propagation, kind="sub-thz"):
    """A hotspot between 100 and 300 GHz: free space, air that absorbs, and people who walk through the beam.

    Line of sight is lost where somebody stands in it: people are cylinders, scattered at random over the ground
    (Gapeyenko et al., "Analysis of human-body blockage in urban millimeter-wave cellular communications", ICC 2016,
    arXiv:1604.04743). They take 30 dB away, as a body does in 3GPP TR 38.901, clause 7.6.4.1, and walk past at 1 m/s,
    all in one direction. Nothing else shadows.

    Attributes:
        base_station_height: Of the antennas.
        device_height: Of the devices.
        people_per_square_meter: 0: nobody is in the way.
        people_height: Of the people.
        people_radius: Of the people.
    """

    base_station_height: Meters = 3.0
    device_height: Meters = 1.5
    people_per_square_meter: Annotated[float, Field(ge=0, le=10)] = 0.1
    people_height: Meters = 1.7
    people_radius: Meters = 0.3
    source = "Friis; Rec. ITU-R P.525"
    los_source = "Gapeyenko et al., arXiv:1604.04743"
    absorption_source = "Rec. ITU-R P.676-12"
    spacing_m = 20.0
    frequencies_hz = (100e9, 300e9)
    los = Shadowing(0.0, 1.0)
    nlos = Shadowing(0.0, 1.0)
    drift_m_per_s = 1.0

    def __post_init__(self) -> None:
        check_heights(self)
        if not 0 <= self.people_per_square_meter < math.inf:
            raise ValueError("people_per_square_meter must be 0 or more")
        if not 0 < self.people_radius < math.inf:
            raise ValueError("people_radius must be more than 0 m")

    @property
    def state_correlation_m(self) -> float:
        """The width of a body: one step aside, and the beam is free."""
        return 2 * self.people_radius

    def path_loss_db(
        self, distance_m: Floats, height_m: Floats, frequency_hz: float, environment_m: Floats | float = 1.0
    ) -> tuple[Floats, Floats]:
        """Return the path loss past people and through them."""
        los_db = free_space_db(slant_m(distance_m, height_m - self.base_station_height), frequency_hz)
        return los_db, los_db + _BODY_LOSS_DB

    def los_probability(self, distance_m: Floats, height_m: Floats) -> Floats:
        """Return the probability that nobody is in the part of the way that is as low as people are."""
        import numpy as np

        under_m = np.maximum(self.people_height - height_m, 0.0)
        share = np.minimum(under_m / np.maximum(self.base_station_height - height_m, 1e-3), 1.0)
        area_per_m = 2 * self.people_radius * self.people_per_square_meter
        return np.asarray(np.exp((distance_m * share + self.people_radius) * -area_per_m))

    def absorption_db_per_m(self, frequency_hz: float) -> float:
        """Return what water vapour and oxygen take."""
        return absorption_db_per_m(frequency_hz)
