from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from netfed.network.backhaul import positions_m
from netfed.network.population import scatter
from netfed.network.radio.absorption import absorption_db_per_m
from netfed.network.radio.antenna import Omnidirectional, Sectors
from netfed.network.radio.buildings import Buildings, Surroundings
from netfed.network.radio.channel import Channel
from netfed.network.radio.indoor import Office
from netfed.network.radio.outdoor import RuralMacro, UrbanMacro, UrbanMicro
from netfed.network.radio.propagation import Propagation, free_space_db
from netfed.network.radio.sub_terahertz import SubTerahertz
from netfed.network.radio.wraparound import Wraparound
from netfed.network.topology import Hexagonal
from netfed.plugin import read
from netfed.streams import Streams

COUNT, SPACING_M, FREQUENCY_HZ = 6000, 500.0, 3.5e9
UMA = UrbanMacro()


def sites_m(count: int) -> np.ndarray:
    return positions_m(Hexagonal(count, SPACING_M).graph())


def channel(sites: int = 7, seed: int = 1, antenna: Any = None, **keys: Any) -> Channel:
    return Channel(UMA, antenna or Sectors(), sites_m(sites), FREQUENCY_HZ, Streams(seed), **keys)


@pytest.fixture(scope="module")
def places() -> np.ndarray:
    return scatter(COUNT, 3 * SPACING_M, Streams(1))


@pytest.fixture(scope="module")
def devices() -> Surroundings:
    return Buildings(indoor=0.5, in_car=0.1).surround(np.arange(COUNT), UMA, FREQUENCY_HZ, Streams(1))


@pytest.fixture(scope="module")
def gains_db(places: np.ndarray, devices: Surroundings) -> np.ndarray:
    return channel().gain_db(places, devices)


def test_a_gain_for_each_device_and_cell(gains_db: np.ndarray) -> None:
    assert gains_db.shape == (COUNT, 21)
    assert gains_db.dtype == np.float32
    assert np.isfinite(gains_db).all()
    assert gains_db.max() < -40


def test_who_else_is_asked_of_changes_nothing(places: np.ndarray, devices: Surroundings, gains_db: np.ndarray) -> None:
    asked = channel()
    some = np.flatnonzero(Streams(9).uniform("some", np.arange(COUNT)) < 0.1)[::-1]
    assert (asked.gain_db(places[some], devices.of(some)) == gains_db[some]).all()
    for device in (0, 1, 2, 5999):
        alone = asked.gain_db(places[device : device + 1], devices.of(slice(device, device + 1)))
        assert (alone[0] == gains_db[device]).all()


def test_other_base_stations_change_nothing(places: np.ndarray, devices: Surroundings, gains_db: np.ndarray) -> None:
    assert (channel(sites=8).gain_db(places, devices)[:, :21] == gains_db).all()


def test_another_seed_is_another_city(places: np.ndarray, devices: Surroundings, gains_db: np.ndarray) -> None:
    assert np.mean(channel(seed=2).gain_db(places, devices) != gains_db) > 0.99


def test_a_budget_adds_up_to_the_gain(places: np.ndarray, devices: Surroundings, gains_db: np.ndarray) -> None:
    asked = channel()
    for device, cell in ((0, 0), (1, 5), (17, 20), (18, 9), (19, 9)):
        terms = {term.name: term for term in asked.budget(places[device], devices.of(slice(device, device + 1)), cell)}
        assert terms["gain"].value == gains_db[device, cell]
        losses_db = sum(terms[name].value for name in ("path loss", "shadowing", "walls or car"))
        assert terms["antenna gain"].value - losses_db == pytest.approx(terms["gain"].value, abs=1e-3)
        assert terms["distance along the ground"].value == pytest.approx(
            np.linalg.norm(places[device] - sites_m(7)[cell // 3]), abs=1e-2
        )
        assert all(term.source and term.unit in {"m", "dB", ""} for term in terms.values())


def test_a_budget_has_absorption_where_air_absorbs(places: np.ndarray, devices: Surroundings) -> None:
    """15 dB/km at 60 GHz: 3GPP TR 38.901, table 7.6.1-1."""
    budgets = {}
    for frequency_hz in (51e9, 60e9):
        radio = Channel(UMA, Sectors(), sites_m(7), frequency_hz, Streams(1))
        budgets[frequency_hz] = {term.name: term for term in radio.budget(places[17], devices.of(slice(17, 18)), 20)}
    assert "absorption" not in budgets[51e9]
    terms = budgets[60e9]
    assert terms["absorption"].value == pytest.approx(0.015 * terms["distance between antennas"].value)
    assert terms["absorption"].source == "oxygen: 3GPP TR 38.901, table 7.6.1-1"
    losses_db = sum(terms[name].value for name in ("path loss", "shadowing", "walls or car", "absorption"))
    assert terms["antenna gain"].value - losses_db == pytest.approx(terms["gain"].value, abs=1e-3)


@pytest.mark.parametrize(
    ("model", "place_m", "told"),
    [
        (UMA, (4000.0, 0.0), {}),
        (UMA, (0.0, 6000.0), {"distance": (6000.0, "path loss holds for 10 m to 5000 m")}),
        (UMA, (3.0, 4.0), {"distance": (5.0, "path loss holds for 10 m to 5000 m")}),
        (RuralMacro(), (0.0, 7000.0), {"distance": (7000.0, "path loss holds for 10 m to 5000 m")}),
        (
            RuralMacro(base_station_height=200.0),
            (500.0, 0.0),
            {"base station height": (200.0, "10 m to 150 m")},
        ),
        (UrbanMicro(device_height=1.0), (500.0, 0.0), {"device height": (1.0, "1.5 m to 22.5 m")}),
        (Office(), (1.0, 0.0), {}),
    ],
)
def test_a_budget_tells_where_the_path_loss_does_not_hold(
    model: Propagation, place_m: tuple[float, float], told: dict[str, tuple[float, str]]
) -> None:
    """3GPP TR 38.901, table 7.4.1-1."""
    radio = Channel(model, Omnidirectional(), np.zeros((1, 2)), FREQUENCY_HZ, Streams(1))
    device = Buildings().surround(np.array([0]), model, FREQUENCY_HZ, Streams(1))
    terms = [term for term in radio.budget(np.array(place_m), device, 0) if "out of range" in term.name]
    assert [term.name for term in terms] == [f"{of} out of range" for of in told]
    for term, (value, source) in zip(terms, told.values(), strict=True):
        assert term.value == pytest.approx(value)
        assert term.source.endswith(source)


def test_line_of_sight_ends_at_the_outer_wall(places: np.ndarray, devices: Surroundings) -> None:
    asked = channel()
    for device in np.flatnonzero(devices.indoor)[:20]:
        terms = {term.name: term.value for term in asked.budget(places[device], devices.of(np.array([device])), 0)}
        to_wall_m = max(terms["distance along the ground"] - devices.depth_m[device], 0.0)
        expected = UMA.los_probability(np.array(to_wall_m), devices.height_m[device])
        assert terms["probability of line of sight"] == pytest.approx(float(expected), abs=1e-5)


def test_sectors_of_a_base_station_share_all_but_their_antennas(
    places: np.ndarray, devices: Surroundings, gains_db: np.ndarray
) -> None:
    without_db = channel(antenna=Omnidirectional()).gain_db(places, devices)
    east_m, north_m = (places[:, axis] - sites_m(7)[:, axis, None] for axis in (0, 1))
    antenna_db = Sectors().gain_db(east_m, north_m, devices.height_m - 25)
    assert gains_db == pytest.approx(
        (without_db.T[:, None] + antenna_db).reshape(21, -1).T, abs=0.05
    )  # the antenna's nulls are steep


def test_walls_take_what_they_take(places: np.ndarray, devices: Surroundings, gains_db: np.ndarray) -> None:
    thicker = devices._replace(penetration_db=devices.penetration_db + np.float32(10))
    assert gains_db - channel().gain_db(places, thicker) == pytest.approx(np.full(gains_db.shape, 10), abs=1e-3)


def test_neighbours_are_shadowed_alike() -> None:
    ids = np.arange(2000)
    devices = Buildings().surround(ids, UMA, FREQUENCY_HZ, Streams(1))
    radio = Channel(UMA, Omnidirectional(), np.zeros((1, 2)), FREQUENCY_HZ, Streams(3))
    angle = 2 * np.pi * Streams(1).uniform("angle", ids)
    around_m = 400 * np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    here_db, beside_db = radio.gain_db(around_m, devices), radio.gain_db(around_m + 1.0, devices)
    assert np.median(np.abs(here_db - beside_db)) < 0.2
    assert here_db.std() > 6


def test_with_copies_all_around_the_far_side_is_near(devices: Surroundings) -> None:
    edge = np.array([1.2 * SPACING_M, 0.0])
    device = devices.of(slice(0, 1))
    there = int(np.argmax(np.linalg.norm(sites_m(7) - edge, axis=1)))
    distances_m = [
        channel(wraparound=around).budget(edge, device, 3 * there)[0].value
        for around in (None, Wraparound(7, SPACING_M))
    ]
    assert distances_m[0] == pytest.approx(2.2 * SPACING_M)
    assert distances_m[1] < 1.6 * SPACING_M


def test_memory_does_not_grow_with_the_number_of_devices(places: np.ndarray, devices: Surroundings) -> None:
    asked = channel()
    asked.gain_db(places, devices)
    many = np.tile(np.arange(COUNT), 10)
    everywhere, all_devices = places[many], devices.of(many)
    tracemalloc.start()
    gains_db = asked.gain_db(everywhere, all_devices)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes - gains_db.nbytes < 8e6


def crowd(count: int) -> tuple[Channel, np.ndarray, Surroundings, np.ndarray]:
    """A hall of 100 m by 100 m at 140 GHz, its devices, and what they would lose if nobody was in the way."""
    spec, streams = SubTerahertz(), Streams(4)
    devices = Buildings().surround(np.arange(count), spec, 140e9, streams)
    here = 100 * np.stack([streams.uniform("place", devices.ids, axis) for axis in (0, 1)], axis=-1)
    slant_m = np.sqrt(((here - 50) ** 2).sum(axis=1) + 1.5**2)
    free_db = free_space_db(slant_m, 140e9) + absorption_db_per_m(140e9) * slant_m
    return Channel(spec, Omnidirectional(), np.array([[50.0, 50.0]]), 140e9, streams), here, devices, free_db


def test_people_come_and_go() -> None:
    radio, here, devices, free_db = crowd(20_000)
    spec = SubTerahertz()
    expected = 1 - spec.los_probability(np.sqrt(((here - 50) ** 2).sum(axis=1)), np.array(1.5))
    now, later = (-radio.gain_db(here, devices, now_s)[:, 0] - free_db > 15 for now_s in (0.0, 10.0))
    assert now.mean() == pytest.approx(expected.mean(), abs=0.02)
    assert later.mean() == pytest.approx(expected.mean(), abs=0.02)
    assert np.corrcoef(now, later)[0, 1] < 0.05
    a_moment_later = -radio.gain_db(here, devices, 0.05)[:, 0] - free_db > 15
    assert np.mean(a_moment_later != now) < 0.1
    losses_db = -radio.gain_db(here, devices)[:, 0] - free_db
    assert losses_db == pytest.approx(np.where(now, 30, 0), abs=0.01)


def test_a_carrier_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match="sub-thz is for 100 to 300 GHz"):
        Channel(SubTerahertz(), Sectors(), sites_m(1), 28e9, Streams(1))


@pytest.mark.parametrize("kind", sorted(Propagation.kinds))
def test_each_kind_has_a_channel(kind: str) -> None:
    spec = read(Propagation.named(kind), {})
    frequency_hz = 140e9 if kind == "sub-thz" else 3.5e9
    buildings = Buildings(indoor=0.5 if spec.indoors else 0.0)
    buildings.check(spec, frequency_hz)
    streams = Streams(1)
    devices = buildings.surround(np.arange(500), spec, frequency_hz, streams)
    radio = Channel(spec, Sectors(), np.array([[0.0, 0.0]]), frequency_hz, streams)
    gains_db = radio.gain_db(scatter(500, spec.spacing_m, streams), devices)
    assert gains_db.shape == (500, 3)
    assert np.isfinite(gains_db).all()
