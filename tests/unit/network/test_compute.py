from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from simpy import Process

from netfed.errors import Dropped, SimulationError
from netfed.network.network import Network
from netfed.network.population import Device
from netfed.network.profiles import PROFILES
from netfed.network.spec import Dropout

PHONE = PROFILES["phone"]


@dataclass(frozen=True)
class Cost:
    flops: float
    bytes: float


COST = Cost(flops=45e9, bytes=1e9)
DURATION_S = 2.0


def test_takes_the_time_and_the_energy_of_the_device(build: Callable[..., Network]) -> None:
    network = build()
    network.env.run(until=3.0)
    network.env.process(network.compute(Device(network.population, 1, 0), COST))
    network.env.run()
    assert network.env.now == 3.0 + DURATION_S
    energy_j = PHONE.compute_w * DURATION_S
    assert network.ledger.totals_j() == {"compute": energy_j, "transmit": 0, "receive": 0, "idle": 0}
    row = {"t_s": 5.0, "kind": "compute", "device": 1, "start_s": 3.0, "cause": None, "energy_j": energy_j}
    assert network.recorder.take() == [row]


def compute_and_lose(network: Network, process: Process) -> str:
    with pytest.raises(Dropped) as dropped:
        network.env.run(until=process)
    return dropped.value.cause


def test_interruption_charges_what_was_spent(build: Callable[..., Network]) -> None:
    network = build()
    process = network.env.process(network.compute(Device(network.population, 1, 0), COST))
    network.env.run(until=0.5)
    process.interrupt("late")
    assert compute_and_lose(network, process) == "late"
    assert network.env.now == 0.5
    assert network.ledger.totals_j()["compute"] == PHONE.compute_w * 0.5
    assert network.recorder.take()[0]["cause"] == "late"


def test_dropout_comes_on_the_way(build: Callable[..., Network]) -> None:
    network = build(dropout=Dropout(compute=1.0))
    device = Device(network.population, 1, 0)
    process = network.env.process(network.compute(device, COST))
    assert compute_and_lose(network, process) == "dropout-compute"
    share = device.breaks_off("dropout-compute", 1.0)
    assert share is not None
    assert network.env.now == share * DURATION_S
    assert network.ledger.totals_j()["compute"] == PHONE.compute_w * network.env.now


@pytest.mark.parametrize("cost", [None, Cost(0.0, 1.0), Cost(1.0, 0.0), Cost(-1.0, 1.0), Cost(math.nan, 1.0)])
def test_refuses_a_missing_cost(build: Callable[..., Network], cost: Cost | None) -> None:
    network = build()
    process = network.env.process(network.compute(Device(network.population, 0, 0), cost))
    with pytest.raises(SimulationError, match="at a cost of"):
        network.env.run(until=process)
