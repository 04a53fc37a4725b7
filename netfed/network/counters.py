"""How much the cells of a medium have carried, and how long that was on the air: counters that only rise.

What has left of a flow is counted for good when its radio's rate or its cell changes, and when it ends: whole bits.
What has left since then of flows under way is added when somebody asks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from netfed.network.medium import Flow


class MediumSnapshot(NamedTuple):
    """What the cells of a medium have carried up to a moment, and what is under way in them at it. Bits are whole ones.

    Attributes:
        bits: Have left so far. [cell]
        occupied_s: For how long these took all resource blocks. [cell]
        backlog_bits: Of flows under way, have not left. [cell]
        transfers: How many flows are under way. [cell]
    """

    bits: list[int]
    occupied_s: list[float]
    backlog_bits: list[int]
    transfers: list[int]


class CellCounters:
    """What the cells of a medium have carried so far.

    Args:
        cells: How many there are.
    """

    def __init__(self, cells: int) -> None:
        self._bits = [0] * cells
        self._airtime_s = [0.0] * cells
        self._occupied_s = [0.0] * cells

    def count(self, flow: Flow, left_bits: float) -> None:
        """Count for good what has left since the flow's rate or its cell last changed.

        Args:
            flow: Its rate and its cell are still those at which that has left.
            left_bits: How many of its bits have not.
        """
        recent_bits = math.floor(flow.bits - left_bits) - flow.earlier_bits
        if recent_bits > 0:
            flow.earlier_bits += recent_bits
            recent_s = recent_bits / flow.radio_bps
            flow.earlier_s += recent_s
            self._airtime_s[flow.cell] += recent_s
            self._occupied_s[flow.cell] += recent_s * flow.allocation
            self._bits[flow.cell] += recent_bits

    def bits(self, cell: int, live: Iterable[Flow]) -> int:
        """Return how many bits have left in a cell so far.

        Args:
            cell: Which one.
            live: The flows under way, in any cell.
        """
        return self._bits[cell] + sum(flow.sent_bits - flow.earlier_bits for flow in live if flow.cell == cell)

    def airtime_s(self, live: Iterable[Flow]) -> list[float]:
        """Return for how long the flows of each cell were on the air so far, those at the same time added. [cell]"""
        total_s = list(self._airtime_s)
        for flow in live:
            total_s[flow.cell] += flow.airtime_s - flow.earlier_s
        return total_s

    def occupied_s(self, live: Iterable[Flow]) -> list[float]:
        """Return for how long all resource blocks of each cell would have been taken by what it sent so far. [cell]"""
        total_s = list(self._occupied_s)
        for flow in live:
            total_s[flow.cell] += (flow.airtime_s - flow.earlier_s) * flow.allocation
        return total_s

    def snapshot(self, live: Iterable[tuple[Flow, float]]) -> MediumSnapshot:
        """Return what there was at a moment, since when nothing has been counted.

        Args:
            live: The flows that were under way, and how many of their bits had not left.
        """
        cells = len(self._bits)
        then = MediumSnapshot([*self._bits], [*self._occupied_s], [0] * cells, [0] * cells)
        for flow, left_bits in live:
            cell, sent_bits = flow.cell, math.floor(flow.bits - left_bits)
            if sent_bits > flow.earlier_bits:
                then.bits[cell] += sent_bits - flow.earlier_bits
                then.occupied_s[cell] += (sent_bits - flow.earlier_bits) / flow.carrier_bps
            then.backlog_bits[cell] += flow.bits - max(sent_bits, flow.earlier_bits)
            then.transfers[cell] += 1
        return then
