from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from simpy import Process

from netfed.errors import Dropped, ParticipationLost, SimulationError
from netfed.network.multicast import Multicast
from netfed.network.network import Network
from netfed.network.population import Device
from netfed.network.profiles import PROFILES
from netfed.network.spec import Dropout, Fluid, LinkClass

PHONE = PROFILES["phone"]
BITS = 8_000_000
RATES_BPS = (16e6, 4e6, 8e6)


@dataclass(frozen=True)
class Payload:
    bits: int


def kind(loss: float = 0.0) -> Fluid:
    return Fluid(
        uplink=LinkClass(rate=10e6),
        downlink=LinkClass(rate=10e6, latency=0.005, loss=loss),
        backhaul=LinkClass(rate=100e6),
    )


def cast(network: Network) -> tuple[Multicast, list[Process]]:
    """Send to three devices at once."""
    network.population.rate_down_bps[:3] = RATES_BPS
    devices = [Device(network.population, index, 0) for index in range(3)]
    multicast = Multicast(network, network.whole.ways["downlink"][0], 0, Payload(BITS), devices)
    return multicast, [network.env.process(multicast.receive(device)) for device in devices]


def test_takes_the_airtime_of_its_worst_receiver_once(build: Callable[..., Network]) -> None:
    network = build(kind())
    multicast, receivers = cast(network)
    network.env.run(until=0.5)
    network.check_conservation()
    assert network.traffic.tally("downlink", 0) == (2_000_000, 0, 0, 2_000_000)
    network.env.run(until=network.env.all_of(receivers))
    network.check_conservation()
    assert network.env.now == pytest.approx(2.005)
    assert multicast.flow.airtime_s == pytest.approx(2.0)
    assert network.traffic.tally("downlink", 0) == (BITS, BITS, 0, 0)
    for index in range(3):
        assert network.ledger.joules[index] == pytest.approx([0, 0, PHONE.receive_w * 2.0, PHONE.idle_w * 0.005])
    rows = network.recorder.take()
    assert [row["kind"] for row in rows] == ["transfer", "reception", "reception", "reception"]
    assert sum(row.get("bits", 0) for row in rows) == BITS
    assert all(row["delivered"] for row in rows)


def test_shares_the_cell_with_other_transfers(build: Callable[..., Network]) -> None:
    network = build(kind())
    network.population.rate_down_bps[3] = 4e6
    _, receivers = cast(network)
    other = network.env.process(network.downlink(Device(network.population, 3, 0)).send(Payload(BITS)))
    network.env.run(until=network.env.all_of([*receivers, other]))
    assert network.env.now == pytest.approx(4.005)


def test_a_receiver_that_leaves_does_not_stop_it(build: Callable[..., Network]) -> None:
    network = build(kind())
    multicast, receivers = cast(network)
    network.env.run(until=0.5)
    receivers[1].interrupt("late")
    with pytest.raises(Dropped, match="late"):
        network.env.run(until=receivers[1])
    assert network.ledger.joules[1] == pytest.approx([0, 0, PHONE.receive_w * 0.5, 0])
    multicast.retune(8e6)
    network.env.run(until=receivers[0])
    assert network.env.now == pytest.approx(0.5 + 0.75 + 0.005)


def test_each_receiver_has_its_own_luck(build: Callable[..., Network]) -> None:
    network = build(kind(loss=1.0), dropout=Dropout(download=1.0))
    _, receivers = cast(network)
    for index, receiver in enumerate(receivers):
        with pytest.raises(ParticipationLost) as loss:
            network.env.run(until=receiver)
        device = Device(network.population, index, 0)
        shares = {cause: device.breaks_off(cause, 1.0) or 0.0 for cause in ("loss-downlink", "dropout-download")}
        assert loss.value.cause == min(shares, key=lambda cause: shares[cause])
        assert network.ledger.joules[index, 2] == pytest.approx(PHONE.receive_w * 2.0 * min(shares.values()))
    network.check_conservation()


def test_refuses_nobody_nothing_and_latecomers(build: Callable[..., Network]) -> None:
    network = build(kind())
    way, device = network.whole.ways["downlink"][0], Device(network.population, 0, 0)
    for bits, devices in ((0, [device]), (BITS, [])):
        with pytest.raises(SimulationError, match="a multicast of"):
            Multicast(network, way, 0, Payload(bits), devices)
    multicast, _ = cast(network)
    network.env.run(until=0.5)
    with pytest.raises(SimulationError, match="under way"):
        next(multicast.receive(device))
