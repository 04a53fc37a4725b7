"""Radios that are promoted first, and are idle only some time after."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simpy import Event, Process

from netfed.errors import Dropped, ParticipationLost
from netfed.network.batteries import NEGLIGIBLE_J
from netfed.network.battery import Battery, Charging
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


@dataclass(frozen=True)
class Cost:
    flops: float
    bytes: float = 1.0


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


def test_a_tail_takes_what_is_left_and_no_more(build: Build) -> None:
    transfer_j = PHONE.transmit_w * 1.0 + PHONE.idle_w * 0.015
    network = build(radio=RRC, battery=Battery(capacity=1.0 + transfer_j + 2.0))
    network.env.run(until=send(network, 0.0))
    network.env.run(until=50.0)
    *_, tail = network.recorder.take()
    assert (tail["kind"], tail["energy_j"]) == ("tail", pytest.approx(2.0))
    assert tail["t_s"] == pytest.approx(0.5 + SENDING_S + 2.0)
    assert network.ledger.totals_j()["tail"] == pytest.approx(1.0 + 2.0)
    assert network.batteries is not None
    assert (network.batteries.emptied(), network.batteries.spent()) == (1, 1)
    network.check_conservation()


def test_a_radio_whose_battery_ends_its_tail_is_idle(build: Build) -> None:
    transfer_j = PHONE.transmit_w * 1.0 + PHONE.idle_w * 0.015
    charging = Charging(power=1.5, period=1000.0, duration=500.0)
    network = build(radio=replace(RRC, tail_power=4.0), battery=Battery(1.0 + transfer_j + 2.0, charging=charging))
    network.population.phase[0] = (0.5 + SENDING_S + 1.0) / 1000.0
    network.env.run(until=send(network, 0.0, 4.0))
    kinds = [(row["kind"], row["energy_j"]) for row in network.recorder.take()]
    assert kinds[2:4] == [("tail", pytest.approx(2.0)), ("promotion", pytest.approx(1.0))]


def test_a_tail_draws_beside_a_computation_and_ends_it_with_the_battery(build: Build) -> None:
    transfer_j = PHONE.transmit_w * 1.0 + PHONE.idle_w * 0.015
    network = build(radio=RRC, battery=Battery(capacity=1.0 + transfer_j + 3.0 * (PHONE.compute_w + 1.0)))
    network.env.run(until=send(network, 0.0))
    device = Device(network.population, 0, 0)
    with pytest.raises(Dropped, match="battery"):
        network.env.run(until=network.env.process(network.compute(device, Cost(PHONE.flops_per_s * 9.0))))
    assert network.env.now == pytest.approx(0.5 + SENDING_S + 3.0, abs=1e-5)
    network.env.run(until=20.0)
    assert network.ledger.totals_j()["tail"] == pytest.approx(1.0 + 3.0)
    assert network.ledger.totals_j()["compute"] == pytest.approx(3.0 * PHONE.compute_w)
    network.check_conservation()


def test_a_tail_comes_on_top_of_the_background(build: Build) -> None:
    transfer_j = PHONE.transmit_w * 1.0 + PHONE.idle_w * 0.015
    network = build(radio=RRC, battery=Battery(capacity=1000.0, background=0.5))
    batteries = network.batteries
    assert batteries is not None
    network.env.run(until=send(network, 0.0))
    for rested_s, tail_s in ((4.0, 4.0), (10.0, 10.0), (30.0, 10.0)):
        network.env.run(until=0.5 + SENDING_S + rested_s)
        assert batteries.left_j(0) == pytest.approx(1000.0 - 1.0 - transfer_j - 0.5 * rested_s - tail_s)
        network.check_conservation()


@pytest.mark.parametrize("background", [0.0, 0.5])
def test_a_tail_takes_a_device_below_the_minimum(build: Build, background: float) -> None:
    """The minimum is 80 J: it is reached in the middle of the tail."""
    spent_j = 1.0 + PHONE.transmit_w * 1.0 + PHONE.idle_w * 0.015
    battery = Battery(capacity=80.0 + spent_j + 6.0, minimum=80.0 / (80.0 + spent_j + 6.0), background=background)
    network = build(count=1, radio=RRC, battery=battery)
    network.env.run(until=send(network, 0.0))
    lost_s = 0.5 + SENDING_S + 6.0 / (1.0 + background)
    network.env.run(until=lost_s - 0.01)
    assert network.population.available(network.env.now)[0]
    network.env.run(until=lost_s + 0.01)
    assert not network.population.available(network.env.now)[0]


def test_a_charger_that_gives_less_than_a_tail_takes_brings_nobody_back_before_the_tail_ends(build: Build) -> None:
    spent_j = 1.0 + PHONE.transmit_w * 1.0 + PHONE.idle_w * 0.015
    charging = Charging(power=0.5, period=1000.0, duration=900.0)
    battery = Battery(80.0 + spent_j + 3.0, minimum=80.0 / (80.0 + spent_j + 3.0), charging=charging)
    network = build(count=1, radio=RRC, battery=battery)
    network.population.phase[0] = (0.5 + SENDING_S) / 1000.0
    network.env.run(until=send(network, 0.0))
    released_s = network.env.now
    for rested_s, ready in ((5.9, True), (6.1, False), (9.9, False), (13.9, False), (14.1, True)):
        network.env.run(until=released_s + rested_s)
        assert network.population.available(network.env.now)[0] == ready, rested_s


PAUSES_S = st.lists(st.sampled_from([0.0, 0.3, 2.0, 5.0, 12.0]), min_size=1, max_size=8)
CHARGERS = st.none() | st.builds(Charging, st.sampled_from([1.0, 5.0]), st.just(10.0), st.sampled_from([1.0, 6.0]))


@given(
    PAUSES_S,
    st.sampled_from([1.0, 3.0, 10.0, 40.0]),
    CHARGERS,
    st.sampled_from([0.0, 0.2]),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from([0.0, 1.0, 20.0]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_device_spends_more_than_it_had_and_was_given(
    build: Build,
    pauses_s: list[float],
    capacity_j: float,
    charging: Charging | None,
    background_w: float,
    promotion_s: float,
    tail_w: float,
) -> None:
    battery = Battery(capacity_j, (0.5, 1.0), charging=charging, background=background_w)
    network = build(count=1, radio=Rrc(promotion_s, 2.0, 4.0, tail_w), battery=battery)
    batteries = network.batteries
    assert batteries is not None
    had_j = batteries.charge_j.item(0)

    def client() -> Generator[Event, Any, None]:
        for pause_s in pauses_s:
            yield network.env.timeout(pause_s)
            device = Device(network.population, 0, 0)
            try:
                yield from network.downlink(device).send(Payload(10**7))
                yield from network.compute(device, Cost(PHONE.flops_per_s))
                yield from network.uplink(device).send(Payload(10**7))
            except ParticipationLost:
                continue

    network.env.process(client())
    while network.env.peek() < float("inf"):
        network.env.step()
        network.check_conservation()
        phase, now_s = network.population.phase.item(0), network.env.now
        gave_j = 0.0 if charging is None else float(charging.given_j(phase, now_s) - charging.given_j(phase, 0.0))
        spent_j = sum(network.ledger.totals_j().values())
        assert spent_j <= had_j + gave_j + 2 * NEGLIGIBLE_J
        assert spent_j + batteries.left_j(0) <= had_j + gave_j + 2 * NEGLIGIBLE_J
    if charging is None and background_w == 0:
        assert spent_j + batteries.left_j(0) == pytest.approx(had_j, abs=2 * NEGLIGIBLE_J)


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
