"""What devices and cells receive of each other over the air."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from netfed.network.radio.carrier import SubTerahertz
from netfed.network.spec import LinkClass
from tests.unit.network.cellular import URBAN, Build, begin, gains_db


def test_nobody_else_changes_a_device_that_begins_alone(build: Build) -> None:
    few, many = build(URBAN, base_stations=7, count=5), build(URBAN, base_stations=7, count=500)
    for network in (few, many):
        begin(network, [3])
    assert gains_db(few, [3], 7.0).tolist() == gains_db(many, [3], 7.0).tolist()
    assert few.population.rate_up_bps[3] == many.population.rate_up_bps[3] > 0


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ValueError, match=r"uma is for 0\.5 to 100 GHz, not 140"):
        replace(URBAN, carrier=SubTerahertz())
    for name, value in {"refresh": 0.0, "latency": math.inf, "backhaul": LinkClass(1e9, 0.5)}.items():
        with pytest.raises(ValueError, match=name):
            replace(URBAN, **{name: value})
