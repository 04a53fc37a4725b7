"""The medium in which flows slow each other down: a fluid, whose rates change when a flow starts or ends."""

from __future__ import annotations

from itertools import compress

import numpy as np
from numpy.typing import NDArray
from simpy import Environment, Event

from netfed.network.medium import Flow, Medium, check_flow
from netfed.network.sharing import share

_FLOWS = np.dtype([("cell", "i8"), ("weight", "f8"), ("radio_bps", "f8"), ("left_bits", "f8"), ("rate_bps", "f8")])
_FIRST_ROOM = 16
_SAME_INSTANT_ULP = 4


class Shared(Medium):
    """Cells that share their airtime under a backhaul that is shared too: `sharing.share` gives the rates.

    Rates are worked out anew whenever a flow starts or ends, all at once. One wake-up is pending, at the next finish;
    it carries the version of the rates it was computed from, and a later version makes it void.
    """

    def __init__(self, env: Environment, backhaul_bps: float, cells: int = 1) -> None:
        super().__init__(env, backhaul_bps, cells)
        self._live: list[Flow] = []
        self._room = np.zeros(_FIRST_ROOM, _FLOWS)  # grows by doubling
        self._table = self._room[:0]  # [flow], in the order of self._live
        self._finish_s = np.zeros(0)  # [flow]
        self._since_s = env.now
        self._version = 0

    def start(self, bits: int, radio_bps: float, cell: int = 0, weight: float = 1.0) -> Flow:
        """Set bits on their way; see `Medium.start`."""
        check_flow(bits, radio_bps, weight)
        self._advance()
        flow = Flow(bits, cell, self._env.event())
        if len(self._live) == len(self._room):
            self._room = np.concatenate((self._room, np.zeros_like(self._room)))
        self._room[len(self._live)] = (cell, weight, radio_bps, bits, 0.0)
        self._live.append(flow)
        self._table = self._room[: len(self._live)]
        self._share()
        return flow

    def stop(self, flow: Flow) -> float:
        """Take a flow out, if it is still under way, and return how many of its bits had not left."""
        left_bits = self.left_bits(flow)
        if flow.left_bits is None:
            self._advance()
            self._end(flow, left_bits)
            self._keep(np.arange(len(self._live)) != self._live.index(flow))
            self._share()
        return left_bits

    def left_bits(self, flow: Flow) -> float:
        """Return how many of a flow's bits have not left yet."""
        if flow.left_bits is not None:
            return flow.left_bits
        row = self._table[self._live.index(flow)]
        return max(0.0, float(row["left_bits"] - row["rate_bps"] * (self._env.now - self._since_s)))

    def _advance(self) -> None:
        left_bits = self._table["left_bits"] - self._table["rate_bps"] * (self._env.now - self._since_s)
        self._table["left_bits"] = np.maximum(left_bits, 0.0)
        self._since_s = self._env.now

    def _share(self) -> None:
        self._version += 1
        if not self._live:
            return
        flows = self._table
        flows["rate_bps"] = share(flows["cell"], flows["weight"], flows["radio_bps"], self._backhaul_bps)
        left_s = flows["left_bits"] / flows["rate_bps"]
        self._finish_s = self._env.now + left_s
        self._env.timeout(float(left_s.min()), self._version).callbacks.append(self._wake)

    def _wake(self, timeout: Event) -> None:
        if timeout.value != self._version:
            return
        self._advance()
        now_s = self._env.now
        done = self._finish_s <= now_s + _SAME_INSTANT_ULP * np.spacing(now_s)
        finished = list(compress(self._live, done))
        self._keep(~done)
        for flow in finished:
            self._end(flow, 0.0)
            flow.finished.succeed()
        self._share()

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        self._live = list(compress(self._live, kept))
        self._room[: len(self._live)] = self._table[kept]
        self._table = self._room[: len(self._live)]
