"""How devices move. Light to import: arrays come in inside methods."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netfed.plugin import Plugin
from netfed.units import Fraction, Meters, MetersPerSecond, Seconds

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

    from netfed.network.mobility.trajectories import Trajectories
    from netfed.streams import Streams

    Floats = NDArray[float64]

_WALK_M_PER_S = 3 / 3.6
"""3 km/h: how fast devices move in TR 38.901, table 7.2-1."""

_FASTEST_M_PER_S = 1000.0
"""More than any vehicle: 1000 km/h is the fastest that ITU-R M.2160 names."""


@dataclass(frozen=True)
class Area:
    """A rectangle that devices do not leave.

    Attributes:
        west_m: Least x; likewise ``east_m``, the greatest.
        south_m: Least y; likewise ``north_m``, the greatest.
    """

    west_m: float
    south_m: float
    east_m: float
    north_m: float

    def __post_init__(self) -> None:
        if not (0 < self.width_m < math.inf and 0 < self.height_m < math.inf):
            raise ValueError("an area must be wider and higher than 0 m")

    @classmethod
    def around(cls, places_m: Floats, margin_m: float) -> Area:
        """Return the smallest area with a margin about each of some places.

        Args:
            places_m: Of base stations, say. [place, 2]
            margin_m: On every side: of hexagonal cells, ``spacing / sqrt(3)`` reaches their corners.
        """
        west_m, south_m = (places_m.min(axis=0) - margin_m).tolist()
        east_m, north_m = (places_m.max(axis=0) + margin_m).tolist()
        return cls(west_m, south_m, east_m, north_m)

    @property
    def width_m(self) -> float:
        """From west to east."""
        return self.east_m - self.west_m

    @property
    def height_m(self) -> float:
        """From south to north."""
        return self.north_m - self.south_m


class Mobility(Plugin):
    """How devices move."""

    def trajectories(self, start_m: Floats, area: Area, streams: Streams) -> Trajectories:
        """Return where the devices are at any time.

        Args:
            start_m: Where they would stand if nobody moved. [device, 2]
            area: What they do not leave.
            streams: Addressed by device and leg.

        Raises:
            ValueError: They cannot move like this in this area.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Static(Mobility, kind="static"):
    """Nobody moves."""

    def trajectories(self, start_m: Floats, area: Area, streams: Streams) -> Trajectories:
        """Return places that stay."""
        from netfed.network.mobility.trajectories import Standing

        return Standing(start_m)


@dataclass(frozen=True)
class RandomWaypoint(Mobility, kind="random-waypoint"):
    """Each device walks straight to a waypoint anywhere in the area, pauses, and walks to the next.

    Johnson and Maltz, "Dynamic source routing in ad hoc wireless networks", 1996. It starts in its stationary
    distribution (Navidi and Camp, "Stationary distributions for the random waypoint mobility model", IEEE TMC 3(1),
    2004): nothing has to settle first. In it devices gather in the middle of the area, and slow legs are many, since
    they last longer.

    Attributes:
        speed: Least and most: that of each leg is drawn uniformly between them. The least is more than 0, or devices
            would slow down for ever (Yoon, Liu and Noble, "Random waypoint considered harmful", INFOCOM 2003).
        pause: At each waypoint.
    """

    speed: tuple[MetersPerSecond, MetersPerSecond] = (_WALK_M_PER_S, _WALK_M_PER_S)
    pause: Seconds = 0.0

    def __post_init__(self) -> None:
        _check_speeds(self.speed)

    def trajectories(self, start_m: Floats, area: Area, streams: Streams) -> Trajectories:
        """Return walks from waypoint to waypoint; where devices would stand plays no part."""
        from netfed.network.mobility.trajectories import Walking
        from netfed.network.mobility.walks import WaypointWalk

        return Walking(WaypointWalk(self, area, streams), len(start_m))


@dataclass(frozen=True)
class GaussMarkov(Mobility, kind="gauss-markov"):
    """Each device keeps a velocity that wanders about a mean of its own, and bounces off the edges of the area.

    Liang and Haas, "Predictive distance-based mobility management for PCS networks", INFOCOM 1999: from one update to
    the next the velocity keeps a share ``memory`` of itself, the rest is its mean and Gaussian noise. Between updates
    devices go straight. The mean points where each device's own draw says; devices start anywhere in the area, alike,
    at a velocity from its stationary distribution. That stays so, edges or not (Le Boudec and Vojnovic, "Perfect
    simulation and stationarity of a class of mobility models", INFOCOM 2005).

    Where a device is follows from all its updates so far: to ask of a device for the first time costs about 0.2 us for
    each of them.

    Attributes:
        speed: Length of the mean velocity.
        deviation: Standard deviation of the velocity in each of the two directions.
        memory: Share of a velocity, less its mean, that is kept at an update: 0 forgets it, 1 keeps it for good.
        interval: From one update to the next.
    """

    speed: MetersPerSecond = _WALK_M_PER_S
    deviation: MetersPerSecond = _WALK_M_PER_S / 2
    memory: Fraction = 0.9
    interval: Seconds = 1.0

    def __post_init__(self) -> None:
        if not 0.1 <= self.interval < math.inf:
            raise ValueError("interval must be at least 0.1 s: each update costs time")

    def trajectories(self, start_m: Floats, area: Area, streams: Streams) -> Trajectories:
        """Return walks that bounce off the edges; where devices would stand plays no part."""
        from netfed.network.mobility.trajectories import Walking
        from netfed.network.mobility.walks import GaussMarkovWalk

        return Walking(GaussMarkovWalk(self, area, streams), len(start_m))


@dataclass(frozen=True)
class Manhattan(Mobility, kind="manhattan"):
    """Each device follows the streets of a square grid, and may turn where they cross.

    ETSI TR 101 112 (UMTS 30.03), annex B: at a crossing it goes straight on with probability 0.5, and turns left or
    right with 0.25 each. Streets run along the edges of as many whole blocks as fit the area, in its middle. Who would
    leave the grid turns back. Devices start anywhere on the streets in the stationary distribution, in which an outer
    street, with blocks on one side alone, has half as many devices as an inner one.

    Attributes:
        block: From one street to the next.
        speed: Least and most: each device has one speed for good, drawn uniformly between them.
        turn: Probability of turning at a crossing, left as likely as right.
    """

    block: Meters = 100.0
    speed: tuple[MetersPerSecond, MetersPerSecond] = (_WALK_M_PER_S, _WALK_M_PER_S)
    turn: Fraction = 0.5

    def __post_init__(self) -> None:
        _check_speeds(self.speed)
        if not 1 <= self.block < math.inf:
            raise ValueError("block must be at least 1 m")

    def blocks(self, area: Area) -> tuple[int, int]:
        """Return how many whole blocks fit an area, from west to east and from south to north.

        Raises:
            ValueError: None does.
        """
        columns, rows = (int(span_m / self.block + 1e-9) for span_m in (area.width_m, area.height_m))
        if min(columns, rows) < 1:
            room = f"{area.width_m:.6g} m x {area.height_m:.6g} m"
            raise ValueError(f"no block of {self.block:.15g} m fits the area of {room}")
        return columns, rows

    def trajectories(self, start_m: Floats, area: Area, streams: Streams) -> Trajectories:
        """Return walks along streets; where devices would stand plays no part."""
        from netfed.network.mobility.trajectories import Walking
        from netfed.network.mobility.walks import ManhattanWalk

        return Walking(ManhattanWalk(self, area, streams), len(start_m))


def _check_speeds(speed: tuple[float, float]) -> None:
    least, most = speed
    if not 0 < least <= most <= _FASTEST_M_PER_S:
        raise ValueError("speed must be two speeds from more than 0 m/s to 1000 m/s, the least first")
