from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simpy import Event, Process

from netfed.errors import Dropped, SimulationError
from netfed.network.batteries import Batteries
from netfed.network.battery import NEGLIGIBLE_J, Battery, Charging
from netfed.network.network import Network
from netfed.network.population import Device
from netfed.network.profiles import PROFILES
from netfed.network.sidelink import Sidelink

PHONE = PROFILES["phone"]


@dataclass(frozen=True)
class Payload:
    bits: int


@dataclass(frozen=True)
class Cost:
    flops: float
    bytes: float = 1.0


def seconds(duration_s: float) -> Cost:
    return Cost(PHONE.flops_per_s * duration_s)


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


def test_refuses_nothing_and_oneself(build: Callable[..., Network]) -> None:
    network = build()
    sidelink = Sidelink(network)
    for sender, receiver, bits in ((0, 1, 0), (0, 0, 8)):
        with pytest.raises(SimulationError, match="was asked to send"):
            network.env.run(until=send(network, sidelink, sender, receiver, bits))


def charged(network: Network, *charges_j: float) -> Batteries:
    """Let the first devices have charges of their own."""
    assert network.batteries is not None
    for charge_j in (network.batteries.charge_j, network.batteries._initial_j):
        charge_j[: len(charges_j)] = charges_j
    return network.batteries


def compute(network: Network, device: int, duration_s: float) -> Process:
    return network.env.process(network.compute(Device(network.population, device, 0), seconds(duration_s)))


def fails(network: Network, process: Process, cause: str) -> float:
    """Return when a process drops out for a cause."""
    with pytest.raises(Dropped, match=cause):
        network.env.run(until=process)
    network.check_conservation()
    return network.env.now


def test_a_transfer_drains_both_batteries(build: Callable[..., Network]) -> None:
    network = build(battery=Battery(capacity=10.0))
    sidelink = Sidelink(network)
    process = send(network, sidelink, 0, 1, 10_000_000)
    network.env.run(until=0.5)
    assert network.batteries is not None
    assert network.batteries.left_j(0) == pytest.approx(10.0 - PHONE.transmit_w / 2)
    assert network.batteries.left_j(1) == pytest.approx(10.0 - PHONE.receive_w / 2)
    network.check_conservation()
    network.env.run(until=process)
    network.check_conservation()
    assert network.batteries.charge_j[:2] == pytest.approx([10.0 - PHONE.transmit_w, 10.0 - PHONE.receive_w])


@pytest.mark.parametrize("empty", [0, 1])
def test_either_battery_ends_it_when_it_is_empty(build: Callable[..., Network], empty: int) -> None:
    """In the sender's process, charged as far as it came."""
    network = build(battery=Battery(capacity=10.0))
    sidelink = Sidelink(network)
    power_w = (PHONE.transmit_w, PHONE.receive_w)
    batteries = charged(network, *(0.3 * power_w[end] if end == empty else 10.0 for end in (0, 1)))
    assert fails(network, send(network, sidelink, 0, 1, 10_000_000), "battery") == pytest.approx(0.3)
    sidelink.check()
    assert (sidelink.delivered_bits, sidelink.lost_bits) == (0, pytest.approx(3e6, abs=10))
    assert network.ledger.joules[0] == pytest.approx([0, 0.3 * PHONE.transmit_w, 0, 0], rel=1e-5)
    assert network.ledger.joules[1] == pytest.approx([0, 0, 0.3 * PHONE.receive_w, 0], rel=1e-5)
    assert batteries.left_j(empty) == pytest.approx(0.0, abs=1e-6)
    assert batteries.emptied() == 1


def test_who_computes_while_it_receives_drops_with_the_transfer(build: Callable[..., Network]) -> None:
    network = build(battery=Battery(capacity=100.0))
    sidelink = Sidelink(network)
    batteries = charged(network, 100.0, 2 * PHONE.compute_w + 0.5 * PHONE.receive_w)
    computing = compute(network, 1, 10.0)
    network.env.run(until=1.0)
    sending = send(network, sidelink, 0, 1, 100_000_000)
    network.env.run(until=1.4)
    left_j = 0.6 * PHONE.compute_w + 0.1 * PHONE.receive_w
    assert batteries.left_j(1) == pytest.approx(left_j)
    empty_s = 1.4 + left_j / (PHONE.compute_w + PHONE.receive_w)
    for process in (sending, computing):
        process.callbacks.append(lambda end: setattr(end, "defused", True))
    network.env.run(until=empty_s + 1.0)
    network.check_conservation()
    assert [str(process.value) for process in (sending, computing)] == ["battery", "battery"]
    ends_s = {row["kind"]: row["t_s"] for row in network.recorder.take()}
    assert ends_s == {"transfer": pytest.approx(empty_s), "compute": pytest.approx(empty_s)}
    assert network.ledger.joules[1, [0, 2]] == pytest.approx(
        [empty_s * PHONE.compute_w, (empty_s - 1.0) * PHONE.receive_w]
    )
    assert batteries.emptied() == 1


def test_what_others_draw_makes_room_for_the_charger(build: Callable[..., Network]) -> None:
    """It gives what is drawn, not more: a full battery that computing drains is not filled up by the capacity."""
    charging = Charging(power=0.5, period=1.0, duration=1.0)
    network = build(battery=Battery(capacity=100.0, charging=charging))
    sidelink = Sidelink(network)
    computing = compute(network, 1, 3.0)
    network.env.run(until=1.0)
    network.env.run(until=send(network, sidelink, 0, 1, 10_000_000))
    network.check_conservation()
    network.env.run(until=computing)
    network.check_conservation()
    assert network.batteries is not None
    spent_j = 3 * PHONE.compute_w + PHONE.receive_w
    assert network.batteries.left_j(1) == pytest.approx(100.0 - spent_j + 0.5 * 3)


def test_nobody_draws_twice_in_one_process(build: Callable[..., Network]) -> None:
    network = build(battery=Battery(capacity=10.0))

    def twice() -> Generator[Event, None, None]:
        assert network.batteries is not None
        network.batteries.begin(0, float)
        network.batteries.begin(0, float)
        yield network.env.timeout(1.0)

    with pytest.raises(SimulationError, match="twice"):
        network.env.run(until=network.env.process(twice()))


@given(
    charges=st.lists(st.floats(0.05, 4.0), min_size=4, max_size=4),
    moves=st.lists(
        st.tuples(st.floats(0, 2), st.sampled_from([*permutations(range(4), 2)]), st.integers(1, 2 * 10**7)),
        min_size=1,
        max_size=8,
    ),
    power_w=st.sampled_from([None, 0.5, 3.0]),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_joule_and_no_bit_vanishes(
    build: Callable[..., Network],
    charges: list[float],
    moves: list[tuple[float, tuple[int, int], int]],
    power_w: float | None,
) -> None:
    charging = None if power_w is None else Charging(power=power_w, period=1.0, duration=0.6)
    network = build(battery=Battery(capacity=5.0, charging=charging))
    batteries, sidelink = charged(network, *charges), Sidelink(network, pools=2)
    causes = []

    def move(wait_s: float, ends: tuple[int, int], bits: int) -> Generator[Event, None, None]:
        yield network.env.timeout(wait_s)
        devices = [Device(network.population, device, 0) for device in ends]
        try:
            yield from sidelink.send(devices[0], devices[1], Payload(bits), 10e6, pool=bits % 2)
        except Dropped as drop:
            causes.append(drop.cause)

    def train(device: int) -> Generator[Event, None, None]:
        try:
            yield from network.compute(Device(network.population, device, 0), seconds(1.0))
        except Dropped as drop:
            causes.append(drop.cause)

    ends = [*(network.env.process(move(*each)) for each in moves), *(network.env.process(train(i)) for i in range(4))]
    done = network.env.all_of(ends)
    while not done.processed:
        network.env.step()
        network.check_conservation()
        sidelink.check()
        assert min(batteries.left_j(device) for device in range(4)) >= -NEGLIGIBLE_J
    assert set(causes) <= {"battery"}
    assert sidelink.delivered_bits <= sum(bits for *_, bits in moves)
    rows_j = sum(row["energy_j"] for row in network.recorder.take())
    assert rows_j == pytest.approx(network.ledger.joules.sum())
