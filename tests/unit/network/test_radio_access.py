"""Devices that take part find their cells, are looked at every so often, and change cells, with their transfers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from netfed.network.background import Constant
from netfed.network.cellular import Cellular, Session
from netfed.network.link_adaptation.rates import downlink_ladder, uplink_ladder
from netfed.network.mobility.handover import Handover, RadioLinkFailure
from netfed.network.mobility.spec import Mobility, RandomWaypoint
from netfed.network.network import Network
from netfed.network.outages import Scheduled
from netfed.network.radio.antenna import Omnidirectional
from netfed.network.radio.carrier import Fr1MidBand
from netfed.network.radio.outdoor import UrbanMacro
from tests.unit.network.cellular import BACKHAUL, URBAN, Build, begin, gains_db, sent


def test_the_strongest_cell_serves_and_its_sinr_gives_the_rate(build: Build) -> None:
    network = build(URBAN, base_stations=7, count=40)
    ids = list(range(40))
    begin(network, ids)
    cells = np.argmax(gains_db(network, ids, 0.0), axis=1)
    population = network.population
    assert (population.base_station * 3 + population.sector).tolist() == cells.tolist()
    assert len(set(cells.tolist())) > 8
    steps = downlink_ladder(URBAN.carrier).rate_bps
    assert set(population.rate_down_bps.tolist()) <= set(steps.tolist())
    assert len(set(population.rate_down_bps.tolist())) > 5
    assert (population.rate_up_bps < population.rate_down_bps).all()


def test_a_device_that_lacks_power_is_on_as_many_resource_blocks_as_its_rate_needs(build: Build) -> None:
    weak = replace(URBAN, carrier=replace(URBAN.carrier, device_transmit_power=-5.0))
    network = build(weak, base_stations=7, count=40)
    begin(network, list(range(40)))
    population, ladder = network.population, uplink_ladder(weak.carrier)
    ways = set(zip(ladder.rate_bps.tolist(), ladder.allocation.tolist(), strict=True))
    assert set(zip(population.rate_up_bps.tolist(), population.allocation_up.tolist(), strict=True)) <= ways
    assert 0 < population.allocation_up.min() < population.allocation_up.max() == 1.0


def test_the_limit_of_a_session_holds_a_fast_radio_back(build: Build) -> None:
    network = build(replace(URBAN, uplink=Session(limit=1e6)), count=1)
    begin(network, [0])
    assert network.population.rate_up_bps[0] > 5e6
    assert network.env.run(sent(network, 0, 2 * 10**6)) == pytest.approx(2.0 + URBAN.latency)
    radio_s = 2e6 / network.population.rate_up_bps.item(0)
    (row,) = (row for row in network.recorder.take() if row["kind"] == "transfer")
    assert (row["backhaul_s"], row["core_s"]) == (0.0, pytest.approx(2.0 - radio_s))
    download_s = network.env.run(sent(network, 0, 2 * 10**6, "downlink"))
    assert download_s == pytest.approx(2e6 / network.population.rate_down_bps.item(0) + URBAN.latency)


def test_the_radio_sleeps_while_nobody_takes_part(build: Build) -> None:
    network = build(URBAN, base_stations=7, count=5)
    begin(network, [1, 2])
    network.env.run(3.5)
    for device in (1, 2):
        network.leave(device)
    network.env.run()
    assert network.env.now == 4.0
    begin(network, [1])
    network.env.run(11.5)
    assert network.radio_access.load.measured_s == 11.0


# A device drives past three cells.


class Drive(Mobility):
    """East along y = 0 from x = 0."""

    def trajectories(self, start_m: Any, area: Any, streams: Any) -> Any:
        return self

    def positions_m(self, ids: Any, now_s: float) -> Any:
        return np.array([[20.0 * now_s, 0.0]] * len(np.asarray(ids)))


class Plain(UrbanMacro):
    """No shadowing, always line of sight, 40 dB a decade."""

    def path_loss_db(self, distance_m: Any, height_m: Any, frequency_hz: float, environment_m: Any = 1.0) -> Any:
        loss_db = 20 + 40 * np.log10(np.maximum(distance_m, 1.0))
        return loss_db, loss_db

    def los_sigma_db(self, distance_m: Any, height_m: Any, frequency_hz: float) -> float:
        return 0.0

    def los_probability(self, distance_m: Any, height_m: Any) -> Any:
        return np.ones_like(distance_m)


A3 = Handover(offset=1.0, hysteresis=3.0, time_to_trigger=0.5, interruption=0.2, failure=None)
ROAD = Cellular(
    propagation=Plain(), carrier=Fr1MidBand(), backhaul=BACKHAUL, antenna=Omnidirectional(), handover=A3, latency=0.0
)


@pytest.fixture
def road(monkeypatch: pytest.MonkeyPatch, build: Build) -> Build:
    """Return a function that builds a network of three base stations in a row, 400 m apart."""
    sites_m = np.array([[0.0, 0.0], [400.0, 0.0], [800.0, 0.0]])
    monkeypatch.setattr("netfed.network.network.positions_m", lambda graph: sites_m)
    monkeypatch.setattr("netfed.network.air_interface.positions_m", lambda graph: sites_m)
    return lambda kind=ROAD, **devices: build(kind, base_stations=3, count=2, mobility=Drive(), **devices)


def handovers(network: Network) -> list[dict[str, Any]]:
    return [row for row in network.recorder.take() if row["kind"] == "handover"]


def test_a3_hands_over_where_the_condition_says(road: Build) -> None:
    """40 log10(d / (400 - d)) = 4 dB at d = 222.9 m, 11.14 s from the first base station, and 400 m on."""
    network = road()
    begin(network, [0])
    network.env.run(45.0)
    ratio = 10 ** (4 / 40)
    crossing_s = [(400 * ratio / (1 + ratio) + 400 * cell) / 20 for cell in (0, 1)]
    rows = handovers(network)
    assert [(row["source_cell"], row["target_cell"]) for row in rows] == [(0, 1), (1, 2)]
    for row, at_s in zip(rows, crossing_s, strict=True):
        assert at_s + 0.5 <= row["t_s"] <= at_s + 0.5 + 0.5  # samples are half a second apart
        assert row["cell"] == row["target_cell"]


def test_a_new_cell_gives_its_own_rate_at_once(road: Build) -> None:
    network, fresh = road(), road()
    begin(network, [0])
    network.env.run(12.01)
    fresh.env.run(12.0)
    begin(fresh, [0])
    assert network.population.base_station[0] == fresh.population.base_station[0] == 1
    assert network.population.rate_up_bps[0] == fresh.population.rate_up_bps[0]


def test_a_transfer_is_carried_over_with_all_its_bits(road: Build) -> None:
    network = road()
    begin(network, [0])
    bits = int(30 * network.population.rate_up_bps[0])
    sending = sent(network, 0, bits)
    network.env.run(sending)
    rows = network.recorder.take()
    (transfer,) = (row for row in rows if row["kind"] == "transfer")
    assert (transfer["bits"], transfer["delivered"], transfer["cell"]) == (bits, True, 2)
    carried = [network.traffic.tally("uplink", base_station).sent for base_station in range(3)]
    assert sum(carried) == bits
    assert min(carried) > 0
    network.check_conservation()


def test_a_transfer_is_carried_over_to_the_resource_blocks_of_its_new_cell(road: Build) -> None:
    """A device of 0.1 mW is on few of them near the border, before it changes cells and after."""
    network = road(replace(ROAD, carrier=replace(Fr1MidBand(), device_transmit_power=-10.0)))
    begin(network, [0])
    sent(network, 0, 10**12)
    found = set()
    for step in range(90):
        network.env.run(0.25 * step + 0.01)
        (transfer,) = network.transfers
        if network.radio_access.gap_s(0) == 0:
            assert transfer.flow.radio_bps == network.population.rate_up_bps[0] > 0
            assert transfer.flow.allocation == network.population.allocation_up[0]
            found.add((transfer.way.base_station, transfer.flow.allocation))
    assert {base_station for base_station, _ in found} == {0, 1}
    assert len({allocation for _, allocation in found}) > 2


def test_between_two_cells_nothing_is_sent(road: Build) -> None:
    network = road()
    begin(network, [0])
    sent(network, 0, 10**12)
    network.env.run(12.01)
    assert [row["t_s"] for row in handovers(network)] == [12.0]
    (transfer,) = network.transfers
    sent_bits = transfer.flow.sent_bits
    network.env.run(12.19)
    assert transfer.flow.sent_bits == sent_bits
    network.env.run(12.21)
    assert transfer.flow.sent_bits > sent_bits


def test_a_transfer_that_begins_between_two_cells_waits(road: Build) -> None:
    network = road()
    begin(network, [0])
    network.env.run(12.05)
    assert [row["t_s"] for row in handovers(network)] == [12.0]
    sending = sent(network, 0, 1000)
    network.env.run(sending)
    assert 12.2 < network.env.now < 12.21
    network.check_conservation()


def test_a_link_without_mcs_is_lost_whatever_the_user_says(road: Build) -> None:
    network = road(replace(ROAD, handover=replace(A3, failure=None)))
    network.env.run(50000.0)
    begin(network, [0])
    sending = sent(network, 0, 1000)
    network.env.run(sending)
    assert sending.value == "radio-link-failure"


def test_a_handover_may_lose_the_transfer(road: Build) -> None:
    network = road(replace(ROAD, handover=replace(A3, transfers="lose")))
    begin(network, [0])
    sending = sent(network, 0, 10**12)
    network.env.run(sending)
    assert (sending.value, network.env.now) == ("handover", 12.0)
    network.check_conservation()


MULTICAST = replace(ROAD, delivery="multicast")


def test_a_model_that_comes_between_two_cells_comes_by_itself(road: Build) -> None:
    network = road(MULTICAST)
    begin(network, [0])
    network.env.run(12.05)
    assert [row["t_s"] for row in handovers(network)] == [12.0]
    network.env.run(sent(network, 0, 1000, "downlink"))
    assert 12.2 < network.env.now < 12.21
    assert [row["kind"] for row in network.recorder.take()] == ["transfer"]
    network.check_conservation()


def test_who_changes_cells_gets_the_rest_of_a_multicast_by_itself(road: Build) -> None:
    """All of them do here, one after the other, and are between cells for a while first."""
    network = road(MULTICAST)
    begin(network, [0, 1])
    bits = int(30 * network.population.rate_down_bps[0])
    sending = [sent(network, device, bits, "downlink") for device in (0, 1)]
    network.env.run(network.env.all_of(sending))
    assert all(0 < process.value < 100 for process in sending)
    rows = network.recorder.take()
    told = [row for row in rows if row["kind"] in ("reception", "transfer") and row.get("device", 0) == 0]
    assert [(row["kind"], row["delivered"], row["cause"], row["cell"]) for row in told] == [
        ("transfer", True, None, 0),
        ("reception", False, None, 0),
        ("transfer", True, None, 2),
    ]
    shared, reception, rest = told
    assert shared["receivers"] == 2
    assert shared["t_s"] == reception["t_s"] == rest["start_s"] == 12.0
    assert shared["bits"] + rest["bits"] == shared["payload_bits"] == bits
    assert network.bits()["down"] == bits + rest["bits"]
    assert network.bits()["lost"] == 0
    network.check_conservation()


@pytest.mark.parametrize(
    ("handover", "cause", "ends_s"),
    [(replace(A3, transfers="lose"), "handover", 12.0), (A3, "radio-link-failure", 40.0)],
)
def test_a_reception_is_lost_to_what_loses_a_transfer(
    road: Build, handover: Handover, cause: str, ends_s: float
) -> None:
    """A device of 0.1 uW hears its cell well, and is heard in no resource block."""
    weak = replace(Fr1MidBand(), device_transmit_power=-40.0) if cause == "radio-link-failure" else Fr1MidBand()
    ends = []
    for kind in (ROAD, MULTICAST):
        network = road(replace(kind, handover=handover, carrier=weak))
        network.env.run(9.0)
        begin(network, [0, 1])
        sending = [sent(network, device, 10**12, "downlink") for device in (0, 1)]
        network.env.run(network.env.all_of(sending))
        assert [process.value for process in sending] == [cause] * 2
        ends.append(network.env.now)
        network.check_conservation()
        down = network.bits()["down"]
        assert network.bits()["lost"] == down > 0
    assert ends[0] == ends[1] <= ends_s


def test_a_multicast_goes_on_at_the_rate_of_the_worst_as_it_is_at_each_look(build: Build) -> None:
    kind = replace(URBAN, delivery="multicast", refresh=0.5)
    network = build(kind, count=40, mobility=RandomWaypoint(speed=(20.0, 30.0)))
    begin(network, list(range(40)))
    for device in range(40):
        sent(network, device, 10**11, "downlink")
    tuned = set()
    for look in range(1, 20):
        network.env.run(0.5 * look + 0.01)
        for multicast in network.multicasts.under_way:
            ids = [device for device, each in network.multicasts.listeners.items() if each.multicast is multicast]
            worst_bps = network.population.rate_down_bps[ids].min()
            assert multicast._flows[-1].radio_bps == worst_bps > 0
            tuned.add((multicast.sector, worst_bps))
        network.check_conservation()
    assert len(tuned) > 6


def test_the_receivers_of_a_multicast_are_one_user_to_the_scheduler(build: Build) -> None:
    rates = {}
    for delivery in ("unicast", "multicast"):
        kind = replace(URBAN, delivery=delivery, scheduler="proportional-fair", background=Constant(0.3))
        network = build(kind, count=30)
        begin(network, list(range(30)))
        for device in range(30):
            sent(network, device, 10**12, "downlink")
        network.env.run(1.5)
        rates[delivery] = network.radio_access.load.diversity["downlink"]
    assert rates["multicast"].max() == pytest.approx(1.0)
    assert rates["unicast"].min() > 1.1


def test_a_failing_link_loses_the_transfer(road: Build) -> None:
    """Nobody is heard from 10^6 m away: the link fails at once, and is lost after a second."""
    far = replace(ROAD, handover=replace(A3, failure=RadioLinkFailure(after=1.0)))
    network = road(far)
    network.env.run(50000.0)
    begin(network, [0])
    assert network.population.rate_up_bps[0] == 0
    sending = sent(network, 0, 1000)
    network.env.run(sending)
    assert sending.value == "radio-link-failure"
    assert 50001.0 <= network.env.now <= 50002.0
    assert handovers(network)[0]["cause"] == "radio-link-failure"
    network.check_conservation()


def test_a_link_that_works_one_way_alone_fails_too(road: Build) -> None:
    """A device of 0.1 uW hears its cell well, and is heard in no resource block."""
    weak = replace(ROAD, carrier=replace(Fr1MidBand(), device_transmit_power=-40.0))
    network = road(replace(weak, handover=replace(A3, failure=RadioLinkFailure(after=1.0))))
    network.env.run(9.0)
    begin(network, [0])
    assert network.population.rate_up_bps[0] == 0 < network.population.rate_down_bps[0]
    sending = sent(network, 0, 1000)
    network.env.run(sending)
    assert (sending.value, network.env.now) == ("radio-link-failure", 10.5)


def test_devices_leave_a_cell_that_fails(build: Build) -> None:
    failing = Scheduled(start=5.3, duration=4.0, cells=(0, 1, 2))
    network = build(replace(URBAN, outages=(failing,), refresh=0.25), base_stations=7, count=70)
    begin(network, list(range(70)))
    served = np.flatnonzero(network.population.base_station == 0)
    assert served.size > 3
    sending = sent(network, int(served[0]), 10**11)
    network.env.run(5.2)
    assert set(network.population.base_station[served].tolist()) == {0}
    network.env.run(8.0)
    assert 0 not in network.population.base_station.tolist()
    assert {row["device"] for row in handovers(network)} == set(served.tolist())
    assert sending.is_alive
    network.check_conservation()
    fresh = build(replace(URBAN, outages=(failing,)), base_stations=7, count=70)
    fresh.env.run(6.0)
    begin(fresh, list(range(70)))
    assert 0 not in fresh.population.base_station.tolist()


def test_who_begins_just_before_a_look_has_a_rate_of_the_radio(build: Build) -> None:
    """The look was planned for devices that have left since."""
    late, fresh = build(URBAN, base_stations=7, count=5), build(URBAN, base_stations=7, count=5)
    late.env.timeout(1.0).callbacks.append(lambda _: begin(late, [3]))
    begin(late, [1])
    late.env.run(0.5)
    late.leave(1)
    late.env.run(1.5)
    begin(fresh, [3])
    assert late.radio_access.load.share["downlink"].tolist() == [0.0] * 21
    assert late.population.rate_down_bps[3] == fresh.population.rate_down_bps[3] > 0


def test_moving_devices_change_cells(build: Build) -> None:
    network = build(URBAN, base_stations=7, count=50, mobility=RandomWaypoint((30.0, 30.0)))
    begin(network, list(range(50)))
    network.env.run(30.0)
    assert len(handovers(network)) > 20
