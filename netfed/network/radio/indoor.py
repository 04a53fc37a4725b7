"""Offices and factories: the indoor scenarios of 3GPP TR 38.901. Light to import: arrays come in inside methods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from netfed.network.radio.propagation import Propagation, Shadowing, check_heights, log10, slant_m
from netfed.network.radio.validity import Validity
from netfed.units import Fraction, Meters

if TYPE_CHECKING:
    from numpy import floating
    from numpy.typing import NDArray

    Floats = NDArray[floating[Any]]


@dataclass(frozen=True)
class Office(Propagation, kind="inh"):
    """Base stations at the ceiling of an office: 3GPP TR 38.901, InH.

    Attributes:
        base_station_height: Of the antennas.
        device_height: Of the devices.
        office: ``mixed`` has rooms, cubicles and corridors; ``open`` has cubicles only.
    """

    base_station_height: Meters = 3.0
    device_height: Meters = 1.0
    office: Literal["mixed", "open"] = "mixed"
    source = "3GPP TR 38.901, table 7.4.1-1, InH"
    spacing_m = 20.0
    validity = Validity(nearest_m=1.0, farthest_m=150.0, farthest_nlos_m=150.0, slanted=True)
    los = Shadowing(3.0, 10.0)
    nlos = Shadowing(8.03, 6.0)

    def __post_init__(self) -> None:
        check_heights(self)

    @property
    def state_correlation_m(self) -> float:
        """Table 7.6.3.1-2."""
        return 10.0

    def path_loss_db(
        self, distance_m: Floats, height_m: Floats, frequency_hz: float, environment_m: Floats | float = 1.0
    ) -> tuple[Floats, Floats]:
        """Return the path loss with and without line of sight."""
        import numpy as np

        decades = log10(slant_m(distance_m, height_m - self.base_station_height))
        frequency_decades = math.log10(frequency_hz / 1e9)
        los_db = 17.3 * decades + (32.4 + 20 * frequency_decades)
        return los_db, np.maximum(los_db, 38.3 * decades + (17.3 + 24.9 * frequency_decades))

    def los_probability(self, distance_m: Floats, height_m: Floats) -> Floats:
        """Return the probability of line of sight (table 7.4.2-1)."""
        import numpy as np

        first_m, first_decay_m, second_m, share, second_decay_m = {
            "mixed": (1.2, 4.7, 6.5, 0.32, 32.6),
            "open": (5.0, 70.8, 49.0, 0.54, 211.7),
        }[self.office]
        near = np.exp(np.minimum(first_m - distance_m, 0.0) / first_decay_m)
        far = share * np.exp((second_m - distance_m) / second_decay_m)
        return np.asarray(np.where(distance_m < second_m, near, far))


class _Factory(Propagation):
    """A factory hall: 3GPP TR 38.901, InF, whose variants differ in their clutter and in who is above it."""

    validity = Validity(nearest_m=1.0, farthest_m=600.0, farthest_nlos_m=600.0, slanted=True)
    los = Shadowing(4.3, 10.0)

    def __post_init__(self) -> None:
        check_heights(self)

    def path_loss_db(
        self, distance_m: Floats, height_m: Floats, frequency_hz: float, environment_m: Floats | float = 1.0
    ) -> tuple[Floats, Floats]:
        """Return the path loss in line of sight, twice."""
        los_db = 21.5 * self._decades(distance_m, height_m) + (31.84 + 19 * math.log10(frequency_hz / 1e9))
        return los_db, los_db

    def _decades(self, distance_m: Floats, height_m: Floats) -> Floats:
        return log10(slant_m(distance_m, height_m - self.base_station_height))


class _Cluttered(_Factory):
    """A factory hall whose clutter hides devices.

    Attributes:
        clutter_density: Share of the floor under machines and shelves.
        clutter_height: Of these, on average.
        clutter_size: Of these, along the floor.
        behind_db: Without line of sight, at 1 m and 1 GHz, and by decade of distance.
    """

    clutter_density: float
    clutter_height: float
    clutter_size: float
    behind_db: ClassVar[tuple[float, float]]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.clutter_density < 1:
            raise ValueError("clutter_density must be more than 0 and less than 1; without clutter, use inf-hh")
        if not 0 < self.clutter_size < math.inf:
            raise ValueError("clutter_size must be more than 0 m")

    @property
    def state_correlation_m(self) -> float:
        """Half a machine (table 7.6.3.1-2)."""
        return self.clutter_size / 2

    def path_loss_db(
        self, distance_m: Floats, height_m: Floats, frequency_hz: float, environment_m: Floats | float = 1.0
    ) -> tuple[Floats, Floats]:
        """Return the path loss with and without line of sight."""
        import numpy as np

        los_db, _ = super().path_loss_db(distance_m, height_m, frequency_hz)
        constant_db, slope_db = self.behind_db
        behind_db = slope_db * self._decades(distance_m, height_m) + (constant_db + 20 * math.log10(frequency_hz / 1e9))
        return los_db, np.maximum(los_db, behind_db)

    def los_probability(self, distance_m: Floats, height_m: Floats) -> Floats:
        """Return the probability of line of sight past the clutter (table 7.4.2-1)."""
        import numpy as np

        return np.asarray(
            np.exp(distance_m * self._hidden(height_m) * (math.log(1 - self.clutter_density) / self.clutter_size))
        )

    def _hidden(self, height_m: Floats) -> Floats | float:
        """Return which part of the way to a device is as low as the clutter: all of it."""
        return 1.0


class _Embedded(_Cluttered):
    """A base station among the clutter: all of the way is as low as the clutter."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base_station_height > self.clutter_height:
            raise ValueError(
                f"base_station_height must be at most clutter_height ({self.clutter_height:g} m);"
                " above the clutter, use inf-sh or inf-dh"
            )


class _Overhead(_Cluttered):
    """A base station above the clutter: only the last part of the way is as low as the clutter."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base_station_height <= self.clutter_height:
            raise ValueError(
                f"base_station_height must be more than clutter_height ({self.clutter_height:g} m);"
                " among the clutter, use inf-sl or inf-dl"
            )
        if self.device_height >= self.clutter_height:
            raise ValueError(
                f"device_height must be less than clutter_height ({self.clutter_height:g} m);"
                " above the clutter, use inf-hh"
            )

    def _hidden(self, height_m: Floats) -> Floats:
        import numpy as np

        under_m = np.maximum(self.clutter_height - height_m, 0.0)
        return np.asarray(under_m / np.maximum(self.base_station_height - height_m, 1e-3))


@dataclass(frozen=True)
class SparseLow(_Embedded, kind="inf-sl"):
    """A factory of large machines, base stations as low as these: 3GPP TR 38.901, InF-SL.

    Attributes:
        base_station_height: Of the antennas.
        device_height: Of the devices.
        clutter_density: Share of the floor under machines and shelves.
        clutter_height: Of these, on average.
        clutter_size: Of these, along the floor.
    """

    base_station_height: Meters = 1.5
    device_height: Meters = 1.5
    clutter_density: Fraction = 0.2
    clutter_height: Meters = 2.0
    clutter_size: Meters = 10.0
    source = "3GPP TR 38.901, table 7.4.1-1, InF-SL"
    spacing_m = 20.0
    behind_db = (33.0, 25.5)
    nlos = Shadowing(5.7, 10.0)


@dataclass(frozen=True)
class DenseLow(_Embedded, kind="inf-dl"):
    """A factory of many small machines, base stations as low as these: 3GPP TR 38.901, InF-DL.

    Attributes:
        base_station_height: Of the antennas.
        device_height: Of the devices.
        clutter_density: Share of the floor under machines and shelves.
        clutter_height: Of these, on average.
        clutter_size: Of these, along the floor.
    """

    base_station_height: Meters = 1.5
    device_height: Meters = 1.5
    clutter_density: Fraction = 0.6
    clutter_height: Meters = 6.0
    clutter_size: Meters = 2.0
    source = "3GPP TR 38.901, table 7.4.1-1, InF-DL"
    spacing_m = 50.0
    behind_db = (18.6, 35.7)
    nlos = Shadowing(7.2, 10.0)

    def path_loss_db(
        self, distance_m: Floats, height_m: Floats, frequency_hz: float, environment_m: Floats | float = 1.0
    ) -> tuple[Floats, Floats]:
        """Return the path loss with and without line of sight; dense clutter never hides less than sparse clutter."""
        import numpy as np

        los_db, nlos_db = super().path_loss_db(distance_m, height_m, frequency_hz)
        sparse = SparseLow(self.base_station_height, self.device_height, clutter_height=self.clutter_height)
        return los_db, np.maximum(nlos_db, sparse.path_loss_db(distance_m, height_m, frequency_hz)[1])


@dataclass(frozen=True)
class SparseHigh(_Overhead, kind="inf-sh"):
    """A factory of large machines, base stations above these: 3GPP TR 38.901, InF-SH.

    Attributes:
        base_station_height: Of the antennas.
        device_height: Of the devices.
        clutter_density: Share of the floor under machines and shelves.
        clutter_height: Of these, on average.
        clutter_size: Of these, along the floor.
    """

    base_station_height: Meters = 8.0
    device_height: Meters = 1.5
    clutter_density: Fraction = 0.2
    clutter_height: Meters = 2.0
    clutter_size: Meters = 10.0
    source = "3GPP TR 38.901, table 7.4.1-1, InF-SH"
    spacing_m = 50.0
    behind_db = (32.4, 23.0)
    nlos = Shadowing(5.9, 10.0)


@dataclass(frozen=True)
class DenseHigh(_Overhead, kind="inf-dh"):
    """A factory of many small machines, base stations above these: 3GPP TR 38.901, InF-DH.

    Attributes:
        base_station_height: Of the antennas.
        device_height: Of the devices.
        clutter_density: Share of the floor under machines and shelves.
        clutter_height: Of these, on average.
        clutter_size: Of these, along the floor.
    """

    base_station_height: Meters = 8.0
    device_height: Meters = 1.5
    clutter_density: Fraction = 0.6
    clutter_height: Meters = 6.0
    clutter_size: Meters = 2.0
    source = "3GPP TR 38.901, table 7.4.1-1, InF-DH"
    spacing_m = 20.0
    behind_db = (33.63, 21.9)
    nlos = Shadowing(4.0, 10.0)


@dataclass(frozen=True)
class HighHigh(_Factory, kind="inf-hh"):
    """A factory in which base stations and devices are above the clutter: 3GPP TR 38.901, InF-HH.

    Attributes:
        base_station_height: Of the antennas.
        device_height: Of the devices.
    """

    base_station_height: Meters = 8.0
    device_height: Meters = 1.5
    source = "3GPP TR 38.901, table 7.4.1-1, InF LOS"
    spacing_m = 50.0
    nlos = _Factory.los

    @property
    def state_correlation_m(self) -> float:
        """Of no consequence: line of sight is everywhere."""
        return self.los.correlation_m

    def los_probability(self, distance_m: Floats, height_m: Floats) -> Floats:
        """Return 1."""
        import numpy as np

        return np.ones_like(distance_m)
