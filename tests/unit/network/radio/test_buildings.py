from __future__ import annotations

import numpy as np
import pytest

from netfed.errors import ScenarioError
from netfed.network.radio.buildings import Buildings, Surroundings
from netfed.network.radio.indoor import Office
from netfed.network.radio.outdoor import RuralMacro, SuburbanMacro, UrbanMacro, UrbanMicro
from netfed.network.radio.propagation import Propagation
from netfed.scenario import loads
from netfed.streams import Streams
from tests.conftest import SMALL

IDS = np.arange(50_000)


def surround(buildings: Buildings, frequency_hz: float = 6e9, ids: np.ndarray = IDS) -> Surroundings:
    return buildings.surround(ids, UrbanMacro(), frequency_hz, Streams(1))


def test_floors_and_depths() -> None:
    found = surround(Buildings(indoor=0.8))
    assert found.indoor.mean() == pytest.approx(0.8, abs=0.01)
    assert (found.height_m[~found.indoor] == 1.5).all()
    assert (found.depth_m[~found.indoor] == 0).all()
    assert (found.penetration_db[~found.indoor] == 0).all()
    inside = found.of(np.flatnonzero(found.indoor))
    heights_m, counts = np.unique(inside.height_m, return_counts=True)
    assert list(heights_m) == [1.5 + 3 * floor for floor in range(8)]
    on_floor = [np.mean([(floor < floors) / floors for floors in (4, 5, 6, 7, 8)]) for floor in range(8)]
    assert counts / len(inside.ids) == pytest.approx(on_floor, abs=0.01)
    assert inside.depth_m.mean() == pytest.approx(25 / 3, rel=0.02)
    assert 24 < inside.depth_m.max() <= 25


@pytest.mark.parametrize(("high_loss", "mean_db", "sigma_db"), [(0.0, 13.40, 4.4), (1.0, 30.69, 6.5)])
def test_walls_at_6_ghz(high_loss: float, mean_db: float, sigma_db: float) -> None:
    """Tables 7.4.3-1 and 7.4.3-2, by hand: glass takes 3.2 dB, coated 24.8 dB, concrete 29 dB."""
    found = surround(Buildings(indoor=1.0, high_loss=high_loss))
    wall_db = found.penetration_db - 0.5 * found.depth_m
    assert wall_db.mean() == pytest.approx(mean_db, abs=0.1)
    assert wall_db.std() == pytest.approx(sigma_db, rel=0.02)


LOW_DB, HIGH_DB = 10.24, 17.75


@pytest.mark.parametrize(
    ("model", "mean_db"),
    [(UrbanMacro(), (LOW_DB + HIGH_DB) / 2), (SuburbanMacro(), (LOW_DB + HIGH_DB) / 2), (RuralMacro(), LOW_DB)],
)
def test_half_of_the_buildings_are_of_high_loss_where_there_are_such(model: Propagation, mean_db: float) -> None:
    """At 700 MHz, by hand: glass takes 2.14 dB, coated 23.21 dB, concrete 7.8 dB."""
    found = Buildings(indoor=1.0).surround(IDS, model, 700e6, Streams(1))
    assert (found.penetration_db - 0.5 * found.depth_m).mean() == pytest.approx(mean_db, abs=0.1)


def test_high_loss_buildings_in_open_country_are_refused() -> None:
    with pytest.raises(ValueError, match=r"high_loss must be 0, or left out: rma has low-loss buildings only"):
        Buildings(indoor=0.5, high_loss=0.5).check(RuralMacro(), 700e6)
    for model in (UrbanMacro(), SuburbanMacro()):
        Buildings(indoor=0.5, high_loss=1.0).check(model, 700e6)
    Buildings(indoor=0.5, high_loss=0.0).check(RuralMacro(), 700e6)
    Buildings(indoor=0.5).check(RuralMacro(), 700e6)


def test_walls_of_36_873() -> None:
    """Table 7.4.3-3: 20 dB and half a decibel a metre, of which there are 0 to 25, all as likely; nothing else."""
    found = surround(Buildings(indoor=1.0, loss="tr-36.873"), 2e9)
    assert found.penetration_db == pytest.approx(20 + 0.5 * found.depth_m, abs=1e-4)
    assert found.depth_m.mean() == pytest.approx(25 / 2, rel=0.01)
    assert found.depth_m.std() == pytest.approx(25 / 12**0.5, rel=0.01)
    assert 24.9 < found.depth_m.max() <= 25


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ("36.873", r"loss: expected 'materials' or 'tr-36\.873'"),
        ("'36.873'", r"loss: expected 'materials' or 'tr-36\.873'"),
        ("tr-36.873", "tr-36.873 is for uma and umi, not for rma; write materials"),
    ],
)
def test_what_36_873_is_called_and_where_it_holds(loss: str, message: str) -> None:
    network = "{kind: cellular, propagation: rma, carrier: fr1-3500mhz, backhaul: {rate: 1 Gbit/s}}"
    with pytest.raises(ScenarioError, match=message):
        loads(SMALL, "mine.yaml", sets=[f"network={network}", f"network.buildings={{indoor: 1, loss: {loss}}}"])


def test_cars() -> None:
    found = surround(Buildings(indoor=0.3, in_car=0.5))
    in_car = ~found.indoor & (found.penetration_db != 0)
    assert in_car.mean() == pytest.approx(0.5, abs=0.01)
    assert found.penetration_db[in_car].mean() == pytest.approx(9, abs=0.1)
    assert found.penetration_db[in_car].std() == pytest.approx(5, rel=0.02)
    assert (found.height_m[in_car] == 1.5).all()


def test_rural_houses_have_one_floor() -> None:
    found = Buildings(indoor=1.0).surround(IDS, RuralMacro(), 2e9, Streams(1))
    assert (found.height_m == 1.5).all()
    assert found.depth_m.max() <= 10


def test_who_else_is_there_changes_nothing() -> None:
    all_devices, some = surround(Buildings(indoor=0.5)), np.array([7, 3, 40_000])
    for alone, among in zip(surround(Buildings(indoor=0.5), ids=some), all_devices.of(some), strict=True):
        assert (alone == among).all()


def test_more_indoors_moves_nobody_out() -> None:
    few, many = (surround(Buildings(indoor=share)) for share in (0.3, 0.6))
    assert (many.indoor >= few.indoor).all()
    assert (many.height_m[few.indoor] == few.height_m[few.indoor]).all()


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="indoor must be from 0 to 1"):
        Buildings(indoor=1.5)
    with pytest.raises(ValueError, match="indoor and in_car add up to more than 1"):
        Buildings(indoor=0.6, in_car=0.6)
    with pytest.raises(ValueError, match="inh has no outer walls"):
        Buildings(indoor=0.1).check(Office(), 3.5e9)
    with pytest.raises(ValueError, match="below 6 GHz"):
        Buildings(indoor=0.1, loss="tr-36.873").check(UrbanMacro(), 6e9)
    with pytest.raises(ValueError, match="not for sma"):
        Buildings(indoor=0.1, loss="tr-36.873").check(SuburbanMacro(), 2e9)
    Buildings(indoor=0.1, loss="tr-36.873").check(UrbanMicro(), 5.9e9)
    Buildings().check(Office(), 3.5e9)
