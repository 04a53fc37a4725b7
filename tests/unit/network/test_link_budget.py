"""The link budget of a device tells what it gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netfed.network.background import Constant
from netfed.network.link_budget import terms
from netfed.network.outages import Scheduled
from tests.unit.network.cellular import URBAN, Build, begin, gains_db


def test_the_budget_tells_what_a_device_gets(build: Build) -> None:
    network = build(replace(URBAN, background=Constant(0.3)), base_stations=7, count=9)
    budget = {term.name: term.value for term in terms(network.radio_access, 4, 0.0)}
    begin(network, [4])
    assert budget["rate, down"] == network.population.rate_down_bps[4]
    assert budget["rate, up"] == network.population.rate_up_bps[4]
    assert budget["base station"] * 3 + budget["sector"] == np.argmax(gains_db(network, [4], 0.0))
    assert budget["gain"] == pytest.approx(gains_db(network, [4], 0.0).max(), abs=1e-4)
    signal_dbm = budget["transmit power, down"] + budget["gain"] + budget["gain of beams"]
    assert budget["SINR, down"] < signal_dbm - budget["noise, down"]
    assert budget["SINR, down"] == pytest.approx(signal_dbm - budget["noise and interference, down"], abs=1e-3)
    received_dbm = budget["transmit power, up"] + budget["gain"] + budget["gain of beams"]
    assert budget["SINR, up"] == pytest.approx(received_dbm - budget["noise and interference, up"], abs=1e-3)
    assert budget["noise and interference, up"] > budget["noise, up"]


def test_the_budget_tells_of_cells_that_are_out_of_order(build: Build) -> None:
    """What serves then is the strongest of the others, and its budget adds up."""
    quiet = gains_db(build(URBAN, base_stations=7, count=9), [4], 0.0)[0]
    first, second = np.argsort(quiet)[::-1][:2].tolist()
    for broken, served in ((first, second), (second, first)):
        outage = Scheduled(start=10.0, duration=5.0, cells=(broken,))
        network = build(replace(URBAN, outages=(outage,)), base_stations=7, count=9)
        assert "cells out of order" not in {term.name for term in terms(network.radio_access, 4, 9.0)}
        told = {term.name: term for term in terms(network.radio_access, 4, 12.0)}
        budget = {name: term.value for name, term in told.items()}
        assert budget["base station"] * 3 + budget["sector"] == served
        assert budget["cells out of order"] == 1
        base_station, sector = divmod(first, 3)
        stronger = f"base station {base_station}, sector {sector}, would be the strongest"
        assert (stronger in told["cells out of order"].source) == (broken == first)
        received_dbm = budget["transmit power, down"] + budget["gain"] + budget["gain of beams"]
        assert budget["SINR, down"] == pytest.approx(received_dbm - budget["noise, down"], abs=1e-3)


def test_no_cell_serves_where_all_are_out_of_order(build: Build) -> None:
    outage = Scheduled(start=10.0, duration=5.0, cells="all")
    network = build(replace(URBAN, outages=(outage,)), base_stations=7, count=9)
    told = {term.name: term for term in terms(network.radio_access, 4, 12.0)}
    quiet_db = gains_db(build(URBAN, base_stations=7, count=9), [4], 0.0)[0]
    assert told["base station"].value * 3 + told["sector"].value == np.argmax(quiet_db)
    assert told["gain"].value == pytest.approx(quiet_db.max(), abs=1e-4)
    assert told["cells out of order"].value == 21
    for way in ("down", "up"):
        assert (told[f"rate, {way}"].value, told[f"rate, {way}"].source) == (0.0, "no cell serves it: network.outages")
        assert f"SINR, {way}" not in told


def test_the_budget_tells_the_airtime_of_a_device_on_few_resource_blocks(build: Build) -> None:
    network = build(replace(URBAN, carrier=replace(URBAN.carrier, device_transmit_power=-15.0)))
    budget = {term.name: term.value for term in terms(network.radio_access, 2, 0.0)}
    begin(network, [2])
    assert budget["resource blocks, up"] < 264 == budget["resource blocks, down"]
    assert budget["airtime, up"] == budget["resource blocks, up"] / 264 == network.population.allocation_up[2]
    assert budget["airtime, down"] == 1.0


def test_the_budget_tells_what_is_sent_again(build: Build) -> None:
    network = build(replace(URBAN, carrier=replace(URBAN.carrier, transmissions=2)))
    budget = {term.name: term for term in terms(network.radio_access, 2, 0.0)}
    slots_per_s = 4000.0  # of 60 kHz
    for direction, way, clause in (("downlink", "down", "5.3.2.2"), ("uplink", "up", "5.4.2.2")):
        harq, rlc = budget[f"HARQ transmissions, {way}"], budget[f"RLC submissions, {way}"]
        assert (harq.value, rlc.value) == (1.1, pytest.approx(1 / 0.99))
        assert harq.source.endswith(f"TS 38.321, clause {clause}")
        assert rlc.source.endswith("TS 38.322, clause 5.3.2")
        rung = network.radio_access.air.ladders[direction].rung(10 ** (budget[f"SINR, {way}"].value / 10))
        share = getattr(URBAN.carrier, f"{direction}_share")
        sent_bps = rung.bits * slots_per_s * share
        assert budget[f"rate, {way}"].value == pytest.approx(sent_bps / harq.value / rlc.value)
