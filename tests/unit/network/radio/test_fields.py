from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from netfed.network.radio.fields import Fields, share_below
from netfed.streams import Streams

SITES, PLACES = 8, 20_000


def places(streams: Streams) -> np.ndarray:
    ids = np.arange(PLACES)
    return 8000 * np.stack([streams.uniform("place", ids, axis) for axis in (0, 1)], axis=-1) - 4000


@pytest.mark.parametrize("correlation_m", [7.0, 50.0])
def test_correlation_is_exponential(correlation_m: float) -> None:
    streams = Streams(1)
    fields, here = Fields("x", SITES, correlation_m, streams), places(streams)
    turn = 2 * np.pi * streams.uniform("turn", np.arange(PLACES))
    step = correlation_m * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
    values = fields.at(here)
    assert values.mean() == pytest.approx(0, abs=0.02)
    assert values.var() == pytest.approx(1, abs=0.02)
    for lags in (0.5, 1.0, 2.0):
        assert (values * fields.at(here + lags * step)).mean() == pytest.approx(np.exp(-lags), abs=0.02)


def test_the_share_below_is_the_normal_distribution() -> None:
    values = np.linspace(-4, 4, 81, dtype=np.float32)
    expected = [NormalDist().cdf(float(value)) for value in values]
    assert share_below(values) == pytest.approx(expected, abs=1e-6)


def test_values_are_normal() -> None:
    streams = Streams(2)
    values = Fields("x", SITES, 20.0, streams).at(places(streams))
    assert np.mean(values < 1) == pytest.approx(0.8413, abs=0.01)
    assert np.mean(values < -2) == pytest.approx(0.0228, abs=0.003)


def test_sites_and_purposes_are_independent() -> None:
    streams = Streams(3)
    here = places(streams)
    both = np.concatenate([Fields("x", 4, 20.0, streams).at(here), Fields("y", 4, 20.0, streams).at(here)])
    assert np.abs(np.corrcoef(both) - np.eye(8)).max() < 0.05


def test_another_site_changes_no_other() -> None:
    here = places(Streams(0))
    few, many = (Fields("x", sites, 20.0, Streams(4)).at(here) for sites in (2, 5))
    assert (many[:2] == few).all()
    assert (Fields("x", 2, 20.0, Streams(5)).at(here) != few).all()


def test_the_same_place_has_the_same_value() -> None:
    fields = Fields("x", 1, 20.0, Streams(6))
    cell_m = 20 / 8
    corner, inside, beside = fields.at(np.array([[-cell_m, 0], [-0.01, cell_m * 0.99], [0.01, 0]]))[0]
    assert corner == inside != beside
    assert fields.at(np.array([[64 * 20.0 - cell_m, 0]]))[0, 0] == corner
