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
