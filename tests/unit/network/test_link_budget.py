"""The link budget of a device tells what it gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netfed.network.background import Constant
from netfed.network.link_budget import terms
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
