"""A plane without an edge: copies of a cluster of base stations all around it, so that all have neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from netfed.network.topology import whole_rings

Floats = NDArray[np.floating[Any]]


class Wraparound:
    """The shortest way to the nearest copy of a base station.

    Whole rings of hexagons around one are a cluster that tiles the plane. Each copy is shifted by ring + 1 steps to a
    neighbour and ring steps to the next (3GPP TR 38.901, table 7.8-1, asks for it and leaves it open).

    Args:
        sites: 7, 19, 37, ...: whole rings of a hexagonal grid, the neighbours of the first to its east, and so on at
            every 60 degrees.
        spacing_m: Between neighbours.

    Raises:
        ValueError: The rings are not whole.
    """

    def __init__(self, sites: int, spacing_m: float) -> None:
        rings = whole_rings(sites)
        turn = np.exp(1j * np.pi / 3)
        shift = spacing_m * (rings + 1 + rings * turn)
        self._shifts = np.array([[shift.real, shift.imag], [(shift * turn).real, (shift * turn).imag]])
        self._steps = np.linalg.inv(self._shifts)

    def shortest(self, east_m: Floats, north_m: Floats) -> tuple[Floats, Floats]:
        """Return the ways to the nearest copies: the same shape and precision.

        Args:
            east_m: The ways to the base stations themselves.
            north_m: The same, northward.
        """
        ((first_east, first_north), (second_east, second_north)) = self._shifts.tolist()
        ((east_first, east_second), (north_first, north_second)) = self._steps.tolist()
        first = east_m * east_first + north_m * north_first
        second = east_m * east_second + north_m * north_second
        near_first, near_second, near_third = np.rint(first), np.rint(second), np.rint(-first - second)
        off_first, off_second = np.abs(near_first - first), np.abs(near_second - second)
        off_third = np.abs(near_third + first + second)
        first_is_worst = (off_first > off_second) & (off_first > off_third)
        second_is_worst = ~first_is_worst & (off_second > off_third)
        first = np.where(first_is_worst, -near_second - near_third, near_first)
        second = np.where(second_is_worst, -near_first - near_third, near_second)
        return (
            east_m - first * first_east - second * second_east,
            north_m - first * first_north - second * second_north,
        )
