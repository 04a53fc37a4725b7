"""The medium in which flows do not meet: none slows another down."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

from simpy import Environment, Event

from netfed.network.medium import Flow, Medium


class _Service(NamedTuple):
    """How a flow is served for a while.

    Attributes:
        due_s: When its last bit will have left.
        rate_bps: How fast it is.
        left_bits: How many bits had not left at first.
        since_s: When that was.
        held: Share of the time in which it is not on the air because of the backhaul or its limit.
        limited: Whether it is its limit.
    """

    due_s: float
    rate_bps: float
    left_bits: float
    since_s: float
    held: float
    limited: bool


class Dedicated(Medium):
    """Every flow goes as fast as its radio and the backhaul let it, as if it were alone."""

    def __init__(self, env: Environment, backhaul_bps: float, cells: int = 1) -> None:
        super().__init__(env, backhaul_bps, cells)
        self._capacity = [1.0] * cells
        self._live: dict[Flow, _Service] = {}

    def _left_bits(self, flow: Flow, at_s: float) -> float:
        due_s, rate_bps, left_bits, *_ = self._live[flow]
        left_s = due_s - at_s
        return min(left_bits, left_s * rate_bps if rate_bps else left_bits) if left_s > 0 else 0.0

    def rate_bps(self, flow: Flow) -> float:
        """Return how fast a flow is now."""
        return self._live[flow].rate_bps if flow in self._live else 0.0

    def _scale(self, cell: int, capacity: float) -> None:
        self._capacity[cell] = capacity
        self._serve_anew([flow for flow in self._live if flow.cell == cell])

    def _set_link(self, rate_bps: float, link: int) -> None:
        self._backhaul_bps = rate_bps
        self._serve_anew(list(self._live))

    def _serve_anew(self, flows: list[Flow]) -> None:
        for flow in flows:
            left_bits = self.left_bits(flow)
            self._count_held(flow)
            self._join(flow, left_bits)

    def _join(self, flow: Flow, left_bits: float) -> None:
        now_s, free_bps = self._env.now, flow.carrier_bps * self._capacity[flow.cell]
        rate_bps = min(free_bps, self._backhaul_bps, flow.most_bps)
        left_s = left_bits / rate_bps if rate_bps else math.inf
        held = 1 - rate_bps / flow.radio_bps if rate_bps < free_bps else 0.0
        limited = flow.most_bps <= self._backhaul_bps
        self._live[flow] = service = _Service(now_s + left_s, rate_bps, left_bits, now_s, held, limited)
        if left_s < math.inf:
            self._env.timeout(left_s).callbacks.append(partial(self._when_due, flow, service))

    def _leave(self, flow: Flow) -> None:
        self._count_held(flow)
        del self._live[flow]

    def held_s(self, flow: Flow) -> tuple[float, float]:
        """Return for how long a flow has not been on the air because it was held: in all, and by its limit."""
        if flow.left_bits is not None:
            return flow.held_s, flow.limited_s
        service = self._live[flow]
        held_s = service.held * (self._env.now - service.since_s)
        return flow.held_s + held_s, flow.limited_s + (held_s if service.limited else 0.0)

    def _count_held(self, flow: Flow) -> None:
        flow.held_s, flow.limited_s = self.held_s(flow)

    def _share(self, *cells: int) -> None:
        """Nothing is shared."""

    def _when_due(self, flow: Flow, service: _Service, _: Event) -> None:
        if self._live.get(flow) is service:
            self._look_back()
            self._leave(flow)
            self._finish(flow)
