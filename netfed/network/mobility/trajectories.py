"""Where devices are at any time: evaluated when somebody asks, for those that are asked for, with no ticks."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netfed.network.mobility.records import Records
from netfed.network.mobility.spec import Area

Floats = NDArray[np.float64]
Complexes = NDArray[np.complex128]
Ids = NDArray[np.int64]
Legs = NDArray[np.void]

LEG = np.dtype(
    [
        ("index", np.int64),
        ("start_s", np.float64),
        ("start_m", np.complex128),
        ("velocity_m_per_s", np.complex128),
        ("moving_s", np.float64),
        ("duration_s", np.float64),
    ]
)
"""A leg: from ``start_m`` (x + iy) a device moves for ``moving_s`` and stands until ``duration_s`` are over."""

_MOST_LEGS = 1 << 20
"""How many legs are worked out at once: 64 MiB of them."""


class Trajectories(Protocol):
    """Where devices are. An answer depends on device and time alone, whoever else was asked for, and in any order."""

    def positions_m(self, ids: ArrayLike, now_s: ArrayLike) -> Floats:
        """Return where devices are.

        Args:
            ids: Of the devices. [device]
            now_s: The time, 0 or later: one for all, or each its own. [device]

        Returns:
            Coordinates. [device, 2]
        """
        ...

    def velocities_m_per_s(self, ids: ArrayLike, now_s: ArrayLike) -> Floats:
        """Return how fast devices move, and where to: as for `positions_m`. [device, 2]"""
        ...


class Standing:
    """Devices that stay where they are.

    Args:
        places_m: Where that is. [device, 2]
    """

    def __init__(self, places_m: Floats) -> None:
        self._places_m = places_m

    def positions_m(self, ids: ArrayLike, now_s: ArrayLike) -> Floats:
        """Return where devices are. [device, 2]"""
        return np.asarray(self._places_m[np.asarray(ids)])

    def velocities_m_per_s(self, ids: ArrayLike, now_s: ArrayLike) -> Floats:
        """Return zeros. [device, 2]"""
        return np.zeros((len(np.asarray(ids)), 2))


class Walk(Protocol):
    """What the legs of a device are: each follows from its draws, addressed by device and leg, and from the one before.

    Attributes:
        area: Whose edges mirror the walk: a device that would leave it bounces off.
    """

    area: Area

    def begin(self, ids: Ids) -> Legs:
        """Return each device's leg at time 0, which may have started before. [device]"""
        ...

    def onward(self, ids: Ids, index: Ids, velocity_m_per_s: Complexes) -> tuple[Complexes, ArrayLike, ArrayLike]:
        """Return what comes after a leg: velocity, time of motion and duration of each. [leg, device]

        Args:
            ids: Of the devices. [device]
            index: Of the legs asked for: those that follow each other. [leg, device]
            velocity_m_per_s: On the leg before these. [device]
        """
        ...


class Walking:
    """Devices on a walk of legs.

    Each device that was ever asked for has its latest leg kept; from it the next legs follow, for all devices that need
    any together. A question about an earlier time starts again from the first leg. Places add up leg by leg in one
    order, so that bits do not depend on how many legs are worked out at once.

    Args:
        walk: What the legs are.
        devices: How many devices there are.
    """

    def __init__(self, walk: Walk, devices: int) -> None:
        self._walk = walk
        self._latest = Records(devices, LEG)

    def positions_m(self, ids: ArrayLike, now_s: ArrayLike) -> Floats:
        """Return where devices are. [device, 2]"""
        legs, moved_s = self._at(np.asarray(ids, np.int64), now_s)
        place = legs["start_m"] + legs["velocity_m_per_s"] * moved_s
        area = self._walk.area
        x_m, _ = _mirrored(place.real, area.west_m, area.width_m)
        y_m, _ = _mirrored(place.imag, area.south_m, area.height_m)
        return np.stack((x_m, y_m), axis=-1)

    def velocities_m_per_s(self, ids: ArrayLike, now_s: ArrayLike) -> Floats:
        """Return how fast devices move, and where to. [device, 2]"""
        legs, moved_s = self._at(np.asarray(ids, np.int64), now_s)
        place = legs["start_m"] + legs["velocity_m_per_s"] * moved_s
        velocity = np.where(moved_s < legs["moving_s"], legs["velocity_m_per_s"], 0)
        area = self._walk.area
        _, across = _mirrored(place.real, area.west_m, area.width_m)
        _, along = _mirrored(place.imag, area.south_m, area.height_m)
        return np.stack((velocity.real * across, velocity.imag * along), axis=-1)

    def _at(self, ids: Ids, now_s: ArrayLike) -> tuple[Legs, Floats]:
        """Return each device's leg, and for how long it has moved on it. [device] each"""
        now_s = np.broadcast_to(np.asarray(now_s, np.float64), ids.shape)
        legs = self._legs(ids, now_s)
        return legs, np.minimum(now_s - legs["start_s"], legs["moving_s"])

    def _legs(self, ids: Ids, now_s: Floats) -> Legs:
        rows, new = self._latest.claim(ids)
        legs: Legs = self._latest.table[rows]
        afresh = new | (now_s < legs["start_s"])
        if afresh.any():
            legs[afresh] = self._walk.begin(ids[afresh])
        behind = np.flatnonzero(_end_s(legs) <= now_s)
        if afresh.any() or behind.size:
            self._advance(ids, now_s, legs, behind)
            self._latest.table[rows] = legs
        return legs

    def _advance(self, ids: Ids, now_s: Floats, legs: Legs, behind: Ids) -> None:
        """Replace the legs of those that are behind by those that they are on now: of ever more legs at once."""
        count = 1
        while behind.size:
            ahead = self._following(ids[behind], legs[behind], count)
            begun = np.count_nonzero(ahead["start_s"] <= now_s[behind], axis=0)
            legs[behind] = ahead[begun - 1, np.arange(len(behind))]
            behind = behind[_end_s(legs[behind]) <= now_s[behind]]
            count = max(1, min(2 * count, _MOST_LEGS // max(1, len(behind))))

    def _following(self, ids: Ids, last: Legs, count: int) -> Legs:
        """Return the next legs of devices. [leg, device]"""
        ahead = np.empty((count, len(ids)), LEG)
        ahead["index"] = last["index"] + np.arange(1, count + 1)[:, None]
        steps = self._walk.onward(ids, ahead["index"], last["velocity_m_per_s"])
        ahead["velocity_m_per_s"], ahead["moving_s"], ahead["duration_s"] = steps
        duration_s, moving_s, velocity_m_per_s = (
            np.concatenate((last[name][None], ahead[name][:-1]))
            for name in ("duration_s", "moving_s", "velocity_m_per_s")
        )  # of the legs before these
        ahead["start_s"] = _sums(last["start_s"], duration_s)
        ahead["start_m"] = _sums(last["start_m"], velocity_m_per_s * moving_s)
        return ahead


def _end_s(legs: Legs) -> Floats:
    return np.asarray(legs["start_s"] + legs["duration_s"])


def _sums(first: NDArray[Any], steps: NDArray[Any]) -> NDArray[Any]:
    """Return ``first`` plus the first step, plus the second, ...: added one by one. [leg, device]"""
    return np.add.accumulate(np.concatenate((first[None], steps)))[1:]


def _mirrored(at_m: Floats, edge_m: float, span_m: float) -> tuple[Floats, Floats]:
    """Return a coordinate as two mirrors on the edges of a span show it, and -1 where it is seen reversed, else 1."""
    from_middle_m = np.mod(at_m - edge_m, 2 * span_m) - span_m
    return edge_m + span_m - np.abs(from_middle_m), np.where(from_middle_m > 0, -1.0, 1.0)
