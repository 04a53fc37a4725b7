from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.errors import SimulationError
from netfed.network.mobility.handover import Handover, RadioLinkFailure
from netfed.network.mobility.serving import Changes, ServingCells
from netfed.plugin import read, write
from netfed.streams import Streams

ONE = np.array([0])
SITES_M = np.array([0.0, 1000.0, 2000.0])
EXPONENT, SPEED_M_PER_S = 3.5, 25.0


def rsrp_dbm(place_m: float | np.ndarray) -> np.ndarray:
    """Log-distance path loss from three cells on a line; devices pass 10 m beside them. [device, cell]"""
    distance_m = np.hypot(np.atleast_1d(place_m)[:, None] - SITES_M, 10.0)
    return -30.0 - 10 * EXPONENT * np.log10(distance_m)


def crossing_m(margin_db: float) -> float:
    """Where the second cell is better than the first by a margin: d1 = r d2 with r = 10 ** (margin / (10 n))."""
    ratio = 10 ** (margin_db / (10 * EXPONENT))
    # (x**2 + 10**2) = r**2 ((1000 - x)**2 + 10**2), the solution between the two cells
    a, b, c = 1 - ratio**2, 2000 * ratio**2, 100 - ratio**2 * (1e6 + 100)
    return 500.0 if ratio == 1 else (-b + math.sqrt(b * b - 4 * a * c)) / (2 * a)


def drive(handover: Handover, interval_s: float, until_s: float = 80.0) -> list[tuple[float, int, int]]:
    """Return when a device that drives past the three cells changes, from which and to which."""
    serving = ServingCells(handover, 1, 3)
    assert serving.attach(0.0, ONE, rsrp_dbm(0.0)) == [0]
    found = []
    for sample in range(1, round(until_s / interval_s)):
        now_s = sample * interval_s
        changes = serving.update(now_s, ONE, rsrp_dbm(SPEED_M_PER_S * now_s))
        found += [(now_s, *pair) for pair in zip(changes.source.tolist(), changes.target.tolist(), strict=True)]
    return found


@pytest.mark.parametrize("offset", [0.0, 2.0])
@pytest.mark.parametrize("hysteresis", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("time_to_trigger", [0.0, 0.64, 2.56])
def test_hands_over_where_event_a3_says(offset: float, hysteresis: float, time_to_trigger: float) -> None:
    handover = Handover(offset=offset, hysteresis=hysteresis, time_to_trigger=time_to_trigger, failure=None)
    interval_s = handover.interval_s(0.05)
    changes = drive(handover, interval_s)
    assert [pair for _, *pair in changes] == [[0, 1], [1, 2]]
    for (when_s, _, _), cell_m in zip(changes, (0.0, 1000.0), strict=True):
        met_s = (cell_m + crossing_m(offset + hysteresis)) / SPEED_M_PER_S
        assert met_s + time_to_trigger - 1e-6 <= when_s < met_s + time_to_trigger + interval_s + 1e-6


@given(st.floats(0.02, 3.0), st.just(0.0) | st.floats(0.001, 3.0))
@settings(max_examples=40, deadline=None)
def test_is_never_early_and_no_later_than_it_says(interval_s: float, time_to_trigger: float) -> None:
    due_s = crossing_m(3.0) / SPEED_M_PER_S + time_to_trigger
    (when_s, _, _), *_ = drive(Handover(time_to_trigger=time_to_trigger, failure=None), interval_s)
    assert due_s - 1e-5 <= when_s < due_s + 2 * interval_s + 1e-5


@given(st.floats(0.001, 10), st.just(0.0) | st.floats(0.001, 10))
def test_the_time_to_trigger_is_a_multiple_of_the_interval(most_s: float, time_to_trigger: float) -> None:
    interval_s = Handover(time_to_trigger=time_to_trigger).interval_s(most_s)
    assert 0 < interval_s <= most_s
    assert time_to_trigger / interval_s == pytest.approx(round(time_to_trigger / interval_s), abs=1e-6)


def test_a_break_starts_the_time_to_trigger_anew() -> None:
    serving = ServingCells(Handover(hysteresis=3.0, time_to_trigger=2.0), 1, 2)
    serving.attach(0.0, ONE, np.array([[0.0, -9.0]]))
    better, worse = np.array([[0.0, 3.1]]), np.array([[0.0, 3.0]])
    for now_s, sample in enumerate([better, better, worse, better, better], start=1):
        assert not len(serving.update(now_s, ONE, sample).ids)
    assert serving.update(6.0, ONE, better).target == [1]


def test_a_cell_must_be_better_all_the_time_and_not_just_any() -> None:
    serving = ServingCells(Handover(hysteresis=0.0, time_to_trigger=2.0), 1, 3)
    serving.attach(0.0, ONE, np.array([[0.0, -9.0, -9.0]]))
    samples = [[0, 5, 4], [0, -1, 5], [0, 9, 5]]
    answers = [serving.update(now_s, ONE, np.array([sample], float)) for now_s, sample in enumerate(samples, start=1)]
    assert [change.target.tolist() for change in answers] == [[], [], [2]]


def test_the_time_to_trigger_starts_anew_at_a_new_cell() -> None:
    serving = ServingCells(Handover(hysteresis=0.0, time_to_trigger=2.0), 1, 3)
    serving.attach(0.0, ONE, np.array([[0.0, -9.0, -9.0]]))
    samples = [[0, 5, -1], *[[0, 5, 6]] * 5]
    answers = [serving.update(now_s, ONE, np.array([sample], float)) for now_s, sample in enumerate(samples, start=1)]
    assert [change.target.tolist() for change in answers] == [[], [], [1], [], [], [2]]


def ping_pongs(hysteresis: float) -> int:
    """Count changes of 200 devices between two cells that are alike but for shadowing, which comes and goes."""
    devices, ids = 200, np.arange(200)
    serving = ServingCells(Handover(hysteresis=hysteresis, time_to_trigger=0.4, failure=None), devices, 2)
    streams = Streams(1)
    ripple = 4 * streams.normal("test", np.arange(devices * 2).reshape(devices, 2))
    serving.attach(0.0, ids, ripple)
    count = 0
    for sample in range(1, 200):
        ripple = 0.95 * ripple + 4 * math.sqrt(1 - 0.95**2) * streams.normal(
            "test", np.arange(devices * 2).reshape(devices, 2), sample
        )
        count += len(serving.update(0.2 * sample, ids, ripple).ids)
    return count


def test_ping_pong_falls_as_hysteresis_grows() -> None:
    counts = [ping_pongs(hysteresis) for hysteresis in (0.0, 1.0, 2.0, 4.0, 8.0)]
    assert all(more > 1.2 * fewer for more, fewer in pairwise(counts))
    assert counts[-1] > 0


def test_nothing_is_measured_between_cells() -> None:
    serving = ServingCells(Handover(hysteresis=0.0, time_to_trigger=0.0, interruption=0.5), 1, 2)
    serving.attach(0.0, ONE, np.array([[0.0, -1.0]]))
    first = serving.update(1.0, ONE, np.array([[0.0, 1.0]]))
    assert (first.source, first.target, first.failed, first.until_s) == ([0], [1], [False], [1.5])
    assert serving.cell(ONE) == [1]
    assert not len(serving.update(1.4, ONE, np.array([[5.0, 1.0]])).ids)
    assert serving.update(1.5, ONE, np.array([[5.0, 1.0]])).target == [0]


def sinr(serving: ServingCells, now_s: float, sinr_db: float) -> Changes:
    return serving.update(now_s, ONE, np.array([[0.0, 1.0]]), np.array([sinr_db]))


def test_a_link_that_fails_for_long_is_lost_and_comes_back_at_the_strongest_cell() -> None:
    failure = RadioLinkFailure(out_of_sync=-8.0, in_sync=-6.0, after=2.0, reestablishment=0.3)
    serving = ServingCells(Handover(hysteresis=3.0, failure=failure), 1, 2)
    serving.attach(0.0, ONE, np.array([[0.0, -1.0]]))
    for now_s, sinr_db in enumerate([-8.1, -8.1, -5.9, -8.1, -7.0, -8.0], start=1):
        change = sinr(serving, now_s, sinr_db)
        assert bool(len(change.ids)) == (now_s == 6)  # -7 and -8 dB end no failure that has begun
    assert (change.source, change.target, change.failed, change.until_s) == ([0], [1], [True], [6.3])
    assert not len(sinr(serving, 6.2, -20.0).ids)
    assert not len(sinr(serving, 7.0, -20.0).ids)
    assert not len(sinr(serving, 8.9, -20.0).ids)
    assert len(sinr(serving, 9.0, -20.0).ids)


def test_a_failure_may_bring_a_device_back_to_its_cell_and_comes_before_a_handover() -> None:
    serving = ServingCells(Handover(time_to_trigger=0.0, failure=RadioLinkFailure(after=0.0)), 2, 2)
    ids = np.array([0, 1])
    serving.attach(0.0, ids, np.zeros((2, 2)))
    changes = serving.update(1.0, ids, np.array([[0.0, -5.0], [0.0, 5.0]]), np.array([-9.0, -9.0]))
    assert changes.target.tolist() == [0, 1]
    assert changes.failed.all()


def test_no_link_fails_if_the_scenario_says_so() -> None:
    serving = ServingCells(Handover(failure=None), 1, 2)
    serving.attach(0.0, ONE, np.zeros((1, 2)))
    assert not any(len(sinr(serving, now_s, -50.0).ids) for now_s in range(1, 20))


@pytest.mark.parametrize("interval_s", [0.1, 0.2, 0.4])
def test_the_filter_is_as_fast_however_often_samples_are_taken(interval_s: float) -> None:
    serving = ServingCells(Handover(hysteresis=0.0, time_to_trigger=0.0, filter_coefficient=8), 1, 2)
    serving.attach(0.0, ONE, np.array([[0.0, -10.0]]))
    for sample in range(1, 100):
        if len(serving.update(sample * interval_s, ONE, np.array([[0.0, 10.0]])).ids):
            break
    # a = 1/4 each 0.2 s: -10 dB has come up to 0 dB when 0.75 ** (t / 0.2) = 1/2
    due_s = 0.2 * math.log(0.5) / math.log(0.75)
    assert due_s <= sample * interval_s < due_s + interval_s


def test_the_first_sample_of_a_filter_counts_in_full() -> None:
    serving = ServingCells(Handover(hysteresis=3.0, time_to_trigger=0.0, filter_coefficient=4), 1, 2)
    serving.attach(0.0, ONE, np.array([[-100.0, -110.0]]))
    assert not len(serving.update(0.2, ONE, np.array([[-100.0, -95.0]])).ids)  # half-way: -102.5 dBm
    assert len(serving.update(0.4, ONE, np.array([[-100.0, -92.0]])).ids) == 0  # -97.25 dBm: not by more than 3 dB
    assert len(serving.update(0.6, ONE, np.array([[-100.0, -92.0]])).ids) == 1


def test_many_devices_are_as_each_alone() -> None:
    handover = Handover(time_to_trigger=1.0, hysteresis=1.0)
    ids, streams = np.arange(40), Streams(3)

    def sample(now_s: int) -> np.ndarray:
        return 8 * streams.normal("test", np.arange(200).reshape(40, 5), now_s // 2)

    together = ServingCells(handover, 1000, 5)
    together.attach(0.0, ids, sample(0))
    alone = [ServingCells(handover, 1000, 5) for _ in ids]
    for device in ids:
        alone[device].attach(0.0, ids[[device]], sample(0)[[device]])
    changed = 0
    for now_s in range(1, 12):
        quality = np.linspace(-12, 0, 40)
        changes = together.update(now_s, ids, sample(now_s), quality)
        changed += len(changes.ids)
        for device in ids:
            own = alone[device].update(now_s, ids[[device]], sample(now_s)[[device]], quality[[device]])
            its = changes.ids == device
            assert own.target.tolist() == changes.target[its].tolist()
            assert own.failed.tolist() == changes.failed[its].tolist()
    assert changed > 40


def test_who_is_idle_has_no_cell_and_starts_afresh() -> None:
    serving = ServingCells(Handover(), 5, 2)
    serving.attach(0.0, np.array([2, 4]), np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert serving.cell(np.array([4, 2])).tolist() == [0, 1]
    serving.release(np.array([2]))
    with pytest.raises(SimulationError, match="device 2 has no record: it is not active"):
        serving.cell(np.array([2]))
    assert serving.attach(9.0, np.array([2]), np.array([[5.0, 1.0]])).tolist() == [0]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"hysteresis": 16.0}, "hysteresis must be from 0 to 15 dB"),
        ({"offset": 16.0}, "offset must be from -15 to 15 dB"),
        ({"offset": -4.0}, r"offset \+ hysteresis must be 0 dB or more"),
    ],
)
def test_what_cannot_be_is_refused(keys: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Handover(**keys)
    with pytest.raises(ValueError, match="in_sync must be no less than out_of_sync"):
        RadioLinkFailure(out_of_sync=-5.0)


def test_a_scenario_writes_it_with_units() -> None:
    keys = {"offset": "-1 dB", "time_to_trigger": "160 ms", "failure": {"out_of_sync": "-10 dB"}}
    handover = read(Handover, keys)
    assert (handover.offset, handover.time_to_trigger) == (-1.0, 0.16)
    assert read(Handover, write(handover)) == handover
    assert read(Handover, {"failure": None}).failure is None
