from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from simpy import Process

from netfed.errors import Dropped, SimulationError, TransferLost
from netfed.network.batteries import NEGLIGIBLE_J
from netfed.network.battery import Battery
from netfed.network.network import Network
from netfed.network.outages import Scheduled
from netfed.network.population import Device
from netfed.network.profiles import PROFILES
from netfed.network.rrc import Rrc
from netfed.network.spec import Delivery, Dropout, Fixed, Fluid, LinkClass

PHONE = PROFILES["phone"]
BITS = 8_000_000
RATES_BPS = (16e6, 4e6, 8e6)
LATENCY_S = 0.005


@dataclass(frozen=True)
class Payload:
    bits: int = BITS
    content: str | None = "version 1"


def kind(
    loss: float = 0.0,
    delivery: Delivery = "multicast",
    backhaul_bps: float = 100e6,
    family: type[Fixed] | type[Fluid] = Fluid,
) -> Fixed | Fluid:
    return family(
        uplink=LinkClass(rate=10e6),
        downlink=LinkClass(rate=10e6, latency=LATENCY_S, loss=loss),
        backhaul=LinkClass(rate=backhaul_bps),
        delivery=delivery,
    )


def send(network: Network, device: int, payload: Payload | None = None, span: Any = None) -> Process:
    link = network.link("downlink", Device(network.population, device, 0), span or network.whole)
    process = network.env.process(link.send(payload or Payload()))
    process.callbacks.append(lambda end: setattr(end, "defused", True))
    return process


def cast(network: Network, count: int = 3) -> list[Process]:
    """Send to some devices at once."""
    network.population.rate_down_bps[:3] = RATES_BPS
    return [send(network, device) for device in range(count)]


def settled(network: Network, processes: list[Process]) -> list[str | None]:
    """Let processes end, and return what they were lost to."""
    network.env.run()
    network.check_conservation()
    assert all(process.processed for process in processes)
    assert not network.multicasts.listeners
    return [None if process.ok else process.value.cause for process in processes]


def rows(network: Network, name: str) -> Iterator[dict[str, Any]]:
    return (row for row in network.recorder.take() if row["kind"] == name)


def test_who_leaves_early_was_held_back_too(build: Callable[..., Network]) -> None:
    """Under a backhaul of 2 Mbit/s a radio of 4 Mbit/s is on the air for half of the time."""
    network = build(kind(backhaul_bps=2e6))
    receivers = cast(network)
    network.env.run(until=1.0)
    receivers[0].interrupt("late")
    network.env.run(until=1.5)
    (row,) = rows(network, "reception")
    assert (row["device"], row["airtime_s"], row["backhaul_s"]) == (0, pytest.approx(0.5), pytest.approx(0.5))
    settled(network, receivers)


def test_takes_the_airtime_of_its_worst_receiver_once(build: Callable[..., Network]) -> None:
    network = build(kind())
    receivers = cast(network)
    network.env.run(until=0.5)
    network.check_conservation()
    assert network.traffic.tally("downlink", 0) == (2_000_000, 0, 0, 2_000_000)
    network.env.run(until=network.env.all_of(receivers))
    network.check_conservation()
    assert network.env.now == pytest.approx(2.005)
    assert network.traffic.tally("downlink", 0) == (BITS, BITS, 0, 0)
    assert network.bits() == {"up": 0, "down": BITS, "backhaul": BITS, "lost": 0}
    for index in range(3):
        assert network.ledger.joules[index] == pytest.approx([0, 0, PHONE.receive_w * 2.0, PHONE.idle_w * LATENCY_S])
    told = network.recorder.take()
    assert [row["kind"] for row in told] == ["transfer", "reception", "reception", "reception"]
    assert (told[0]["bits"], told[0]["receivers"], told[0]["airtime_s"]) == (BITS, 3, pytest.approx(2.0))
    assert "device" not in told[0]
    assert [row["device"] for row in told[1:]] == [0, 1, 2]
    assert all(row["delivered"] for row in told)
    assert [row["latency_s"] for row in told[1:]] == pytest.approx([LATENCY_S] * 3)
    assert sum(row.get("bits", 0) for row in told) == BITS


def test_shares_the_cell_with_other_transfers(build: Callable[..., Network]) -> None:
    network = build(kind())
    network.population.rate_down_bps[3] = 4e6
    receivers = [*cast(network), send(network, 3, Payload(content="another"))]
    network.env.run(until=network.env.all_of(receivers))
    assert network.env.now == pytest.approx(4.005)


@pytest.mark.parametrize(
    ("moment_s", "payload", "alike"),
    [
        (0.0, Payload(), True),
        (1e-9, Payload(), False),
        (0.0, Payload(content="version 2"), False),
        (0.0, Payload(content=None), False),
    ],
)
def test_who_begins_at_the_same_moment_with_the_same_content_shares_a_flow(
    build: Callable[..., Network], moment_s: float, payload: Payload, alike: bool
) -> None:
    network = build(kind())
    for device, each in ((0, Payload(content=payload.content and "version 1")), (1, payload)):
        send(network, device, each)
        network.env.run(until=network.env.timeout(moment_s))
    network.env.run(until=0.1)
    assert len(network.multicasts.under_way) == (1 if alike else 2)


def test_other_cells_and_other_stretches_of_the_way_do_not_meet(build: Callable[..., Network]) -> None:
    network = build(kind(), base_stations=2, count=8)
    for device in range(4):
        send(network, device)
        send(network, device + 4, span=network.access)
    network.env.run(until=0.1)
    cells = {(index < 4, network.population.base_station[index]) for index in range(8)}
    assert len(network.multicasts.under_way) == len(cells) > 2


def test_the_backhaul_holds_it_once(build: Callable[..., Network]) -> None:
    network = build(kind(backhaul_bps=2e6))
    settled(network, cast(network))
    for row in rows(network, "reception"):
        assert row["t_s"] == pytest.approx(4.005)
        assert (row["airtime_s"], row["backhaul_s"]) == pytest.approx((2.0, 2.0))


@pytest.mark.parametrize("family", [Fixed, Fluid])
def test_it_waits_while_its_cell_is_out_of_order(
    build: Callable[..., Network], family: type[Fixed] | type[Fluid]
) -> None:
    network = build(replace(kind(family=family), outages=(Scheduled(start=0.5, duration=3.0, cells=(0,)),)))
    receivers = cast(network)
    network.env.run(until=1.0)
    receivers[1].interrupt("late")
    assert settled(network, receivers) == [None, "late", None]
    assert {row["device"]: row["t_s"] for row in rows(network, "reception")} == {
        1: 1.0,
        0: pytest.approx(3.5 + 0.75 + LATENCY_S),
        2: pytest.approx(3.5 + 0.75 + LATENCY_S),
    }


def test_when_the_worst_receiver_leaves_it_goes_on_at_the_rate_of_the_next(build: Callable[..., Network]) -> None:
    network = build(kind())
    receivers = cast(network)
    network.env.run(until=0.5)
    receivers[1].interrupt("late")
    network.env.run(until=receivers[0])
    assert network.env.now == pytest.approx(0.5 + 0.75 + LATENCY_S)
    assert isinstance(receivers[1].value, Dropped)
    assert network.ledger.joules[1] == pytest.approx([0, 0, PHONE.receive_w * 0.5, 0])
    assert network.bits()["lost"] == 0
    network.check_conservation()


def test_it_ends_when_the_last_receiver_leaves_and_what_was_sent_is_lost(build: Callable[..., Network]) -> None:
    network = build(kind())
    receivers = cast(network)
    for index, moment_s in ((1, 0.5), (0, 0.75), (2, 0.875)):
        network.env.run(until=moment_s)
        receivers[index].interrupt("unavailable")
    network.env.run(until=1.0)
    network.check_conservation()
    sent = 2_000_000 + 2_000_000 + 1_000_000
    assert network.traffic.tally("downlink", 0) == (sent, 0, sent, 0)
    (row,) = rows(network, "transfer")
    assert (row["bits"], row["delivered"], row["cause"], row["t_s"]) == (sent, False, "unavailable", 0.875)
    assert network.traffic.tally("downlink", 0).sent == sum(
        medium.carried_bits(0) for medium in network.media["downlink"]
    )


def test_who_leaves_while_the_last_bit_is_under_way_has_been_sent_all(build: Callable[..., Network]) -> None:
    network = build(kind())
    receivers = cast(network)
    network.env.run(until=2.002)
    receivers[0].interrupt("dismissed")
    assert settled(network, receivers) == ["dismissed", None, None]
    assert network.traffic.tally("downlink", 0) == (BITS, BITS, 0, 0)


@pytest.mark.parametrize("delivery", ["unicast", "multicast"])
def test_each_receiver_has_the_luck_that_it_has_alone(build: Callable[..., Network], delivery: Delivery) -> None:
    network = build(kind(0.5, delivery), count=200, dropout=Dropout(download=0.3))
    causes = settled(network, [send(network, device) for device in range(200)])
    assert {"loss-downlink", "dropout-download", None} == set(causes)
    for index, cause in enumerate(causes):
        device = Device(network.population, index, 0)
        drawn = {name: device.breaks_off(name, p) for name, p in (("loss-downlink", 0.5), ("dropout-download", 0.3))}
        shares = {name: share for name, share in drawn.items() if share is not None}
        assert cause == (min(shares, key=lambda name: shares[name]) if shares else None)
        heard = network.ledger.joules[index, 2] / PHONE.receive_w
        if delivery == "multicast":  # all rates are alike
            assert heard == pytest.approx(min(shares.values(), default=1.0) * 0.8, abs=1e-6)
    if delivery == "multicast":
        assert network.bits() == {"up": 0, "down": BITS, "backhaul": BITS, "lost": 0}


def test_who_is_lost_leaves_when_its_last_bit_has_left(build: Callable[..., Network]) -> None:
    """The others then go on at the rate of the worst of them."""
    network = build(kind(0.4), seed=3)
    network.population.rate_down_bps[:] = (4e6, 8e6, 16e6, 32e6)
    shares = [Device(network.population, index, 0).breaks_off("loss-downlink", 0.4) for index in range(4)]
    assert shares.count(None) < 4
    receivers = [send(network, index) for index in range(4)]
    causes = settled(network, receivers)
    assert [cause is None for cause in causes] == [share is None for share in shares]
    ends = sorted((share or 1.0, index) for index, share in enumerate(shares))
    expected_s, now_s, sent = {}, 0.0, 0.0
    left = {index: network.population.rate_down_bps.item(index) for index in range(4)}
    for share, index in ends:
        now_s += (share - sent) * BITS / min(left.values())
        sent, expected_s[index] = share, now_s + (LATENCY_S if shares[index] is None else 0.0)
        del left[index]
    ends_s = {row["device"]: row["t_s"] for row in rows(network, "reception")}
    assert ends_s == {index: pytest.approx(end_s, abs=1e-6) for index, end_s in expected_s.items()}


def test_when_all_are_lost_no_more_is_sent_than_the_last_of_them_hears(build: Callable[..., Network]) -> None:
    network = build(kind(1.0))
    assert settled(network, cast(network)) == ["loss-downlink"] * 3
    shares = [Device(network.population, index, 0).breaks_off("loss-downlink", 1.0) or 0.0 for index in range(3)]
    sent = int(max(shares) * BITS)
    assert network.traffic.tally("downlink", 0) == (sent, 0, sent, 0)


@pytest.mark.parametrize("loss", [0.0, 1.0])
def test_one_receiver_alone_is_sent_the_payload_as_by_unicast(build: Callable[..., Network], loss: float) -> None:
    found = []
    for delivery in ("unicast", "multicast"):
        network = build(kind(loss, delivery), dropout=Dropout(download=0.5), battery=Battery(capacity=9.0))
        causes = settled(network, cast(network, 1))
        told = [row for row in network.recorder.take() if "device" in row]
        keep = ("t_s", "start_s", "delivered", "cause", "energy_j", "airtime_s", "backhaul_s", "core_s", "latency_s")
        found.append((causes, network.bits(), network.ledger.joules.tolist(), [[row[n] for n in keep] for row in told]))
    assert found[0] == found[1]


def test_an_empty_battery_ends_a_reception_and_no_other(build: Callable[..., Network]) -> None:
    network = build(kind(), battery=Battery(capacity=10.0))
    network.population.rate_down_bps[:3] = 4e6
    assert network.batteries is not None
    network.batteries.charge_j[0] = network.batteries._initial_j[0] = PHONE.receive_w
    assert settled(network, cast(network)) == ["battery", None, None]
    ends_s = {row["device"]: row["t_s"] for row in rows(network, "reception")}
    assert ends_s[0] == pytest.approx(1.0, abs=2 * NEGLIGIBLE_J)
    assert ends_s[2] == pytest.approx(2.005)
    assert network.batteries.charge_j[2] == pytest.approx(10.0 - 2 * PHONE.receive_w - LATENCY_S * PHONE.idle_w)


def test_radios_that_are_promoted_together_receive_together(build: Callable[..., Network]) -> None:
    """And one that is connected still begins before them."""
    rrc = Rrc(promotion=0.5, promotion_power=1.0, tail=2.0, tail_power=0.5)
    network = build(kind(), radio=rrc)
    network.env.run(until=send(network, 2))
    network.recorder.take()
    network.env.run(until=network.env.timeout(0.5))
    moment_s = network.env.now
    assert settled(network, cast(network)) == [None] * 3
    told = network.recorder.take()
    assert sum(row["kind"] == "promotion" for row in told) == 2
    begun = [(row["start_s"], row["receivers"]) for row in told if row["kind"] == "transfer"]
    assert sorted(begun) == [(pytest.approx(moment_s), 1), (pytest.approx(moment_s + 0.5), 2)]


def test_whom_no_scheme_reaches_gets_the_payload_by_itself(build: Callable[..., Network]) -> None:
    network = build(kind())
    network.population.rate_down_bps[3] = 0.0
    receivers = [*cast(network), send(network, 3)]
    network.env.run(until=1.0)
    (transfer,) = network.transfers
    assert len(network.multicasts.listeners) == 3
    transfer.retune(8e6)
    assert settled(network, receivers) == [None] * 4
    assert network.bits()["down"] == 2 * BITS


def test_a_receiver_that_is_reached_no_more_gets_the_rest_by_itself(build: Callable[..., Network]) -> None:
    """The others go on at the rate of the worst of them, as their radios are by then."""
    network = build(kind())
    receivers = cast(network)
    network.env.run(until=0.5)
    network.population.rate_down_bps[:3] = (6e6, 0.0, 12e6)
    network.multicasts.adapt()
    network.env.run(until=receivers[0])
    assert network.env.now == pytest.approx(0.5 + 1.0 + LATENCY_S)
    (transfer,) = network.transfers
    assert (transfer.device.id, transfer.flow.bits) == (1, BITS - 2_000_000)
    transfer.retune(4e6)
    assert settled(network, receivers) == [None] * 3
    assert network.bits() == {"up": 0, "down": 2 * BITS - 2_000_000, "backhaul": 2 * BITS - 2_000_000, "lost": 0}
    of_its_own = [row for row in network.recorder.take() if row.get("device") == 1]
    assert [(row["kind"], row["delivered"], row["cause"]) for row in of_its_own] == [
        ("reception", False, None),
        ("transfer", True, None),
    ]
    assert of_its_own[0]["t_s"] == of_its_own[1]["start_s"] == 0.5


def test_who_changes_cells_gets_the_rest_in_the_new_one(build: Callable[..., Network]) -> None:
    network = build(kind(), base_stations=2)
    network.population.base_station[:] = 0
    receivers = cast(network)
    network.env.run(until=0.5)
    network.population.base_station[1] = 1
    network.multicasts.change_cell(1, None)
    network.multicasts.change_cell(3, None)
    assert settled(network, receivers) == [None] * 3
    assert network.traffic.tally("downlink", 0) == (BITS, BITS, 0, 0)
    assert network.traffic.tally("downlink", 1) == (BITS - 2_000_000, BITS - 2_000_000, 0, 0)


def test_what_the_last_one_has_got_before_it_changes_cells_is_not_lost(build: Callable[..., Network]) -> None:
    network = build(kind(), base_stations=2)
    network.population.base_station[:] = 0
    receivers = cast(network, 1)
    network.env.run(until=0.25)
    network.population.base_station[0] = 1
    network.multicasts.change_cell(0, None)
    assert settled(network, receivers) == [None]
    assert network.bits() == {"up": 0, "down": BITS, "backhaul": BITS, "lost": 0}


def test_a_link_that_breaks_takes_its_receiver_alone(build: Callable[..., Network]) -> None:
    network = build(kind())
    receivers = cast(network)
    network.env.run(until=0.5)
    network.multicasts.change_cell(1, "radio-link-failure")
    assert settled(network, receivers) == [None, "radio-link-failure", None]
    assert isinstance(receivers[1].value, TransferLost)


def test_a_change_of_cells_after_the_last_bit_changes_nothing(build: Callable[..., Network]) -> None:
    network = build(kind())
    receivers = cast(network)
    network.env.run(until=2.002)
    network.multicasts.change_cell(1, "radio-link-failure")
    assert settled(network, receivers) == [None] * 3


@pytest.mark.parametrize("cause", [None, "radio-link-failure"])
@pytest.mark.parametrize("early", [True, False])
def test_so_does_one_at_the_very_moment_of_the_last_bit(
    build: Callable[..., Network], cause: str | None, early: bool
) -> None:
    """Whether or not the flow has been told that it has ended."""
    network = build(kind(family=Fixed))

    def change() -> None:
        network.env.timeout(2.0).callbacks.append(lambda _: network.multicasts.change_cell(1, cause))

    if early:
        change()
    receivers = cast(network)
    if not early:
        network.env.run(until=network.env.timeout(0))
        change()
    assert settled(network, receivers) == [None] * 3
    assert network.bits()["down"] == BITS


def test_all_may_leave_at_the_very_moment_of_the_last_bit(build: Callable[..., Network]) -> None:
    network = build(kind(family=Fixed))
    receivers = cast(network)
    network.env.run(until=network.env.timeout(0))
    network.env.timeout(2.0).callbacks.append(lambda _: [process.interrupt("late") for process in receivers])
    assert settled(network, receivers) == ["late"] * 3
    assert network.traffic.tally("downlink", 0) == (BITS, 0, BITS, 0)


def test_whom_no_scheme_reaches_connects_once(build: Callable[..., Network]) -> None:
    network = build(kind(), radio=Rrc(promotion=0.5, promotion_power=1.0, tail=2.0, tail_power=0.5))
    network.population.rate_down_bps[0] = 0.0
    receiver = send(network, 0)
    network.env.run(until=1.0)
    (transfer,) = network.transfers
    transfer.retune(8e6)
    network.env.run(until=receiver)
    assert [row["kind"] for row in network.recorder.take()] == ["promotion", "transfer"]
    assert network.env.now == pytest.approx(2.0 + LATENCY_S)


def test_the_fate_of_a_receiver_follows_it_to_where_it_gets_the_rest(build: Callable[..., Network]) -> None:
    network = build(kind(1.0))
    device = Device(network.population, 1, 0)
    share = device.breaks_off("loss-downlink", 1.0) or 0.0
    receiver = send(network, 1)
    network.env.run(until=share / 2 * BITS / 10e6)
    network.population.rate_down_bps[1] = 0
    network.multicasts.adapt()
    network.env.run(until=network.env.timeout(0))
    (transfer,) = network.transfers
    transfer.retune(10e6)
    assert settled(network, [receiver]) == ["loss-downlink"]
    assert network.bits()["down"] == int(share * BITS)


def test_refuses_nothing(build: Callable[..., Network]) -> None:
    network = build(kind())
    with pytest.raises(SimulationError, match="asked to receive 0 bits"):
        next(network.downlink(Device(network.population, 0, 0)).send(Payload(0)))
