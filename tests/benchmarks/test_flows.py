"""Flows that finish per second of CPU time, in SimPy; the table is printed, the test fails only below 0.8 of the bar.

A closed loop: as many processes as flows are to be concurrent, each sending one payload after another. Radio rates are
log-normal; the backhaul behind all cells has either room for every radio or half of what the cells could carry.
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

CASES = {10: 1, 100: 7, 10_000: 57}
"""Concurrent flows: cells."""
BAR, TOLERANCE = 20_000, 0.8
FLOWS, REPEATS, RATE_BPS = 20_000, 3, 20e6


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
def test_flows_per_second() -> None:
    print(f"\n{'concurrent':>10} {'cells':>5} {'backhaul has room':>18} {'backhaul is full':>17}   flows per second")
    for concurrent, cells in CASES.items():
        free, full = (
            statistics.median(flows_per_s(concurrent, cells, backhaul_bps) for _ in range(REPEATS))
            for backhaul_bps in (math.inf, 0.5 * cells * RATE_BPS)
        )
        print(f"{concurrent:>10} {cells:>5} {free:18,.0f} {full:17,.0f}")
    assert free >= TOLERANCE * BAR
