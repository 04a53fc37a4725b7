"""What carries bits: flows start, go on elsewhere or at another rate, and finish or are stopped."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from simpy import Environment, Event

from netfed.errors import SimulationError
from netfed.network.counters import CellCounters, MediumSnapshot

if TYPE_CHECKING:
    from netfed.network.meter import Meter


class Finish(Event):
    """Of a flow: its last bit has left, or has arrived."""

    def succeed_after(self, lag_s: float) -> None:
        """Let it happen so much later."""
        self._ok = True
        self._value = None
        self.env.schedule(self, delay=lag_s)


class Flow:
    """Bits of one transfer under way.

    Attributes:
        medium: What carries them.
        cell: Of the medium: whose airtime they use.
        bits: How many there are.
        radio_bps: Rate of the device's radio while it has the cell for itself; 0 while it has no service.
        allocation: Share of the cell's resource blocks that it is on meanwhile, from 0 to 1. Others have the rest at
            the same time; it gets no more than ``radio_bps``, however much of the cell's airtime they leave.
        weight: Share of the cell's airtime, and of the backhaul's rate, relative to other flows.
        limit_bps: What it gets at the most.
        finished: Succeeds when the last one has left, and a lag is over.
        lag_s: How long that is; 0 unless somebody sets it.
        left_bits: How many had not left when the flow ended; None while it is under way.
        ended_s: When that was; inf while it is under way.
        earlier_bits: How many had left when the radio's rate or the cell last changed, or the flow ended: whole ones.
        earlier_s: For how long these were on the air.
        held_s: For how long it was not on the air because the backhaul or its limit held it; once it has ended.
        limited_s: For how long of this its limit did.
    """

    __slots__ = (
        "allocation",
        "bits",
        "cell",
        "earlier_bits",
        "earlier_s",
        "ended_s",
        "finished",
        "held_s",
        "lag_s",
        "left_bits",
        "limit_bps",
        "limited_s",
        "medium",
        "radio_bps",
        "weight",
    )

    def __init__(
        self,
        medium: Medium,
        cell: int,
        bits: int,
        radio_bps: float,
        weight: float,
        limit_bps: float,
        allocation: float,
        finished: Finish,
    ) -> None:
        self.medium = medium
        self.cell = cell
        self.bits = bits
        self.radio_bps = radio_bps
        self.allocation = allocation
        self.weight = weight
        self.limit_bps = limit_bps
        self.finished = finished
        self.lag_s = 0.0
        self.left_bits: float | None = None
        self.ended_s = math.inf
        self.earlier_bits = 0
        self.earlier_s = 0.0
        self.held_s = self.limited_s = 0.0

    @property
    def sent_bits(self) -> int:
        """How many of its bits have left: whole ones."""
        if self.left_bits is not None:
            return self.earlier_bits
        return max(self.earlier_bits, math.floor(self.bits - self.medium.left_bits(self)))

    @property
    def carrier_bps(self) -> float:
        """What its radio would do on all resource blocks of the cell, with as much power on each."""
        return self.radio_bps / self.allocation

    @property
    def most_bps(self) -> float:
        """What neither its limit nor, on a part of the resource blocks, its radio lets it pass."""
        return self.limit_bps if self.allocation == 1.0 else min(self.limit_bps, self.radio_bps)

    @property
    def airtime_s(self) -> float:
        """For how long what has left was on the air: of its cell's airtime it took as much times its allocation."""
        if self.left_bits is not None or not self.radio_bps:
            return self.earlier_s
        recent_bits = max(0.0, self.bits - self.medium.left_bits(self) - self.earlier_bits)
        return self.earlier_s + recent_bits / self.radio_bps


class Medium(ABC):
    """Cells under one backhaul link, in one direction.

    Args:
        env: The clock.
        backhaul_bps: Rate of the backhaul link.
        cells: How many cells there are.

    Attributes:
        wake: Called before a flow comes when there is none.
        meter: Looks back before anything changes, and watches from when a flow comes; None: nobody does.
    """

    _live: Collection[Flow]

    def __init__(self, env: Environment, backhaul_bps: float, cells: int = 1) -> None:
        self._env = env
        self._backhaul_bps = backhaul_bps
        self._counters = CellCounters(cells)
        self._shares: list[dict[str, float]] = [{} for _ in range(cells)]
        self.wake: Callable[[], None] | None = None
        self.meter: Meter | None = None

    def start(
        self,
        bits: int,
        radio_bps: float,
        cell: int = 0,
        weight: float = 1.0,
        limit_bps: float = math.inf,
        allocation: float = 1.0,
    ) -> Flow:
        """Set bits on their way.

        Args:
            bits: How many, 0 or more.
            radio_bps: Rate of the device's radio while it has the cell for itself; at 0 they wait for a better one.
            cell: Whose airtime they use.
            weight: Share of the cell's airtime, and of the backhaul's rate, relative to other flows.
            limit_bps: What the flow gets at the most.
            allocation: Share of the cell's resource blocks that it is on; the rest is for others.
        """
        check_flow(bits, radio_bps, weight, limit_bps, allocation)
        self._look_back()
        if not self._live:
            self._wake_up()
        flow = Flow(self, cell, bits, radio_bps, weight, limit_bps, allocation, Finish(self._env))
        self._join(flow, bits)
        self._share(cell)
        return flow

    def stop(self, flow: Flow) -> float:
        """Take a flow out, if it is still under way, and return how many of its bits had not left."""
        if flow.left_bits is None:
            self._look_back()
            left_bits = self.left_bits(flow)
            self._leave(flow)
            self._end(flow, left_bits)
            self._share(flow.cell)
            return left_bits
        return flow.left_bits

    def retune(self, flow: Flow, radio_bps: float, allocation: float = 1.0) -> None:
        """Let a flow go on at another rate of its radio, or on other resource blocks; at 0 it waits."""
        if radio_bps != flow.radio_bps or allocation != flow.allocation:
            self.take_over(flow, flow.cell, radio_bps, allocation)

    def take_over(self, flow: Flow, cell: int, radio_bps: float, allocation: float = 1.0) -> None:
        """Let a flow, if it is still under way, go on here: what has left stays counted where it left.

        Args:
            flow: Of this medium or of another one.
            cell: Of this medium.
            radio_bps: Rate of the device's radio there; at 0 the flow waits.
            allocation: Share of that cell's resource blocks that it is on.
        """
        check_flow(flow.bits, radio_bps, flow.weight, flow.limit_bps, allocation)
        source, left = flow.medium, flow.cell
        left_bits = source.left_bits(flow)
        if flow.left_bits is not None or left_bits == 0:
            return
        self._look_back()
        if not self._live:
            self._wake_up()
        source._counters.count(flow, left_bits)
        source._leave(flow)
        flow.medium, flow.cell, flow.radio_bps, flow.allocation = self, cell, radio_bps, allocation
        self._join(flow, left_bits)
        if source is self:
            self._share(*sorted({left, cell}))
        else:
            source._share(left)
            self._share(cell)

    def left_bits(self, flow: Flow) -> float:
        """Return how many of a flow's bits have not left yet."""
        return self._left_bits(flow, self._env.now) if flow.left_bits is None else flow.left_bits

    @abstractmethod
    def rate_bps(self, flow: Flow) -> float:
        """Return how fast a flow is now."""

    @abstractmethod
    def held_s(self, flow: Flow) -> tuple[float, float]:
        """Return for how long a flow has not been on the air because it was held: in all, and by its limit."""

    @property
    def idle(self) -> bool:
        """Whether no flow is under way."""
        return not self._live

    def set_capacity(self, cell: int, share: float, cause: str = "") -> None:
        """Let a cause leave a cell another share of the airtime that it is built for; those of all causes multiply.

        Args:
            cell: Whose airtime.
            share: 1 is all of it, 0 an outage.
            cause: What takes the rest.
        """
        self._look_back()
        self._shares[cell][cause] = share
        self._scale(cell, math.prod(self._shares[cell].values()))

    def set_link(self, rate_bps: float, link: int = 0) -> None:
        """Give a link of the backhaul another rate; 0 is an outage."""
        self._look_back()
        self._set_link(rate_bps, link)

    def carried_bits(self, cell: int) -> int:
        """Return how many bits have left in a cell so far."""
        return self._counters.bits(cell, self._live)

    def airtime_s(self) -> list[float]:
        """Return for how long the flows of each cell were on the air so far, those at the same time added. [cell]"""
        return self._counters.airtime_s(self._live)

    def occupied_s(self) -> list[float]:
        """Return for how long all resource blocks of each cell would have been taken by what it sent so far. [cell]"""
        return self._counters.occupied_s(self._live)

    def snapshot(self, at_s: float) -> MediumSnapshot:
        """Return what there was at a moment, since when nothing has changed."""
        return self._counters.snapshot((flow, self._left_bits(flow, at_s)) for flow in self._live)

    def _look_back(self) -> None:
        """Let the meter look at what there was when a look was due, before it changes."""
        if self.meter is not None and self._env.now > self.meter.due_s:
            self.meter.look()

    def _wake_up(self) -> None:
        """Tell those who wait for it that a flow comes."""
        if self.meter is not None:
            self.meter.watch(self)
        if self.wake is not None:
            self.wake()

    @abstractmethod
    def _left_bits(self, flow: Flow, at_s: float) -> float:
        """Return how many bits of a flow under way had not left at a moment, since when nothing has changed."""

    @abstractmethod
    def _set_link(self, rate_bps: float, link: int) -> None:
        """Give a link of the backhaul another rate."""

    @abstractmethod
    def _scale(self, cell: int, capacity: float) -> None:
        """Let a cell have this share of the airtime that it is built for."""

    @abstractmethod
    def _join(self, flow: Flow, left_bits: float) -> None:
        """Serve a flow from now on."""

    @abstractmethod
    def _leave(self, flow: Flow) -> None:
        """Serve a flow no longer."""

    @abstractmethod
    def _share(self, *cells: int) -> None:
        """Share anew, now that flows of these cells have come or gone."""

    def _finish(self, flow: Flow) -> None:
        """Note that a flow's last bit has left."""
        self._end(flow, 0.0)
        flow.finished.succeed_after(flow.lag_s)

    def _end(self, flow: Flow, left_bits: float) -> None:
        flow.left_bits = left_bits
        flow.ended_s = self._env.now
        self._counters.count(flow, left_bits)


def check_flow(bits: int, radio_bps: float, weight: float, limit_bps: float, allocation: float) -> None:
    """Refuse what cannot flow.

    Raises:
        SimulationError: A size or a rate is negative, a weight or a limit is not positive, or an allocation is not a
            share of something.
    """
    if not (bits >= 0 and radio_bps >= 0 and 0 < weight < math.inf and limit_bps > 0 and 0 < allocation <= 1):
        raise SimulationError(
            f"a flow of {bits} bits at {radio_bps} bit/s on {allocation} of the resource blocks with weight {weight}"
            f" and at most {limit_bps} bit/s"
        )
