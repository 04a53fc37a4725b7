"""The family of propagation models: how much power is lost between a base station and a device.

The kinds are in `outdoor`, `indoor` and `sub_terahertz`. Light to import: arrays come in inside methods.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from netfed.network.radio.absorption import oxygen_db_per_m
from netfed.network.radio.validity import Validity
from netfed.plugin import Plugin

if TYPE_CHECKING:
    from numpy import floating
    from numpy.typing import NDArray

    Floats = NDArray[floating[Any]]

Walls = Literal["low-loss", "high-loss", "tr-36.873"]
"""What outer walls take, by models of penetration loss: TR 38.901, clause 7.4.3.1."""

LIGHT_M_PER_S = 299_792_458.0


class Shadowing(NamedTuple):
    """Log-normal shadow fading, the same for devices that are close: exp(-distance / correlation_m)."""

    sigma_db: float
    correlation_m: float


class Propagation(Plugin):
    """What lies between a base station and a device, as 3GPP TR 38.901 (v19.2, clause 7.4) models it.

    Distances are between their feet ("2D") and heights above the ground. Arrays broadcast, and keep their precision.

    Attributes:
        base_station_height: Of the antennas.
        device_height: Outdoors, and on the ground floor.
        source: Where the path loss comes from: standard, clause and table.
        los_source: Where the probability of line of sight does.
        absorption_source: Where what the air absorbs does.
        spacing_m: Between neighbouring base stations in 3GPP's evaluations.
        nearest_m: A device is no closer to a base station in 3GPP's evaluations.
        frequencies_hz: Where the model is valid.
        validity: How far it is, and between which heights.
        reflects_above_m: From this height on, a device may see more than the ground reflect (`environment_height_m`).
        los: Shadowing in line of sight (tables 7.4.1-1 and 7.5-6); `los_sigma_db` has it by distance.
        nlos: Without line of sight.
        indoors: Through an outer wall; None if the model has no outer walls.
        walls: Which outer walls buildings have (clause 7.4.3.1).
        floors: The fewest and the most floors that a building has.
        deepest_m: Farthest from its outer wall that a device may be (clause 7.4.3.1).
        drift_m_per_s: How fast what takes the line of sight away moves past.
    """

    base_station_height: float
    device_height: float
    source: ClassVar[str]
    los_source: ClassVar[str] = "3GPP TR 38.901, table 7.4.2-1"
    absorption_source: ClassVar[str] = "oxygen: 3GPP TR 38.901, table 7.6.1-1"
    spacing_m: ClassVar[float]
    nearest_m: ClassVar[float] = 0.0
    frequencies_hz: ClassVar[tuple[float, float]] = (0.5e9, 100e9)
    validity: ClassVar[Validity] = Validity()
    los: ClassVar[Shadowing]
    nlos: ClassVar[Shadowing]
    indoors: ClassVar[Shadowing | None] = None
    walls: ClassVar[tuple[Walls, ...]] = ()
    floors: ClassVar[tuple[int, int]] = (1, 1)
    deepest_m: ClassVar[float] = 0.0
    drift_m_per_s: ClassVar[float] = 0.0
    reflects_above_m: ClassVar[float] = math.inf

    @property
    def state_correlation_m(self) -> float:
        """How far a device goes until its line of sight is another's: to 1/e (table 7.6.3.1-2)."""
        raise NotImplementedError

    def path_loss_db(
        self, distance_m: Floats, height_m: Floats, frequency_hz: float, environment_m: Floats | float = 1.0
    ) -> tuple[Floats, Floats]:
        """Return the path loss with and without line of sight.

        Args:
            distance_m: From the base station, along the ground.
            height_m: Of the device.
            frequency_hz: Of the carrier.
            environment_m: Of what reflects (`environment_height_m`).
        """
        raise NotImplementedError

    def los_probability(self, distance_m: Floats, height_m: Floats) -> Floats:
        """Return the probability of line of sight.

        Args:
            distance_m: From the base station to the device or, if it is indoors, to its outer wall.
            height_m: Of the device.
        """
        raise NotImplementedError

    def los_sigma_db(self, distance_m: Floats, height_m: Floats, frequency_hz: float) -> Floats | float:
        """Return the standard deviation of the shadowing in line of sight."""
        return self.los.sigma_db

    def environment_height_m(self, distance_m: Floats, height_m: Floats, draw: Floats) -> Floats:
        """Return the effective environment height of links to tall devices.

        Args:
            distance_m: From the base station.
            height_m: Of the device, from `reflects_above_m` on.
            draw: Uniform in (0, 1), one for each link.
        """
        raise NotImplementedError

    def absorption_db_per_m(self, frequency_hz: float) -> float:
        """Return what air takes besides: oxygen does, between 52 and 68 GHz."""
        return oxygen_db_per_m(frequency_hz)

    def check_frequency(self, frequency_hz: float) -> None:
        """Refuse a carrier that the model is not valid for.

        Raises:
            ValueError: It is out of range.
        """
        lowest_hz, highest_hz = self.frequencies_hz
        if not lowest_hz <= frequency_hz <= highest_hz:
            raise ValueError(
                f"{self.kind} is for {lowest_hz / 1e9:g} to {highest_hz / 1e9:g} GHz, not {frequency_hz / 1e9:g} GHz"
            )


def check_heights(spec: Propagation) -> None:
    """Refuse antennas that are too low for the formulas.

    Raises:
        ValueError: Names the height.
    """
    if not 1 <= spec.device_height < math.inf:
        raise ValueError("device_height must be at least 1 m")
    if not spec.device_height <= spec.base_station_height < math.inf:
        raise ValueError(f"base_station_height must be at least device_height ({spec.device_height:g} m)")


def slant_m(distance_m: Floats, rise_m: Floats | float) -> Floats:
    """Return the distance between two antennas ("3D"), at least 1 m: closer, no model holds.

    Args:
        distance_m: Between their feet.
        rise_m: Between their heights.
    """
    import numpy as np

    return np.maximum(np.sqrt(distance_m * distance_m + rise_m * rise_m), 1.0)


def log10(values: Floats) -> Floats:
    """Return decimal logarithms; NumPy's natural ones are several times as fast as its decimal ones."""
    import numpy as np

    return np.log(values) * (1 / math.log(10))


def free_space_db(distance_m: Floats | float, frequency_hz: float) -> Floats:
    """Return the loss in free space (Friis; Rec. ITU-R P.525)."""
    import numpy as np

    return np.asarray(20 * log10(np.asarray(distance_m)) + 20 * math.log10(4 * math.pi * frequency_hz / LIGHT_M_PER_S))
