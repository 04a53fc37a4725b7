"""Flows that finish per second of CPU time, in SimPy, beside timers of SimPy's own; the table is printed.

A closed loop: as many processes as flows are to be concurrent, each sending one payload after another. Radio rates are
log-normal; the backhaul behind all cells has either room for every radio or half of what the cells could carry. The
bar is 20,000 flows a second at 10,000 concurrent, less where the machine is slower than a fast one; so that a loss is
seen on a fast core too, the test also compares with how many timers SimPy runs in the same minute, and fails where a
flow takes half as many again as it does today. Fewer flows at once are for the table only, and left out in brief.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest
from simpy import Environment, Event

from netfed.network.flows import Shared
from tests.benchmarks.yardstick import slowness

CASES = {10: 1, 100: 7, 10_000: 57}
"""Concurrent flows: cells."""
BAR, TOLERANCE, TIMERS_A_FLOW = 20_000, 0.8, 11
FLOWS, TIMERS, RATE_BPS = 20_000, 100_000, 20e6


def timers_per_s(concurrent: int) -> float:
    """As many processes, each waiting for one timer after another."""
    delays_s = iter(np.random.default_rng(0).exponential(size=concurrent + TIMERS).tolist())
    env = Environment()
    left = TIMERS
    done = env.event()

    def client() -> Generator[Event, Any, None]:
        nonlocal left
        for delay_s in delays_s:
            yield env.timeout(delay_s)
            left -= 1
            if left == 0:
                done.succeed()

    for _ in range(concurrent):
        env.process(client())
    env.run(until=1e-9)
    began_s = time.process_time()
    env.run(until=done)
    return TIMERS / (time.process_time() - began_s)


def flows_per_s(concurrent: int, cells: int, backhaul_bps: float) -> float:
    rng = np.random.default_rng(0)
    count = concurrent + FLOWS
    radio_bps = RATE_BPS * np.exp(0.5 * rng.standard_normal(count))
    jobs = zip(
        rng.integers(1, 20_000_000, count).tolist(),
        radio_bps.tolist(),
        rng.integers(0, cells, count).tolist(),
        strict=True,
    )
    env = Environment()
    medium = Shared(env, backhaul_bps, cells)
    left = FLOWS
    done = env.event()

    def client() -> Generator[Event, Any, None]:
        nonlocal left
        for bits, rate_bps, cell in jobs:
            yield medium.start(bits, rate_bps, cell).finished
            left -= 1
            if left == 0:
                done.succeed()

    for _ in range(concurrent):
        env.process(client())
    env.run(until=1e-9)
    began_s = time.process_time()
    env.run(until=done)
    return FLOWS / (time.process_time() - began_s)


@pytest.mark.benchmark
def test_flows_per_second(pairs: int, brief: bool) -> None:
    print(
        f"\n{'concurrent':>10} {'cells':>5} {'room':>9} {'full':>9} {'timers':>9}   a second: flows by backhaul, timers"
    )
    for concurrent, cells in list(CASES.items())[-1 if brief else 0 :]:
        free, full, timers, ratios = [], [], [], []
        for _ in range(pairs):
            timers.append(timers_per_s(concurrent))
            free.append(flows_per_s(concurrent, cells, math.inf))
            full.append(flows_per_s(concurrent, cells, 0.5 * cells * RATE_BPS))
            ratios.append(timers[-1] / free[-1])
        row = [statistics.median(column) for column in (free, full, timers)]
        print(f"{concurrent:>10} {cells:>5} {row[0]:9,.0f} {row[1]:9,.0f} {row[2]:9,.0f}")
    timers_a_flow = statistics.median(ratios)
    print(f"at {concurrent} concurrent: best {max(free):,.0f}, bar {BAR:,}; a flow takes {timers_a_flow:.1f} timers")
    assert max(free) >= TOLERANCE * BAR / slowness()
    assert TOLERANCE * timers_a_flow <= TIMERS_A_FLOW
