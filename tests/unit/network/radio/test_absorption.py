from __future__ import annotations

import numpy as np
import pytest

from netfed.network.radio.absorption import absorption_db_per_m, oxygen_db_per_m
from netfed.network.radio.outdoor import UrbanMicro
from netfed.network.radio.sub_terahertz import SubTerahertz


@pytest.mark.parametrize(
    ("frequency_ghz", "loss_db_per_km"), [(100, 0.45806), (140, 0.92319), (220, 2.48681), (275, 3.91237)]
)
def test_between_the_points_of_the_table(frequency_ghz: float, loss_db_per_km: float) -> None:
    """Rec. ITU-R P.676-12, annex 1, where it was not taken for the table."""
    assert absorption_db_per_m(frequency_ghz * 1e9) * 1000 == pytest.approx(loss_db_per_km, rel=0.03)


@pytest.mark.parametrize(
    ("frequency_ghz", "loss_db_per_km"),
    [(0.7, 0), (28, 0), (52, 0), (52.5, 0.5), (53, 1), (57, 9.7), (60, 15), (62.5, 12.4), (67, 1), (68, 0), (100, 0)],
)
def test_oxygen_absorbs_about_60_ghz(frequency_ghz: float, loss_db_per_km: float) -> None:
    """3GPP TR 38.901, table 7.6.1-1."""
    for found in (oxygen_db_per_m(frequency_ghz * 1e9), UrbanMicro().absorption_db_per_m(frequency_ghz * 1e9)):
        assert found * 1000 == pytest.approx(loss_db_per_km)


def test_oxygen_and_water_have_their_lines() -> None:
    frequencies_hz = np.arange(100e9, 300e9, 0.1e9)
    losses = np.array([absorption_db_per_m(frequency_hz) for frequency_hz in frequencies_hz])
    peaks = frequencies_hz[1:-1][(losses[1:-1] > losses[:-2]) & (losses[1:-1] > losses[2:])]
    assert peaks / 1e9 == pytest.approx([118.75, 183.31], abs=0.1)


def test_people_hide_what_is_behind_them() -> None:
    """Gapeyenko et al., arXiv:1604.04743, by hand: a third of 30 m lies as low as people between 3 m and 1.2 m."""
    spec = SubTerahertz(device_height=1.2, people_height=1.8, people_per_square_meter=0.2, people_radius=0.25)
    assert spec.los_probability(np.array(30.0), np.array(1.2)) == pytest.approx(np.exp(-2 * 0.2 * 0.25 * (10 + 0.25)))
    empty = SubTerahertz(people_per_square_meter=0.0)
    assert empty.los_probability(np.array([1.0, 100.0]), np.array(1.5)) == pytest.approx([1, 1])
