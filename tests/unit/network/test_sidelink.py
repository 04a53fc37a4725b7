from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from simpy import Process

from netfed.errors import Dropped, SimulationError
from netfed.network.battery import Battery
from netfed.network.network import Network
from netfed.network.population import Device
from netfed.network.profiles import PROFILES
from netfed.network.sidelink import Sidelink

PHONE = PROFILES["phone"]


@dataclass(frozen=True)
class Payload:
    bits: int


def send(network: Network, sidelink: Sidelink, sender: int, receiver: int, bits: int, pool: int = 0) -> Process:
    ends = (Device(network.population, sender, 0), Device(network.population, receiver, 0))
    return network.env.process(sidelink.send(*ends, Payload(bits), 10e6, pool))


def test_transfers_share_their_pool_and_meet_no_other(build: Callable[..., Network]) -> None:
    network = build()
    sidelink = Sidelink(network, pools=2)
    pair = [send(network, sidelink, 0, 1, 10_000_000), send(network, sidelink, 2, 3, 10_000_000)]
    alone = send(network, sidelink, 1, 2, 10_000_000, pool=1)
    network.env.run(until=alone)
    assert network.env.now == pytest.approx(1.0)
    sidelink.check()
    network.env.run(until=network.env.all_of(pair))
    assert network.env.now == pytest.approx(2.0)
    sidelink.check()
    assert (sidelink.delivered_bits, sidelink.lost_bits) == (30_000_000, 0)
    assert network.traffic.totals() == {"up": 0, "down": 0, "lost_up": 0, "lost_down": 0}


def test_both_ends_pay_for_the_airtime(build: Callable[..., Network]) -> None:
    network = build()
    network.env.run(until=send(network, Sidelink(network), 0, 1, 10_000_000))
    assert network.ledger.joules[0] == pytest.approx([0, PHONE.transmit_w, 0, 0])
    assert network.ledger.joules[1] == pytest.approx([0, 0, PHONE.receive_w, 0])
    (row,) = network.recorder.take()
    assert (row["device"], row["receiver"], row["link"], row["bits"]) == (0, 1, "sidelink", 10_000_000)
    assert row["energy_j"] == pytest.approx(PHONE.transmit_w + PHONE.receive_w)


def test_an_interruption_loses_what_was_sent(build: Callable[..., Network]) -> None:
    network = build()
    sidelink = Sidelink(network)
    process = send(network, sidelink, 0, 1, 10_000_000)
    network.env.run(until=0.25)
    process.interrupt("unavailable")
    with pytest.raises(Dropped, match="unavailable"):
        network.env.run(until=process)
    sidelink.check()
    assert (sidelink.delivered_bits, sidelink.lost_bits) == (0, 2_500_000)


def test_finds_bits_that_no_transfer_accounts_for(build: Callable[..., Network]) -> None:
    network = build()
    sidelink = Sidelink(network)
    sidelink.medium.start(1000, 1000.0)
    network.env.run(until=0.5)
    with pytest.raises(SimulationError, match="does not add up"):
        sidelink.check()


def test_refuses_nothing_oneself_and_batteries(build: Callable[..., Network]) -> None:
    network = build()
    sidelink = Sidelink(network)
    for sender, receiver, bits in ((0, 1, 0), (0, 0, 8)):
        with pytest.raises(SimulationError, match="was asked to send"):
            network.env.run(until=send(network, sidelink, sender, receiver, bits))
    with pytest.raises(SimulationError, match="batteries"):
        Sidelink(build(battery=Battery(capacity=10.0)))
