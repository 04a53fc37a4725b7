from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simpy import Event

from netfed.errors import ParticipationLost, SimulationError
from netfed.network.network import Network
from netfed.network.population import Device
from netfed.network.spec import Dropout, Fixed, Fluid, Ideal, LinkClass
from netfed.network.spec import Network as Kind


@dataclass(frozen=True)
class Payload:
    bits: int


@dataclass(frozen=True)
class Cost:
    flops: float
    bytes: float


LINKS = {
    "uplink": LinkClass(rate=10e6, spread=0.5, latency=0.02, loss=0.1),
    "downlink": LinkClass(rate=40e6, spread=0.5, latency=0.02, loss=0.1),
    "backhaul": LinkClass(rate=30e6, latency=0.03, loss=0.05),
}
DROPOUT = Dropout(download=0.1, compute=0.1, upload=0.1)


def participate(network: Network, device: Device, start_s: float, bits: int) -> Generator[Event, Any, None]:
    try:
        yield network.env.timeout(start_s)
        yield from network.downlink(device).send(Payload(bits))
        yield from network.compute(device, Cost(5e9, 1e9))
        yield from network.uplink(device).send(Payload(bits // 2 + 1))
    except ParticipationLost:
        pass


CLIENTS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(1, 20_000_000), st.one_of(st.none(), st.floats(0.01, 3))),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize("kind", [Ideal(), Fixed(**LINKS), Fluid(**LINKS)], ids=lambda kind: kind.kind)
@given(clients=CLIENTS, seed=st.integers(0, 99))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_nothing_vanishes_at_any_event(
    build: Callable[..., Network], kind: Kind, clients: list[tuple[float, int, float | None]], seed: int
) -> None:
    network = build(kind, base_stations=3, seed=seed, count=len(clients), dropout=DROPOUT)
    env = network.env
    for index, (start_s, bits, patience_s) in enumerate(clients):
        process = env.process(participate(network, Device(network.population, index, 0), start_s, bits))
        if patience_s is not None:
            give_up = env.timeout(start_s + patience_s)
            give_up.callbacks.append(lambda _, process=process: process.is_alive and process.interrupt("late"))
    while env.peek() < math.inf:
        before_s = env.now
        env.step()
        assert env.now >= before_s
        network.check_conservation()
    rows = network.recorder.take()
    for direction in ("uplink", "downlink"):
        total = network.traffic.total(direction)
        sent = [row for row in rows if row.get("link") == direction]
        assert total.in_flight == 0
        assert total.sent == sum(row["bits"] for row in sent)
        assert total.delivered == sum(row["payload_bits"] for row in sent if row["delivered"])
        assert all(0 <= row["bits"] <= row["payload_bits"] for row in sent)
        assert all((row["cause"] is None) == row["delivered"] for row in sent)
    parts_j = network.ledger.totals_j()
    assert math.fsum(row["energy_j"] for row in rows) == pytest.approx(math.fsum(parts_j.values()), rel=1e-12)
    computed_j = math.fsum(row["energy_j"] for row in rows if row["kind"] == "compute")
    assert parts_j["compute"] == pytest.approx(computed_j, rel=1e-12)


def test_bits_in_flight_are_those_that_have_left(build: Callable[..., Network]) -> None:
    network = build(Fixed(LinkClass(rate=10e6), LinkClass(rate=40e6), LinkClass(rate=1e9)))
    network.env.process(network.uplink(Device(network.population, 0, 0)).send(Payload(10_000_000)))
    network.env.run(until=0.3)
    assert network.traffic.tally("uplink", 0) == (3_000_000, 0, 0, 3_000_000)
    assert network.traffic.totals() == {"up": 3_000_000, "down": 0, "lost_up": 0, "lost_down": 0}
    network.env.run()
    assert network.traffic.tally("uplink", 0) == (10_000_000, 10_000_000, 0, 0)


def test_a_flow_that_no_transfer_accounts_for_is_found(build: Callable[..., Network]) -> None:
    network = build()
    network.media["uplink"][0].start(1000, 1000.0)
    network.check_conservation()
    network.env.run(until=0.5)
    with pytest.raises(SimulationError, match="uplink of base station 0 does not add up"):
        network.check_conservation()
