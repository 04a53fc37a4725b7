"""Walls between base stations and devices. Light to import: arrays come in inside methods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from netfed.network.radio.propagation import Propagation
from netfed.units import Fraction

if TYPE_CHECKING:
    from numpy import bool_, floating, integer
    from numpy.typing import NDArray

    from netfed.streams import Streams

    Floats = NDArray[floating[Any]]
    Ints = NDArray[integer[Any]]

FLOOR_M = 3.0


class Surroundings(NamedTuple):
    """What is around each device, wherever it goes.

    Attributes:
        ids: Of the devices. [device]
        height_m: Above the ground. [device]
        indoor: Behind an outer wall. [device]
        depth_m: From there to the outer wall; 0 outdoors. [device]
        penetration_db: What walls or a car take. [device]
    """

    ids: Ints
    height_m: Floats
    indoor: NDArray[bool_]
    depth_m: Floats
    penetration_db: Floats

    def of(self, index: Ints | slice) -> Surroundings:
        """Return those of some devices."""
        return Surroundings(
            self.ids[index], self.height_m[index], self.indoor[index], self.depth_m[index], self.penetration_db[index]
        )


@dataclass(frozen=True)
class Buildings:
    """Who is behind which walls (3GPP TR 38.901, clause 7.4.3).

    Attributes:
        indoor: Share of devices in buildings; 80 % in 3GPP's urban evaluations (table 7.2-1).
        high_loss: Share of these whose building has large windows of coated glass; the others have small, plain ones.
            null: a half, and none where 3GPP knows low-loss buildings only, as in ``rma`` (clause 7.4.3.1).
        in_car: Share of devices in cars.
        loss: ``materials`` counts glass and concrete (tables 7.4.3-1 and 7.4.3-2); ``tr-36.873`` is the model that is
            compatible with 3GPP TR 36.873, for ``uma`` and ``umi`` below 6 GHz: every wall takes 20 dB, and devices are
            anywhere up to 25 m behind it (table 7.4.3-3).
    """

    indoor: Fraction = 0.0
    high_loss: Fraction | None = None
    in_car: Fraction = 0.0
    loss: Literal["materials", "tr-36.873"] = "materials"

    def __post_init__(self) -> None:
        for name in ("indoor", "high_loss", "in_car"):
            if not 0 <= (getattr(self, name) or 0) <= 1:
                raise ValueError(f"{name} must be from 0 to 1")
        if self.indoor + self.in_car > 1:
            raise ValueError("indoor and in_car add up to more than 1")

    def check(self, propagation: Propagation, frequency_hz: float) -> None:
        """Refuse walls that a model of propagation knows nothing of.

        Raises:
            ValueError: Names the key.
        """
        if (self.indoor or self.in_car) and propagation.indoors is None:
            raise ValueError(f"indoor and in_car must be 0: {propagation.kind} has no outer walls")
        if self.high_loss and propagation.walls and "high-loss" not in propagation.walls:
            raise ValueError(
                f"high_loss must be 0, or left out: {propagation.kind} has low-loss buildings only"
                " (3GPP TR 38.901, clause 7.4.3.1)"
            )
        if self.loss == "tr-36.873":
            if "tr-36.873" not in propagation.walls:
                raise ValueError(f"loss: tr-36.873 is for uma and umi, not for {propagation.kind}; write materials")
            if frequency_hz >= 6e9:
                raise ValueError("loss: tr-36.873 is for carriers below 6 GHz; write materials")

    def surround(self, ids: Ints, propagation: Propagation, frequency_hz: float, streams: Streams) -> Surroundings:
        """Return what is around each device: drawn by its id, whoever else there is.

        Args:
            ids: [device]
            propagation: Has the floors of its buildings and how deep these are.
            frequency_hz: Of the carrier.
            streams: Addressed by device.
        """
        import numpy as np

        place = streams.uniform("radio/indoors", ids)
        indoor = place < self.indoor
        in_car = place > 1 - self.in_car
        fewest, most = propagation.floors
        floors = fewest + np.floor(streams.uniform("radio/floors", ids) * (most - fewest + 1))
        floor = np.floor(streams.uniform("radio/floor", ids) * floors)
        depth_m = propagation.deepest_m * streams.uniform("radio/depth", ids, 0)
        normal = streams.normal("radio/penetration", ids)
        high = streams.uniform("radio/coated-glass", ids) < self._high_loss(propagation)
        wall_db = np.where(high, _HIGH_LOSS.through_db(frequency_hz), _LOW_LOSS.through_db(frequency_hz))
        wall_db += np.where(high, _HIGH_LOSS.sigma_db, _LOW_LOSS.sigma_db) * normal
        if self.loss == "tr-36.873":
            wall_db = np.full(len(ids), _WALL_OF_36873_DB)
        else:
            depth_m = np.minimum(depth_m, propagation.deepest_m * streams.uniform("radio/depth", ids, 1))
        penetration_db = np.where(indoor, wall_db + _DB_PER_M_INSIDE * depth_m, 0.0)
        penetration_db = np.where(in_car, _CAR_DB + _CAR_SIGMA_DB * normal, penetration_db)
        return Surroundings(
            ids,
            np.where(indoor, FLOOR_M * floor, 0.0).astype(np.float32) + np.float32(propagation.device_height),
            indoor,
            np.where(indoor, depth_m, 0.0).astype(np.float32),
            penetration_db.astype(np.float32),
        )

    def _high_loss(self, propagation: Propagation) -> float:
        if self.high_loss is not None:
            return self.high_loss
        return 0.5 if "high-loss" in propagation.walls else 0.0


class _Wall(NamedTuple):
    """An outer wall: windows in concrete (table 7.4.3-2).

    Attributes:
        glass: Share of it.
        glass_db: What its glass takes: a constant, and by gigahertz (table 7.4.3-1).
        sigma_db: How different such walls are.
    """

    glass: float
    glass_db: tuple[float, float]
    sigma_db: float

    def through_db(self, frequency_hz: float) -> float:
        """Return what such a wall takes, on average over directions."""
        frequency_ghz = frequency_hz / 1e9
        constant_db, slope_db = self.glass_db
        glass = 10 ** ((constant_db + slope_db * frequency_ghz) / -10)
        concrete = 10 ** ((5 + 4 * frequency_ghz) / -10)
        return 5 - 10 * math.log10(self.glass * glass + (1 - self.glass) * concrete)


_LOW_LOSS = _Wall(glass=0.3, glass_db=(2.0, 0.2), sigma_db=4.4)
_HIGH_LOSS = _Wall(glass=0.7, glass_db=(23.0, 0.3), sigma_db=6.5)
_DB_PER_M_INSIDE = 0.5
_WALL_OF_36873_DB = 20.0
_CAR_DB, _CAR_SIGMA_DB = 9.0, 5.0  # clause 7.4.3.2
