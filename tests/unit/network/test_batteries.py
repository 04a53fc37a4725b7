from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from simpy import Event, Process

from netfed.errors import Dropped, SimulationError
from netfed.network.batteries import NEGLIGIBLE_J
from netfed.network.battery import Battery, Charging
from netfed.network.network import Network
from netfed.network.population import Device
from netfed.network.profiles import PROFILES
from netfed.network.spec import Dropout, Fluid, LinkClass

PHONE = PROFILES["phone"]
FLUID = Fluid(LinkClass(rate=10e6, latency=0.5), LinkClass(rate=40e6), LinkClass(rate=20e6))
ALWAYS_ON = Charging(power=1.0, period=1.0, duration=1.0)


@dataclass(frozen=True)
class Payload:
    bits: int


@dataclass(frozen=True)
class Cost:
    flops: float
    bytes: float = 1.0


def seconds(duration_s: float) -> Cost:
    return Cost(PHONE.flops_per_s * duration_s)


Build = Callable[..., Network]


def lost(network: Network, process: Process) -> str:
    with pytest.raises(Dropped) as dropped:
        network.env.run(until=process)
    network.check_conservation()
    return dropped.value.cause


def compute(network: Network, duration_s: float, device: int = 0) -> Process:
    return network.env.process(network.compute(Device(network.population, device, 0), seconds(duration_s)))


def test_computing_stops_when_the_battery_is_empty(build: Build) -> None:
    network = build(battery=Battery(capacity=2.5 * PHONE.compute_w))
    assert network.batteries is not None
    network.env.run(until=compute(network, 1.0))
    assert network.batteries.left_j(0) == pytest.approx(1.5 * PHONE.compute_w)
    assert lost(network, compute(network, 2.0)) == "battery"
    assert network.env.now == pytest.approx(2.5, abs=2 * NEGLIGIBLE_J / PHONE.compute_w)
    assert 0 <= network.batteries.left_j(0) <= NEGLIGIBLE_J
    assert network.ledger.joules[0].sum() == pytest.approx(2.5 * PHONE.compute_w, abs=2 * NEGLIGIBLE_J)
    assert network.recorder.take()[-1]["cause"] == "battery"


def test_a_transfer_that_others_slow_down_stops_at_its_own_moment(build: Build) -> None:
    """A second alone at full power, then with half of the airtime: until what that draws has used up the rest."""
    shared_w = (PHONE.transmit_w + PHONE.idle_w) / 2
    network = build(FLUID, battery=Battery(capacity=PHONE.transmit_w + 0.7 * shared_w))
    first = network.env.process(network.uplink(Device(network.population, 0, 0)).send(Payload(10**9)))
    network.env.run(until=1.0)
    network.env.process(network.uplink(Device(network.population, 1, 0)).send(Payload(5 * 10**6)))
    assert lost(network, first) == "battery"
    assert network.env.now == pytest.approx(1.7, abs=2 * NEGLIGIBLE_J / shared_w)
    assert network.traffic.total("uplink").lost == pytest.approx(13.5e6, abs=10)


def test_waiting_for_the_last_bit_to_arrive_draws_too(build: Build) -> None:
    network = build(FLUID, battery=Battery(capacity=PHONE.transmit_w + 0.2 * PHONE.idle_w))
    link = network.uplink(Device(network.population, 0, 0))
    assert lost(network, network.env.process(link.send(Payload(10**7)))) == "battery"
    assert network.env.now == pytest.approx(1.2, abs=2 * NEGLIGIBLE_J / PHONE.idle_w)


def test_a_charger_makes_it_last_longer(build: Build) -> None:
    network = build(battery=Battery(capacity=PHONE.compute_w, charging=ALWAYS_ON))
    network.env.run(until=50.0)
    assert lost(network, compute(network, 100.0)) == "battery"
    empty_s = 50.0 + PHONE.compute_w / (PHONE.compute_w - 1.0)
    assert network.env.now == pytest.approx(empty_s, abs=2 * NEGLIGIBLE_J)
    network.env.run(until=empty_s + 2.0)
    assert lost(network, compute(network, 100.0)) == "battery"
    assert network.env.now == pytest.approx(empty_s + 2.0 + 2.0 / (PHONE.compute_w - 1.0), abs=4 * NEGLIGIBLE_J)


def test_who_is_on_a_strong_charger_never_drops(build: Build) -> None:
    strong = Charging(power=5.0, period=1.0, duration=1.0)
    network = build(battery=Battery(capacity=PHONE.compute_w, charging=strong))
    network.env.run(until=compute(network, 100.0))
    network.check_conservation()
    assert network.batteries is not None
    assert network.batteries.left_j(0) == PHONE.compute_w


def test_never_more_than_full(build: Build) -> None:
    network = build(battery=Battery(capacity=5.0, initial=(0.5, 0.5), charging=ALWAYS_ON))
    assert network.batteries is not None
    network.env.run(until=1.0)
    assert network.batteries.left_j(0) == pytest.approx(3.5)
    network.env.run(until=100.0)
    assert network.batteries.left_j(0) == 5.0


def test_initial_charge_is_drawn_by_device(build: Build) -> None:
    battery = Battery(capacity=10.0, initial=(0.3, 0.8))
    few, many = (build(count=count, battery=battery).batteries for count in (5, 2000))
    assert few is not None
    assert many is not None
    assert np.array_equal(few.charge_j, many.charge_j[:5])
    assert many.charge_j.min() == pytest.approx(3.0, abs=0.02)
    assert many.charge_j.max() == pytest.approx(8.0, abs=0.02)
    assert many.charge_j.mean() == pytest.approx(5.5, abs=0.1)


def test_below_the_minimum_a_device_is_not_available_until_it_has_charged(build: Build) -> None:
    charging = Charging(power=2.0, period=100.0, duration=30.0)
    battery = Battery(capacity=2 * PHONE.compute_w, minimum=0.75, charging=charging)
    network = build(count=1, battery=battery)
    population = network.population
    assert population.available(0.0)[0]
    network.env.run(until=compute(network, 0.25))
    assert population.available(0.25)[0]
    network.env.run(until=compute(network, 0.75))
    assert not population.available(1.0)[0]
    ready_s = population.next_available(1.0)
    missing_j = 0.75 * battery.capacity - PHONE.compute_w
    phase = population.phase.item(0)
    assert charging.given_j(phase, ready_s) - charging.given_j(phase, 1.0) == pytest.approx(missing_j)
    assert population.available(ready_s)[0]
    assert not population.available(math.nextafter(ready_s, 0))[0]


def test_without_charging_it_never_comes_back(build: Build) -> None:
    network = build(count=1, battery=Battery(capacity=2 * PHONE.compute_w))
    network.env.run(until=compute(network, 1.7))
    assert network.population.next_available(1.7) == math.inf


def test_other_causes_may_come_first(build: Build) -> None:
    network = build(battery=Battery(capacity=2.5 * PHONE.compute_w), dropout=Dropout(compute=1.0))
    assert lost(network, compute(network, 1.0)) == "dropout-compute"
    network = build(battery=Battery(capacity=2.5 * PHONE.compute_w))
    process = compute(network, 10.0)
    network.env.run(until=0.5)
    process.interrupt("late")
    assert lost(network, process) == "late"
    assert network.batteries is not None
    assert network.batteries.left_j(0) == pytest.approx(2.0 * PHONE.compute_w)


def test_one_pending_look_for_each_device(build: Build) -> None:
    """A battery that lasts for days leaves one wake-up behind, however often its device takes part."""
    network = build(battery=Battery(capacity=1e6))

    def client() -> Generator[Event, Any, None]:
        for _ in range(50):
            yield from network.compute(Device(network.population, 0, 0), seconds(0.1))

    network.env.process(client())
    network.env.run(until=10.0)
    assert len(network.env._queue) <= 2


def test_a_joule_that_vanishes_is_noticed(build: Build) -> None:
    network = build(battery=Battery(capacity=100.0))
    network.env.run(until=compute(network, 1.0))
    network.check_conservation()
    assert network.batteries is not None
    network.batteries.charge_j[0] -= 1e-3
    with pytest.raises(SimulationError, match=r"device 0 has spent 3\.7"):
        network.check_conservation()


def test_a_joule_out_of_nowhere_is_noticed(build: Build) -> None:
    """A phase that draws more than there was: the battery cannot have given it."""
    network = build(battery=Battery(capacity=1.0))
    batteries = network.batteries
    assert batteries is not None

    def client() -> Generator[Event, Any, None]:
        batteries.begin(0, float)
        yield network.env.timeout(0.0)
        network.ledger.charge(0, "compute", 1.001)
        batteries.end(0, 1.001)

    network.env.run(until=network.env.process(client()))
    with pytest.raises(SimulationError, match=r"from a charger that gave 0\.0 J at most"):
        network.check_conservation()


def test_power_is_drawn_by_a_process(build: Build) -> None:
    network = build(battery=Battery(capacity=100.0))
    assert network.batteries is not None
    with pytest.raises(SimulationError, match="outside of a process"):
        network.batteries.begin(0, float)


def test_a_device_goes_flat_on_its_own(build: Build) -> None:
    """A watt for 80 s until the minimum, for 100 s until nothing is left."""
    network = build(battery=Battery(capacity=100.0, background=1.0))
    batteries = network.batteries
    assert batteries is not None
    assert network.population.available(79.9).all()
    assert not network.population.available(80.1).any()
    network.env.run(until=90.0)
    assert batteries.left_j(0) == pytest.approx(10.0)
    assert (batteries.emptied(), batteries.spent()) == (0, 4)
    network.env.run(until=101.0)
    assert (batteries.left_j(0), batteries.emptied()) == (0.0, 4)
    assert network.population.next_available(101.0) == math.inf
    assert network.ledger.totals_j()["idle"] == 0.0
    network.check_conservation()


def test_the_background_stops_while_the_task_draws(build: Build) -> None:
    network = build(battery=Battery(capacity=100.0, background=1.0))
    network.env.run(until=10.0)
    network.env.run(until=compute(network, 5.0))
    network.env.run(until=20.0)
    assert network.batteries is not None
    assert network.batteries.left_j(0) == pytest.approx(100.0 - 10.0 - 5.0 * PHONE.compute_w - 5.0)
    network.check_conservation()


def test_the_background_leaves_less_to_compute_with(build: Build) -> None:
    network = build(battery=Battery(capacity=10 * PHONE.compute_w, background=PHONE.compute_w / 2))
    network.env.run(until=4.0)
    assert lost(network, compute(network, 100.0)) == "battery"
    assert network.env.now == pytest.approx(4.0 + 8.0)
    assert network.batteries is not None
    assert network.batteries.emptied() == 1


def test_a_charger_brings_devices_back_again_and_again(build: Build) -> None:
    charging = Charging(power=5.0, period=100.0, duration=30.0)
    network = build(count=50, battery=Battery(capacity=100.0, minimum=0.5, charging=charging, background=1.0))
    batteries, population = network.batteries, network.population
    assert batteries is not None
    for now_s in (0.0, 777.0, 5000.0):
        available = population.available(now_s)
        network.env.run(until=now_s + 1e-3)
        charged_j = np.array([batteries.left_j(device) for device in range(50)])
        clear = abs(charged_j - 50.0) > 0.1
        assert np.array_equal(available[clear], (charged_j >= 50.0)[clear])
        opening_s = population.next_available(now_s)
        if not available.all():
            assert now_s < opening_s < now_s + 100.0
            assert population.available(opening_s + 1e-6).sum() > 0
    assert batteries.spent() == 0
    network.check_conservation()


def test_a_background_that_vanishes_is_noticed(build: Build) -> None:
    network = build(battery=Battery(capacity=1000.0, background=1.0))
    network.env.run(until=compute(network, 1.0))
    assert network.batteries is not None
    network.batteries.charge_j[0] -= 10.0
    network.batteries.gained_j[0] -= 10.0
    with pytest.raises(SimulationError, match=r"device 0 has spent 3\.7"):
        network.check_conservation()
