"""Arrivals that wait, and who waits for them."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from simpy import Environment

from netfed.errors import SimulationError
from netfed.inbox import Inbox


def taken(env: Environment, inbox: Inbox, count: int) -> list[tuple[float, Any]]:
    """What somebody gets who takes so many, and when."""
    log: list[tuple[float, Any]] = []

    def take() -> Generator[Any, Any, None]:
        for _ in range(count):
            arrival = yield inbox.get()
            log.append((env.now, arrival))

    env.process(take())
    return log


def test_arrivals_are_taken_in_the_order_in_which_they_came_and_once() -> None:
    env = Environment()
    inbox = Inbox(env)
    inbox.put("early")
    log = taken(env, inbox, 3)
    for delay_s, name in ((1.0, "a"), (2.0, "b"), (2.0, "left")):
        env.timeout(delay_s).callbacks.append(lambda _, name=name: inbox.put(name))
    env.run()
    assert log == [(0.0, "early"), (1.0, "a"), (2.0, "b")]
    assert inbox.items == ["left"]


def test_a_wait_that_is_cut_short_brings_nothing_and_takes_nothing() -> None:
    env = Environment()
    inbox = Inbox(env)
    log: list[tuple[float, Any]] = []
    wait = inbox.get()
    wait.callbacks.append(lambda event: log.append((env.now, event.value)))
    for delay_s in (1.0, 3.0):
        env.timeout(delay_s).callbacks.append(lambda _: inbox.cut_short(wait))
    env.timeout(2.0).callbacks.append(lambda _: inbox.put("late"))
    env.run()
    assert log == [(1.0, None)]
    assert inbox.items == ["late"]


def test_two_cannot_wait_at_one_inbox() -> None:
    inbox = Inbox(Environment())
    inbox.get()
    with pytest.raises(SimulationError, match="two wait for arrivals at one inbox"):
        inbox.get()
