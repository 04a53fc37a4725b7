"""What a flow's time went to: its airtime, what held it behind the radio, and waiting for its cell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simpy import Environment, Event

from netfed.network.dedicated import Dedicated
from netfed.network.flows import Meshed, Shared
from netfed.network.medium import Flow, Medium
from tests.conftest import LOSSY, Play

RATES = st.sampled_from([1e6, 3e6, 7e6, 20e6, 50e6])
LIMITS = st.sampled_from([math.inf, math.inf, 2.03e6, 5.07e6])  # odd, so that it is clear what holds a flow
LINKS = st.sampled_from([0.0, 0.93e6, 2.9e6, 11.3e6])
WEIGHTS = st.sampled_from([1.0, 2.5])
ALLOCATIONS = st.sampled_from([1.0, 1.0, 0.51, 0.13])
FLOW = st.tuples(st.integers(0, 30), st.integers(1, 10**7), RATES, st.integers(0, 2), WEIGHTS, LIMITS, ALLOCATIONS)
CHANGE = st.tuples(st.integers(0, 60), st.sampled_from(["radio", "cell"]), st.integers(0, 5), RATES, ALLOCATIONS)
OUTAGE = st.tuples(st.integers(0, 60), LINKS)
MEDIA: dict[str, Callable[[Environment], Medium]] = {
    "dedicated": lambda env: Dedicated(env, 8.09e6, 3),
    "shared": lambda env: Shared(env, 8.09e6, 3),
    "meshed": lambda env: Meshed(env, [8.09e6, 6.07e6, 4.03e6], [(0,), (0, 1), (1, 2)]),
}


class Watch:
    """Looks at all rates after each event, and adds up, until the next one, what holds whom."""

    def __init__(self, medium: Medium, env: Environment) -> None:
        self.medium, self.env = medium, env
        self.flows: list[Flow] = []
        self.held_s: Counter[Flow] = Counter()
        self.limited_s: Counter[Flow] = Counter()

    def play(self) -> None:
        while (next_s := self.env.peek()) < math.inf:
            for flow, held in self.held():
                held_s = held * (next_s - self.env.now)
                self.held_s[flow] += held_s
                if math.isclose(self.medium.rate_bps(flow), flow.limit_bps, rel_tol=1e-9):
                    self.limited_s[flow] += held_s
            self.env.step()

    def held(self) -> list[tuple[Flow, float]]:
        """Of each flow that something else than its cell's airtime holds: the share of time that it is not sent in."""
        found = []
        for cell in range(3):
            live = [flow for flow in self.flows if flow.cell == cell and flow.left_bits is None and flow.radio_bps]
            used = {flow: self.medium.rate_bps(flow) / flow.radio_bps * flow.allocation for flow in live}
            full = math.isclose(sum(used.values()), 1.0, rel_tol=1e-9)
            most = max((used[flow] / flow.weight for flow in live), default=0.0)
            for flow in live:
                if isinstance(self.medium, Dedicated):
                    free = math.isclose(used[flow], flow.allocation, rel_tol=1e-9)
                else:
                    free = full and math.isclose(used[flow] / flow.weight, most, rel_tol=1e-9)
                if not free:
                    found.append((flow, 1 - used[flow] / flow.allocation))
        return found


@pytest.mark.parametrize("kind", MEDIA)
@given(st.lists(FLOW, min_size=1, max_size=7), st.lists(CHANGE, max_size=4), st.lists(OUTAGE, max_size=2))
@settings(max_examples=40, deadline=None)
def test_what_holds_a_flow_is_what_its_rates_show(
    kind: str, flows: list[Any], changes: list[Any], links: list[tuple[int, float]]
) -> None:
    env = Environment()
    medium = MEDIA[kind](env)
    watch = Watch(medium, env)

    def start(after: int, *flow: Any) -> Iterator[Event]:
        yield env.timeout(after / 10)
        watch.flows.append(medium.start(*flow))

    def change(after: int, what: str, which: int, radio_bps: float, allocation: float) -> Iterator[Event]:
        yield env.timeout(after / 10 + 0.037)
        if which < len(watch.flows):
            flow = watch.flows[which]
            medium.take_over(flow, flow.cell if what == "radio" else which % 3, radio_bps, allocation)

    def relink(after: int, rate_bps: float) -> Iterator[Event]:
        yield env.timeout(after / 10 + 0.041)
        medium.set_link(rate_bps)

    for flow in flows:
        env.process(start(*flow))
    for one in changes:
        env.process(change(*one))
    for link in links:
        env.process(relink(*link))
    watch.play()
    for flow in watch.flows:
        medium.stop(flow)
        assert flow.held_s == pytest.approx(watch.held_s[flow], rel=1e-6, abs=1e-6)
        assert flow.limited_s == pytest.approx(watch.limited_s[flow], rel=1e-6, abs=1e-6)


def test_a_flow_that_is_alone_is_either_on_the_air_or_held() -> None:
    env = Environment()
    medium = Shared(env, 8e6)
    flow = medium.start(16_000_000, 20e6)
    env.run()
    assert env.now == pytest.approx(2.0)
    assert (flow.airtime_s, flow.held_s) == pytest.approx((0.8, 1.2))


@pytest.mark.parametrize("kind", MEDIA)
def test_a_limit_holds_until_the_backhaul_leaves_less(kind: str) -> None:
    """4 Mbit/s of 20 for a second, by the limit; then 1 Mbit/s for four, by the backhaul."""
    env = Environment()
    medium = MEDIA[kind](env)
    flow = medium.start(8_000_000, 20e6, 0, 1.0, 4e6)
    env.run(until=1.0)
    assert medium.held_s(flow) == pytest.approx((0.8, 0.8))
    medium.set_link(1e6)
    env.run()
    assert env.now == pytest.approx(5.0)
    assert (flow.held_s, flow.limited_s) == pytest.approx((0.8 + 3.8, 0.8))
    assert medium.held_s(flow) == (flow.held_s, flow.limited_s)


def test_waiting_for_the_cell_is_not_being_held() -> None:
    env = Environment()
    medium = Shared(env, 100e6)
    flows = [medium.start(10_000_000, 10e6) for _ in range(3)]
    env.run()
    assert [flow.held_s for flow in flows] == [0.0, 0.0, 0.0]
    assert [flow.airtime_s for flow in flows] == [1.0, 1.0, 1.0]


def test_an_outage_of_the_backhaul_holds_and_one_of_the_cell_does_not() -> None:
    for medium_of in (MEDIA["dedicated"], MEDIA["shared"]):
        for strike, held_s in (("link", 3.0), ("cell", 0.0)):
            env = Environment()
            medium = medium_of(env)
            flow = medium.start(4_000_000, 4e6)
            for at_s, share in ((0.5, 0.0), (3.5, 1.0)):
                env.run(until=at_s)
                medium.set_link(8e6 * share) if strike == "link" else medium.set_capacity(0, share)
            env.run()
            assert env.now == pytest.approx(4.0)
            assert flow.held_s == pytest.approx(held_s)


def test_no_transfer_of_a_run_takes_longer_than_what_its_time_went_to(play: Play) -> None:
    transfers = [row for row in play(LOSSY, "network.backhaul.rate=1 Mbit/s").events if row["kind"] == "transfer"]
    for row in transfers:
        parts_s = [row[name] for name in ("airtime_s", "backhaul_s", "core_s", "latency_s")]
        assert min(parts_s) >= 0
        assert sum(parts_s) <= row["t_s"] - row["start_s"] + 1e-9
        assert row["delivered"] == (row["latency_s"] > 0)
    assert {row["delivered"] for row in transfers} == {True, False}
    assert any(row["backhaul_s"] for row in transfers)


def test_a_trunk_has_no_airtime(play: Play) -> None:
    scheme = "scheme={kind: hierarchical, rounds: 1, edge_rounds: 1, cohort: 4}"
    transfers = [row for row in play(LOSSY, scheme).events if row["kind"] == "transfer"]
    trunks = [row for row in transfers if row["link"].startswith("backhaul-")]
    assert trunks
    for row in trunks:
        assert "airtime_s" not in row
        assert row["latency_s"] == pytest.approx(0.01 if row["delivered"] else 0.0)
