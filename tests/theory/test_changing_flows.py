"""The fluid media against a brute-force reference while everything changes: rates, cells, limits, capacities, links."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simpy import Environment, Event

from netfed.network.flows import Meshed, Shared
from netfed.network.medium import Flow, Medium

NEVER_S = 1e9


@dataclass(frozen=True)
class Change:
    """Of a transfer: from a moment after its start on it goes on in this cell at this rate of its radio.

    On a part of the resource blocks this rate is its limit, too.
    """

    after_s: float
    cell: int
    radio_bps: float
    allocation: float = 1.0


@dataclass(frozen=True)
class Transfer:
    start_s: float
    cell: int
    bits: int
    radio_bps: float
    weight: float = 1.0
    limit_bps: float = math.inf
    patience_s: float = NEVER_S
    allocation: float = 1.0
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class World:
    """Cells, each with the links that it sends over; and when which has another capacity or rate."""

    rates_bps: Sequence[float]  # [link]
    routes: Sequence[Sequence[int]]  # [cell]
    capacities: tuple[tuple[float, int, float], ...] = ()  # (t_s, cell, share)
    outages: tuple[tuple[float, int, float], ...] = ()  # (t_s, link, share of its rate)


@dataclass
class End:
    t_s: float
    left_bits: float
    airtime_s: float


@dataclass
class Played:
    ends: list[End]
    carried_bits: list[float]  # [cell]
    airtime_s: list[float]  # [cell]
    occupied_s: list[float]  # [cell]


# Three media: cells 0 to 2 under one link, cells 3 to 5 under three links that they share, cell 6 under one of its own.

ROUTES = ((0,), (0,), (0,), (1, 2), (1,), (2, 3), (4,))


def play(transfers: Sequence[Transfer], world: World) -> Played:
    """Run transfers through the media."""
    env = Environment()
    star = Shared(env, world.rates_bps[0], 3)
    mesh = Meshed(env, world.rates_bps[1:4], [[link - 1 for link in route] for route in world.routes[3:6]])
    alone = Shared(env, world.rates_bps[4])
    media: list[tuple[Medium, int]] = [(star, cell) for cell in range(3)] + [(mesh, cell) for cell in range(3)]
    media.append((alone, 0))
    links = [(star, 0), (mesh, 0), (mesh, 1), (mesh, 2), (alone, 0)]
    ends: dict[int, End] = {}
    flows: list[Flow] = []

    def client(index: int, transfer: Transfer) -> Generator[Event, Any, None]:
        yield env.timeout(transfer.start_s)
        medium, cell = media[transfer.cell]
        flow = medium.start(
            transfer.bits, transfer.radio_bps, cell, transfer.weight, transfer.limit_bps, transfer.allocation
        )
        flows.append(flow)
        env.process(changes(transfer, flow))
        yield flow.finished | env.timeout(transfer.patience_s)
        ends[index] = End(env.now, flow.medium.stop(flow), flow.airtime_s)

    def changes(transfer: Transfer, flow: Flow) -> Generator[Event, Any, None]:
        for change in transfer.changes:
            yield env.timeout(max(0.0, transfer.start_s + change.after_s - env.now))
            medium, cell = media[change.cell]
            if (medium, cell) == (flow.medium, flow.cell):
                medium.retune(flow, change.radio_bps, change.allocation)
            else:
                medium.take_over(flow, cell, change.radio_bps, change.allocation)

    def weather() -> Generator[Event, Any, None]:
        for t_s, what, index, share in sorted(
            [(t_s, 0, cell, share) for t_s, cell, share in world.capacities]
            + [(t_s, 1, link, share) for t_s, link, share in world.outages],
            key=itemgetter(0),
        ):
            yield env.timeout(max(0.0, t_s - env.now))
            if what == 0:
                medium, cell = media[index]
                medium.set_capacity(cell, share)
            else:
                medium, link = links[index]
                medium.set_link(share * world.rates_bps[index], link)

    env.process(weather())
    for index, transfer in enumerate(transfers):
        env.process(client(index, transfer))
    carried_bits = [0] * len(media)
    while len(ends) < len(transfers):
        env.step()
        before_bits, carried_bits = carried_bits, [medium.carried_bits(cell) for medium, cell in media]
        assert sum(carried_bits) == sum(flow.sent_bits for flow in flows), "a bit has vanished or appeared"
        assert all(now >= before for now, before in zip(carried_bits, before_bits, strict=True))
    airtime_s, occupied_s = (
        [of(medium)[cell] for medium, cell in media] for of in (Medium.airtime_s, Medium.occupied_s)
    )
    return Played([ends[index] for index in range(len(transfers))], list(carried_bits), airtime_s, occupied_s)


# The reference: plain Python, one flow at a time. It shares no code and no formula with the media.


@dataclass
class Live:
    transfer: Transfer
    cell: int
    radio_bps: float
    left_bits: float
    allocation: float
    airtime_s: float = 0.0
    rate_bps: float = 0.0

    def most_bps(self, level: float) -> float:
        limits = [self.transfer.weight * level, self.transfer.limit_bps]
        return min(limits if self.allocation == 1 else [*limits, self.radio_bps])


def fill_cell(flows: list[Live], capacity: float, level: float) -> float:
    """Share a cell's airtime out; who passes a level gives back what it does not use. Return what all send."""
    free, airtime = [flow for flow in flows if flow.radio_bps > 0], capacity
    while free:
        per_weight = max(0.0, airtime) / sum(flow.transfer.weight for flow in free)
        for flow in free:
            flow.rate_bps = flow.transfer.weight * flow.radio_bps / flow.allocation * per_weight
        passing = [flow for flow in free if flow.rate_bps > flow.most_bps(level)]
        if not passing:
            break
        for flow in passing:
            flow.rate_bps = flow.most_bps(level)
            airtime -= flow.rate_bps / flow.radio_bps * flow.allocation
            free.remove(flow)
    return sum(flow.rate_bps for flow in flows)


def fill_links(
    live: list[Live], rates_bps: list[float], routes: Sequence[Sequence[int]], capacity: list[float]
) -> None:
    """Set all rates: raise a level by bisection until a link is full; settle its cells; go on with the others."""
    cells = {cell: [flow for flow in live if flow.cell == cell] for cell in {flow.cell for flow in live}}
    for flow in live:
        flow.rate_bps = 0.0
    rooms, waiting = list(rates_bps), set(cells)

    def level_of(link: int) -> float:
        def sent(level: float) -> float:
            return sum(fill_cell(cells[cell], capacity[cell], level) for cell in waiting if link in routes[cell])

        if sent(math.inf) <= max(0.0, rooms[link]):
            return math.inf
        if rooms[link] <= 0:
            return 0.0
        low, high = 0.0, 2 * max(flow.radio_bps / flow.transfer.weight for flow in live)
        while low < (middle := (low + high) / 2) < high:
            if sent(middle) <= rooms[link]:
                low = middle
            else:
                high = middle
        return low

    while waiting:
        levels = [level_of(link) for link in range(len(rooms))]
        lowest = min(levels)
        link = levels.index(lowest)
        for cell in [cell for cell in waiting if link in routes[cell] or lowest == math.inf]:
            sent = fill_cell(cells[cell], capacity[cell], lowest)
            for each in routes[cell]:
                rooms[each] -= sent
            waiting.remove(cell)


def reference_play(transfers: Sequence[Transfer], world: World) -> Played:
    """Go from one event to the next."""
    todo: list[tuple[float, int, Any]] = []
    for index, transfer in enumerate(transfers):
        todo.append((transfer.start_s, 0, (index, "start")))
        todo += [(transfer.start_s + change.after_s, 1, (index, change)) for change in transfer.changes]
        todo.append((transfer.start_s + transfer.patience_s, 1, (index, "stop")))
    todo += [(t_s, 2, ("cell", cell, share)) for t_s, cell, share in world.capacities]
    todo += [(t_s, 2, ("link", link, share)) for t_s, link, share in world.outages]
    todo.sort(key=lambda event: event[:2])
    capacity, rates_bps = [1.0] * len(world.routes), list(world.rates_bps)
    live: dict[int, Live] = {}
    ends: dict[int, End] = {}
    carried_bits, airtime_s, occupied_s = ([0.0] * len(world.routes) for _ in range(3))
    now_s = 0.0
    while len(ends) < len(transfers):
        fill_links(list(live.values()), rates_bps, world.routes, capacity)
        finishes = [flow.left_bits / flow.rate_bps for flow in live.values() if flow.rate_bps > 0]
        step_s = min([*finishes, todo[0][0] - now_s if todo else math.inf])
        now_s = todo[0][0] if todo and step_s == todo[0][0] - now_s else now_s + step_s
        for index, flow in list(live.items()):
            flow.left_bits -= flow.rate_bps * step_s
            carried_bits[flow.cell] += flow.rate_bps * step_s
            sent_s = flow.rate_bps * step_s / flow.radio_bps if flow.rate_bps else 0.0
            flow.airtime_s += sent_s
            airtime_s[flow.cell] += sent_s
            occupied_s[flow.cell] += sent_s * flow.allocation
            if flow.left_bits <= flow.rate_bps * 1e-13:
                ends[index] = End(now_s, 0.0, live.pop(index).airtime_s)
        while todo and todo[0][0] <= now_s:
            _, _, what = todo.pop(0)
            if what[0] == "cell":
                capacity[what[1]] = what[2]
            elif what[0] == "link":
                rates_bps[what[1]] = what[2] * world.rates_bps[what[1]]
            elif what[1] == "start":
                transfer = transfers[what[0]]
                bits, allocation = float(transfer.bits), transfer.allocation
                live[what[0]] = Live(transfer, transfer.cell, transfer.radio_bps, bits, allocation)
            elif what[0] in live and what[1] == "stop":
                flow = live.pop(what[0])
                ends[what[0]] = End(now_s, flow.left_bits, flow.airtime_s)
            elif what[0] in live:
                flow, change = live[what[0]], what[1]
                flow.cell, flow.radio_bps, flow.allocation = change.cell, change.radio_bps, change.allocation
    return Played([ends[index] for index in range(len(transfers))], carried_bits, airtime_s, occupied_s)


# Moments that no finish falls on: what a flow would send in no time at all may or may not be sent after it.
MOMENTS = st.integers(1, 80).map(lambda count: count * 0.0412345678901)
RADIOS = st.one_of(st.floats(1e6, 2e8), st.sampled_from([1e6, 5e6, 20e6, 20e6, 200e6]))
ALLOCATIONS = st.sampled_from([1.0, 1.0, 1.0, 136 / 273, 0.25, 1 / 66, 1 / 273])
RATES = st.one_of(st.just(math.inf), st.integers(1, 300).map(lambda mbps: mbps * 1e6))


@st.composite
def transfer(draw: st.DrawFn, cells: st.SearchStrategy[int]) -> Transfer:
    changes = draw(st.lists(st.tuples(MOMENTS, cells, st.one_of(RADIOS, st.just(0.0)), ALLOCATIONS), max_size=4))
    last_s = 4.0
    if changes:
        changes.append((last_s, changes[-1][1], draw(RADIOS), draw(ALLOCATIONS)))
    return Transfer(
        start_s=draw(st.floats(0, 2)),
        cell=draw(cells),
        bits=draw(st.integers(1, 40_000_000)),
        radio_bps=draw(RADIOS),
        weight=draw(st.sampled_from([0.5, 1.0, 1.0, 2.0, 3.0])),
        limit_bps=draw(st.sampled_from([math.inf, math.inf, 20e6, 3e6, 1e6])),
        patience_s=draw(st.one_of(st.just(NEVER_S), st.floats(0.001, 3))),
        allocation=draw(ALLOCATIONS),
        changes=tuple(Change(*change) for change in sorted(changes)),
    )


@st.composite
def world(draw: st.DrawFn) -> World:
    rates_bps = draw(st.lists(RATES, min_size=5, max_size=5))
    shares = st.sampled_from([0.0, 0.3, 1.0, 1.7])
    capacities = draw(st.lists(st.tuples(MOMENTS, st.integers(0, 6), shares), max_size=5))
    outages = draw(st.lists(st.tuples(MOMENTS, st.integers(0, 4), st.sampled_from([0.0, 0.5, 1.0])), max_size=4))
    outages = [(t_s, link, share) for t_s, link, share in outages if rates_bps[link] < math.inf]
    capacities += [(5.0, cell, 1.0) for cell in range(7)]
    outages += [(5.0, link, 1.0) for link in range(5) if rates_bps[link] < math.inf]
    return World(rates_bps, ROUTES, tuple(capacities), tuple(outages))


def assert_agrees(transfers: Sequence[Transfer], world: World) -> None:
    ours, theirs = play(transfers, world), reference_play(transfers, world)
    pieces = sum(2 + len(transfer.changes) for transfer in transfers)
    for transfer, our, their in zip(transfers, ours.ends, theirs.ends, strict=True):
        fastest_bps = max([transfer.radio_bps, *(change.radio_bps for change in transfer.changes)])
        tolerance_s = 1e-9 * max(1.0, their.t_s)
        assert abs(our.t_s - their.t_s) <= tolerance_s
        assert abs(our.left_bits - their.left_bits) <= tolerance_s * fastest_bps
        assert abs(our.airtime_s - their.airtime_s) <= tolerance_s + 1e-6 * (1 + len(transfer.changes))
    for cell in range(len(ROUTES)):
        assert ours.airtime_s[cell] == pytest.approx(theirs.airtime_s[cell], abs=1e-5 * pieces)
        assert ours.occupied_s[cell] == pytest.approx(theirs.occupied_s[cell], abs=1e-5 * pieces)
    for our_bits, their_bits in zip(ours.carried_bits, theirs.carried_bits, strict=True):
        assert abs(our_bits - their_bits) <= 1 + pieces


CROWDS = {
    "everywhere": st.integers(0, 6),
    "one cell": st.just(0),
    "one backhaul": st.integers(0, 2),
    "a graph": st.integers(3, 5),
    "two media": st.sampled_from([0, 4]),
}


@pytest.mark.parametrize("crowd", CROWDS)
def test_agrees_with_brute_force(crowd: str) -> None:
    @given(st.lists(transfer(CROWDS[crowd]), min_size=1, max_size=14), world())
    @settings(max_examples=80, deadline=None)
    def agrees(transfers: list[Transfer], world: World) -> None:
        assert_agrees(transfers, world)

    agrees()


def test_nobody_free_but_the_one_with_the_most_airtime() -> None:
    """The first flow is at its limit, the second at the backhaul's level: as that rises, the second is free first."""
    flows = [
        Transfer(0.0, 0, 4123, 2000051.0, 0.5, limit_bps=1e6),
        Transfer(0.0, 0, 458, 11371294.0, 0.5, limit_bps=20e6),
        Transfer(0.0, 0, 103, 102333726.0, 0.5),
        *[Transfer(0.0, 0, 1, 1e6, 0.5)] * 9,
    ]
    assert_agrees(flows, World((12e6, *[math.inf] * 4), ROUTES))
