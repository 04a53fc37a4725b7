"""The walks of the kinds of mobility: what each leg is, from draws addressed by device and leg."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from netfed.network.mobility.spec import Area, GaussMarkov, Manhattan, RandomWaypoint
from netfed.network.mobility.trajectories import LEG, Complexes, Floats, Ids, Legs
from netfed.streams import Streams

_QUARTER_TURNS = np.array([1, 1j, -1, -1j])


class WaypointWalk:
    """Leg n of a device leads from its waypoint n - 1 to its waypoint n, where it pauses.

    The stationary distribution after Navidi and Camp (2004): a device is found paused for as large a share of the time
    as pauses take; else on a leg drawn in proportion to its length, here the first of pairs of waypoints that passes a
    test, at a speed drawn in inverse proportion to it, and anywhere on it.
    """

    def __init__(self, spec: RandomWaypoint, area: Area, streams: Streams) -> None:
        self.area = area
        self._least, self._most = spec.speed
        self._pause_s = spec.pause
        self._streams = streams
        per_meter_s = 1 / self._least
        if self._least < self._most:
            per_meter_s = math.log(self._most / self._least) / (self._most - self._least)
        leg_s = mean_distance_m(area.width_m, area.height_m) * per_meter_s
        self._paused = spec.pause / (spec.pause + leg_s)

    def begin(self, ids: Ids) -> Legs:
        """Return the leg that each device is on. [device]"""
        paused = self._streams.uniform("mobility/paused", ids) < self._paused
        index = np.where(paused, 1, self._in_proportion_to_length(ids))
        place_m = self._waypoint_m(ids, index - 1)
        way_m = self._waypoint_m(ids, index) - place_m
        speed = self._least * (self._most / self._least) ** self._streams.uniform("mobility/speed", ids, index)
        moving_s = np.hypot(way_m.real, way_m.imag) / speed
        done = self._streams.uniform("mobility/done", ids)
        legs = np.empty(len(ids), LEG)
        legs["index"] = index
        legs["start_s"] = -np.where(paused, moving_s + done * self._pause_s, done * moving_s)
        legs["start_m"] = place_m
        legs["velocity_m_per_s"] = way_m / moving_s
        legs["moving_s"] = moving_s
        legs["duration_s"] = moving_s + self._pause_s
        return legs

    def onward(self, ids: Ids, index: Ids, velocity_m_per_s: Complexes) -> tuple[Complexes, ArrayLike, ArrayLike]:
        """Return velocity, time of motion and duration of legs. [leg, device]"""
        way_m = self._waypoint_m(ids, index) - self._waypoint_m(ids, index - 1)
        speed = self._least + (self._most - self._least) * self._streams.uniform("mobility/speed", ids, index)
        moving_s = np.hypot(way_m.real, way_m.imag) / speed
        return way_m / moving_s, moving_s, moving_s + self._pause_s

    def _in_proportion_to_length(self, ids: Ids) -> Ids:
        """Return the number of a leg for each device, among legs of which no two share a waypoint. [device]"""
        diagonal_m = math.hypot(self.area.width_m, self.area.height_m)
        index = np.ones(len(ids), np.int64)
        tried = np.arange(len(ids))
        while tried.size:
            who, leg = ids[tried], index[tried]
            way_m = self._waypoint_m(who, leg) - self._waypoint_m(who, leg - 1)
            share = np.hypot(way_m.real, way_m.imag) / diagonal_m
            tried = tried[self._streams.uniform("mobility/leg", who, leg) >= share]
            index[tried] += 2
        return index

    def _waypoint_m(self, ids: Ids, number: Ids) -> Complexes:
        across = self._streams.uniform("mobility/waypoint", ids, 2 * number)
        along = self._streams.uniform("mobility/waypoint", ids, 2 * number + 1)
        return _anywhere_m(self.area, across, along)


class GaussMarkovWalk:
    """Leg n of a device lasts from its update n to the next."""

    def __init__(self, spec: GaussMarkov, area: Area, streams: Streams) -> None:
        self.area = area
        self._spec = spec
        self._streams = streams

    def begin(self, ids: Ids) -> Legs:
        """Return each device's first leg. [device]"""
        place = (self._streams.uniform("mobility/start", ids, coordinate) for coordinate in (0, 1))
        legs = np.empty(len(ids), LEG)
        legs["index"] = 0
        legs["start_s"] = 0.0
        legs["start_m"] = _anywhere_m(self.area, *place)
        legs["velocity_m_per_s"] = self._mean(ids) + self._spec.deviation * self._noise(ids, np.zeros_like(ids))
        legs["moving_s"] = legs["duration_s"] = self._spec.interval
        return legs

    def onward(self, ids: Ids, index: Ids, velocity_m_per_s: Complexes) -> tuple[Complexes, ArrayLike, ArrayLike]:
        """Return velocity, time of motion and duration of legs. [leg, device]"""
        memory = self._spec.memory
        fresh = self._spec.deviation * math.sqrt(1 - memory**2)
        velocities = (1 - memory) * self._mean(ids) + fresh * self._noise(ids, index)
        for velocity in velocities:
            velocity += memory * velocity_m_per_s
            velocity_m_per_s = velocity
        return velocities, self._spec.interval, self._spec.interval

    def _mean(self, ids: Ids) -> Complexes:
        return self._spec.speed * _towards(self._streams.uniform("mobility/mean", ids))

    def _noise(self, ids: Ids, index: Ids) -> Complexes:
        """Return independent standard normal draws for both coordinates (Box and Muller, 1958)."""
        radius = np.sqrt(-2.0 * np.log(self._streams.uniform("mobility/noise", ids, index)))
        return radius * _towards(self._streams.uniform("mobility/noise/angle", ids, index))


class ManhattanWalk:
    """Leg n of a device leads from its crossing n to the next."""

    def __init__(self, spec: Manhattan, area: Area, streams: Streams) -> None:
        self._spec = spec
        self._streams = streams
        self._columns, self._rows = spec.blocks(area)
        width_m, height_m = self._columns * spec.block, self._rows * spec.block
        west_m = (area.west_m + area.east_m - width_m) / 2
        south_m = (area.south_m + area.north_m - height_m) / 2
        self.area = Area(west_m, south_m, west_m + width_m, south_m + height_m)

    def begin(self, ids: Ids) -> Legs:
        """Return the leg that each device is on: as likely any of those of the grid and its mirror images. [device]"""
        draw = [self._streams.uniform("mobility/start", ids, number) for number in range(4)]
        crossing = np.floor(2 * self._columns * draw[0]) + 1j * np.floor(2 * self._rows * draw[1])
        duration_s = self._spec.block / self._speed(ids)
        legs = np.empty(len(ids), LEG)
        legs["index"] = 0
        legs["start_s"] = -draw[3] * duration_s
        legs["start_m"] = complex(self.area.west_m, self.area.south_m) + self._spec.block * crossing
        legs["velocity_m_per_s"] = self._speed(ids) * _QUARTER_TURNS[np.floor(4 * draw[2]).astype(np.int64)]
        legs["moving_s"] = legs["duration_s"] = duration_s
        return legs

    def onward(self, ids: Ids, index: Ids, velocity_m_per_s: Complexes) -> tuple[Complexes, ArrayLike, ArrayLike]:
        """Return velocity, time of motion and duration of legs. [leg, device]"""
        draw = self._streams.uniform("mobility/turn", ids, index)
        turns = np.where(draw < self._spec.turn / 2, 1j, np.where(draw < self._spec.turn, -1j, 1))
        velocities = velocity_m_per_s * np.multiply.accumulate(turns)
        duration_s = self._spec.block / self._speed(ids)
        return velocities, duration_s, duration_s

    def _speed(self, ids: Ids) -> Floats:
        least, most = self._spec.speed
        return least + (most - least) * self._streams.uniform("mobility/speed", ids)


def mean_distance_m(width_m: float, height_m: float) -> float:
    """Return the mean distance of two places drawn uniformly from a rectangle (Ghosh, 1951)."""
    a, b, diagonal = width_m, height_m, math.hypot(width_m, height_m)
    logs = b**2 / a * math.log((a + diagonal) / b) + a**2 / b * math.log((b + diagonal) / a)
    powers = a**3 / b**2 + b**3 / a**2 + diagonal * (3 - (a / b) ** 2 - (b / a) ** 2)
    return (powers + 5 / 2 * logs) / 15


def _anywhere_m(area: Area, across: Floats, along: Floats) -> Complexes:
    return np.asarray(area.west_m + area.width_m * across + 1j * (area.south_m + area.height_m * along))


def _towards(turn: Floats) -> Complexes:
    """Return directions of length 1, given as shares of a full turn."""
    directions = np.empty(turn.shape, np.complex128)
    directions.real = np.cos(2 * np.pi * turn)
    directions.imag = np.sin(2 * np.pi * turn)
    return directions
