from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netfed.network.radio.indoor
import netfed.network.radio.outdoor
import netfed.network.radio.sub_terahertz  # noqa: F401
from netfed.network.radio.outdoor import RuralMacro, SuburbanMacro, UrbanMacro
from netfed.network.radio.propagation import Propagation, free_space_db
from netfed.plugin import read

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "network.json").read_text())["vectors"]
KINDS = [kind for name, kind in sorted(Propagation.kinds.items()) if "." not in name]


def vectors(*groups: str) -> Any:
    chosen = [vector for vector in VECTORS if vector["group"] in groups]
    assert chosen
    return pytest.mark.parametrize("vector", chosen, ids=[vector["id"] for vector in chosen])


def model(inputs: dict[str, Any]) -> Propagation:
    kind = Propagation.named(inputs["scenario"].lower())
    heights = {"base_station_height": inputs["h_bs_m"], "device_height": inputs["h_ut_m"]}
    clutter = {f"clutter_{name.removesuffix('_m')}": value for name, value in inputs.get("clutter", {}).items()}
    return kind(**heights, **({} if kind.kind == "inf-hh" else clutter))


@vectors("pathloss", "pathloss-ns3")
def test_path_loss(vector: dict[str, Any]) -> None:
    inputs, expected, tolerance = vector["inputs"], vector["expected"], vector["tolerance"]["value"]
    for precision in (np.float32, np.float64):
        distance_m, height_m = np.array([[inputs["d2d_m"]], [inputs["h_ut_m"]]], precision)
        losses_db = model(inputs).path_loss_db(distance_m, height_m, inputs["fc_ghz"] * 1e9, inputs.get("he_m", 1.0))
        loss_db = losses_db[0 if inputs["los"] else 1]
        assert loss_db.dtype == precision
        assert loss_db == pytest.approx(expected["pathloss_db"], abs=tolerance)
        if "p_los" in expected:
            probability = model(inputs).los_probability(distance_m, height_m)
            assert probability == pytest.approx(expected["p_los"], abs=tolerance)


@vectors("shadow")
def test_shadowing(vector: dict[str, Any]) -> None:
    spec = read(Propagation.named(vector["inputs"]["scenario"].lower()), {})
    found = {
        "sigma_los_db": spec.los.sigma_db,
        "sigma_nlos_db": spec.nlos.sigma_db,
        "dcorr_los_m": spec.los.correlation_m,
        "dcorr_nlos_m": spec.nlos.correlation_m,
    }
    expected = {name: value for name, value in vector["expected"].items() if name in found}
    assert found == pytest.approx(expected, abs=vector["tolerance"]["value"])


@vectors("fspl")
def test_free_space(vector: dict[str, Any]) -> None:
    loss_db = free_space_db(vector["inputs"]["d_m"], vector["inputs"]["fc_ghz"] * 1e9)
    assert loss_db == pytest.approx(vector["expected"]["pl_db"], abs=vector["tolerance"]["value"])


def test_rural_shadowing_widens_beyond_the_breakpoint() -> None:
    breakpoint_m = 2 * np.pi * 35 * 1.5 * 0.7e9 / 299_792_458
    distances_m = np.array([breakpoint_m - 1, breakpoint_m + 1])
    assert list(RuralMacro().los_sigma_db(distances_m, np.array(1.5), 0.7e9)) == [4.0, 6.0]


def test_suburban_path_loss_is_that_of_another_implementation() -> None:
    """Three figures of a public implementation of the table, which takes 3e8 m/s for the speed of light."""
    spec = SuburbanMacro(base_station_height=30.0)
    los_db, nlos_db = spec.path_loss_db(np.array([100.0, 3000.0, 1000.0]), np.array(1.5), 2e9)
    assert [los_db[0], los_db[1], nlos_db[2]] == pytest.approx([79.87589, 118.65945, 132.07818], abs=0.005)


def test_suburban_line_of_sight_is_hidden_by_what_is_taller() -> None:
    ground, upstairs = (
        float(-100 / np.log(SuburbanMacro().los_probability(np.array(100.0), np.array(height_m))))
        for height_m in (1.5, 13.5)
    )
    hidden = -np.log(0.98) * 18.5 - np.log(0.82) * 6.5 - np.log(0.9) * 13.5  # [m]
    assert ground == pytest.approx(30 * 33.5 / hidden)
    assert upstairs == pytest.approx(30 * 21.5 / (-np.log(0.98) * 6.5 - np.log(0.9) * 1.5))


def test_tall_devices_may_see_roofs_reflect() -> None:
    """Note 1 of table 7.4.1-1, by hand: h = 22.5 m, d = 200 m."""
    draws = (np.arange(100_000) + 0.5) / 100_000
    heights_m, counts = np.unique(UrbanMacro().environment_height_m(200.0, np.array(22.5), draws), return_counts=True)
    tallness = 0.95**1.5 * 1.25 * 8 * np.exp(-200 / 150)
    assert list(heights_m) == [1, 12, 15, 18, 21]
    assert counts / 100_000 == pytest.approx([1 / (1 + tallness), *[tallness / (1 + tallness) / 4] * 4], abs=1e-4)
    assert UrbanMacro().environment_height_m(200.0, np.array(13.0), draws).max() == 1


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
@settings(max_examples=20, deadline=None)
@given(distance_m=st.floats(0, 5000), floor=st.integers(0, 7), frequency=st.floats(0, 1))
def test_losses_are_finite_and_no_wall_is_a_gain(
    kind: type[Propagation], distance_m: float, floor: int, frequency: float
) -> None:
    spec = read(kind, {})
    lowest_hz, highest_hz = spec.frequencies_hz
    frequency_hz = lowest_hz + frequency * (highest_hz - lowest_hz)
    place = np.array([distance_m, distance_m + 10]), np.array(spec.device_height + 3.0 * floor)
    los_db, nlos_db = spec.path_loss_db(*place, frequency_hz)
    assert np.isfinite(nlos_db).all()
    assert (nlos_db >= los_db).all()
    assert los_db[1] >= los_db[0] > 0
    probability = spec.los_probability(*place)
    assert 0 <= probability.min() <= probability.max() <= 1
    assert np.asarray(spec.los_sigma_db(*place, frequency_hz)).min() >= 0


@pytest.mark.parametrize("office", ["mixed", "open"])
def test_office_probability_falls_without_a_jump(office: str) -> None:
    spec = read(Propagation.named("inh"), {"office": office})
    probability = spec.los_probability(np.arange(0, 150, 0.01), np.array(1.0))
    assert probability[0] == 1
    assert -0.01 < np.diff(probability).min() < np.diff(probability).max() < 0.004  # as in the table


def test_an_open_office_is_open() -> None:
    probability = read(Propagation.named("inh"), {"office": "open"}).los_probability(np.array([5, 40, 100]), 1.0)
    assert probability == pytest.approx([1, np.exp(-35 / 70.8), 0.54 * np.exp(-51 / 211.7)])


@pytest.mark.parametrize(
    ("kind", "keys", "message"),
    [
        ("uma", {"device_height": "20 m", "base_station_height": "15 m"}, "base_station_height must be at least"),
        ("umi", {"device_height": "50 cm"}, "device_height must be at least 1 m"),
        ("rma", {"street_width": "60 m"}, "street_width must be from 5 m to 50 m"),
        ("sma", {"vegetation": 1.0}, "vegetation must be from 0 to less than 1"),
        ("inf-dl", {"clutter_density": 0.0}, "use inf-hh"),
        ("inf-sh", {"clutter_size": "0 m"}, "clutter_size must be more than 0 m"),
        (
            "inf-sh",
            {"base_station_height": "2 m"},
            r"must be more than clutter_height \(2 m\); among .* inf-sl or inf-dl",
        ),
        ("inf-dh", {"clutter_height": "9 m"}, "base_station_height must be more than clutter_height"),
        ("inf-sh", {"device_height": "2 m"}, "device_height must be less than clutter_height .* use inf-hh"),
        (
            "inf-sl",
            {"base_station_height": "3 m"},
            r"must be at most clutter_height \(2 m\); above .* inf-sh or inf-dh",
        ),
        ("inf-dl", {"base_station_height": "8 m"}, "base_station_height must be at most clutter_height"),
        ("sub-thz", {"people_radius": "0 m"}, "people_radius must be more than 0 m"),
    ],
)
def test_what_makes_no_sense_is_refused(kind: str, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(Propagation.named(kind), keys)


def test_base_stations_may_be_as_high_as_dense_clutter() -> None:
    spec = read(Propagation.named("inf-dl"), {"base_station_height": "6 m"})
    los_db, nlos_db = spec.path_loss_db(np.array([50.0]), np.array(1.5), 3.5e9)
    assert nlos_db > los_db


def test_a_carrier_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rma is for 0\.5 to 30 GHz, not 60 GHz"):
        RuralMacro().check_frequency(60e9)
    RuralMacro().check_frequency(30e9)
