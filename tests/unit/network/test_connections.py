"""Radios that are promoted first, and are idle only some time after."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from simpy import Event, Process

from netfed.errors import Dropped
from netfed.network.battery import Battery
from netfed.network.network import Network
from netfed.network.population import Device
from netfed.network.profiles import PROFILES
from netfed.network.rrc import Rrc

PHONE = PROFILES["phone"]
RRC = Rrc(promotion=0.5, promotion_power=2.0, tail=10.0, tail_power=1.0)
SENDING_S = 1.015
Build = Callable[..., Network]


@dataclass(frozen=True)
class Payload:
    bits: int


def send(network: Network, *pauses_s: float) -> Process:
    """Send a payload of a second after each pause."""

    def client() -> Generator[Event, Any, None]:
        for pause_s in pauses_s:
            yield network.env.timeout(pause_s)
            yield from network.uplink(Device(network.population, 0, 0)).send(Payload(10**7))

    return network.env.process(client())


def test_a_transfer_waits_for_the_promotion(build: Build) -> None:
    network = build(radio=RRC)
    network.env.run(until=send(network, 0.0))
    assert network.env.now == pytest.approx(0.5 + SENDING_S)
    assert network.ledger.totals_j()["tail"] == pytest.approx(1.0)
    promotion, transfer = network.recorder.take()
    assert (promotion["kind"], promotion["energy_j"]) == ("promotion", pytest.approx(1.0))
    assert transfer["start_s"] == 0.5


def test_who_transfers_again_in_the_tail_is_connected(build: Build) -> None:
    network = build(radio=RRC)
    network.env.run(until=send(network, 0.0, 4.0))
    assert network.env.now == pytest.approx(0.5 + 4.0 + 2 * SENDING_S)
    assert network.ledger.totals_j()["tail"] == pytest.approx(1.0 + 4.0)
    kinds = [row["kind"] for row in network.recorder.take()]
    assert kinds == ["promotion", "transfer", "tail", "transfer"]


def test_a_tail_ends(build: Build) -> None:
    network = build(radio=RRC)
    network.env.run(until=send(network, 0.0, 30.0))
    assert network.env.now == pytest.approx(2 * 0.5 + 30.0 + 2 * SENDING_S)
    assert network.ledger.totals_j()["tail"] == pytest.approx(2 * 1.0 + 10.0)
    network.env.run(until=100.0)
    assert network.ledger.totals_j()["tail"] == pytest.approx(2 * 1.0 + 2 * 10.0)


def test_the_parts_are_the_sum_of_the_rows(build: Build) -> None:
    network = build(radio=RRC)
    network.env.run(until=send(network, 0.0, 3.0, 12.0, 0.0))
    rows_j = sum(row["energy_j"] for row in network.recorder.take())
    assert sum(network.ledger.totals_j().values()) == pytest.approx(rows_j)
    assert network.ledger.joules.sum() == pytest.approx(rows_j)


def test_a_battery_gives_tails_too(build: Build) -> None:
    network = build(radio=RRC, battery=Battery(capacity=1000.0))
    network.env.run(until=send(network, 0.0, 3.0, 12.0))
    assert network.batteries is not None
    network.check_conservation()
    assert 1000.0 - network.batteries.left_j(0) == pytest.approx(network.ledger.joules[0].sum())


def test_an_empty_battery_ends_a_promotion_and_gives_no_more_than_it_has(build: Build) -> None:
    network = build(radio=RRC, battery=Battery(capacity=0.6))
    with pytest.raises(Dropped, match="battery"):
        network.env.run(until=send(network, 0.0))
    assert network.env.now == pytest.approx(0.3, abs=1e-5)
    transfer_j = PHONE.transmit_w * 1.0 + PHONE.idle_w * 0.015
    network = build(radio=RRC, battery=Battery(capacity=1.0 + transfer_j + 2.0))
    with pytest.raises(Dropped, match="battery"):
        network.env.run(until=send(network, 0.0, 5.0))
    network.check_conservation()
    assert network.ledger.joules[0].sum() == pytest.approx(1.0 + transfer_j + 2.0)
    assert network.batteries is not None
    assert network.batteries.emptied() == 1


def test_a_battery_that_a_tail_has_drained_is_empty_the_sooner(build: Build) -> None:
    """The next look at it, planned when it was full, comes later than that."""
    transfer_j = PHONE.transmit_w * 1.0 + PHONE.idle_w * 0.015
    capacity_j = 1.0 + transfer_j + 8.0 * 4.0 + 1.5 * transfer_j
    assert capacity_j / max(PHONE.compute_w, PHONE.transmit_w, PHONE.receive_w) > 5.515 + 2 * SENDING_S
    network = build(radio=replace(RRC, tail_power=8.0), battery=Battery(capacity=capacity_j))
    with pytest.raises(Dropped, match="battery"):
        network.env.run(until=send(network, 0.0, 4.0, 0.0, 0.0, 0.0, 0.0))
    assert 5.515 + SENDING_S < network.env.now < 5.515 + 2 * SENDING_S
    network.check_conservation()
    assert network.batteries is not None
    assert network.batteries.left_j(0) == pytest.approx(0.0, abs=1e-5)
    assert network.ledger.joules[0].sum() == pytest.approx(capacity_j)


def test_a_promotion_may_draw_more_than_anything_else(build: Build) -> None:
    network = build(radio=replace(RRC, promotion_power=20.0), battery=Battery(capacity=6.0))
    with pytest.raises(Dropped, match="battery"):
        network.env.run(until=send(network, 0.0))
    assert network.env.now == pytest.approx(0.3, abs=1e-5)
    network.check_conservation()


def test_an_interrupted_promotion_is_charged_as_far_as_it_came(build: Build) -> None:
    network = build(radio=RRC)
    process = send(network, 0.0)
    network.env.run(until=0.25)
    process.interrupt("late")
    with pytest.raises(Dropped, match="late"):
        network.env.run(until=process)
    assert network.ledger.totals_j()["tail"] == pytest.approx(0.5)
    assert network.recorder.take()[0]["cause"] == "late"


def test_without_it_there_is_no_such_part(build: Build) -> None:
    assert list(build().ledger.totals_j()) == ["compute", "transmit", "receive", "idle"]


def test_refuses_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="tail must be 0 or more"):
        Rrc(tail=-1.0)
