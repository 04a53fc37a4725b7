"""Random fields over the plane: what two devices that stand close have in common."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netfed.streams import Streams

Floats = NDArray[np.floating[Any]]

_CELLS = 512
_CELLS_PER_CORRELATION = 8


class Fields:
    """One standard normal field for each site, whose correlation falls off as exp(-distance / correlation_m).

    A field is a square grid of noise whose spectrum that correlation gives (Dietrich and Newsam, "Fast and exact
    simulation of stationary Gaussian processes through circulant embedding", SIAM J. Sci. Comput. 18(4), 1997). It is
    constant over cells an eighth of the correlation distance wide, and repeats after 64 correlation distances.

    Args:
        name: Of what it decides: the stream.
        sites: How many there are. The field of a site does not depend on the others.
        correlation_m: At this distance the correlation is 1/e.
        streams: Addressed by site.
    """

    def __init__(self, name: str, sites: int, correlation_m: float, streams: Streams) -> None:
        self._name, self._sites, self._streams = name, sites, streams
        self._cell_m = correlation_m / _CELLS_PER_CORRELATION

    def at(self, positions_m: Floats) -> NDArray[np.float32]:
        """Return the fields at some places.

        Args:
            positions_m: [place, 2]

        Returns:
            [site, place]
        """
        column, row = np.floor(np.asarray(positions_m, np.float64).T / self._cell_m).astype(np.int64) % _CELLS
        return np.asarray(np.take(self._values, column * _CELLS + row, axis=1))

    @cached_property
    def _values(self) -> NDArray[np.float32]:
        """The fields, made when they are first asked for. [site, cell]"""
        values = np.empty((self._sites, _CELLS * _CELLS), np.float32)
        for site in range(self._sites):
            noise = self._streams.generator(self._name, site).standard_normal((_CELLS, _CELLS + 2), np.float32)
            spectrum = noise.view(np.complex64) * _amplitude()
            values[site] = np.fft.irfft2(spectrum, s=(_CELLS, _CELLS), norm="ortho").ravel()
        return values


def share_below(normal: Floats) -> Floats:
    """Return which share of a field is below its values: the standard normal distribution function, within 1e-6.

    Abramowitz and Stegun, "Handbook of Mathematical Functions", 1964, equation 7.1.26.
    """
    half_square = normal * normal * 0.5
    t = 1 / (1 + np.abs(normal) * (0.3275911 * 0.5**0.5))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    tail = series * np.exp(-half_square) * 0.5
    return np.asarray(np.where(normal < 0, tail, 1 - tail))


@cache
def _amplitude() -> Floats:
    """Return the size of each frequency, if a real field has this spectrum. [_CELLS, _CELLS / 2 + 1]"""
    steps = np.arange(_CELLS)
    steps = np.minimum(steps, _CELLS - steps)
    correlation = np.exp(-np.hypot(steps[:, None], steps) / _CELLS_PER_CORRELATION)
    power = np.maximum(np.fft.rfft2(correlation).real, 0.0) / 2
    power[:, [0, -1]] *= 2  # of these two columns only the real half counts
    return np.sqrt(power).astype(np.float32)
