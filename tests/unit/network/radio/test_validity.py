from __future__ import annotations

import pytest

from netfed.network.radio.validity import Excess, Validity

OUTDOORS = Validity(10.0, 10_000.0, 5000.0, base_station_height_m=(10.0, 150.0), device_height_m=(1.0, 10.0))
INDOORS = Validity(1.0, 150.0, 150.0, slanted=True)


def test_a_link_in_line_of_sight_may_be_longer() -> None:
    assert not list(OUTDOORS.excesses(7000.0, 35.0, 1.5, los=True))
    assert list(OUTDOORS.excesses(7000.0, 35.0, 1.5, los=False)) == [Excess("distance", 7000.0, 10.0, 5000.0)]


def test_distances_are_between_feet_or_between_antennas() -> None:
    assert [excess.of for excess in OUTDOORS.excesses(9.0, 35.0, 1.5, los=True)] == ["distance"]
    assert not list(INDOORS.excesses(0.0, 3.0, 1.0, los=True))
    assert list(INDOORS.excesses(149.99, 5.0, 1.0, los=True)) == [
        Excess("distance", pytest.approx(150.043, abs=1e-3), 1.0, 150.0)
    ]
    assert OUTDOORS.blind_m(33.5) == 10.0
    assert (INDOORS.blind_m(2.0), INDOORS.blind_m(0.6)) == (0.0, pytest.approx(0.8))


def test_heights_have_ranges() -> None:
    found = list(OUTDOORS.excesses(100.0, 151.0, 0.5, los=True))
    assert [(excess.of, excess.range) for excess in found] == [
        ("base station height", "10 m to 150 m"),
        ("device height", "1 m to 10 m"),
    ]
    assert Excess("base station height", 30.0, 25.0, 25.0).range == "25 m"


def test_by_default_all_is_in_range() -> None:
    assert not list(Validity().excesses(1e7, 1e4, 0.0, los=False))
