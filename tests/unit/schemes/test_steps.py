from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pytest
from simpy import Environment, Interrupt, Process

from netfed.inbox import Inbox
from netfed.schemes.steps import Settled, collect, dismiss, round_end, shares


@dataclass(frozen=True)
class Model:
    version: int = 0


@dataclass(frozen=True)
class Arrival:
    device: str
    model: Model = Model()


class Server:
    """As much of a simulation as the steps know."""

    def __init__(self) -> None:
        self.env = Environment()
        self.acknowledged: list[str] = []
        self.lost: list[tuple[str, str]] = []

    def acknowledge(self, arrival: Arrival) -> None:
        self.acknowledged.append(arrival.device)

    def lose(self, device: str, version: int, cause: str) -> None:
        self.lost.append((device, cause))


@pytest.fixture
def server() -> Server:
    return Server()


def client(server: Server, inbox: Inbox, name: str, after_s: float) -> Process:
    """Arrives after a time; if it is interrupted, says why."""

    def participation() -> Generator[Any, Any, None]:
        try:
            yield server.env.timeout(after_s)
            inbox.put(Arrival(name))
        except Interrupt as interrupt:
            server.lose(name, 0, str(interrupt.cause))

    return server.env.process(participation())


def finish(server: Server, process: Generator[Any, Any, Any]) -> Any:
    return server.env.run(server.env.process(process))


def test_settled_happens_after_everything_else_at_its_instant(server: Server) -> None:
    env, order = server.env, []

    def note(name: str) -> Any:
        return lambda _: order.append(name)

    def chain(links: int) -> Generator[Any, Any, None]:
        for _ in range(links):
            yield env.timeout(0)
        order.append("chain")

    Settled(env).callbacks.append(note("settled"))
    env.timeout(0).callbacks.append(note("timeout"))
    env.event().succeed().callbacks.append(note("event"))
    env.process(chain(5))
    env.timeout(1e-12).callbacks.append(note("later"))
    env.run()
    assert order == ["timeout", "event", "chain", "settled", "later"]


def test_collect_waits_for_its_goal_and_leaves_the_rest(server: Server) -> None:
    inbox = Inbox(server.env)
    for name, after_s in (("a", 3.0), ("b", 1.0), ("c", 2.0)):
        client(server, inbox, name, after_s)
    arrivals = finish(server, collect(server, inbox, 2))
    assert [arrival.device for arrival in arrivals] == server.acknowledged == ["b", "c"]
    assert server.env.now == 2.0
    server.env.run()
    assert [arrival.device for arrival in inbox.items] == ["a"]


def test_collect_is_cut_short_and_takes_nothing_that_comes_later(server: Server) -> None:
    inbox = Inbox(server.env)
    client(server, inbox, "a", 1.0)
    client(server, inbox, "late", 3.0)
    arrivals = finish(server, collect(server, inbox, 2, until=server.env.timeout(2.0)))
    assert [arrival.device for arrival in arrivals] == ["a"]
    server.env.run()
    assert [arrival.device for arrival in inbox.items] == ["late"], "a wait that was cut short must not take it"
    assert server.acknowledged == ["a"]


def test_collect_takes_what_comes_at_the_instant_of_the_cut(server: Server) -> None:
    inbox = Inbox(server.env)
    for name in ("a", "b"):
        client(server, inbox, name, 2.0)
    server.env.run(until=1.0)
    arrivals = finish(server, collect(server, inbox, 3, until=server.env.timeout(1.0)))
    assert [arrival.device for arrival in arrivals] == ["a", "b"]
    assert server.env.now == 2.0


def test_collect_after_the_cut_takes_what_is_there(server: Server) -> None:
    inbox = Inbox(server.env)
    for name, after_s in (("a", 1.0), ("late", 9.0)):
        client(server, inbox, name, after_s)
    cut = server.env.timeout(2.0)
    server.env.run(cut)
    arrivals = finish(server, collect(server, inbox, 2, until=cut))
    assert [arrival.device for arrival in arrivals] == ["a"]
    assert server.env.now == 2.0


def test_what_would_have_cut_one_wait_short_does_not_cut_the_next(server: Server) -> None:
    inbox = Inbox(server.env)
    for name, after_s in (("a", 1.0), ("b", 3.0)):
        client(server, inbox, name, after_s)
    finish(server, collect(server, inbox, 1, until=server.env.timeout(2.0)))
    arrivals = finish(server, collect(server, inbox, 1, until=server.env.timeout(9.0)))
    assert [arrival.device for arrival in arrivals] == ["b"]
    assert server.env.now == 3.0


def test_collect_of_nothing_takes_no_time(server: Server) -> None:
    cut = server.env.timeout(1.0)
    assert finish(server, collect(server, Inbox(server.env), 0, until=cut)) == []
    assert server.env.now == 0
    server.env.run()  # the cut comes when nobody waits


@pytest.mark.parametrize(("deadline_s", "end_s"), [(None, 3.0), (5.0, 3.0), (2.0, 2.0)])
def test_a_round_ends_with_its_last_client_or_at_its_deadline(
    server: Server, deadline_s: float | None, end_s: float
) -> None:
    inbox = Inbox(server.env)
    clients = [client(server, inbox, "a", 1.0), client(server, inbox, "b", 3.0)]
    server.env.run(round_end(server, clients, deadline_s))
    assert server.env.now == end_s
    server.env.run()  # whichever comes second does no harm


def test_a_round_without_clients_ends_at_once(server: Server) -> None:
    server.env.run(round_end(server, [], 5.0))
    assert server.env.now == 0


def test_dismissed_clients_are_interrupted_and_what_has_come_is_turned_away(server: Server) -> None:
    inbox = Inbox(server.env)
    clients = [client(server, inbox, name, after_s) for name, after_s in (("a", 1.0), ("b", 1.0), ("c", 9.0))]

    def serve() -> Generator[Any, Any, None]:
        yield from collect(server, inbox, 1)
        yield from dismiss(server, clients, inbox, "late")

    finish(server, serve())
    assert server.env.now == 1.0
    assert server.acknowledged == ["a"]
    assert sorted(server.lost) == [("b", "late"), ("c", "late")]
    assert inbox.items == []
    assert not any(process.is_alive for process in clients)


def test_shares_add_up_to_one_and_keep_proportions() -> None:
    assert shares([1, 3]) == [0.25, 0.75]
    assert shares([]) == []
    assert abs(sum(shares([0.1] * 7)) - 1) < 1e-15
