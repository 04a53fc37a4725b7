from __future__ import annotations

import math
from itertools import islice

import pytest
from simpy import Environment

from netfed.network.background import Constant, DailyCurve, left
from netfed.network.course import Course, Courses
from netfed.network.dedicated import Dedicated
from netfed.network.flows import Shared
from netfed.network.outages import Random, Scheduled
from netfed.streams import Streams


def test_tells_of_changes_and_skips_those_that_nobody_saw() -> None:
    told: list[float] = []
    course = Course([(0.0, 0.5), (1.0, 0.2), (2.0, 0.9)], told.append)
    course.go_to(0.0)
    course.go_to(0.5)
    course.go_to(3.0)
    assert told == [0.5, 0.9]
    assert course.next_s == math.inf


@pytest.mark.parametrize("make", [Dedicated, Shared])
def test_a_medium_follows_its_courses_while_it_carries_something(make: type[Dedicated] | type[Shared]) -> None:
    env = Environment()
    medium = make(env, math.inf)
    changes = ((second, 0.5 if second % 2 else 1.0) for second in range(10**9))
    Courses.follow(env, medium, [Course(changes, lambda share: medium.set_capacity(0, share))])
    assert env.peek() == math.inf
    env.run(until=10.5)
    env.run(until=medium.start(2_250_000, 1e6).finished)
    assert env.now == 13.5  # half a second at full speed, one at half of it, one in full, half a second at half
    env.run()
    assert env.now < 15.0
    env.run(until=100.0)
    env.run(until=medium.start(1_000_000, 1e6).finished)
    assert env.now == 101.0


def test_nothing_to_follow_costs_nothing() -> None:
    env = Environment()
    medium = Shared(env, math.inf)
    Courses.follow(env, medium, [])
    assert medium.wake is None


def test_shares_that_several_causes_leave_multiply() -> None:
    for make in (Dedicated, Shared):
        medium = make(Environment(), math.inf)
        medium.set_capacity(0, 0.5, "background")
        medium.set_capacity(0, 0.5, "trace")
        flow = medium.start(1000, 1e6)
        assert medium.rate_bps(flow) == pytest.approx(0.25e6)
        medium.set_capacity(0, 1.0, "trace")
        assert medium.rate_bps(flow) == pytest.approx(0.5e6)


def test_background_leaves_the_rest() -> None:
    assert list(Constant(0.25).left()) == [(0.0, 0.75)]


def test_others_take_their_shares_side_by_side() -> None:
    curve = DailyCurve((0.0, 0.5), day=4.0, step=2.0)
    assert list(left([Constant(0.1)])) == [(0.0, 0.9)]
    changes = list(islice(left([Constant(0.1), curve, Constant(0.2)]), 5))
    assert [moment_s for moment_s, _ in changes] == [0.0, 0.0, 0.0, 2.0, 4.0]
    assert [share for _, share in changes[2:]] == pytest.approx([0.45, 0.45, 0.45])
    assert next(islice(left([Constant(0.1), DailyCurve((0.0, 0.5), 4.0, 0.0, 1.0)]), 3, 4)) == (2.0, 0.525)


def test_daily_background_follows_its_curve_in_steps() -> None:
    left = DailyCurve((0.0, 0.8), day=8.0, begins=2.0, step=1.0).left()
    shares = [1.0 - share for _, (_, share) in zip(range(9), left, strict=False)]
    assert shares == pytest.approx([0.5, 0.7, 0.7, 0.5, 0.3, 0.1, 0.1, 0.3, 0.5])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"curve": (0.1,)}, "at least 2"),
        ({"curve": (0.1, 1.0)}, "less than 1"),
        ({"curve": (0.1, 0.2), "step": 0.0}, "step"),
        ({"curve": (0.1, 0.2), "day": 0.0}, "day"),
    ],
)
def test_refuses_a_day_that_makes_no_sense(keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DailyCurve(**keys)
    with pytest.raises(ValueError, match="less than 1"):
        Constant(1.0)


def test_scheduled_outages_begin_and_end() -> None:
    once = Scheduled(start=3.0, duration=2.0, cells="all")
    assert list(once.left(Streams(1), "x", 0)) == [(3.0, 0.0), (5.0, 1.0)]
    often = Scheduled(start=3.0, duration=2.0, every=10.0, links=(("cloud", "a"),)).left(Streams(1), "x", 0)
    assert [next(often) for _ in range(4)] == [(3.0, 0.0), (5.0, 1.0), (13.0, 0.0), (15.0, 1.0)]


def test_an_outage_knows_whom_it_hits() -> None:
    outage = Scheduled(start=0.0, duration=1.0, cells=(2,), links=(("cloud", "a"),))
    assert [outage.hits_cell(cell) for cell in (1, 2)] == [False, True]
    assert [outage.hits_link(link) for link in (("a", "cloud"), ("cloud", "b"))] == [True, False]


def test_random_outages_last_as_long_as_they_should() -> None:
    outages = Random(between=30.0, duration=10.0, cells="all")
    ups, downs = [], []
    for cell in range(300):
        now_s, changes = 0.0, outages.left(Streams(7), "outages-0/cell", cell)
        for _ in range(20):
            for lengths, share in ((ups, 0.0), (downs, 1.0)):
                moment_s, left = next(changes)
                assert left == share
                lengths.append(moment_s - now_s)
                now_s = moment_s
    assert sum(ups) / len(ups) == pytest.approx(30.0, rel=0.05)
    assert sum(downs) / len(downs) == pytest.approx(10.0, rel=0.05)
    assert sum(length > 10.0 for length in downs) / len(downs) == pytest.approx(math.exp(-1), abs=0.02)


@pytest.mark.parametrize(
    "keys",
    [
        {"start": 0.0, "duration": 1.0},
        {"start": 0.0, "duration": 0.0, "cells": "all"},
        {"start": 0.0, "duration": 2.0, "every": 2.0, "cells": "all"},
        {"start": 0.0, "duration": 2.0, "cells": (-1,)},
    ],
)
def test_refuses_outages_that_make_no_sense(keys: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        Scheduled(**keys)
    with pytest.raises(ValueError, match="between"):
        Random(between=0.0, duration=1.0, cells="all")
