"""Steps that several schemes take."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from simpy import Event, Interrupt
from simpy.events import EventPriority

if TYPE_CHECKING:
    from simpy import Environment, Process

    from netfed.client import Arrival
    from netfed.inbox import Inbox
    from netfed.network.population import Device
    from netfed.simulation import Simulation

_LAST = EventPriority(2)  # after SimPy's URGENT (0) and NORMAL (1)


class Server(Protocol):
    """Who takes the steps: the cloud (`Simulation`), or a base station (`Edge`)."""

    env: Environment

    def acknowledge(self, arrival: Arrival) -> None: ...

    def lose(self, device: Device, version: int, cause: str) -> None: ...


class Settled(Event):
    """Happens at the present instant, after everything else that happens at it."""

    def __init__(self, env: Environment) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        env.schedule(self, priority=_LAST)


def round_end(server: Server, clients: Sequence[Process], deadline_s: float | None = None) -> Event:
    """Return an event that happens once no client is left, or at the deadline if that comes first.

    A plain event: SimPy's conditions let go of the conditions that they are made of, which then never happen.
    """
    end = server.env.event()

    def tell(_: Event) -> None:
        if not end.triggered:
            end.succeed()

    server.env.all_of(clients).callbacks.append(tell)
    if deadline_s is not None:
        server.env.timeout(deadline_s).callbacks.append(tell)
    return end


def collect(server: Server, inbox: Inbox, goal: int, until: Event | None = None) -> Generator[Any, Any, list[Arrival]]:
    """Wait for ``goal`` arrivals, or until an event cuts the wait short; acknowledge and return what has come.

    The event ends the last wait itself: conditions, ``get | until``, would be one more event for every arrival.
    """
    arrivals: list[Arrival] = []
    wait: Event
    if goal and until is not None and not until.processed:
        until.callbacks.append(lambda _: inbox.cut_short(wait))
    while len(arrivals) < goal and (until is None or not until.processed or inbox.items):
        wait = inbox.get()
        arrival: Arrival | None = yield wait
        if arrival is None:
            break
        server.acknowledge(arrival)
        arrivals.append(arrival)
    return arrivals


def dismiss(server: Server, clients: Iterable[Process], inbox: Inbox, cause: str) -> Generator[Any, Any, None]:
    """Send clients home: interrupt those at work, turn away what has come since.

    An interrupt is itself an event: it must land before anyone reads, or doomed work is trained.
    """
    for client in clients:
        if client.is_alive:
            client.interrupt(cause)
    yield Settled(server.env)
    for arrival in inbox.items:
        server.lose(arrival.device, arrival.model.version, cause)
    inbox.items.clear()


def keep_busy(sim: Simulation, inbox: Inbox) -> Generator[Any, Any, None]:
    """Start one client after another, each on the model of its moment; interrupted, send home the one at work."""
    client = None
    try:
        while True:
            devices = yield from sim.select(1, sim.tally["selected"])
            for device in sim.participants(devices):
                client = sim.start(device, inbox)
                yield client
            yield Settled(sim.env)  # what has arrived by now is aggregated before the next client starts
    except Interrupt as end:
        if client is not None and client.is_alive:
            client.interrupt(end.cause)


def shares(amounts: Sequence[float]) -> list[float]:
    """Return each amount as a share of their sum."""
    total = sum(amounts)
    return [amount / total for amount in amounts]
