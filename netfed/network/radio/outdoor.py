"""Streets and roofs: the outdoor scenarios of 3GPP TR 38.901. Light to import: arrays come in inside methods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from netfed.network.radio.propagation import LIGHT_M_PER_S, Propagation, Shadowing, check_heights, log10, slant_m
from netfed.network.radio.validity import Validity
from netfed.units import Fraction, Meters

if TYPE_CHECKING:
    from numpy import floating
    from numpy.typing import NDArray

    Floats = NDArray[floating[Any]]

_TALL_M = 13.0


class _TwoSlopes(Propagation):
    """Path loss that steepens where the ray that the ground reflects begins to cancel the direct one.

    Table 7.4.1-1 and its note 1, for UMa and UMi, which differ in these constants only.

    Attributes:
        near_db: Line of sight up to the breakpoint: at 1 m and 1 GHz, and by decade of distance.
        far_db: By decade of the breakpoint's distance, beyond it.
        behind_db: Without line of sight: at 1 m and 1 GHz, by decade of distance, by decade of frequency, by metre of
            height.
        los_distance_m: Of the exponential in the probability of line of sight (table 7.4.2-1).
    """

    near_db: ClassVar[tuple[float, float]]
    far_db: ClassVar[float]
    behind_db: ClassVar[tuple[float, float, float, float]]
    los_distance_m: ClassVar[float]
    walls = ("low-loss", "high-loss", "tr-36.873")
    floors = (4, 8)
    deepest_m = 25.0

    def __post_init__(self) -> None:
        check_heights(self)

    @property
    def state_correlation_m(self) -> float:
        """Table 7.6.3.1-2."""
        return 50.0

    def path_loss_db(
        self, distance_m: Floats, height_m: Floats, frequency_hz: float, environment_m: Floats | float = 1.0
    ) -> tuple[Floats, Floats]:
        """Return the path loss with and without line of sight."""
        import numpy as np

        rise_m = height_m - self.base_station_height
        decades = log10(slant_m(distance_m, rise_m))
        frequency_decades = math.log10(frequency_hz / 1e9)
        breakpoint_m = (
            (self.base_station_height - environment_m) * (height_m - environment_m) * (4 * frequency_hz / LIGHT_M_PER_S)
        )
        constant_db, slope_db = self.near_db
        near_db = slope_db * decades + (constant_db + 20 * frequency_decades)
        far_db = 40 * decades + (constant_db + 20 * frequency_decades)
        far_db = far_db - self.far_db * log10(breakpoint_m * breakpoint_m + rise_m * rise_m)
        los_db = np.where(distance_m <= breakpoint_m, near_db, far_db)
        constant_db, slope_db, frequency_slope_db, height_slope_db = self.behind_db
        behind_db = slope_db * decades + (constant_db + frequency_slope_db * frequency_decades)
        return los_db, np.maximum(los_db, behind_db - height_slope_db * (height_m - 1.5))

    def los_probability(self, distance_m: Floats, height_m: Floats) -> Floats:
        """Return the probability of line of sight: 1 up to 18 m (table 7.4.2-1)."""
        import numpy as np

        near = np.minimum(18 / np.maximum(distance_m, 18.0), 1.0)
        return np.asarray(near + np.exp(distance_m * (-1 / self.los_distance_m)) * (1 - near))


@dataclass(frozen=True)
class UrbanMacro(_TwoSlopes, kind="uma"):
    """Base stations above the roofs of a city: 3GPP TR 38.901, UMa.

    Attributes:
        base_station_height: Of the antennas.
        device_height: Outdoors, and on the ground floor.
    """

    base_station_height: Meters = 25.0
    device_height: Meters = 1.5
    source = "3GPP TR 38.901, table 7.4.1-1, UMa"
    spacing_m = 500.0
    nearest_m = 35.0
    validity = Validity(10.0, 5000.0, 5000.0, base_station_height_m=(25.0, 25.0), device_height_m=(1.5, 22.5))
    near_db = (28.0, 22.0)
    far_db = 9.0
    behind_db = (13.54, 39.08, 20.0, 0.6)
    los_distance_m = 63.0
    reflects_above_m = _TALL_M
    los = Shadowing(4.0, 37.0)
    nlos = Shadowing(6.0, 50.0)
    indoors = Shadowing(7.0, 7.0)

    def los_probability(self, distance_m: Floats, height_m: Floats) -> Floats:
        """Return the probability of line of sight; tall devices see farther (table 7.4.2-1)."""
        import numpy as np

        probability = super().los_probability(distance_m, height_m)
        if not np.any(height_m > _TALL_M):
            return probability
        return np.minimum(probability * (1 + _tallness(distance_m, height_m)), 1.0)

    def environment_height_m(self, distance_m: Floats, height_m: Floats, draw: Floats) -> Floats:
        """Return 1 m, or one of 12, 15, ... m up to 1.5 m below the device, as likely each (table 7.4.1-1, note 1)."""
        import numpy as np

        ground = 1 / (1 + _tallness(distance_m, height_m))
        roofs = np.floor((height_m - (12 + 1.5)) / 3) + 1
        roof = np.floor((draw - ground) / np.maximum(1 - ground, 1e-9) * roofs)
        return np.where((draw < ground) | (roofs < 1), 1.0, 12 + 3 * roof)


def _tallness(distance_m: Floats, height_m: Floats) -> Floats:
    """Return how much likelier than the lowest a tall device sees over roofs (tables 7.4.1-1, note 1, and 7.4.2-1)."""
    import numpy as np

    above = np.maximum(height_m - _TALL_M, 0.0) / 10
    far = np.where(distance_m > 18, distance_m / 100, 0.0)
    return np.asarray(above**1.5 * (1.25 * far**3 * np.exp(distance_m / -150)))


@dataclass(frozen=True)
class UrbanMicro(_TwoSlopes, kind="umi"):
    """Base stations below the roofs, in a street canyon: 3GPP TR 38.901, UMi.

    Attributes:
        base_station_height: Of the antennas.
        device_height: Outdoors, and on the ground floor.
    """

    base_station_height: Meters = 10.0
    device_height: Meters = 1.5
    source = "3GPP TR 38.901, table 7.4.1-1, UMi street canyon"
    spacing_m = 200.0
    nearest_m = 10.0
    validity = Validity(10.0, 5000.0, 5000.0, base_station_height_m=(10.0, 10.0), device_height_m=(1.5, 22.5))
    near_db = (32.4, 21.0)
    far_db = 9.5
    behind_db = (22.4, 35.3, 21.3, 0.3)
    los_distance_m = 36.0
    los = Shadowing(4.0, 10.0)
    nlos = Shadowing(7.82, 13.0)
    indoors = Shadowing(7.0, 7.0)


class _OverRoofs(Propagation):
    """Path loss over the roofs of low buildings: table 7.4.1-1, the same formulas for RMa and SMa.

    Attributes:
        building_height: On average.
        street_width: On average.
    """

    building_height: float
    street_width: float
    nearest_m = 35.0
    deepest_m = 10.0

    def __post_init__(self) -> None:
        check_heights(self)
        for name in ("building_height", "street_width"):
            if not 5 <= getattr(self, name) <= 50:
                raise ValueError(f"{name} must be from 5 m to 50 m (3GPP TR 38.901, table 7.4.1-1)")

    def path_loss_db(
        self, distance_m: Floats, height_m: Floats, frequency_hz: float, environment_m: Floats | float = 1.0
    ) -> tuple[Floats, Floats]:
        """Return the path loss with and without line of sight."""
        import numpy as np

        slant = slant_m(distance_m, height_m - self.base_station_height)
        decades = log10(slant)
        breakpoint_m = self._breakpoint_m(height_m, frequency_hz)
        far_db = self._near_db(breakpoint_m, log10(breakpoint_m), frequency_hz) + 40 * (decades - log10(breakpoint_m))
        los_db = np.where(distance_m <= breakpoint_m, self._near_db(slant, decades, frequency_hz), far_db)
        log_base_station = math.log10(self.base_station_height)
        behind_db = (43.42 - 3.1 * log_base_station) * (decades - 3) + (
            161.04
            - 7.1 * math.log10(self.street_width)
            + 7.5 * math.log10(self.building_height)
            - (24.37 - 3.7 * (self.building_height / self.base_station_height) ** 2) * log_base_station
            + 20 * math.log10(frequency_hz / 1e9)
            + 4.97
        )
        return los_db, np.maximum(los_db, behind_db - 3.2 * log10(11.75 * height_m) ** 2)

    def _near_db(self, slant: Floats, decades: Floats, frequency_hz: float) -> Floats:
        roughness: float = self.building_height**1.72
        slope_db = 20 + min(0.03 * roughness, 10)
        constant_db = 20 * math.log10(40 * math.pi * frequency_hz / 3e9) - min(0.044 * roughness, 14.77)
        return slope_db * decades + constant_db + 0.002 * math.log10(self.building_height) * slant

    def _breakpoint_m(self, height_m: Floats, frequency_hz: float) -> Floats:
        return height_m * (2 * math.pi * self.base_station_height * frequency_hz / LIGHT_M_PER_S)

    def los_sigma_db(self, distance_m: Floats, height_m: Floats, frequency_hz: float) -> Floats:
        """Return the standard deviation of the shadowing in line of sight: 4 dB, and 6 dB beyond the breakpoint."""
        import numpy as np

        near = distance_m <= self._breakpoint_m(height_m, frequency_hz)
        return np.where(near, self.los.sigma_db, 6.0).astype(distance_m.dtype)


@dataclass(frozen=True)
class RuralMacro(_OverRoofs, kind="rma"):
    """Tall base stations over open country: 3GPP TR 38.901, RMa.

    Attributes:
        base_station_height: Of the antennas.
        device_height: Outdoors, and on the ground floor.
        building_height: On average.
        street_width: On average.
    """

    base_station_height: Meters = 35.0
    device_height: Meters = 1.5
    building_height: Meters = 5.0
    street_width: Meters = 20.0
    source = "3GPP TR 38.901, table 7.4.1-1, RMa"
    spacing_m = 1732.0
    frequencies_hz = (0.5e9, 30e9)
    validity = Validity(10.0, 10_000.0, 5000.0, base_station_height_m=(10.0, 150.0), device_height_m=(1.0, 10.0))
    los = Shadowing(4.0, 37.0)
    nlos = Shadowing(8.0, 120.0)
    indoors = Shadowing(8.0, 120.0)
    walls = ("low-loss",)

    @property
    def state_correlation_m(self) -> float:
        """Table 7.6.3.1-2."""
        return 60.0

    def los_probability(self, distance_m: Floats, height_m: Floats) -> Floats:
        """Return the probability of line of sight: 1 up to 10 m (table 7.4.2-1)."""
        import numpy as np

        return np.asarray(np.exp(np.minimum(10 - distance_m, 0.0) * (1 / 1000)))


@dataclass(frozen=True)
class SuburbanMacro(_OverRoofs, kind="sma"):
    """Base stations over houses, shops and trees: 3GPP TR 38.901 from Release 19 on, SMa.

    Devices indoors are in houses of one or two floors, which is a simplification: some shops are taller.

    Attributes:
        base_station_height: Of the antennas.
        device_height: Outdoors, and on the ground floor.
        building_height: On average.
        street_width: On average.
        vegetation: Share of the ground under trees: 0 for none, 0.1 for few, 0.2 for many.
    """

    base_station_height: Meters = 35.0
    device_height: Meters = 1.5
    building_height: Meters = 10.0
    street_width: Meters = 10.0
    vegetation: Fraction = 0.1
    source = "3GPP TR 38.901 (Release 19), table 7.4.1-1, SMa"
    spacing_m = 1299.0
    frequencies_hz = (0.5e9, 37e9)
    validity = Validity(10.0, 5000.0, 5000.0, base_station_height_m=(25.0, 35.0), device_height_m=(1.0, 14.0))
    los = Shadowing(4.0, 40.0)
    nlos = Shadowing(8.0, 50.0)
    indoors = Shadowing(8.0, 50.0)
    walls = ("low-loss", "high-loss")
    floors = (1, 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.vegetation < 1:
            raise ValueError("vegetation must be from 0 to less than 1")

    @property
    def state_correlation_m(self) -> float:
        """That of the other macro cells in table 7.6.3.1-2; which SMa has there could not be verified."""
        return 50.0

    def los_probability(self, distance_m: Floats, height_m: Floats) -> Floats:
        """Return the probability of line of sight past what is 30 m wide and taller than the device (table 7.4.2-1).

        Commercial buildings of 20 m cover 2 % of the ground, homes of 8 m 18 %, and trees are 15 m high.
        """
        import numpy as np

        obstacles = ((20.0, 0.02), (8.0, 0.18), (15.0, self.vegetation))
        hidden = sum(-math.log(1 - share) * np.maximum(top_m - height_m, 0.0) for top_m, share in obstacles)
        rise_m = np.maximum(self.base_station_height - height_m, 1.0)
        return np.asarray(np.where(distance_m <= 10, 1.0, np.exp(-distance_m * (hidden / (30 * rise_m)))))
