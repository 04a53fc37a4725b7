"""What carries bits: flows start, and finish or are stopped. Here, the medium in which they do not meet."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection
from functools import partial

from simpy import Environment, Event

from netfed.errors import SimulationError


class Flow:
    """Bits of one transfer under way.

    Attributes:
        bits: How many there are.
        cell: Whose airtime they use.
        finished: Succeeds when the last one has left.
        left_bits: How many had not left when the flow ended; None while it is under way.
    """

    __slots__ = ("bits", "cell", "finished", "left_bits")

    def __init__(self, bits: int, cell: int, finished: Event) -> None:
        self.bits = bits
        self.cell = cell
        self.finished = finished
        self.left_bits: float | None = None


class Medium(ABC):
    """Cells under one backhaul link, in one direction.

    Args:
        env: The clock.
        backhaul_bps: Rate of the backhaul link.
        cells: How many cells there are.
    """

    _live: Collection[Flow]

    def __init__(self, env: Environment, backhaul_bps: float, cells: int = 1) -> None:
        self._env = env
        self._backhaul_bps = backhaul_bps
        self._ended_bits = [0] * cells

    @abstractmethod
    def start(self, bits: int, radio_bps: float, cell: int = 0, weight: float = 1.0) -> Flow:
        """Set bits on their way.

        Args:
            bits: How many, 0 or more.
            radio_bps: Rate of the device's radio while it has the cell for itself.
            cell: Whose airtime they use.
            weight: Share of the cell's airtime, and of the backhaul's rate, relative to other flows.
        """

    @abstractmethod
    def stop(self, flow: Flow) -> float:
        """Take a flow out, if it is still under way, and return how many of its bits had not left."""

    @abstractmethod
    def left_bits(self, flow: Flow) -> float:
        """Return how many of a flow's bits have not left yet."""

    def sent_bits(self, flow: Flow) -> int:
        """Return how many of a flow's bits have left: whole ones."""
        return math.floor(flow.bits - self.left_bits(flow))

    def carried_bits(self, cell: int) -> int:
        """Return how many bits have left in a cell so far."""
        return self._ended_bits[cell] + sum(self.sent_bits(flow) for flow in self._live if flow.cell == cell)

    def _end(self, flow: Flow, left_bits: float) -> None:
        flow.left_bits = left_bits
        self._ended_bits[flow.cell] += self.sent_bits(flow)


class Dedicated(Medium):
    """Every flow goes as fast as its radio and the backhaul let it, as if it were alone."""

    def __init__(self, env: Environment, backhaul_bps: float, cells: int = 1) -> None:
        super().__init__(env, backhaul_bps, cells)
        self._live: dict[Flow, tuple[float, float]] = {}

    def start(self, bits: int, radio_bps: float, cell: int = 0, weight: float = 1.0) -> Flow:
        """Set bits on their way; the weight makes no difference."""
        check_flow(bits, radio_bps, weight)
        rate_bps = min(radio_bps, self._backhaul_bps)
        flow = Flow(bits, cell, self._env.timeout(bits / rate_bps))
        self._live[flow] = (self._env.now + bits / rate_bps, rate_bps)
        flow.finished.callbacks.append(partial(self._finish, flow))
        return flow

    def _finish(self, flow: Flow, _: Event) -> None:
        self.stop(flow)

    def stop(self, flow: Flow) -> float:
        """Take a flow out, if it is still under way, and return how many of its bits had not left."""
        left_bits = self.left_bits(flow)
        if flow in self._live:
            del self._live[flow]
            self._end(flow, left_bits)
        return left_bits

    def left_bits(self, flow: Flow) -> float:
        """Return how many of a flow's bits have not left yet."""
        if flow.left_bits is not None:
            return flow.left_bits
        finish_s, rate_bps = self._live[flow]
        left_s = finish_s - self._env.now
        return min(float(flow.bits), left_s * rate_bps) if left_s > 0 else 0.0


def check_flow(bits: int, radio_bps: float, weight: float) -> None:
    """Refuse what cannot flow.

    Raises:
        SimulationError: A size is negative, or a rate or a weight is not positive.
    """
    if not (bits >= 0 and radio_bps > 0 and 0 < weight < math.inf):
        raise SimulationError(f"a flow of {bits} bits at {radio_bps} bit/s with weight {weight}")
