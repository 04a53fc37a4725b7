from __future__ import annotations

import numpy as np
import pytest

from netfed.network.backhaul import positions_m
from netfed.network.radio.wraparound import Wraparound
from netfed.network.topology import Hexagonal
from netfed.streams import Streams

TURN = np.exp(1j * np.pi / 3)


@pytest.mark.parametrize(("count", "steps"), [(7, (2, 1)), (19, (3, 2)), (37, (4, 3))])
def test_the_way_to_the_nearest_copy(count: int, steps: tuple[int, int]) -> None:
    streams, spacing_m = Streams(1), 500.0
    east_m, north_m = (10_000 * streams.uniform("way", np.arange(2000), axis) - 5000 for axis in (0, 1))
    shift = spacing_m * (steps[0] + steps[1] * TURN)
    copies = np.array([first * shift + second * shift * TURN for first in range(-9, 10) for second in range(-9, 10)])
    expected = np.abs(east_m + 1j * north_m - copies[:, None]).min(axis=0)
    shortest = np.hypot(*Wraparound(count, spacing_m).shortest(east_m, north_m))
    assert shortest == pytest.approx(expected)


@pytest.mark.parametrize("count", [7, 19])
def test_all_base_stations_have_six_neighbours(count: int) -> None:
    sites_m = positions_m(Hexagonal(count, 200.0).graph())
    east_m, north_m = (sites_m[:, None, axis] - sites_m[None, :, axis] for axis in (0, 1))
    distances_m = np.hypot(*Wraparound(count, 200.0).shortest(east_m, north_m)).round(3)
    assert ((distances_m == 200).sum(axis=0) == 6).all()


def test_precision_is_kept() -> None:
    east_m, north_m = Wraparound(7, 500.0).shortest(np.zeros((2, 2), np.float32), np.ones((2, 2), np.float32))
    assert east_m.dtype == north_m.dtype == np.float32


@pytest.mark.parametrize("count", [1, 3, 8, 18])
def test_broken_rings_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} base stations are no whole rings"):
        Wraparound(count, 500.0)
