"""Flows that do not meet."""

from __future__ import annotations

import math

from simpy import Environment

from netfed.network.dedicated import Dedicated


def test_dedicated_flows_do_not_meet() -> None:
    env = Environment()
    medium = Dedicated(env, 15.0)
    env.run(until=medium.start(100, 10.0).finished & medium.start(100, 10.0).finished)
    assert env.now == 10.0


def test_infinite_rates_are_instant() -> None:
    env = Environment()
    medium = Dedicated(env, math.inf)
    flow = medium.start(100, math.inf)
    assert flow.sent_bits == 100
    env.run(until=flow.finished)
    assert env.now == 0.0
