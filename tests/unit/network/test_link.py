from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simpy import Event, Process

from netfed.errors import Dropped, ParticipationLost, SimulationError, TransferLost
from netfed.network.network import Network
from netfed.network.population import Device
from netfed.network.profiles import PROFILES
from netfed.network.spec import Dropout, Fixed, Fluid, Ideal, LinkClass, Rated

PHONE = PROFILES["phone"]
LATENCY_S = 0.015


@dataclass(frozen=True)
class Payload:
    bits: int


def lossy(kind: type[Rated], uplink: float = 0.0, backhaul: float = 0.0) -> Rated:
    return kind(
        uplink=LinkClass(rate=10e6, latency=0.005, loss=uplink),
        downlink=LinkClass(rate=40e6, latency=0.005),
        backhaul=LinkClass(rate=20e6, latency=0.010, loss=backhaul),
    )


def send(network: Network, device: Device, bits: int, direction: str = "uplink") -> Process:
    link = network.uplink(device) if direction == "uplink" else network.downlink(device)
    return network.env.process(link.send(Payload(bits)))


def cause_of_loss(network: Network, process: Process, kind: type[ParticipationLost]) -> str:
    with pytest.raises(kind) as loss:
        network.env.run(until=process)
    return loss.value.cause


@pytest.mark.parametrize("kind", [Fixed, Fluid])
@given(
    start_s=st.floats(0, 1e6),
    bits=st.integers(1, 10**12),
    access_bps=st.floats(1e3, 1e10),
    backhaul_bps=st.floats(1e3, 1e10),
    latency_s=st.floats(0, 1),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_uncontended_transfer_takes_latency_plus_bits_over_rate(
    build: Callable[..., Network],
    kind: type[Rated],
    start_s: float,
    bits: int,
    access_bps: float,
    backhaul_bps: float,
    latency_s: float,
) -> None:
    access = LinkClass(rate=access_bps, latency=latency_s)
    network = build(kind(access, access, LinkClass(rate=backhaul_bps, latency=0.25)))

    def client() -> Generator[Event, Any, None]:
        yield network.env.timeout(start_s)
        yield from network.uplink(Device(network.population, 0, 0)).send(Payload(bits))

    network.env.run(until=network.env.process(client()))
    exact_s = Fraction(start_s) + Fraction(latency_s) + Fraction(1, 4) + bits / Fraction(min(access_bps, backhaul_bps))
    assert abs(Fraction(network.env.now) - exact_s) <= 4 * Fraction(math.ulp(float(exact_s)))


def test_downlink_and_uplink_have_rates_of_their_own(build: Callable[..., Network]) -> None:
    network = build(lossy(Fluid))
    device = Device(network.population, 0, 0)
    down = send(network, device, 20_000_000, "downlink")
    network.env.run(until=send(network, device, 10_000_000, "uplink"))
    assert network.env.now == pytest.approx(1.0 + LATENCY_S, rel=1e-15)
    assert not down.is_alive


def test_transfers_share_a_fluid_cell_but_not_a_fixed_one(build: Callable[..., Network]) -> None:
    for kind, finish_s in ((Fluid, 2.0), (Fixed, 1.0)):
        network = build(lossy(kind))
        for index in range(2):
            send(network, Device(network.population, index, 0), 10_000_000)
        network.env.run()
        assert network.env.now == pytest.approx(finish_s + LATENCY_S, rel=1e-15)


def test_base_stations_do_not_share(build: Callable[..., Network]) -> None:
    network = build(lossy(Fluid), base_stations=7, count=30)
    serving = network.population.base_station.tolist()
    other = next(index for index in range(30) if serving[index] != serving[0])
    for index in (0, other):
        send(network, Device(network.population, index, 0), 10_000_000)
    network.env.run()
    assert network.env.now == pytest.approx(1.0 + LATENCY_S, rel=1e-15)
    assert network.traffic.tally("uplink", serving[other]).delivered == 10_000_000


def test_ideal_network_takes_no_time_and_no_energy(build: Callable[..., Network]) -> None:
    network = build(Ideal())
    network.env.run(until=send(network, Device(network.population, 0, 0), 10**9))
    assert network.env.now == 0.0
    assert sum(network.ledger.totals_j().values()) == 0.0
    assert network.traffic.totals() == {"up": 10**9, "down": 0, "lost_up": 0, "lost_down": 0}


def test_airtime_is_charged_at_the_radios_power_and_the_rest_as_waiting(build: Callable[..., Network]) -> None:
    """Downwards the radio could do 40 Mbit/s, the backhaul 20: half of the transfer is airtime."""
    network = build(lossy(Fluid))
    network.env.run(until=send(network, Device(network.population, 2, 0), 20_000_000, "downlink"))
    receive_j, idle_j = PHONE.receive_w * 0.5, PHONE.idle_w * (0.5 + LATENCY_S)
    assert network.ledger.joules[2] == pytest.approx([0, 0, receive_j, idle_j])
    (row,) = network.recorder.take()
    assert row.pop("energy_j") == pytest.approx(receive_j + idle_j)
    parts_s = [row.pop(name) for name in ("airtime_s", "backhaul_s", "core_s", "latency_s")]
    assert parts_s == pytest.approx([0.5, 0.5, 0.0, LATENCY_S])
    assert row == {
        "t_s": network.env.now,
        "kind": "transfer",
        "device": 2,
        "cell": 0,
        "edge": None,
        "link": "downlink",
        "start_s": 0.0,
        "bits": 20_000_000,
        "payload_bits": 20_000_000,
        "delivered": True,
        "cause": None,
    }


def test_contention_lengthens_waiting_not_airtime(build: Callable[..., Network]) -> None:
    network = build(lossy(Fluid))
    for index in range(2):
        send(network, Device(network.population, index, 0), 10_000_000)
    network.env.run()
    for index in range(2):
        charged = [0, PHONE.transmit_w * 1.0, 0, PHONE.idle_w * (1.0 + LATENCY_S)]
        assert network.ledger.joules[index] == pytest.approx(charged)


@pytest.mark.parametrize("kind", [Fixed, Fluid])
def test_interruption_takes_the_flow_out(build: Callable[..., Network], kind: type[Rated]) -> None:
    network = build(lossy(kind))
    process = send(network, Device(network.population, 0, 0), 10_000_001)
    network.env.run(until=0.25000005)
    process.interrupt("late")
    assert cause_of_loss(network, process, Dropped) == "late"
    assert network.env.now == 0.25000005
    assert network.traffic.totals() == {"up": 2_500_000, "down": 0, "lost_up": 2_500_000, "lost_down": 0}
    assert network.ledger.joules[0] == pytest.approx([0, PHONE.transmit_w * 0.25, 0, 0], abs=1e-6)
    (row,) = network.recorder.take()
    assert (row["bits"], row["payload_bits"], row["delivered"], row["cause"]) == (2_500_000, 10_000_001, False, "late")
    network.env.run(until=send(network, Device(network.population, 1, 0), 10_000_000))
    assert network.env.now == pytest.approx(1.25000005 + LATENCY_S, rel=1e-15)


@pytest.mark.parametrize("kind", [Fixed, Fluid])
def test_interruption_after_the_last_bit_loses_the_payload_all_the_same(
    build: Callable[..., Network], kind: type[Rated]
) -> None:
    network = build(lossy(kind))
    process = send(network, Device(network.population, 0, 0), 10_000_000)
    network.env.run(until=1.01)
    assert network.traffic.total("uplink") == (10_000_000, 0, 0, 10_000_000)
    process.interrupt("dismissed")
    assert cause_of_loss(network, process, Dropped) == "dismissed"
    assert network.traffic.total("uplink") == (10_000_000, 0, 10_000_000, 0)
    assert network.ledger.joules[0] == pytest.approx([0, PHONE.transmit_w, 0, PHONE.idle_w * 0.01])


@pytest.mark.parametrize(("direction", "cause"), [("uplink", "dropout-upload"), ("downlink", "dropout-download")])
def test_dropout_comes_on_the_way(build: Callable[..., Network], direction: str, cause: str) -> None:
    network = build(lossy(Fluid), dropout=Dropout(download=1.0, upload=1.0))
    device = Device(network.population, 0, 0)
    assert cause_of_loss(network, send(network, device, 10_000_000, direction), Dropped) == cause
    share = device.breaks_off(cause, 1.0)
    assert share is not None
    (row,) = network.recorder.take()
    assert row["bits"] == math.floor(share * 10_000_000)
    assert network.env.now == pytest.approx(share * (1.0 if direction == "uplink" else 0.5), rel=1e-6)


def test_broken_connection_loses_what_was_sent(build: Callable[..., Network]) -> None:
    network = build(lossy(Fixed, uplink=1.0))
    device = Device(network.population, 0, 0)
    assert cause_of_loss(network, send(network, device, 10_000_000), TransferLost) == "loss-uplink"
    share = device.breaks_off("loss-uplink", 1.0)
    assert share is not None
    lost = math.floor(share * 10_000_000)
    assert network.traffic.total("uplink") == (lost, 0, lost, 0)
    assert network.ledger.joules[0] == pytest.approx([0, PHONE.transmit_w * lost / 10e6, 0, 0], abs=1e-6)


def test_either_link_may_break_the_connection(build: Callable[..., Network]) -> None:
    network = build(lossy(Fixed, uplink=0.3, backhaul=0.2), count=2000)
    outcomes: list[str | None] = []

    def client(device: Device) -> Generator[Event, Any, None]:
        try:
            yield from network.uplink(device).send(Payload(1000))
            outcomes.append(None)
        except TransferLost as loss:
            outcomes.append(loss.cause)

    for index in range(2000):
        network.env.process(client(Device(network.population, index, 0)))
    network.env.run()
    assert outcomes.count("loss-uplink") / 2000 == pytest.approx(1 - 0.7 * 0.8, abs=0.03)


def test_the_first_of_two_mishaps_counts(build: Callable[..., Network]) -> None:
    network = build(lossy(Fixed, uplink=1.0), count=40, dropout=Dropout(upload=1.0))
    for index in range(40):
        device = Device(network.population, index, 0)
        shares = {cause: device.breaks_off(cause, 1.0) or 0 for cause in ("loss-uplink", "dropout-upload")}
        cause = cause_of_loss(network, send(network, device, 10_000_000), ParticipationLost)
        assert cause == min(shares, key=lambda name: shares[name])


@pytest.mark.parametrize("bits", [0, -8])
def test_refuses_an_empty_payload(build: Callable[..., Network], bits: int) -> None:
    network = build()
    with pytest.raises(SimulationError, match=f"asked to move {bits} bits"):
        network.env.run(until=send(network, Device(network.population, 0, 0), bits))
