from __future__ import annotations

import math

import pytest

from netfed.network.virtual_time import VirtualClock


def running(rate: float, now_s: float = 0.0) -> VirtualClock[str]:
    clock: VirtualClock[str] = VirtualClock()
    clock.follow(None, rate, now_s)
    return clock


def test_goes_on_from_where_it_was_at_another_rate() -> None:
    clock = running(2.0)
    clock.expect("flow", 10.0)
    assert clock.read(3.0) == 6.0
    assert clock.alarm() == 5.0
    clock.follow(None, 0.5, 3.0)
    assert clock.read(3.0) == 6.0
    assert clock.read(5.0) == 7.0
    assert clock.alarm() == 11.0


def test_starts_from_0_when_nothing_is_due() -> None:
    clock = running(2.0)
    clock.expect("flow", 10.0)
    clock.forget("flow")
    assert clock.alarm() == math.inf
    clock.follow(None, 2.0, 1e9)
    assert clock.read(1e9) == 0.0


def test_a_clock_drives_another() -> None:
    driver, other = running(2.0), running(1.0)
    clock = running(1.0, now_s=1.0)
    clock.expect("flow", 13.0)
    clock.follow(driver, 3.0, 2.0)  # shows 1 while its driver shows 4
    assert clock.read(3.0) == 7.0
    assert clock.alarm() == 8.0  # on its driver
    clock.follow(other, 3.0, 3.0)
    assert clock.read(3.0) == 7.0
    assert clock.alarm() == 5.0


def test_what_was_put_off_or_forgotten_is_not_due() -> None:
    clock = running(1.0)
    for item, due in (("put off", 1.0), ("forgotten", 2.0), ("first", 3.0), ("put off", 5.0), ("brought forward", 9.0)):
        clock.expect(item, due)
    clock.forget("forgotten")
    assert clock.first()[0] == clock.alarm() == 3.0
    clock.expect("brought forward", 2.5)
    assert clock.first()[0] == clock.due("brought forward") == 2.5
    for item in ("brought forward", "first"):
        clock.forget(item)
    assert clock.first()[0] == clock.due("put off") == 5.0


def test_ripe_is_what_only_rounding_sets_apart() -> None:
    clock = running(0.1)
    for item, due in (("later", 0.3 + 1e-12), ("twin", 0.1 + 0.2), ("first", 0.3)):
        clock.expect(item, due)
    assert 0.1 + 0.2 != 0.3
    ripe = []
    for item in clock.ripe(clock.alarm()):
        ripe.append(item)
        clock.forget(item)
    assert ripe == ["first", "twin"]


@pytest.mark.parametrize("now_s", [0.0, 2.9])
def test_the_first_is_ripe_even_if_rounding_says_no(now_s: float) -> None:
    clock = running(0.1)
    clock.expect("flow", 0.3)
    assert next(clock.ripe(now_s)) == "flow"


def test_holds_no_more_than_what_is_due() -> None:
    clock = running(1.0)
    for _ in range(10):
        clock.expect("flow", 5.0)
    assert len(clock._heap) == 1
    clock.expect("flow", 4.0)
    clock.forget("flow")
    assert not clock._heap
