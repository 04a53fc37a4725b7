from __future__ import annotations

import math
from collections.abc import Callable

import pytest
from simpy import Environment

from netfed.errors import SimulationError
from netfed.network.dedicated import Dedicated
from netfed.network.flows import Shared
from netfed.network.medium import Medium

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
    assert flow.sent_bits == 3
    assert [medium.carried_bits(cell) for cell in (0, 1)] == [3, 9]
    assert medium.stop(flow) == pytest.approx(6.4)
    env.run(until=5.0)
    assert medium.left_bits(flow) == flow.left_bits == pytest.approx(6.4)
    assert flow.sent_bits == 3
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
    assert medium.carried_bits(0) == stopped.sent_bits + 10


@pytest.mark.parametrize("make", MEDIA)
def test_no_bits_take_no_time(make: Callable[..., Medium]) -> None:
    env = Environment()
    medium = make(env, 1e6)
    env.run(until=medium.start(0, 1e6).finished)
    assert env.now == 0.0


@pytest.mark.parametrize("make", MEDIA)
@pytest.mark.parametrize("flow", [(-1, 1.0, 0, 1.0), (1, -1.0, 0, 1.0), (1, math.nan, 0, 1.0), (1, 1.0, 0, 0.0)])
def test_refuses_what_cannot_flow(make: Callable[..., Medium], flow: tuple[int, float, int, float]) -> None:
    with pytest.raises(SimulationError, match="a flow of"):
        make(Environment(), 1e6).start(*flow)


@pytest.mark.parametrize("make", MEDIA)
@pytest.mark.parametrize("allocation", [0.0, -0.5, 1.5, math.nan])
def test_refuses_what_is_no_share_of_the_resource_blocks(make: Callable[..., Medium], allocation: float) -> None:
    medium = make(Environment(), 1e6)
    flow = medium.start(10, 1.0)
    for begin in (lambda: medium.start(1, 1.0, allocation=allocation), lambda: medium.retune(flow, 1.0, allocation)):
        with pytest.raises(SimulationError, match="resource blocks"):
            begin()


@pytest.mark.parametrize("make", MEDIA)
def test_alone_on_a_part_of_the_resource_blocks_a_flow_has_its_radios_rate(make: Callable[..., Medium]) -> None:
    """A quarter of them is there as long as others take no more than three quarters."""
    for capacity, finish_s in ((1.0, 10.0), (0.25, 10.0), (0.125, 20.0)):
        env = Environment()
        medium = make(env, 1e9)
        medium.set_capacity(0, capacity)
        flow = medium.start(10_000_000, 1e6, allocation=0.25)
        env.run()
        assert env.now == pytest.approx(finish_s)
        assert flow.airtime_s == medium.airtime_s()[0] == pytest.approx(10.0)
        assert medium.occupied_s()[0] == pytest.approx(2.5)
        assert flow.held_s == pytest.approx(0.0, abs=1e-9)


def test_others_have_the_other_resource_blocks_at_the_same_time() -> None:
    env = Environment()
    medium = Shared(env, 1e9)
    weak, strong = medium.start(10_000_000, 1e6, allocation=0.25), medium.start(180_000_000, 80e6)
    assert (medium.rate_bps(weak), medium.rate_bps(strong)) == pytest.approx((1e6, 60e6))
    env.run(until=strong.finished)
    assert env.now == pytest.approx(3.0)
    assert medium.occupied_s() == pytest.approx([3.0])
    assert medium.airtime_s() == pytest.approx([3.0 + 2.25])
    env.run()
    assert (env.now, weak.airtime_s) == pytest.approx((10.0, 10.0))


def test_where_too_many_want_their_parts_they_share_the_airtime() -> None:
    """Sixteen quarters: each is on the air for a quarter of the time, like a whole carrier for a sixteenth."""
    env = Environment()
    medium = Shared(env, 1e9)
    flows = [medium.start(1_000_000, 1e6, allocation=0.25) for _ in range(16)]
    env.run()
    assert env.now == pytest.approx(4.0)
    assert [flow.airtime_s for flow in flows] == pytest.approx([1.0] * 16)
    assert [flow.held_s for flow in flows] == pytest.approx([0.0] * 16, abs=1e-9)


@pytest.mark.parametrize("make", MEDIA)
def test_other_resource_blocks_change_the_limit_with_the_rate(make: Callable[..., Medium]) -> None:
    """A second at 1 Mbit/s, one at 1.25, and one at 2, of which the flow's own limit leaves 1.5."""
    env = Environment()
    medium = make(env, 8e6)
    flow = medium.start(12_500_000, 1e6, limit_bps=1.5e6, allocation=0.5)
    for radio_bps, allocation in ((1.25e6, 0.125), (2e6, 0.25)):
        env.run(until=env.now + 1.0)
        medium.retune(flow, radio_bps, allocation)
    env.run(until=3.0)
    assert flow.sent_bits == 1_000_000 + 1_250_000 + 1_500_000
    assert flow.airtime_s == pytest.approx(2.75)
    assert medium.occupied_s() == pytest.approx([0.5 + 0.125 + 0.75 * 0.25])
    assert medium.stop(flow) == pytest.approx(8_750_000)
    assert flow.held_s == pytest.approx(0.25)


def test_many_flows_share_equally() -> None:
    env = Environment()
    medium = Shared(env, backhaul_bps=1e9)
    flows = [medium.start(1_000_000, 10e6) for _ in range(40)]
    env.run()
    assert env.now == pytest.approx(4.0, rel=1e-12)
    assert all(flow.left_bits == 0 for flow in flows)


@pytest.mark.parametrize("backhaul_bps", [1e9, 4e6])
def test_flows_that_finish_together_do_so_in_the_order_of_their_start(backhaul_bps: float) -> None:
    """They end in other orders by bits, by radio rate, and by cell."""
    env = Environment()
    medium = Shared(env, backhaul_bps, cells=2)
    ended = []
    for index, (cell, radio_bps) in enumerate([(1, 30e6), (0, 10e6), (1, 20e6), (0, 20e6), (1, 10e6), (0, 30e6)]):
        flow = medium.start(int(radio_bps) if backhaul_bps == 1e9 else 9_000_000, radio_bps, cell)
        flow.finished.callbacks.append(lambda _, index=index: ended.append((env.now, index)))
    env.run()
    assert [index for _, index in ended] == list(range(6))
    assert len({now_s for now_s, _ in ended}) == 1


def test_a_burst_of_starts_sets_one_wake_up() -> None:
    env = Environment()
    medium = Shared(env, backhaul_bps=5e6)
    for bits in range(1_000_000, 1_000_500):
        medium.start(bits, 10e6)
    assert len(env._queue) == 1


def test_wake_ups_do_not_pile_up_behind_a_long_flow() -> None:
    env = Environment()
    medium = Shared(env, math.inf)
    medium.start(10**9, 1e6)
    for _ in range(100):
        env.run(until=medium.start(1000, 1e6).finished)
    assert len(env._queue) <= 2


def test_rounding_makes_no_bits() -> None:
    """In a rate class that has been busy for long, a few bits more are lost in the last place."""
    env = Environment()
    medium = Shared(env, math.inf)
    medium.start(10**15, 1e9)
    env.run(until=12345.678)
    flows = [medium.start(bits, 1e9) for bits in range(1, 50)]
    assert [flow.sent_bits for flow in flows] == [0] * 49
    env.run(until=env.now + 1e-3)
    assert [medium.stop(flow) for flow in flows] == [0.0] * 49
    assert [flow.sent_bits for flow in flows] == list(range(1, 50))


def test_a_wake_up_that_is_too_early_or_too_late_finishes_nobody() -> None:
    env = Environment()
    medium = Shared(env, math.inf)
    first, second = medium.start(1000, 1000.0), medium.start(1000, 1000.0)
    env.run(until=1.5)
    assert first.left_bits is None
    short = medium.start(100, 1000.0)
    env.run(until=short.finished)
    assert env.now == pytest.approx(1.8)
    medium.stop(first)
    env.run(until=second.finished)
    assert env.now == pytest.approx(1.95)
    env.run()
    assert medium.carried_bits(0) == 850 + 1000 + 100
