"""The medium in which flows slow each other down: a fluid, whose rates change when a flow starts or ends.

A flow is due on the clock of its rate class, a rate class on the airtime of its cell or on the backhaul's level, and
these in real time (`virtual_time`, `cell`, `sharing`). A start or an end costs the logarithm of the number of flows,
and one look at each cell where the backhaul is full.
"""

from __future__ import annotations

import math
from itertools import count

from simpy import Environment, Event
from simpy.events import Timeout

from netfed.network.cell import RateClass, fine
from netfed.network.medium import Flow, Medium, check_flow
from netfed.network.sharing import Backhaul
from netfed.network.virtual_time import SAME_INSTANT_ULP


class Shared(Medium):
    """Cells that share their airtime under a backhaul that is shared too: `sharing` says who gets which rate.

    A wake-up is pending at the next finish or before it: one that comes too early, for flows that start put others
    off, sees to the next one.
    """

    def __init__(self, env: Environment, backhaul_bps: float, cells: int = 1) -> None:
        super().__init__(env, backhaul_bps, cells)
        self._backhaul = Backhaul(backhaul_bps, cells)
        self._live: dict[Flow, tuple[int, RateClass, int]] = {}  # its place in line, rate class, weight
        self._order = count()
        self._wakeups_s = [math.inf]  # when the pending ones are, the next one last

    def start(self, bits: int, radio_bps: float, cell: int = 0, weight: float = 1.0) -> Flow:
        """Set bits on their way; see `Medium.start`."""
        check_flow(bits, radio_bps, weight)
        flow, share, now_s = Flow(bits, cell, Event(self._env)), fine(weight), self._env.now
        rate_class = self._backhaul.cells[cell].join(flow, bits, radio_bps, share, now_s)
        self._live[flow] = next(self._order), rate_class, share
        self._backhaul.settle((cell,), now_s)
        self._set_wakeup(now_s)
        return flow

    def stop(self, flow: Flow) -> float:
        """Take a flow out, if it is still under way, and return how many of its bits had not left."""
        left_bits = self.left_bits(flow)
        if flow.left_bits is None:
            self._leave(flow)
            self._end(flow, left_bits)
            self._backhaul.settle((flow.cell,), self._env.now)
            self._set_wakeup(self._env.now)
        return left_bits

    def left_bits(self, flow: Flow) -> float:
        """Return how many of a flow's bits have not left yet."""
        if flow.left_bits is not None:
            return flow.left_bits
        _, rate_class, weight = self._live[flow]
        left_bits = (rate_class.due(flow) - rate_class.read(self._env.now)) * weight
        return min(float(flow.bits), max(0.0, left_bits))

    def _leave(self, flow: Flow) -> int:
        """Take a flow out, and return its place in line."""
        order, rate_class, weight = self._live.pop(flow)
        self._backhaul.cells[flow.cell].leave(flow, rate_class, weight)
        return order

    def _wake(self, wakeup: Event) -> None:
        now_s = self._env.now
        self._wakeups_s.pop()
        if finished := self._take_finished(now_s):
            for _, flow in finished:
                self._end(flow, 0.0)
                flow.finished.succeed()
            self._backhaul.settle(sorted({flow.cell for _, flow in finished}), now_s)
        self._set_wakeup(now_s)

    def _take_finished(self, now_s: float) -> list[tuple[int, Flow]]:
        """Take out the flows that are due, and return them in the order in which they started."""
        finished = []
        last_s = now_s + SAME_INSTANT_ULP * math.ulp(now_s)
        for clock, alarm_s in zip(self._backhaul.clocks, self._backhaul.alarms_s, strict=True):
            if alarm_s <= last_s:
                for rate_class in clock.ripe(now_s):
                    *_, flow = rate_class.first()
                    finished.append((self._leave(flow), flow))
        return sorted(finished)

    def _set_wakeup(self, now_s: float) -> None:
        next_s = min(self._backhaul.alarms_s)
        if next_s < self._wakeups_s[-1]:
            self._wakeups_s.append(next_s)
            Timeout(self._env, max(0.0, next_s - now_s)).callbacks.append(self._wake)
