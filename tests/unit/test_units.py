from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from netfed import units
from netfed.units import LARGEST, NAME_SUFFIXES, Fraction, Quantity

QUANTITIES = {
    name: get_args(annotated)[1]
    for name, annotated in vars(units).items()
    if get_args(annotated) and isinstance(get_args(annotated)[-1], Quantity)
}


def parse(name: str, written: object) -> float:
    return QUANTITIES[name].parse(written)


def test_every_quantity_is_there() -> None:
    rates = "BitsPerSecond BytesPerSecond FlopsPerSecond MetersPerSecond"
    written = f"Seconds Hertz Bits Bytes Flops Joules Watts Meters Decibels DecibelMilliwatts {rates}"
    assert set(QUANTITIES) == set(written.split())


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("BitsPerSecond", "20 Mbit/s", 20e6),
        ("BitsPerSecond", "1.5Gbit/s", 1.5e9),
        ("Seconds", "5 ms", 0.005),
        ("Seconds", " 2.5 h ", 9000.0),
        ("Seconds", "+1e3 us", 0.001),
        ("Bytes", "4 MB", 4e6),
        ("Bytes", "4 MiB", 4 * 2**20),
        ("BytesPerSecond", "8 GB/s", 8e9),
        ("Bits", "4 Mbit", 4e6),
        ("Meters", "250 m", 250.0),
        ("Meters", "5 cm", 0.05),
        ("MetersPerSecond", "50 km/h", 50 / 3.6),
        ("MetersPerSecond", "1.5 m/s", 1.5),
        ("Decibels", "-3 dB", -3.0),
        ("FlopsPerSecond", "30 GFLOP/s", 30e9),
        ("Watts", "0.2 W", 0.2),
        ("Watts", "200 mW", 0.2),
        ("Joules", "3 Wh", 10800.0),
        ("Hertz", "3.5 GHz", 3.5e9),
        ("Seconds", "0 s", 0.0),
        ("Seconds", 0, 0.0),
        ("Seconds", 0.0, 0.0),
        ("Bytes", "1000 TB", 1e15),
    ],
)
def test_a_quantity_is_read_as_the_nearest_float_in_si_units(name: str, written: object, value: float) -> None:
    assert parse(name, written) == value


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        ("BitsPerSecond", 20, "unit missing: write e.g. '20 Mbit/s' (units: bit/s, kbit/s, Mbit/s, Gbit/s, Tbit/s)"),
        ("BitsPerSecond", "20", "unit missing"),
        ("BitsPerSecond", "20 Mbps", "unknown unit 'Mbps', did you mean 'Mbit/s'?"),
        ("BitsPerSecond", "20 MB/s", "unknown unit 'MB/s', did you mean"),
        ("FlopsPerSecond", "1 GFLOPS", "unknown unit 'GFLOPS', did you mean 'GFLOP/s'?"),
        ("Seconds", "3 fortnights", "unknown unit 'fortnights': write e.g. '5 ms' (units: ns, us, ms, s, min, h)"),
        ("Seconds", "-5 ms", "a time is never negative"),
        ("Decibels", "-1e19 dB", "above the limit"),
        ("Seconds", -5, "unit missing"),
        ("Seconds", "1e400 s", "above the limit of 1E+18 s"),
        ("BitsPerSecond", "1e18 Gbit/s", "above the limit of 1E+18 bit/s"),
        ("Seconds", "1.0000001e18 s", "above the limit"),
        ("Seconds", "nan s", "not a time"),
        ("Seconds", "inf s", "not a time"),
        ("Seconds", "1e9999 s", "not a time"),
        ("Seconds", "", "not a time"),
        ("Seconds", "5 m s", "not a time"),
        ("Seconds", "٣ s", "not a time"),
        ("Seconds", "1 s" + " " * 100 + "and more", "not a time"),
        ("Seconds", "9" * 100_000 + " s", "not a time"),
        ("Seconds", True, "not a time"),
        ("Seconds", False, "not a time"),
        ("Seconds", None, "not a time"),
        ("Seconds", ["5 ms"], "not a time"),
        ("Seconds", math.nan, "not a time"),
        ("Seconds", math.inf, "not a time"),
    ],
)
def test_what_is_no_quantity_is_refused_by_name(name: str, written: object, message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        parse(name, written)
    assert message in str(refusal.value)


@given(st.sampled_from(sorted(QUANTITIES)), st.floats(0, LARGEST), st.booleans())
@settings(max_examples=300)
def test_what_is_written_reads_back_as_the_same_bits(name: str, value: float, negative: bool) -> None:
    quantity = QUANTITIES[name]
    value = -value if negative and quantity.signed else value
    assert quantity.parse(quantity.write(value)) == value


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("Seconds", 60.0, "60 s"),
        ("Seconds", 0.005, "5 ms"),
        ("Seconds", 0.0, "0 s"),
        ("BitsPerSecond", 20e6, "20 Mbit/s"),
        ("Bytes", 4194304.0, "4 MiB"),
        ("Hertz", 3.5e9, "3.5 GHz"),
        ("Meters", 500.0, "500 m"),
        ("MetersPerSecond", 7.126488742290642e16, "7.126488742290642E+16 m/s"),
    ],
)
def test_the_shortest_text_is_written(name: str, value: float, text: str) -> None:
    assert QUANTITIES[name].write(value) == text


@pytest.mark.parametrize("name", sorted(QUANTITIES))
def test_the_json_schema_knows_the_units(name: str) -> None:
    schema = TypeAdapter(getattr(units, name)).json_schema()
    text, zero = schema["anyOf"]
    assert zero == {"const": 0}
    assert all(re.search(text["pattern"], f"1.5 {unit}") for unit in QUANTITIES[name].units)
    assert not re.search(text["pattern"], "5")
    assert not re.search(text["pattern"], "5 furlong")
    signed = f"-1.5 {next(iter(QUANTITIES[name].units))}"
    assert bool(re.search(text["pattern"], signed)) == QUANTITIES[name].signed


def test_a_quantity_may_be_optional() -> None:
    adapter = TypeAdapter(units.Seconds | None)
    assert adapter.validate_python(None) is None
    assert adapter.validate_python("5 ms") == 0.005


@pytest.mark.parametrize("number", [0, 1, 0.25])
def test_a_fraction_is_a_plain_number(number: float) -> None:
    assert TypeAdapter(Fraction).validate_python(number) == number


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan, math.inf, "0.5", True, None])
def test_a_fraction_is_from_0_to_1(wrong: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Fraction).validate_python(wrong)


def test_name_suffixes_are_distinct_and_lower_case() -> None:
    assert len(set(NAME_SUFFIXES)) == len(NAME_SUFFIXES)
    assert all(re.fullmatch(r"(_[a-z]+)+", suffix) for suffix in NAME_SUFFIXES)


def test_units_import_without_pydantic() -> None:
    command = "import sys, json, netfed.units; print(json.dumps(sorted(sys.modules)))"
    modules = json.loads(subprocess.run([sys.executable, "-c", command], capture_output=True, check=True).stdout)
    assert not {"pydantic", "pydantic_core", "numpy", "torch"} & set(modules)


@pytest.mark.parametrize(
    ("written", "meant"), [("20 mbit/s", "'Mbit/s'"), ("20 MBIT/S", "'Mbit/s'"), ("20 Mbps", "'Mbit/s'")]
)
def test_a_unit_in_other_capitals_is_taken_for_what_it_spells(written: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean {meant}") as error:
        TypeAdapter(units.BitsPerSecond).validate_python(written)
    assert " or " not in str(error.value)


def test_of_units_that_differ_in_capitals_alone_all_are_named() -> None:
    with pytest.raises(ValueError, match="unknown unit 'mj', did you mean 'mJ' or 'MJ'"):
        TypeAdapter(units.Joules).validate_python("3 mj")
