"""Movements of a file, at any time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netfed.network.mobility.track import Track

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


class _Between(NamedTuple):
    """The two moments between which a device is, and how far it is from the first to the second. [device] each"""

    before: Ids
    after: Ids
    share: Floats


class Recorded:
    """Devices that move as tracks say, straight from one moment to the next.

    Args:
        tracks: The movements; device n has that of number n, modulo how many there are.
        origin_m: What becomes 0, 0; None: the middle of all places.
        begin_s: What becomes time 0.
        period_s: After which all begins anew; None: it does not.
    """

    def __init__(
        self, tracks: Sequence[Track], origin_m: tuple[float, float] | None, begin_s: float, period_s: float | None
    ) -> None:
        counts = [len(track) for track in tracks]
        moments = np.array([moment for track in tracks for moment in track])
        places_m = moments[:, 1:]
        if origin_m is None:
            origin_m = (places_m.min(axis=0) + places_m.max(axis=0)) / 2
        self._places_m = places_m - origin_m
        self._times_s = moments[:, 0] - begin_s
        self._period_s = period_s
        self._first = np.concatenate(([0], np.cumsum(counts)))
        self._all_times_s, rank = np.unique(self._times_s, return_inverse=True)
        self._keys = np.repeat(np.arange(len(tracks)), counts) * len(self._all_times_s) + rank

    def positions_m(self, ids: ArrayLike, now_s: ArrayLike) -> Floats:
        """Return where devices are. [device, 2]"""
        before, after, share = self._between(ids, now_s)
        from_m = self._places_m[before]
        return np.asarray(from_m + share[:, None] * (self._places_m[after] - from_m))

    def velocities_m_per_s(self, ids: ArrayLike, now_s: ArrayLike) -> Floats:
        """Return how fast devices move, and where to. [device, 2]"""
        before, after, share = self._between(ids, now_s)
        way_m = self._places_m[after] - self._places_m[before]
        time_s = self._times_s[after] - self._times_s[before]
        moves = (time_s > 0) & (share < 1)
        return np.asarray(np.divide(way_m, time_s[:, None], where=moves[:, None], out=np.zeros_like(way_m)))

    def _between(self, ids: ArrayLike, now_s: ArrayLike) -> _Between:
        track = np.asarray(ids, np.int64) % (len(self._first) - 1)
        times_s = np.broadcast_to(np.asarray(now_s, np.float64), track.shape)
        if self._period_s is not None:
            times_s = np.mod(times_s, self._period_s)
        rank = np.searchsorted(self._all_times_s, times_s, side="right") - 1
        latest = np.searchsorted(self._keys, track * len(self._all_times_s) + rank, side="right") - 1
        first, last = self._first[track], self._first[track + 1] - 1
        before = np.maximum(latest, first)
        after = np.minimum(before + (latest >= first), last)
        time_s = self._times_s[after] - self._times_s[before]
        elapsed_s = times_s - self._times_s[before]
        share = np.divide(elapsed_s, time_s, where=time_s > 0, out=np.zeros_like(elapsed_s))
        return _Between(before, after, share)
