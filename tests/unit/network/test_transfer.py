from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from simpy import Process

from netfed.errors import Dropped, TransferLost
from netfed.network.network import Network
from netfed.network.population import Device
from netfed.network.profiles import PROFILES
from netfed.network.spec import Fixed, Fluid, LinkClass, Rated
from netfed.network.transfer import Transfer

PHONE = PROFILES["phone"]
LATENCY_S = 0.015
KINDS = [
    kind(
        uplink=LinkClass(rate=10e6, latency=0.005),
        downlink=LinkClass(rate=40e6, latency=0.005),
        backhaul=LinkClass(rate=20e6, latency=0.010),
    )
    for kind in (Fixed, Fluid)
]
BITS = 10_000_000


@dataclass(frozen=True)
class Payload:
    bits: int


class ThreeSectors(Fluid):
    """Three cells at each base station."""

    @property
    def cells(self) -> int:
        return 3


def begin(network: Network, until_s: float, base_station: int = 0) -> tuple[Transfer, Process]:
    """Let the first device send upwards from a base station for a while."""
    network.population.base_station[0] = base_station
    process = network.env.process(network.uplink(Device(network.population, 0, 0)).send(Payload(BITS)))
    network.env.run(until=until_s)
    (transfer,) = network.transfers
    return transfer, process


def row(network: Network) -> dict[str, Any]:
    (only,) = network.recorder.take()
    return only


@pytest.mark.parametrize("kind", KINDS)
def test_goes_on_at_another_rate_and_pays_for_both(build: Callable[..., Network], kind: Rated) -> None:
    network = build(kind)
    transfer, process = begin(network, until_s=0.5)
    transfer.retune(2e6)
    network.env.run(until=process)
    assert network.env.now == pytest.approx(0.5 + 2.5 + LATENCY_S)
    assert row(network)["energy_j"] == pytest.approx(PHONE.transmit_w * 3.0 + PHONE.idle_w * LATENCY_S)
    assert not network.transfers


def test_a_flow_keeps_its_weight_in_another_cell(build: Callable[..., Network]) -> None:
    network = build(KINDS[1], base_stations=2, weight={3.0: 0.5, 1.0: 0.5})
    network.population.weight[:] = [3.0, 1.0, 1.0, 1.0]
    network.population.base_station[1] = 1
    transfer, _ = begin(network, until_s=0.1)
    network.env.process(network.uplink(Device(network.population, 1, 0)).send(Payload(BITS)))
    network.env.run(until=0.2)
    transfer.hand_over(1, 0, 10e6, interruption_s=0.1)
    network.env.run(until=0.4)
    medium = transfer.way.medium
    assert {flow.weight: medium.rate_bps(flow) for flow in medium._live} == pytest.approx({3.0: 7.5e6, 1.0: 2.5e6})


@pytest.mark.parametrize("kind", KINDS)
def test_arrives_a_latency_after_its_last_bit_as_it_is_where_that_left(
    build: Callable[..., Network], kind: Rated
) -> None:
    network = build(kind, base_stations=2)
    network.whole.ways["uplink"][1].latency_s = 0.2
    transfer, process = begin(network, until_s=0.25)
    transfer.hand_over(1, 0, 10e6)
    network.env.run(until=process)
    assert network.env.now == pytest.approx(1.0 + 0.2)
    assert row(network)["latency_s"] == pytest.approx(0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_waits_while_there_is_no_service(build: Callable[..., Network], kind: Rated) -> None:
    network = build(kind)
    transfer, process = begin(network, until_s=0.25)
    transfer.retune(0.0)
    network.env.run(until=7.0)
    assert transfer.flow.sent_bits == BITS // 4
    assert transfer.way.medium.rate_bps(transfer.flow) == 0.0
    transfer.retune(10e6)
    network.env.run(until=process)
    assert network.env.now == pytest.approx(7.75 + LATENCY_S)
    assert row(network)["energy_j"] == pytest.approx(PHONE.transmit_w * 1.0 + PHONE.idle_w * (6.75 + LATENCY_S))


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_sent_stays_where_it_was_sent(build: Callable[..., Network], kind: Rated) -> None:
    network = build(kind, base_stations=3)
    transfer, process = begin(network, until_s=0.25, base_station=1)
    transfer.hand_over(2, 0, 5e6, interruption_s=0.05)
    network.check_conservation()
    assert network.traffic.tally("uplink", 1) == (2_500_000, 0, 0, 2_500_000)
    assert network.traffic.tally("uplink", 2) == (0, 0, 0, 0)
    network.env.run(until=0.3)
    assert transfer.flow.sent_bits == 2_500_000
    network.env.run(until=1.3)
    network.check_conservation()
    assert network.traffic.tally("uplink", 2) == (5_000_000, 0, 0, 5_000_000)
    network.env.run(until=process)
    assert network.env.now == pytest.approx(0.3 + 1.5 + LATENCY_S)
    assert network.traffic.tally("uplink", 1) == (2_500_000, 2_500_000, 0, 0)
    assert network.traffic.tally("uplink", 2) == (7_500_000, 7_500_000, 0, 0)
    ended = row(network)
    assert (ended["cell"], ended["bits"], ended["delivered"]) == (2, BITS, True)
    assert ended["energy_j"] == pytest.approx(PHONE.transmit_w * 1.75 + PHONE.idle_w * (0.05 + LATENCY_S))


@pytest.mark.parametrize("kind", KINDS)
def test_on_few_resource_blocks_a_device_pays_for_as_long_as_it_sends(
    build: Callable[..., Network], kind: Rated
) -> None:
    """A second at 2 Mbit/s on a quarter of them, one at 4 on a half, and a cell on with 2 of all of them."""
    network = build(kind, base_stations=2)
    network.population.rate_up_bps[0], network.population.allocation_up[0] = 2e6, 0.25
    transfer, process = begin(network, until_s=1.0)
    transfer.retune(4e6, 0.5)
    network.env.run(until=2.0)
    transfer.hand_over(1, 0, 2e6, interruption_s=0.1, allocation=1.0)
    network.env.run(until=process)
    assert network.env.now == pytest.approx(2.1 + 2.0 + LATENCY_S)
    ended = row(network)
    assert ended["airtime_s"] == pytest.approx(4.0)
    assert ended["backhaul_s"] == pytest.approx(0.0, abs=1e-9)
    assert ended["energy_j"] == pytest.approx(PHONE.transmit_w * 4.0 + PHONE.idle_w * (0.1 + LATENCY_S))
    assert network.ledger.joules[0, 1] == pytest.approx(PHONE.transmit_w * 4.0)
    occupied_s = [medium.occupied_s() for medium in network.media["uplink"]]
    assert occupied_s == [pytest.approx([0.25 + 0.5]), pytest.approx([2.0])]


def test_after_an_interruption_a_transfer_is_on_the_resource_blocks_of_its_new_cell(
    build: Callable[..., Network],
) -> None:
    network = build(KINDS[1], base_stations=2)
    transfer, _ = begin(network, until_s=0.25)
    transfer.hand_over(1, 0, 2e6, interruption_s=0.1, allocation=0.25)
    network.env.run(until=1.0)
    assert transfer.way.medium.rate_bps(transfer.flow) == 2e6
    assert transfer.way.medium.occupied_s() == pytest.approx([0.65 * 0.25])


def test_what_was_sent_before_a_loss_is_lost_where_it_was_sent(build: Callable[..., Network]) -> None:
    network = build(KINDS[1], base_stations=3)
    transfer, process = begin(network, until_s=0.25)
    transfer.hand_over(1, 0, 10e6)
    network.env.run(until=0.5)
    transfer.hand_over(0, 0, 10e6)
    network.env.run(until=0.75)
    transfer.lose("radio-link-failure")
    with pytest.raises(TransferLost) as loss:
        network.env.run(until=process)
    assert loss.value.cause == "radio-link-failure"
    network.check_conservation()
    assert network.traffic.tally("uplink", 0) == (5_000_000, 0, 5_000_000, 0)
    assert network.traffic.tally("uplink", 1) == (2_500_000, 0, 2_500_000, 0)
    ended = row(network)
    assert (ended["bits"], ended["delivered"], ended["cause"]) == (7_500_000, False, "radio-link-failure")


def test_moves_between_the_cells_of_a_base_station(build: Callable[..., Network]) -> None:
    network = build(ThreeSectors(KINDS[1].uplink, KINDS[1].downlink, KINDS[1].backhaul))
    transfer, process = begin(network, until_s=0.5)
    (medium,) = network.media["uplink"]
    transfer.hand_over(0, 2, 10e6)
    network.env.run(until=process)
    assert [medium.carried_bits(cell) for cell in range(3)] == [5_000_000, 0, 5_000_000]
    assert network.traffic.tally("uplink", 0).delivered == BITS


def test_a_flow_starts_in_its_devices_sector(build: Callable[..., Network]) -> None:
    network = build(ThreeSectors(KINDS[1].uplink, KINDS[1].downlink, KINDS[1].backhaul))
    network.population.sector[0] = 1
    transfer, _ = begin(network, until_s=0.5)
    assert (transfer.sector, transfer.flow.cell) == (1, 1)


def test_a_rate_that_changes_during_the_interruption_counts_after_it(build: Callable[..., Network]) -> None:
    network = build(KINDS[1], base_stations=2)
    transfer, process = begin(network, until_s=0.5)
    transfer.hand_over(1, 0, 1e6, interruption_s=0.1)
    network.env.run(until=0.55)
    transfer.retune(5e6)
    network.env.run(until=0.6)
    assert transfer.flow.sent_bits == 5_000_000
    network.env.run(until=process)
    assert network.env.now == pytest.approx(0.6 + 1.0 + LATENCY_S)


def test_an_interruption_in_another_lasts_until_the_later_end(build: Callable[..., Network]) -> None:
    network = build(KINDS[1], base_stations=2)
    transfer, process = begin(network, until_s=0.5)
    transfer.hand_over(1, 0, 10e6, interruption_s=0.1)
    network.env.run(until=0.55)
    transfer.hand_over(0, 0, 10e6, interruption_s=0.1)
    network.env.run(until=process)
    assert network.env.now == pytest.approx(0.65 + 0.5 + LATENCY_S)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_happens_to_bits_that_have_all_left(build: Callable[..., Network], kind: Rated) -> None:
    network = build(kind, base_stations=2)
    transfer, process = begin(network, until_s=1.01)
    transfer.retune(1.0)
    transfer.hand_over(1, 0, 1.0, interruption_s=1.0)
    transfer.lose("handover")
    network.env.run(until=process)
    assert network.env.now == pytest.approx(1.0 + LATENCY_S)
    assert network.traffic.tally("uplink", 0).delivered == BITS


def test_who_is_interrupted_at_the_moment_of_the_loss_leaves(build: Callable[..., Network]) -> None:
    network = build(KINDS[1])
    transfer, process = begin(network, until_s=0.5)
    transfer.lose("handover")
    process.interrupt("late")
    with pytest.raises(Dropped, match="late"):
        network.env.run(until=process)
    network.env.run()
    network.check_conservation()


def test_a_limit_holds_however_fast_the_radio(build: Callable[..., Network]) -> None:
    limited = LinkClass(rate=10e6, limit=4e6)
    for kind in (Fixed, Fluid):
        network = build(kind(uplink=limited, downlink=limited, backhaul=LinkClass(rate=math.inf)))
        _, process = begin(network, until_s=0.5)
        network.env.run(until=process)
        assert network.env.now == pytest.approx(BITS / 4e6)
