"""Where a model of path loss holds: how far, and between which heights. Light to import: no arrays here."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple


class Excess(NamedTuple):
    """What is outside of the range that a model holds for.

    Attributes:
        of: ``distance``, ``base station height`` or ``device height``.
        value_m: What it is.
        least_m: What it may be.
        most_m: Likewise.
    """

    of: str
    value_m: float
    least_m: float
    most_m: float

    @property
    def range(self) -> str:
        """What it may be, in words."""
        if self.least_m == self.most_m:
            return f"{self.least_m:g} m"
        if self.most_m == math.inf:
            return f"{self.least_m:g} m and more"
        return f"{self.least_m:g} m to {self.most_m:g} m"


class Validity(NamedTuple):
    """The ranges of a model: 3GPP TR 38.901, table 7.4.1-1.

    Attributes:
        nearest_m: No link is shorter.
        farthest_m: No link in line of sight is longer.
        farthest_nlos_m: No other link is longer.
        slanted: Whether these are distances between antennas ("3D"), not along the ground ("2D").
        base_station_height_m: From, to.
        device_height_m: From, to.
    """

    nearest_m: float = 0.0
    farthest_m: float = math.inf
    farthest_nlos_m: float = math.inf
    slanted: bool = False
    base_station_height_m: tuple[float, float] = (0.0, math.inf)
    device_height_m: tuple[float, float] = (0.0, math.inf)

    def excesses(
        self, ground_m: float, base_station_height_m: float, device_height_m: float, los: bool
    ) -> Iterator[Excess]:
        """Yield what of a link the model does not hold for.

        Args:
            ground_m: Along the ground.
            base_station_height_m: Of the antennas.
            device_height_m: Of the device.
            los: Whether there is line of sight.
        """
        rise_m = base_station_height_m - device_height_m
        distance_m = math.hypot(ground_m, rise_m) if self.slanted else ground_m
        for excess in (
            Excess("distance", distance_m, self.nearest_m, self.farthest_m if los else self.farthest_nlos_m),
            Excess("base station height", base_station_height_m, *self.base_station_height_m),
            Excess("device height", device_height_m, *self.device_height_m),
        ):
            if not excess.least_m <= excess.value_m <= excess.most_m:
                yield excess

    def blind_m(self, rise_m: float) -> float:
        """Return how near along the ground the model does not hold.

        Args:
            rise_m: From devices to base stations.
        """
        return math.sqrt(max(self.nearest_m**2 - rise_m**2, 0.0)) if self.slanted else self.nearest_m
