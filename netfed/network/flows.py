"""The medium in which flows slow each other down: a fluid, whose rates change when a flow starts or ends.

A flow is due on the airtime of its cell, or on the clock of its rate class; a rate class on that airtime, or on the
backhaul's level; and these in real time (`virtual_time`, `cell`, `sharing`). A start or an end costs the logarithm of
the number of flows, and one look at each cell where the backhaul is full.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count

from simpy import Environment, Event
from simpy.events import Timeout

from netfed.network.filling import Mesh
from netfed.network.medium import Flow, Medium
from netfed.network.rate_class import RateClass, fine
from netfed.network.sharing import Backhaul, Sharing
from netfed.network.virtual_time import SAME_INSTANT_ULP, VirtualClock


class Shared(Medium):
    """Cells that share their airtime under a backhaul that is shared too: `sharing` says who gets which rate.

    A wake-up is pending at the next finish or before it: one that comes too early, for flows that start put others
    off, sees to the next one.
    """

    def __init__(self, env: Environment, backhaul_bps: float, cells: int = 1) -> None:
        super().__init__(env, backhaul_bps, cells)
        self._sharing: Sharing = Backhaul(backhaul_bps, cells)
        self._waiting: VirtualClock[Flow] = VirtualClock()  # stands still, for flows that have no service
        self._live: dict[Flow, tuple[int, int]] = {}  # its place in line, its weight
        self._order = count()
        self._wakeups_s = [math.inf]  # when the pending ones are, the next one last

    def _left_bits(self, flow: Flow, at_s: float) -> float:
        _, weight = self._live[flow]
        if flow.radio_bps > 0:
            left_bits = self._sharing.cells[flow.cell].left_bits(flow, weight, at_s)
        else:
            left_bits = self._waiting.due(flow)
        return min(float(flow.bits), max(0.0, left_bits))

    def rate_bps(self, flow: Flow) -> float:
        """Return how fast a flow is now."""
        if flow not in self._live or not flow.radio_bps:
            return 0.0
        return self._sharing.cells[flow.cell].rate_bps(flow, self._live[flow][1])

    def held_s(self, flow: Flow) -> tuple[float, float]:
        """Return for how long a flow has not been on the air because it was held: in all, and by its limit."""
        if flow not in self._live or not flow.radio_bps:
            return flow.held_s, flow.limited_s
        return self._sharing.cells[flow.cell].held_s(flow, self._live[flow][1], self._env.now)

    def _scale(self, cell: int, capacity: float) -> None:
        self._sharing.cells[cell].set_capacity(capacity)
        self._share(cell)

    def _set_link(self, rate_bps: float, link: int) -> None:
        self._sharing.set_rate(link, rate_bps)
        self._share(0)

    def _join(self, flow: Flow, left_bits: float) -> None:
        weight = fine(flow.weight)
        if flow.radio_bps > 0:
            self._sharing.cells[flow.cell].join(flow, left_bits, weight, self._env.now)
        else:
            self._waiting.expect(flow, left_bits)
        self._live[flow] = next(self._order), weight

    def _leave(self, flow: Flow) -> None:
        _, weight = self._live.pop(flow)
        if flow.radio_bps > 0:
            self._sharing.cells[flow.cell].leave(flow, weight, self._env.now)
        else:
            self._waiting.forget(flow)

    def _share(self, *cells: int) -> None:
        now_s = self._env.now
        self._sharing.settle(cells, now_s)
        self._set_wakeup(now_s)

    def _wake(self, wakeup: Event) -> None:
        self._look_back()
        now_s = self._env.now
        self._wakeups_s.pop()
        if finished := self._take_finished(now_s):
            for _, flow in finished:
                self._finish(flow)
            self._sharing.settle(sorted({flow.cell for _, flow in finished}), now_s)
        self._set_wakeup(now_s)

    def _take_finished(self, now_s: float) -> list[tuple[int, Flow]]:
        """Take out the flows that are due, and return them in the order in which they started."""
        finished = []
        last_s = now_s + SAME_INSTANT_ULP * math.ulp(now_s)
        alarms = zip(self._sharing.clocks, self._sharing.alarms_s, strict=True)
        for due in [clock for clock, alarm_s in alarms if alarm_s <= last_s]:
            for first in due.ripe(now_s):
                flow = first.first()[2] if isinstance(first, RateClass) else first
                finished.append((self._live[flow][0], flow))
                self._leave(flow)
        return sorted(finished)

    def _set_wakeup(self, now_s: float) -> None:
        next_s = min(self._sharing.alarms_s)
        if next_s < self._wakeups_s[-1]:
            self._wakeups_s.append(next_s)
            Timeout(self._env, max(0.0, next_s - now_s)).callbacks.append(self._wake)


class Meshed(Shared):
    """Cells that share their airtime under links that some of them share: see `filling`.

    Args:
        env: The clock.
        rates_bps: Of the links.
        routes: The links that each cell's flows go over. [cell]
    """

    def __init__(self, env: Environment, rates_bps: Sequence[float], routes: Sequence[Sequence[int]]) -> None:
        super().__init__(env, math.inf, len(routes))
        self._sharing = Mesh(rates_bps, routes)
