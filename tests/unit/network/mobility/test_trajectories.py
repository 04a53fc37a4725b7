from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.network.mobility.spec import Area, GaussMarkov, Manhattan, Mobility, RandomWaypoint, Static
from netfed.network.mobility.trajectories import Trajectories
from netfed.network.mobility.walks import WaypointWalk, mean_distance_m
from netfed.streams import Streams

AREA = Area(-300.0, -200.0, 500.0, 200.0)
MOVING = {
    "waypoint": RandomWaypoint(speed=(1.0, 20.0), pause=15.0),
    "gauss-markov": GaussMarkov(speed=5.0, deviation=3.0, memory=0.8, interval=2.0),
    "manhattan": Manhattan(block=90.0, speed=(2.0, 15.0)),
}
KINDS = pytest.mark.parametrize("mobility", MOVING.values(), ids=MOVING)


def trajectories(mobility: Mobility, devices: int = 100, seed: int = 1, area: Area = AREA) -> Trajectories:
    return mobility.trajectories(np.zeros((devices, 2)), area, Streams(seed))


def many(count: int = 20_000) -> np.ndarray:
    return np.arange(count)


QUESTIONS = st.lists(
    st.tuples(st.lists(st.integers(0, 99), min_size=1, max_size=8), st.floats(0, 2000)), min_size=1, max_size=6
)


@KINDS
@given(questions=QUESTIONS)
@settings(max_examples=25, deadline=None)
def test_an_answer_does_not_depend_on_what_else_was_asked(
    mobility: Mobility, questions: list[tuple[list[int], float]]
) -> None:
    asked = trajectories(mobility)
    for ids, now_s in questions:
        answer = asked.positions_m(ids, now_s)
        for device, place in zip(ids, answer, strict=True):
            assert place.tobytes() == trajectories(mobility).positions_m([device], now_s).tobytes()


@KINDS
def test_each_device_may_be_asked_at_a_time_of_its_own(mobility: Mobility) -> None:
    ids, times_s = np.array([5, 3, 5, 9]), np.array([700.0, 20.0, 10.0, 0.0])
    together = trajectories(mobility).positions_m(ids, times_s)
    alone = [trajectories(mobility).positions_m([who], when)[0] for who, when in zip(ids, times_s, strict=True)]
    assert np.array_equal(together, alone)


@KINDS
def test_another_device_changes_nobody_else_and_another_seed_does(mobility: Mobility) -> None:
    ids = np.arange(50)
    here = trajectories(mobility, 50).positions_m(ids, 333.0)
    assert np.array_equal(here, trajectories(mobility, 5000).positions_m(ids, 333.0))
    assert not np.isclose(here, trajectories(mobility, 50, seed=2).positions_m(ids, 333.0)).all(axis=1).any()


@KINDS
def test_devices_stay_in_the_area_and_move_as_fast_as_they_say(mobility: Mobility) -> None:
    devices, step_s = np.arange(300), 0.01
    asked = trajectories(mobility, 300)
    straight = total = 0
    for now_s in (0.0, 17.3, 250.0, 4000.0):
        places_m = asked.positions_m(devices, now_s)
        assert (places_m >= np.array([AREA.west_m, AREA.south_m]) - 1e-6).all()
        assert (places_m <= np.array([AREA.east_m, AREA.north_m]) + 1e-6).all()
        velocity = asked.velocities_m_per_s(devices, now_s)
        moved_m = asked.positions_m(devices, now_s + step_s) - places_m
        assert (np.hypot(*moved_m.T) <= 21 * step_s).all()
        close = np.isclose(moved_m, velocity * step_s, atol=1e-9).all(axis=1)
        straight, total = straight + close.sum(), total + len(close)
    assert straight / total > 0.98


@KINDS
def test_memory_is_for_those_who_are_asked_for(mobility: Mobility) -> None:
    asked = trajectories(mobility, 1_000_000)
    asked.positions_m(np.arange(0, 1_000_000, 100), 0.0)
    records = asked._latest
    assert records.table.nbytes + records._row.nbytes < 6_000_000


@KINDS
def test_every_moment_is_like_every_other(mobility: Mobility) -> None:
    asked = trajectories(mobility, 20_000)

    def moments(now_s: float) -> np.ndarray:
        places_m = asked.positions_m(many(), now_s)
        speed = np.hypot(*asked.velocities_m_per_s(many(), now_s).T)
        middle_m = np.abs(places_m - [100.0, 0.0])
        return np.array([*middle_m.mean(axis=0), *middle_m.std(axis=0), speed.mean(), speed.std(), (speed == 0).mean()])

    assert moments(0.0) == pytest.approx(moments(500.0), rel=0.025, abs=0.005)


def test_static_devices_stand_where_they_start() -> None:
    start_m = np.arange(10.0).reshape(5, 2)
    standing = Static().trajectories(start_m, AREA, Streams(1))
    assert standing.positions_m([3, 1], 99.0).tolist() == [[6, 7], [2, 3]]
    assert standing.velocities_m_per_s([3, 1], 99.0).tolist() == [[0, 0], [0, 0]]


def test_waypoints_speeds_and_pauses_are_those_of_the_stationary_distribution() -> None:
    mobility = RandomWaypoint(speed=(1.0, 20.0), pause=15.0)
    speed = np.hypot(*trajectories(mobility, 20_000).velocities_m_per_s(many(), 0.0).T)
    leg_s = mean_distance_m(800.0, 400.0) * math.log(20) / 19
    assert (speed == 0).mean() == pytest.approx(15 / (15 + leg_s), rel=0.03)
    assert speed[speed > 0].mean() == pytest.approx(19 / math.log(20), rel=0.02)


def test_the_legs_that_devices_are_found_on_are_long_in_proportion() -> None:
    legs = WaypointWalk(RandomWaypoint(speed=(1.0, 20.0)), AREA, Streams(1)).begin(many())
    length_m = np.abs(legs["velocity_m_per_s"]) * legs["moving_s"]
    mean_square_m2 = (800.0**2 + 400.0**2) / 6  # of the distance of two places drawn uniformly
    assert length_m.mean() == pytest.approx(mean_square_m2 / mean_distance_m(800.0, 400.0), rel=0.01)


def test_one_speed_will_do() -> None:
    speed = np.hypot(*trajectories(RandomWaypoint()).velocities_m_per_s(np.arange(100), 9.0).T)
    assert speed == pytest.approx(3 / 3.6)


def test_mean_distance_of_two_places_in_a_rectangle() -> None:
    assert mean_distance_m(1.0, 1.0) == pytest.approx((2 + math.sqrt(2) + 5 * math.log(1 + math.sqrt(2))) / 15)
    places = Streams(1).uniform("test", np.arange(200_000)[:, None], np.arange(4)) * [3, 1, 3, 1]
    distance = np.hypot(*(places[:, :2] - places[:, 2:]).T)
    assert mean_distance_m(3.0, 1.0) == pytest.approx(distance.mean(), rel=0.01)


def test_gauss_markov_velocities_keep_their_memory() -> None:
    vast = Area(-1e6, -1e6, 1e6, 1e6)
    asked = trajectories(MOVING["gauss-markov"], 20_000, area=vast)
    mean = np.mean([asked.velocities_m_per_s(many(), 2.0 * n + 1) for n in range(40, 140)], axis=0)
    assert np.hypot(*mean.T).mean() == pytest.approx(5.0, rel=0.05)
    turn = Streams(1).uniform("mobility/mean", many()) * 2 * np.pi
    drift = 5.0 * np.stack((np.cos(turn), np.sin(turn)), axis=-1)
    first, second, third = (asked.velocities_m_per_s(many(), now_s) - drift for now_s in (1.0, 3.0, 5.0))
    assert first.std(axis=0) == pytest.approx([3, 3], rel=0.02)
    assert (first * second).mean() == pytest.approx(9 * 0.8, rel=0.03)
    assert (first * third).mean() == pytest.approx(9 * 0.64, rel=0.04)
    assert (first[:, 0] * first[:, 1]).mean() == pytest.approx(0, abs=0.15)


def test_gauss_markov_places_add_up_the_velocities() -> None:
    asked = trajectories(MOVING["gauss-markov"], area=Area(-1e6, -1e6, 1e6, 1e6))
    ids = np.arange(20)
    way_m = sum(2.0 * asked.velocities_m_per_s(ids, 2.0 * n) for n in range(50))
    assert asked.positions_m(ids, 100.0) - asked.positions_m(ids, 0.0) == pytest.approx(way_m)


def test_manhattan_devices_are_on_streets_and_turn_as_often_as_they_should() -> None:
    asked = trajectories(Manhattan(block=90.0, speed=(9.0, 9.0)), 20_000)  # blocks of 10 s; 8 x 4 of them fit
    west_m, south_m = 100 - 4 * 90, -2 * 90
    for now_s in (0.0, 100.0):
        places_m = asked.positions_m(many(), now_s) - [west_m, south_m]
        assert (places_m <= np.array([720, 360]) + 1e-6).all()
        to_street_m = np.abs(places_m - 90 * np.round(places_m / 90)).min(axis=1)
        assert to_street_m.max() < 1e-6
    headings = [asked.velocities_m_per_s(many(), now_s) / 9 for now_s in (100.0, 110.0)]
    inside = ((places_m > 90) & (places_m < [630, 270])).all(axis=1)
    cosine = np.round((headings[0] * headings[1]).sum(axis=1))[inside]
    assert (cosine == 1).mean() == pytest.approx(0.5, abs=0.02)
    assert not (cosine == -1).any()
    turned = np.round(headings[0][:, 0] * headings[1][:, 1] - headings[0][:, 1] * headings[1][:, 0])[inside]
    assert (turned == 1).mean() == pytest.approx(0.25, abs=0.02)


def test_each_manhattan_device_turns_left_as_often_as_right() -> None:
    asked = trajectories(Manhattan(block=90.0, speed=(9.0, 9.0)), 100, area=Area(-9e5, -9e5, 9e5, 9e5))
    headings = np.array([asked.velocities_m_per_s(np.arange(100), 10.0 * n) / 9 for n in range(200)])
    turned = np.round(headings[:-1, :, 0] * headings[1:, :, 1] - headings[:-1, :, 1] * headings[1:, :, 0])
    for way in (-1, 1):
        assert (turned == way).mean(axis=0) == pytest.approx(np.full(100, 0.25), abs=0.15)


def test_an_outer_street_has_half_as_many_devices() -> None:
    places_m = trajectories(Manhattan(block=100.0), 20_000).positions_m(many(), 0.0)
    streets = [(np.abs(places_m[:, 1] - y) < 1e-6).mean() for y in (-200, -100, 0, 100, 200)]
    assert streets == pytest.approx([1 / 16, 1 / 8, 1 / 8, 1 / 8, 1 / 16], abs=0.01)
    west, east = ((np.abs(places_m[:, 0] - x) < 1e-6).mean() for x in (AREA.west_m, AREA.east_m))
    assert (west, east) == pytest.approx((1 / 32, 1 / 32), abs=0.005)


def test_a_block_must_fit() -> None:
    with pytest.raises(ValueError, match=r"no block of 500 m fits the area of 800 m x 400 m"):
        trajectories(Manhattan(block=500.0))


def test_an_area_lies_around_places() -> None:
    assert Area.around(np.array([[0.0, 5.0], [10.0, -5.0]]), 2.0) == Area(-2.0, -7.0, 12.0, 7.0)
    with pytest.raises(ValueError, match="wider and higher than 0 m"):
        Area(0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("kind", "keys", "message"),
    [
        (RandomWaypoint, {"speed": (0.0, 1.0)}, "speed must be two speeds from more than 0 m/s"),
        (RandomWaypoint, {"speed": (2.0, 1.0)}, "the least first"),
        (Manhattan, {"speed": (2.0, 1e9)}, "to 1000 m/s"),
        (Manhattan, {"block": 0.0}, "block must be at least 1 m"),
        (GaussMarkov, {"interval": 0.0}, "interval must be at least 0.1 s"),
    ],
)
def test_what_cannot_be_is_refused(kind: type[Mobility], keys: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**keys)
