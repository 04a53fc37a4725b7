from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.network.availability import Windows
from netfed.network.population import Device, Population, scatter
from netfed.network.profiles import PROFILES
from netfed.network.spec import Devices, Dropout, Fixed, Ideal, LinkClass
from netfed.network.spec import Network as Kind
from netfed.streams import Streams

KIND = Fixed(LinkClass(rate=20e6, spread=0.5), LinkClass(rate=100e6, spread=0.3), LinkClass(rate=1e9))
MIXED = {"phone": 0.7, "iot-board": 0.2, "vehicle": 0.1}
COLUMNS = (
    *("position_m", "base_station", "flops_per_s", "bytes_per_s", "compute_w", "transmit_w", "receive_w", "idle_w"),
    *("rate_up_bps", "rate_down_bps", "held", "phase", "ready_s"),
)


SITES_M = np.arange(14.0).reshape(7, 2) * 1e5


def populate(count: int, seed: int = 5, kind: Kind = KIND, **devices: Any) -> Population:
    return Population(Devices(count, **devices), SITES_M, 200.0, kind, Streams(seed))


def test_more_devices_change_nobody_else() -> None:
    windows = Windows(period=100.0, duration=30.0)
    few = populate(50, profile=MIXED, speed_spread=0.2, availability=windows)
    many = populate(80, profile=MIXED, speed_spread=0.2, availability=windows)
    for column in COLUMNS:
        assert len(getattr(many, column)) == 80
        assert np.array_equal(getattr(few, column), getattr(many, column)[:50]), column
    assert np.array_equal(few.available(12.0), many.available(12.0)[:50])


def test_another_seed_is_another_world() -> None:
    one, other = populate(50, profile=MIXED), populate(50, seed=6, profile=MIXED)
    assert not np.array_equal(one.position_m, other.position_m)
    assert not np.array_equal(one.rate_up_bps, other.rate_up_bps)
    assert not np.array_equal(one.compute_w, other.compute_w)


def test_distributions() -> None:
    population = populate(40_000, profile=MIXED, speed_spread=0.2)
    for name, share in MIXED.items():
        members = population.compute_w == PROFILES[name].compute_w
        assert members.mean() == pytest.approx(share, abs=0.01)
        assert np.median(population.flops_per_s[members]) == pytest.approx(PROFILES[name].flops_per_s, rel=0.02)
        assert np.log(population.flops_per_s[members]).std() == pytest.approx(0.2, rel=0.05)
    assert np.bincount(population.base_station) / 40_000 == pytest.approx(np.full(7, 1 / 7), abs=0.01)
    assert np.median(population.rate_up_bps) == pytest.approx(20e6, rel=0.02)
    assert np.log(population.rate_up_bps).std() == pytest.approx(0.5, rel=0.02)
    assert np.log(population.rate_down_bps).std() == pytest.approx(0.3, rel=0.02)
    assert abs(np.corrcoef(np.log(population.rate_up_bps), np.log(population.rate_down_bps))[0, 1]) < 0.03


def test_weights_are_drawn_by_device_and_change_nothing_else() -> None:
    plain, few, many = (
        populate(50),
        populate(50, weight={1.0: 0.9, 4.0: 0.1}),
        populate(9000, weight={1.0: 0.9, 4: 0.1}),
    )
    assert plain.weight is None
    assert [Device(plain, 3, draw=0).weight, Device(few, 3, draw=0).weight] == [1.0, few.weight[3]]
    assert np.array_equal(few.weight, many.weight[:50])
    assert (many.weight == 4.0).mean() == pytest.approx(0.1, abs=0.01)
    for column in COLUMNS:
        assert np.array_equal(getattr(plain, column), getattr(few, column)), column
    assert (populate(5, weight=2.0).weight == 2.0).all()
    assert populate(5, weight={1.0: 1.0}).weight is None


def test_speed_scales_arithmetic_and_memory_alike() -> None:
    population = populate(20, speed_spread=0.5)
    phone = PROFILES["phone"]
    assert population.flops_per_s / phone.flops_per_s == pytest.approx(population.bytes_per_s / phone.bytes_per_s)


def test_nothing_spreads_unless_told_to() -> None:
    population = populate(20, kind=Fixed(*[LinkClass(rate=3e6)] * 3))
    assert (population.rate_up_bps == 3e6).all()
    assert (population.flops_per_s == PROFILES["phone"].flops_per_s).all()
    assert np.isinf(populate(2, kind=Ideal()).rate_down_bps).all()


def test_device_is_a_view_of_its_row() -> None:
    population = populate(10, profile=MIXED, speed_spread=0.2, dropout=Dropout(upload=0.5))
    device = Device(population, 3, draw=0)
    for column in COLUMNS[1:-2]:
        assert getattr(device, column) == getattr(population, column)[3]
        assert type(getattr(device, column)) in (int, float)
    assert device.dropout == Dropout(upload=0.5)
    assert device.held == -1
    device.held = 7
    assert Device(population, 3, draw=1).held == 7
    assert population.held.tolist() == [-1, -1, -1, 7, -1, -1, -1, -1, -1, -1]


def test_breaking_off_is_drawn_per_participation() -> None:
    population = populate(2)
    devices = [Device(population, 0, draw) for draw in range(4000)]
    shares = [device.breaks_off("loss-uplink", 0.25) for device in devices]
    broken = [share for share in shares if share is not None]
    assert len(broken) / 4000 == pytest.approx(0.25, abs=0.03)
    assert np.mean(broken) == pytest.approx(0.5, abs=0.03)
    assert np.quantile(broken, [0.1, 0.9]) == pytest.approx([0.1, 0.9], abs=0.03)
    assert shares == [device.breaks_off("loss-uplink", 0.25) for device in devices]
    assert shares != [device.breaks_off("loss-downlink", 0.25) for device in devices]
    more = [device.breaks_off("loss-uplink", 0.5) for device in devices]
    assert all(share is None or share == same for share, same in zip(shares, more, strict=True))
    assert {device.breaks_off("loss-uplink", 0.0) for device in devices} == {None}
    assert None not in {device.breaks_off("loss-uplink", 1.0) for device in devices}


def test_always_available() -> None:
    population = populate(5)
    assert population.available(3.0).all()
    assert population.available_until(2, 3.0) == math.inf
    assert population.next_available(3.0) == math.inf


def test_windows_open_and_close() -> None:
    population = populate(4000, availability=Windows(period=100.0, duration=30.0))
    for now_s in (0.0, 17.0, 1234.5):
        assert population.available(now_s).mean() == pytest.approx(0.3, abs=0.03)
    reachable = np.array([population.available(float(now_s))[7] for now_s in range(1000)])
    assert reachable.sum() == pytest.approx(300, abs=10)
    now_s = float(reachable.argmax())
    until_s = population.available_until(7, now_s)
    assert now_s < until_s <= now_s + 30
    assert not population.available(until_s)[7]
    assert population.available_until(7, until_s) == until_s
    assert population.available(math.nextafter(until_s, 0))[7]


@given(st.floats(1e-2, 1e5), st.floats(1e-4, 0.999), st.floats(0, 1e7), st.integers(0, 1000))
@settings(max_examples=200)
def test_waiting_for_the_next_device_finds_one(period: float, share: float, now_s: float, seed: int) -> None:
    """However clocks round: a wait ends at the opening, or so close before it that the next wait does."""
    population = populate(1, seed=seed, availability=Windows(period=period, duration=share * period))
    waits = 0
    while not population.available(now_s)[0]:
        later_s = population.next_available(now_s)
        assert later_s > now_s
        now_s += later_s - now_s
        waits += 1
        assert waits <= 2


def test_devices_are_scattered_about_their_base_stations() -> None:
    population = populate(50)
    offsets_m = population.position_m - SITES_M[population.base_station]
    assert np.linalg.norm(offsets_m, axis=1).max() <= 200.0 / np.sqrt(3)
    assert offsets_m == pytest.approx(scatter(50, 200.0, Streams(5)), abs=1e-6)


def test_devices_are_scattered_uniformly_over_a_hexagon() -> None:
    spacing_m, count = 200.0, 60_000
    places = scatter(count, spacing_m, Streams(3))
    normals = np.exp(1j * np.pi / 3 * np.arange(6))
    reach_m = places[:, :1] * normals.real + places[:, 1:] * normals.imag
    assert reach_m.max() <= spacing_m / 2 + 1e-9
    assert reach_m.max(axis=0) == pytest.approx(np.full(6, spacing_m / 2), rel=0.01)
    # Second moment of a hexagon of side a about its centre: 5 a^2 / 12; and a circle inside holds its area's share.
    assert (places**2).sum(axis=1).mean() == pytest.approx(5 / 12 * spacing_m**2 / 3, rel=0.01)
    inside = (np.linalg.norm(places, axis=1) < spacing_m / 4).mean()
    assert inside == pytest.approx(np.pi / 16 / (np.sqrt(3) / 2), rel=0.03)
    assert places.mean(axis=0) == pytest.approx([0, 0], abs=1.0)


def test_a_device_without_the_charge_waits_for_its_window_too() -> None:
    population = populate(1, seed=3, availability=Windows(period=100.0, duration=30.0))
    opening_s = population.next_available(50.0) if not population.available(50.0)[0] else 50.0
    assert population.available(opening_s)[0]
    population.ready_s[0] = opening_s + 10.0
    assert population.next_available(opening_s - 5.0) == opening_s + 10.0
    population.ready_s[0] = opening_s + 40.0
    assert not population.available(opening_s)[0]
    later_s = population.next_available(opening_s)
    assert later_s >= opening_s + 40.0
    assert population.available(later_s)[0]
    assert not population.available(math.nextafter(later_s, 0))[0]
    population.ready_s[0] = math.inf
    assert population.next_available(opening_s) == math.inf
