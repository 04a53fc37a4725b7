"""What a medium says that it has carried: whole bits, once each, wherever they left."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from simpy import Environment

from netfed.network.counters import MediumSnapshot
from netfed.network.dedicated import Dedicated
from netfed.network.flows import Shared
from netfed.network.medium import Medium

MEDIA = [Dedicated, Shared]


@pytest.mark.parametrize("make", MEDIA)
def test_a_snapshot_tells_what_has_left_and_what_is_under_way(make: Callable[..., Medium]) -> None:
    env = Environment()
    medium = make(env, math.inf, cells=2)
    assert medium.snapshot(0.0) == MediumSnapshot([0, 0], [0.0, 0.0], [0, 0], [0, 0])
    medium.start(100, 10.0)
    medium.start(10, 4.0, cell=1, allocation=0.5)
    env.run(until=2.375)
    then = medium.snapshot(env.now)
    assert then.bits == [23, 9]
    assert then.occupied_s == pytest.approx([2.3, 9 / 4.0 * 0.5])
    assert (then.backlog_bits, then.transfers) == ([77, 1], [1, 1])
    env.run(until=20.0)
    assert medium.snapshot(20.0) == MediumSnapshot([100, 10], [10.0, 1.25], [0, 0], [0, 0])


@pytest.mark.parametrize("make", MEDIA)
def test_a_snapshot_can_be_of_an_earlier_moment(make: Callable[..., Medium]) -> None:
    env = Environment()
    medium = make(env, math.inf)
    medium.start(100, 10.0)
    env.run(until=5.0)
    assert [medium.snapshot(at_s).bits for at_s in (0.5, 3.25, 5.0)] == [[5], [32], [50]]


@pytest.mark.parametrize("make", MEDIA)
def test_what_has_left_stays_counted_where_and_at_which_rate_it_left(make: Callable[..., Medium]) -> None:
    env = Environment()
    here, there = make(env, math.inf, cells=2), make(env, math.inf)
    flow = here.start(100, 10.0, cell=1)
    env.run(until=2.0)
    here.retune(flow, 20.0, allocation=0.25)
    env.run(until=3.0)
    there.take_over(flow, 0, 5.0)
    env.run(until=4.0)
    assert [here.carried_bits(cell) for cell in (0, 1)] == [0, 40]
    assert here.airtime_s() == pytest.approx([0.0, 3.0])
    assert here.occupied_s() == pytest.approx([0.0, 2.0 + 0.25])
    assert (there.carried_bits(0), there.airtime_s()) == (5, pytest.approx([1.0]))
    assert flow.sent_bits == 45
