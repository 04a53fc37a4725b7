"""Amounts in the units that people use."""

from __future__ import annotations

from netfed.amounts import DURATIONS, ENERGIES, SIZES, duration, energy, number, size, unit


def test_three_digits_and_the_unit_that_fits() -> None:
    assert [size(bits) for bits in (0, 8, 7992, 8000, 98_400_000)] == ["0 B", "1 B", "999 B", "1 kB", "12.3 MB"]
    assert size(8e20) == "1e+05 PB"
    assert [energy(joules) for joules in (0.0, 0.0204, 3.0, 1940.0)] == ["0 J", "20.4 mJ", "3 J", "1.94 kJ"]
    assert [duration(s) for s in (0.0, 0.00412, 0.1504, 0.9994, 9.9, 42.4)] == [
        "0 s",
        "4.1 ms",
        "150 ms",
        "999 ms",
        "9.9 s",
        "42 s",
    ]
    assert [duration(s) for s in (60.0, 3599.0, 3660.0, 90_000.0)] == [
        "1 min 00 s",
        "59 min 59 s",
        "1 h 01 min",
        "1 d 01 h",
    ]
    assert [number(value) for value in (0.87123, 31.254, 12345.6)] == ["0.871", "31.25", "1.235e+04"]


def test_an_axis_has_the_largest_unit_of_which_there_are_enough() -> None:
    assert [unit(amount, DURATIONS, at_least=2) for amount in (0.0, 0.5, 119.0, 120.0, 1e9)] == [
        "ms",
        "ms",
        "s",
        "min",
        "d",
    ]
    assert unit(83.7e6 * 8, SIZES) == "MB"
    assert unit(1740.0, ENERGIES) == "kJ"
