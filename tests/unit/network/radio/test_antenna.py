from __future__ import annotations

import math

import numpy as np
import pytest

from netfed.network.radio.antenna import Antenna, Omnidirectional, Sectors

FAR_M = 1000.0


def gain_db(antenna: Antenna, azimuth_degrees: float, elevation_degrees: float) -> np.ndarray:
    """Gain of each sector in one direction. [sector]"""
    azimuth, elevation = math.radians(azimuth_degrees), math.radians(elevation_degrees)
    ground_m = FAR_M * math.cos(elevation)
    east_m, north_m = ground_m * math.cos(azimuth), ground_m * math.sin(azimuth)
    rise_m = np.array([FAR_M * math.sin(elevation)])
    return antenna.gain_db(np.array([[east_m]]), np.array([[north_m]]), rise_m)[0, :, 0]


def test_an_element_has_the_pattern_of_table_7_3_1() -> None:
    element = Sectors(sectors=1, elements=1)
    for azimuth, elevation, expected_dbi in ((0, 0, 8), (32.5, 0, 5), (0, -32.5, 5), (32.5, 32.5, 2), (180, 0, -22)):
        assert gain_db(element, azimuth, elevation) == pytest.approx(expected_dbi)


def test_a_column_gathers_power_where_it_is_tilted() -> None:
    element_db = 12 * (12 / 65) ** 2
    assert gain_db(Sectors(sectors=1), 0, -12) == pytest.approx(8 + 10 - element_db)
    assert gain_db(Sectors(sectors=1), 0, 0) < 8
    assert np.isfinite([gain_db(Sectors(sectors=1), 0, degrees) for degrees in np.arange(-90, 90, 0.1)]).all()


@pytest.mark.parametrize(("elements", "tilt"), [(2, 0.0), (10, 12.0), (16, 30.0)])
def test_a_column_makes_no_power(elements: int, tilt: float) -> None:
    """Elements half a wavelength apart do not couple: over all directions they radiate what one does."""
    sines = np.linspace(-0.999, 0.999, 20_001)
    east_m, north_m, rise_m = np.sqrt(1 - sines**2)[None], np.zeros((1, len(sines))), sines
    column, one = (
        Sectors(sectors=1, elements=count, electrical_tilt_degrees=tilt).gain_db(east_m, north_m, rise_m)
        for count in (elements, 1)
    )
    assert np.mean(10 ** ((column - one) / 10)) == pytest.approx(1, abs=0.01)


def test_sectors_are_evenly_spread() -> None:
    antenna = Sectors(azimuth_degrees=30.0)
    assert [int(np.argmax(gain_db(antenna, azimuth, -5))) for azimuth in (30, 89, 91, 150, -90, -31)] == [
        0,
        0,
        1,
        1,
        2,
        2,
    ]
    assert gain_db(antenna, 30, -5)[0] == pytest.approx(gain_db(antenna, 270, -5)[2])
    assert gain_db(antenna, 30, -5)[1] == pytest.approx(gain_db(antenna, 270, -5)[0])


def test_a_column_that_leans_forward_looks_down() -> None:
    leaning = Sectors(elements=1, azimuth_degrees=90.0, mechanical_tilt_degrees=10.0)
    for sector, azimuth in enumerate((90, 210, 330)):
        assert gain_db(leaning, azimuth, -10)[sector] == pytest.approx(8)
        assert gain_db(leaning, azimuth, 22.5)[sector] == pytest.approx(5)
        assert gain_db(leaning, azimuth, -90)[sector] == pytest.approx(8 - 12 * (80 / 65) ** 2)
        assert gain_db(leaning, azimuth + 90, 0)[sector] == pytest.approx(gain_db(leaning, azimuth - 90, 0)[sector])
        assert gain_db(leaning, azimuth, -10)[sector] > gain_db(leaning, azimuth + 20, -10)[sector]
    upright = Sectors(elements=1, azimuth_degrees=90.0, mechanical_tilt_degrees=1e-6)
    straight = Sectors(elements=1, azimuth_degrees=90.0)
    assert gain_db(upright, 77, -9) == pytest.approx(gain_db(straight, 77, -9), abs=1e-4)


def test_an_omnidirectional_antenna_has_one_cell() -> None:
    antenna = Omnidirectional(gain_dbi=3.0)
    east_m = np.ones((2, 5), np.float32)
    gains_db = antenna.gain_db(east_m, east_m, np.zeros(5))
    assert gains_db.shape == (2, 1, 5)
    assert gains_db.dtype == np.float32
    assert (gains_db == 3).all()
