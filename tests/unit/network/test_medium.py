from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from simpy import Environment

from netfed.errors import SimulationError
from netfed.network.flows import Shared
from netfed.network.medium import Dedicated, Medium

MEDIA = [Dedicated, Shared]


@pytest.mark.parametrize("make", MEDIA)
def test_a_flow_alone_gets_the_slower_of_radio_and_backhaul(make: Callable[..., Medium]) -> None:
    for radio_bps, finish_s in ((10e6, 3.0), (40e6, 1.5)):
        env = Environment()
        medium = make(env, 20e6)
        env.run(until=medium.start(30_000_000, radio_bps).finished)
        assert env.now == finish_s
        assert medium.carried_bits(0) == 30_000_000


@pytest.mark.parametrize("make", MEDIA)
def test_whole_bits_are_counted_on_the_way(make: Callable[..., Medium]) -> None:
    env = Environment()
    medium = make(env, math.inf, cells=2)
    flow, other = medium.start(10, 4.0), medium.start(100, 10.0, cell=1)
    env.run(until=0.9)
    assert medium.left_bits(flow) == pytest.approx(6.4)
    assert medium.sent_bits(flow) == 3
    assert [medium.carried_bits(cell) for cell in (0, 1)] == [3, 9]
    assert medium.stop(flow) == pytest.approx(6.4)
    env.run(until=5.0)
    assert medium.left_bits(flow) == flow.left_bits == pytest.approx(6.4)
    assert medium.sent_bits(flow) == 3
    assert [medium.carried_bits(cell) for cell in (0, 1)] == [3, 50]
    env.run(until=other.finished)
    assert env.now == 10.0
    assert [medium.carried_bits(cell) for cell in (0, 1)] == [3, 100]


@pytest.mark.parametrize("make", MEDIA)
def test_stopping_twice_or_after_the_end_changes_nothing(make: Callable[..., Medium]) -> None:
    env = Environment()
    medium = make(env, math.inf)
    stopped, finished = medium.start(100, 10.0), medium.start(10, 10.0)
    env.run(until=0.5)
    assert medium.stop(stopped) == medium.stop(stopped) == stopped.left_bits
    env.run()
    assert medium.stop(finished) == 0.0
    assert medium.carried_bits(0) == medium.sent_bits(stopped) + 10


@pytest.mark.parametrize("make", MEDIA)
def test_no_bits_take_no_time(make: Callable[..., Medium]) -> None:
    env = Environment()
    medium = make(env, 1e6)
    env.run(until=medium.start(0, 1e6).finished)
    assert env.now == 0.0


def test_dedicated_flows_do_not_meet() -> None:
    env = Environment()
    medium = Dedicated(env, 15.0)
    env.run(until=medium.start(100, 10.0).finished & medium.start(100, 10.0).finished)
    assert env.now == 10.0


def test_infinite_rates_are_instant() -> None:
    env = Environment()
    medium = Dedicated(env, math.inf)
    flow = medium.start(100, math.inf)
    assert medium.sent_bits(flow) == 100
    env.run(until=flow.finished)
    assert env.now == 0.0


@pytest.mark.parametrize("make", MEDIA)
@pytest.mark.parametrize("flow", [(-1, 1.0, 0, 1.0), (1, 0.0, 0, 1.0), (1, math.nan, 0, 1.0), (1, 1.0, 0, 0.0)])
def test_refuses_what_cannot_flow(make: Callable[..., Medium], flow: tuple[int, float, int, float]) -> None:
    with pytest.raises(SimulationError, match="a flow of"):
        make(Environment(), 1e6).start(*flow)


def test_more_flows_than_there_was_room_for() -> None:
    env = Environment()
    medium = Shared(env, backhaul_bps=1e9)
    flows = [medium.start(1_000_000, 10e6) for _ in range(40)]
    env.run()
    assert env.now == pytest.approx(4.0, rel=1e-12)
    assert all(flow.left_bits == 0 for flow in flows)
