"""The fluid medium against a brute-force reference, worked examples, SimGrid, and queueing theory."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simpy import Environment, Event

from netfed.network.flows import Shared


@dataclass(frozen=True)
class Transfer:
    start_s: float
    cell: int
    bits: int
    radio_bps: float
    weight: float = 1.0
    patience_s: float = math.inf


@dataclass(frozen=True)
class End:
    t_s: float
    left_bits: float


def play(transfers: list[Transfer], backhaul_bps: float) -> list[End]:
    """Run transfers through the medium."""
    env = Environment()
    medium = Shared(env, backhaul_bps, cells=1 + max(transfer.cell for transfer in transfers))
    ends: dict[int, End] = {}

    def client(index: int, transfer: Transfer) -> Generator[Event, Any, None]:
        yield env.timeout(transfer.start_s)
        flow = medium.start(transfer.bits, transfer.radio_bps, transfer.cell, transfer.weight)
        if transfer.patience_s < math.inf:
            yield flow.finished | env.timeout(transfer.patience_s)
        else:
            yield flow.finished
        ends[index] = End(env.now, medium.stop(flow))

    for index, transfer in enumerate(transfers):
        env.process(client(index, transfer))
    env.run()
    return [ends[index] for index in range(len(transfers))]


# The reference: plain Python, one flow at a time. It shares no code and no formula with the medium.


def reference_rates(flows: list[Transfer], backhaul_bps: float) -> list[float]:
    """Raise the backhaul's level by bisection; at each level, fill every cell's airtime."""

    def rates_at(level: float) -> list[float]:
        rates = [0.0] * len(flows)
        for cell in {flow.cell for flow in flows}:
            free = [i for i, flow in enumerate(flows) if flow.cell == cell]
            airtime = 1.0
            while free:
                per_weight = airtime / sum(flows[i].weight for i in free)
                capped = [i for i in free if flows[i].radio_bps * per_weight > level]
                if not capped:
                    break
                for i in capped:
                    rates[i] = flows[i].weight * level
                    airtime -= rates[i] / flows[i].radio_bps
                    free.remove(i)
            for i in free:
                rates[i] = flows[i].weight * flows[i].radio_bps * per_weight
        return rates

    if sum(rates_at(math.inf)) <= backhaul_bps:
        return rates_at(math.inf)
    low, high = 0.0, 2 * max(flow.radio_bps / flow.weight for flow in flows)
    while low < (middle := (low + high) / 2) < high:
        if sum(rates_at(middle)) <= backhaul_bps:
            low = middle
        else:
            high = middle
    return rates_at(low)


def reference_play(transfers: list[Transfer], backhaul_bps: float) -> list[End]:
    """Go from one arrival, finish or stop to the next."""
    waiting = sorted(range(len(transfers)), key=lambda i: transfers[i].start_s)
    left: dict[int, float] = {}
    ends: dict[int, End] = {}
    now = 0.0
    while waiting or left:
        live = list(left)
        rates = (
            dict(zip(live, reference_rates([transfers[i] for i in live], backhaul_bps), strict=True)) if live else {}
        )
        step = min(
            [left[i] / rates[i] for i in live]
            + [transfers[i].start_s + transfers[i].patience_s - now for i in live]
            + [transfers[i].start_s - now for i in waiting[:1]]
        )
        now += step
        for i in live:
            left[i] -= rates[i] * step
            gives_up = transfers[i].start_s + transfers[i].patience_s <= now + 1e-13
            if left[i] <= rates[i] * 1e-13 or gives_up:
                ends[i] = End(now, max(0.0, left.pop(i)))
        while waiting and transfers[waiting[0]].start_s <= now:
            i = waiting.pop(0)
            left[i] = float(transfers[i].bits)
    return [ends[i] for i in range(len(transfers))]


def transfers(patience: st.SearchStrategy[float]) -> st.SearchStrategy[list[Transfer]]:
    one = st.builds(
        Transfer,
        start_s=st.floats(0, 3),
        cell=st.integers(0, 2),
        bits=st.integers(1, 40_000_000),
        radio_bps=st.one_of(st.floats(1e6, 2e8), st.sampled_from([1e6, 5e6, 20e6, 20e6, 200e6])),
        weight=st.sampled_from([0.5, 1.0, 1.0, 2.0, 3.0]),
        patience_s=patience,
    )
    return st.lists(one, min_size=1, max_size=14)


IMPATIENT = st.one_of(st.just(math.inf), st.floats(0.001, 3))
BACKHAUL = st.one_of(st.just(math.inf), st.integers(1, 300).map(lambda mbps: mbps * 1e6))


def assert_agrees_with_brute_force(workload: list[Transfer], backhaul_bps: float) -> None:
    for transfer, ours, theirs in zip(
        workload, play(workload, backhaul_bps), reference_play(workload, backhaul_bps), strict=True
    ):
        tolerance_s = 1e-9 * max(1.0, theirs.t_s)
        assert abs(ours.t_s - theirs.t_s) <= tolerance_s
        assert abs(ours.left_bits - theirs.left_bits) <= tolerance_s * transfer.radio_bps


@given(transfers(IMPATIENT), BACKHAUL)
@settings(max_examples=400, deadline=None)
def test_agrees_with_brute_force(workload: list[Transfer], backhaul_bps: float) -> None:
    assert_agrees_with_brute_force(workload, backhaul_bps)


@pytest.mark.parametrize(
    ("weight", "fast_bps", "slow_bps"),
    [(0.01, 20000000.000000007, 19999999.999999996), (100.0, 20000000.000000015, 19999999.999999985)],
)
def test_agrees_where_rates_are_equal_but_for_rounding(weight: float, fast_bps: float, slow_bps: float) -> None:
    """The pieces of the cell's total are all but parallel; still the level must stay between their ends."""
    flows = [Transfer(0.0, 0, 10_000_000, radio_bps, weight) for radio_bps in (fast_bps, slow_bps)]
    assert_agrees_with_brute_force(flows, 20e6)


@pytest.mark.parametrize("backhaul_bps", [math.inf, 7e6])
def test_thousands_of_flows_end_when_the_sum_of_their_turns_says(backhaul_bps: float) -> None:
    """Equal radios: until the k-th smallest has ended, all that are left get as much as it does."""
    sizes = np.random.default_rng(3).integers(1, 10_000_000, 2_000)
    ends = play([Transfer(0.0, 0, int(size), 10e6) for size in sizes], backhaul_bps)
    steps = np.diff(np.sort(sizes), prepend=0) * np.arange(len(sizes), 0, -1)
    expected_s = np.cumsum(steps) / min(10e6, backhaul_bps)
    assert np.sort([end.t_s for end in ends]) == pytest.approx(expected_s, rel=1e-11)


def rates(backhaul_bps: float, *flows: Transfer) -> list[float]:
    """Return the medium's rates, read off how far flows get in a while."""
    duration_s = 1e-3
    patient = [Transfer(0.0, flow.cell, 10**12, flow.radio_bps, flow.weight, duration_s) for flow in flows]
    return [(10**12 - end.left_bits) / duration_s for end in play(patient, backhaul_bps)]


def test_capped_flow_leaves_its_airtime_to_the_others() -> None:
    """Slowing the whole cell in proportion would give 18.2 and 1.8 and leave most of the radio idle."""
    fast, slow = rates(20e6, Transfer(0, 0, 1, 100e6), Transfer(0, 0, 1, 10e6))
    assert fast == pytest.approx(100e6 / 9, rel=1e-6)
    assert slow == pytest.approx(80e6 / 9, rel=1e-6)


def test_backhaul_caps_flows_of_several_cells_at_one_level() -> None:
    """Water filling by hand: the slow cell's flows stay below the level, the fast cell's takes the rest."""
    found = rates(15e6, Transfer(0, 0, 1, 2e6), Transfer(0, 0, 1, 2e6), Transfer(0, 1, 1, 20e6))
    assert found == pytest.approx([1e6, 1e6, 13e6], rel=1e-6)


def test_weights_share_airtime_and_backhaul() -> None:
    flows = [Transfer(0, 0, 1, 60e6, weight) for weight in (1.0, 2.0, 3.0)]
    assert rates(math.inf, *flows) == pytest.approx([10e6, 20e6, 30e6], rel=1e-6)
    assert rates(12e6, *flows) == pytest.approx([2e6, 4e6, 6e6], rel=1e-6)


def test_flows_that_finish_at_the_same_instant_finish_together() -> None:
    ends = play([Transfer(0.1, 0, bits, 10e6, weight) for bits, weight in ((3_000_000, 1.0), (9_000_000, 3.0))], 7e6)
    assert ends[0] == ends[1]


SIMGRID = {
    "backhaul binds at first": (
        [5, 28, 13, 12, 12, 9],
        21,
        [(5, 58), (4, 6), (4, 28), (0, 2), (0, 14), (1, 33), (4, 2), (4, 13), (5, 42), (5, 35), (3, 15)],
        "16.095238095 2.761904762 8.178571429 1.047619048 5.761904762 8.595238095 "
        "1.047619048 5.428571429 14.317460317 12.761904762 6.011904762",
    ),
    "backhaul binds throughout": (
        [11, 23, 27, 15],
        28,
        [(3, 26), (3, 10), (2, 9), (1, 48), (2, 48), (3, 58), (3, 24), (1, 9), (3, 6), (0, 56), (0, 10)],
        "7.071428571 3.714285714 3.428571429 10.214285714 10.214285714 10.880952381 "
        "6.714285714 3.428571429 2.357142857 10.941558442 3.714285714",
    ),
}


@pytest.mark.parametrize("case", SIMGRID)
def test_agrees_with_simgrid(case: str) -> None:
    """SimGrid 3.32, model CM02 without cross-traffic: cells and backhaul in MB/s, (cell, MB), completion times in s.

    It shares rates where we share airtime, which is the same while the radios of a cell are equally fast.
    """
    cells, backhaul, flows, finishes_s = SIMGRID[case]
    workload = [Transfer(0.0, cell, size * 8_000_000, cells[cell] * 8e6) for cell, size in flows]
    expected_s = [float(finish_s) for finish_s in finishes_s.split()]
    assert [end.t_s for end in play(workload, backhaul * 8e6)] == pytest.approx(expected_s, rel=1e-8)


# Queueing theory: Poisson arrivals at one cell.


def sojourns_s(arrivals: Iterator[tuple[float, float, float]]) -> list[float]:
    """Return how long each of (gap_s, service_s, weight) stays in a cell of 1 Mbit/s."""
    env = Environment()
    medium = Shared(env, math.inf)
    stays: dict[int, float] = {}

    def client(index: int, service_s: float, weight: float) -> Generator[Event, Any, None]:
        start_s = env.now
        yield medium.start(round(service_s * 1e6), 1e6, weight=weight).finished
        stays[index] = env.now - start_s

    def source() -> Generator[Event, Any, None]:
        for index, (gap_s, service_s, weight) in enumerate(arrivals):
            yield env.timeout(gap_s)
            env.process(client(index, service_s, weight))

    env.process(source())
    env.run()
    return [stays[index] for index in range(len(stays))]


def assert_mean(values: list[float], expected: float) -> None:
    """Compare with the mean of batches; the batches must be tight enough to mean something."""
    means = np.array([batch.mean() for batch in np.array_split(np.array(values), 20)])
    error = means.std(ddof=1) / math.sqrt(len(means))
    assert error < 0.06 * expected
    assert abs(means.mean() - expected) < 3 * error


@pytest.mark.parametrize("law", ["exponential", "deterministic"])
def test_mean_stay_under_processor_sharing(law: str) -> None:
    """M/G/1-PS: the mean is E[S] / (1 - rho) whatever the law of sizes (Kleinrock, Queueing Systems II, 1976, 4.4)."""
    rng, rho, count = np.random.default_rng(7), 0.6, 12_000
    gaps_s = rng.exponential(1 / rho, count)
    services_s = rng.exponential(1.0, count) if law == "exponential" else np.ones(count)
    stays_s = sojourns_s(zip(gaps_s, services_s, np.ones(count), strict=True))
    assert_mean(stays_s, 1 / (1 - rho))


def test_mean_stay_with_weights() -> None:
    """Discriminatory processor sharing, two exponential classes (Fayolle, Mitrani, Iasnogorodski, JACM 27(3), 1980)."""
    rng, load, weights, count = np.random.default_rng(8), np.array([0.3, 0.3]), np.array([1.0, 4.0]), 12_000
    rho = load.sum()
    kinds = rng.choice(2, count, p=load / rho)
    stays_s = np.array(
        sojourns_s(zip(rng.exponential(1 / rho, count), rng.exponential(1.0, count), weights[kinds], strict=True))
    )
    spread = (weights[1] - weights[0]) / (weights[0] * (1 - load[0]) + weights[1] * (1 - load[1]))
    assert_mean(stays_s[kinds == 0].tolist(), (1 + load[1] * spread) / (1 - rho))
    assert_mean(stays_s[kinds == 1].tolist(), (1 - load[0] * spread) / (1 - rho))
