"""The two parts of the way between devices and the cloud, each by itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from netfed.errors import SimulationError, TransferLost
from netfed.network.network import Network
from netfed.network.population import Device
from netfed.network.spec import Fluid, Ideal
from tests.unit.network.conftest import FIXED

FLUID = Fluid(FIXED.uplink, FIXED.downlink, FIXED.backhaul)


@dataclass(frozen=True)
class Payload:
    bits: int


@pytest.mark.parametrize("kind", [FIXED, FLUID])
def test_a_trunk_takes_latency_plus_bits_over_rate_and_no_devices_energy(build: Callable[..., Network], kind) -> None:
    network = build(kind)
    network.env.run(network.env.process(network.trunk("uplink", 0).send(Payload(10_000_000), 0)))
    assert network.env.now == pytest.approx(0.5 + 0.010)
    assert network.bits() == {"up": 0, "down": 0, "backhaul": 10_000_000, "lost": 0}
    assert math.fsum(network.ledger.totals_j().values()) == 0
    (row,) = network.recorder.take()
    assert (row["link"], row["cell"], row["bits"], row["delivered"]) == ("backhaul-uplink", 0, 10_000_000, True)
    assert "device" not in row


def test_transfers_share_a_fluid_trunk(build: Callable[..., Network]) -> None:
    ends_s = {}
    for kind in (FIXED, FLUID):
        network = build(kind)
        for draw in range(2):
            network.env.process(network.trunk("downlink", 0).send(Payload(10_000_000), draw))
        network.env.run()
        ends_s[kind] = network.env.now
    assert ends_s[FIXED] == pytest.approx(0.5 + 0.010)
    assert ends_s[FLUID] == pytest.approx(1.0 + 0.010)


@pytest.mark.parametrize("kind", [FIXED, FLUID])
def test_access_links_end_at_the_base_station(build: Callable[..., Network], kind) -> None:
    network = build(kind)
    device = Device(network.population, 0, 0)
    network.env.run(network.env.process(network.link("downlink", device, network.access).send(Payload(40_000_000))))
    assert network.env.now == pytest.approx(1.0 + 0.005), "neither rate nor latency of the backhaul"
    assert network.bits() == {"up": 0, "down": 40_000_000, "backhaul": 0, "lost": 0}
    network.env.run(network.env.process(network.downlink(device).send(Payload(40_000_000))))
    assert network.env.now == pytest.approx(1.005 + 2.0 + 0.015)
    assert network.bits() == {"up": 0, "down": 80_000_000, "backhaul": 40_000_000, "lost": 0}


def test_an_ideal_network_takes_no_time_on_either_part(build: Callable[..., Network]) -> None:
    network = build(Ideal())
    device = Device(network.population, 0, 0)
    for transfer in (
        network.trunk("downlink", 0).send(Payload(10**9), 0),
        network.link("uplink", device, network.access).send(Payload(10**9)),
    ):
        network.env.run(network.env.process(transfer))
    assert network.env.now == 0
    assert network.bits() == {"up": 10**9, "down": 0, "backhaul": 10**9, "lost": 0}


def test_a_trunk_loses_what_its_share_of_transfers_is(build: Callable[..., Network]) -> None:
    network = build(replace(FIXED, backhaul=replace(FIXED.backhaul, loss=0.3)))
    lost = []
    for draw in range(400):
        try:
            network.env.run(network.env.process(network.trunk("uplink", 0).send(Payload(1000), draw)))
        except TransferLost as loss:
            lost.append((draw, loss.cause))
    assert {cause for _, cause in lost} == {"loss-backhaul-uplink"}
    assert 90 < len(lost) < 150
    rows = network.recorder.take()
    assert [index for index, row in enumerate(rows) if not row["delivered"]] == [draw for draw, _ in lost]
    shares = [row["bits"] / 1000 for row in rows if not row["delivered"]]
    assert 0.4 < sum(shares) / len(shares) < 0.6
    assert network.bits()["lost"] == sum(row["bits"] for row in rows if not row["delivered"])
    network.check_conservation()


def test_a_flow_that_nobody_accounts_for_is_found_on_either_part(build: Callable[..., Network]) -> None:
    for part in ("access", "backhaul"):
        network = build()
        getattr(network, part).media["downlink"][0].start(1000, 1000.0)
        network.env.run(until=0.5)
        with pytest.raises(SimulationError, match="downlink of base station 0 does not add up"):
            network.check_conservation()
