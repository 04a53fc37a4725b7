"""How much cells transmit, and what that does to others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from netfed.network.background import Constant, DailyCurve
from netfed.network.link_adaptation.scheduler import scheduling_gain
from netfed.network.network import Network
from netfed.network.population import Device
from netfed.network.radio.antenna import Omnidirectional
from netfed.network.traffic import Direction
from tests.unit.network.cellular import URBAN, Build, Payload, begin, gains_db, sent


def test_load_of_others_takes_airtime_and_interferes(build: Build) -> None:
    rates = {}
    for load in (0.0, 0.6):
        network = build(replace(URBAN, background=Constant(load)), base_stations=7, count=30)
        begin(network, list(range(30)))
        rates[load] = network.population.rate_down_bps.mean()
    assert rates[0.6] < rates[0.0]
    alone = build(replace(URBAN, background=Constant(0.5), latency=0.0), count=4)
    begin(alone, [2])
    bits = int(10 * alone.population.rate_up_bps[2])
    sending = sent(alone, 2, bits)
    alone.env.run(sending)
    assert sending.value == pytest.approx(20.0, rel=1e-6)


def test_a_cell_that_others_use_disturbs_its_neighbours_and_not_itself(build: Build) -> None:
    crowd = (Constant(0.5, cells=(4,)), Constant(0.25, cells=(4, 7), direction="uplink"))
    network = build(replace(URBAN, background=crowd), base_stations=7, count=30)
    begin(network, list(range(30)))
    load, air = network.radio_access.load, network.radio_access.air
    down, up = np.zeros(21), np.zeros(21)
    down[4], up[[4, 7]] = 0.5, (0.75, 0.25)
    assert load.share["downlink"].tolist() == down.tolist()
    assert load.share["uplink"] == pytest.approx(up)
    received_w = air.crowd_w.copy()
    np.fill_diagonal(received_w, 0.0)
    assert load.interference_w == pytest.approx(0.75 * received_w[4] + 0.25 * received_w[7])
    assert load.interference_w[4] < load.interference_w[3]


WEAK = replace(URBAN, carrier=replace(URBAN.carrier, device_transmit_power=-8.0), latency=0.0)


def weak(network: Network) -> int:
    """Return a device that is on less than half of the resource blocks."""
    population = network.population
    return int(np.flatnonzero((population.allocation_up < 0.5) & (population.rate_up_bps > 0))[0])


def test_a_device_on_few_resource_blocks_leaves_the_others_to_others(build: Build) -> None:
    network = build(replace(WEAK, background=Constant(0.5)), count=60)
    begin(network, list(range(60)))
    device = weak(network)
    rate_bps, allocation = Device(network.population, device, 0).radio("uplink")
    sending = sent(network, device, int(5 * rate_bps))
    network.env.run(2.5)
    assert network.radio_access.load.share["uplink"].max() == pytest.approx(0.5 + allocation)
    assert network.radio_access.load.senders.max() == pytest.approx(1.0)
    network.env.run(sending)
    assert sending.value == pytest.approx(5.0, rel=1e-6)
    (row,) = (row for row in network.recorder.take() if row["kind"] == "transfer")
    assert row["airtime_s"] == pytest.approx(5.0, rel=1e-6)
    assert row["energy_j"] == pytest.approx(5.0 * Device(network.population, device, 0).transmit_w, rel=1e-6)


def test_many_devices_on_few_resource_blocks_interfere_at_the_same_time(build: Build) -> None:
    """Each with all its power: what reaches the other cells is as much as if each had a carrier for itself."""
    network = build(WEAK, count=60)
    begin(network, list(range(60)))
    radio, population = network.radio_access, network.population
    ids = np.flatnonzero((population.allocation_up < 0.2) & (population.rate_up_bps > 0) & (population.sector == 1))
    assert len(ids) > 3
    for device in ids.tolist():
        sent(network, device, 10**12)
    network.env.run(1.5)
    assert radio.load.senders.tolist() == pytest.approx([0, len(ids), 0])
    assert radio.load.share["uplink"][1] == pytest.approx(population.allocation_up[ids].sum())
    gain_db = gains_db(network, list(range(60)), 1.0)
    gain, cells = 10 ** (gain_db / 10), np.argmax(gain_db, axis=1)
    heard_w = (gain * radio.air.device_power_w(gain, cells)[:, None])[cells == 1].mean(axis=0)
    assert radio.load.interference_w[[0, 2]] == pytest.approx(len(ids) * heard_w[[0, 2]], rel=1e-4, abs=0)


def test_a_busy_neighbour_interferes_from_the_next_look_on(build: Build) -> None:
    network = build(URBAN, base_stations=7, count=60)
    begin(network, list(range(60)))
    quiet_bps = network.population.rate_down_bps.copy()
    for device in range(60):
        sent(network, device, 10**12, "downlink")
    network.env.run(0.9)
    assert network.population.rate_down_bps.tolist() == quiet_bps.tolist()
    network.env.run(1.1)
    assert network.radio_access.load.share["downlink"].max() == pytest.approx(1.0)
    assert 0 < network.radio_access.load.share["downlink"].sum() <= 21
    assert network.population.rate_down_bps.mean() < 0.9 * quiet_bps.mean()
    network.check_conservation()


def test_the_devices_of_others_interfere_whoever_takes_part(build: Build) -> None:
    rates = []
    for others in ([], list(range(4, 60))):
        network = build(replace(URBAN, background=Constant(0.6)), base_stations=7, count=60)
        begin(network, [3, *others])
        rates.append(network.population.rate_up_bps[3])
    quiet = build(URBAN, base_stations=7, count=60)
    begin(quiet, [3])
    assert rates[0] == rates[1] < quiet.population.rate_up_bps[3]


def test_proportional_fair_is_worth_more_to_many(build: Build) -> None:
    rates = {}
    for scheduler in ("round-robin", "proportional-fair"):
        network = build(replace(URBAN, scheduler=scheduler), base_stations=1, count=30)
        begin(network, list(range(30)))
        for device in range(30):
            sent(network, device, 10**12)
        network.env.run(1.5)
        rates[scheduler] = network.population.rate_up_bps.copy()
    most_bps = network.radio_access.air.ladders["uplink"].rate_bps[-1] * network.population.allocation_up
    worth = np.minimum(1.2 * rates["round-robin"], most_bps)
    assert (rates["proportional-fair"] >= worth).all()
    assert (rates["proportional-fair"] > worth).sum() > 10


@pytest.mark.parametrize("direction", ["downlink", "uplink"])
def test_proportional_fair_passes_no_peak_rate(build: Build, direction: Direction) -> None:
    """Nobody alone gains; many near their base station carry no more than the last rung of the ladder together."""
    loud = replace(URBAN.carrier, transmit_power=65.0, device_transmit_power=50.0, power_target=-70.0)
    for count in (1, 40):
        network = build(replace(URBAN, scheduler="proportional-fair", carrier=loud), count=40)
        begin(network, list(range(count)))
        alone_bps = Device(network.population, 0, 0).radio(direction)[0]
        for device in range(count):
            sent(network, device, 10**12, direction)
        network.env.run(1.5)
        ladder, population = network.radio_access.air.ladders[direction], network.population
        rates = [Device(population, device, 0).radio(direction) for device in range(count)]
        whole_cell_bps = np.array([rate_bps / allocation for rate_bps, allocation in rates])
        assert (whole_cell_bps > 0.5 * ladder.rate_bps[-1]).any()
        assert whole_cell_bps.max() <= ladder.rate_bps[-1] * (1 + 1e-12)
        if count == 1:
            assert rates[0][0] == alone_bps
        else:
            assert network.radio_access.load.diversity[direction].max() > 1.1


def test_the_gain_of_a_cell_is_that_of_its_own_users(build: Build) -> None:
    """Devices of other cells may be near their base station, or far off."""
    kind = replace(URBAN, scheduler="proportional-fair")
    network = build(kind, base_stations=7, count=200)
    begin(network, list(range(200)))
    for device in range(200):
        sent(network, device, 10**12)
    network.env.run(1.5)
    population, radio = network.population, network.radio_access
    gain, cells = 10 ** (gains_db(network, list(range(200)), 1.0) / 10), population.base_station * 3 + population.sector
    signals = radio.air.signals(gain, cells, radio.load.share["downlink"], radio.load.interference_w)
    for cell in range(21):
        of_cell = signals.up[cells == cell]
        expected = scheduling_gain("proportional-fair", len(of_cell), float(np.median(of_cell)))
        assert radio.load.diversity["uplink"][cell] == pytest.approx(float(expected), rel=1e-3)


def test_a_multicast_gains_at_the_sinr_of_its_worst_receiver(build: Build) -> None:
    kind = replace(URBAN, scheduler="proportional-fair", delivery="multicast", antenna=Omnidirectional())
    network = build(kind, count=10)
    begin(network, list(range(10)))
    groups = (range(5), range(5, 10))
    for group in groups:
        for device in group:
            sent(network, device, 10**12, "downlink")
        network.env.run(network.env.now + 0.6)
    radio, gain = network.radio_access, 10 ** (gains_db(network, list(range(10)), 1.0) / 10)
    cells = np.zeros(10, np.int64)
    down = radio.air.signals(gain, cells, radio.load.share["downlink"], radio.load.interference_w).down
    typical = float(np.mean([down[group].min() for group in groups]))
    expected = float(scheduling_gain("proportional-fair", 2, typical))
    assert radio.load.diversity["downlink"] == pytest.approx([expected], rel=1e-3)


def test_uplinks_of_other_cells_interfere_as_much_as_these_transmit(build: Build) -> None:
    network = build(replace(URBAN, background=Constant(0.3)), base_stations=7, count=60)
    ids = list(range(60))
    begin(network, ids)
    radio, quiet_bps = network.radio_access, network.population.rate_up_bps.copy()
    for device in ids:
        link = network.link("uplink", Device(network.population, device, 0), network.access)
        network.env.process(link.send(Payload(10**12)))
    network.env.run(1.1)
    load, gain_db = radio.load.share["uplink"], gains_db(network, ids, 1.0)
    assert load.max() == pytest.approx(1.0)
    assert load.min() == pytest.approx(0.3)
    assert radio.load.share["downlink"] == pytest.approx(0.3)
    gain, cells = 10 ** (gain_db / 10), np.argmax(gain_db, axis=1)
    heard_w = gain * radio.air.device_power_w(gain, cells)[:, None]
    expected_w = np.zeros(21)
    for cell in set(cells.tolist()):
        expected_w += load[cell] * heard_w[cells == cell].mean(axis=0) * (np.arange(21) != cell)
    assert radio.load.interference_w == pytest.approx(expected_w, rel=1e-4, abs=0)
    assert network.population.rate_up_bps.mean() < quiet_bps.mean()


def test_a_cell_that_has_rested_has_one_user_again(build: Build) -> None:
    kind = replace(URBAN, scheduler="proportional-fair")
    rested, fresh = build(kind, count=30), build(kind, count=30)
    begin(rested, list(range(30)))
    for device in range(30):
        sent(rested, device, 10**12)
    rested.env.run(1.5)
    for device in range(30):
        rested.leave(device)
    begin(rested, [3])
    begin(fresh, [3])
    assert rested.population.rate_up_bps[3] == fresh.population.rate_up_bps[3] > 0


def participate(network: Network, until_s: float) -> None:
    """Let sixty devices be sent to for a while, and go."""
    ids = list(range(60))
    begin(network, ids)
    for device in ids:
        sent(network, device, 10**12, "downlink")
    network.env.run(until_s)
    for transfer in list(network.transfers):
        transfer.lose("over")
    for device in ids:
        network.leave(device)


def test_who_begins_where_nobody_was_looked_at_meets_the_load_since_the_last_measurement(build: Build) -> None:
    """There was nobody to look at when it was time, after a second."""
    network, fresh = (build(replace(URBAN, background=Constant(0.1)), base_stations=7, count=60) for _ in range(2))
    participate(network, until_s=0.5)
    for world in (network, fresh):
        world.env.run(1.25)
        assert world.radio_access.load.measured_s == 0.0
        begin(world, list(range(60)))
        assert world.radio_access.load.measured_s == 1.25
    share, quiet = network.radio_access.load.share, fresh.radio_access.load.share
    assert share["downlink"].max() == pytest.approx(0.1 + 0.5 * 0.9 / 1.25)
    assert share["uplink"] == pytest.approx(0.1)
    assert quiet["downlink"] == pytest.approx(0.1)
    assert network.population.rate_down_bps.mean() < 0.95 * fresh.population.rate_down_bps.mean()


def test_a_measurement_holds_for_as_long_as_there_is_none_between_looks(build: Build) -> None:
    """The load of others is that of now all the same."""
    curve = DailyCurve(curve=(0.4, 0.0), day=2.0, step=0.25)
    network = build(replace(URBAN, background=curve), base_stations=7, count=61)
    begin(network, [60])
    participate(network, until_s=0.5)
    network.env.run(1.05)
    network.leave(60)
    load = network.radio_access.load
    before, others = load.share["downlink"].copy(), [curve._share(t_s) for t_s in (1.125, 1.625)]
    network.env.run(1.6)
    begin(network, [3])
    assert load.measured_s == 1.0
    assert load.share["downlink"] == pytest.approx(before - others[0] + others[1])
    assert 0.3 < before.max() - others[0] < 0.5
