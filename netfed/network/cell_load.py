"""How much of their resource blocks cells use, for us and for others, and how much of that disturbs other cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netfed.network.background import Background, left
from netfed.network.course import Course
from netfed.network.link_adaptation.scheduler import scheduling_gain
from netfed.network.medium import Medium
from netfed.network.radio.sinr import uplink_interference_w
from netfed.network.traffic import Direction

if TYPE_CHECKING:
    from netfed.network.air_interface import AirInterface, Signals
    from netfed.network.cellular import Cellular
    from netfed.network.multicast import Multicast
    from netfed.network.network import Network

Floats = NDArray[np.floating[Any]]
Ids = NDArray[np.int64]

_LEAST_SINR = 1e-30
_DIRECTIONS: tuple[Direction, ...] = ("downlink", "uplink")


class CellLoad:
    """The load of all cells: measured when asked for, and as it was then in between.

    Args:
        kind: What the user wrote.
        network: Holds the transfers, and what carries them.
        air: The radio between cells and devices.

    Attributes:
        share: Of each cell's resource blocks that were used, from the last measurement but one to the last: PRB usage
            (3GPP TS 28.552, clause 5.1.1.2). [cell], by direction
        senders: How many of our devices sent in each cell at a time, in the mean over that: more than one, if they are
            on few resource blocks. [cell]
        interference_w: What each cell receives of the devices of others. [cell]
        diversity: What each cell's airtime is worth by scheduling, relative to round robin. [cell], by direction
        measured_s: When the last measurement was.
    """

    def __init__(self, kind: Cellular, network: Network, air: AirInterface) -> None:
        self._kind, self._network, self._air = kind, network, air
        self._others = [Course(left(backgrounds), partial(self._hear, who)) for backgrounds, who in _crowds(kind, air)]
        self._others_share = self._everywhere(0.0)
        self._own_share = self._everywhere(0.0)
        self.share = self._everywhere(0.0)
        self.diversity = self._everywhere(1.0)
        self.senders = np.zeros(air.cells)
        self.interference_w = np.zeros(air.cells)
        self._count(network.env.now)

    def begin(self, now_s: float) -> None:
        """Start from cells that serve nobody but others."""
        self._own_share = self._everywhere(0.0)
        self._add_others(now_s)
        self.diversity = self._everywhere(1.0)
        self.senders = np.zeros(self._air.cells)
        self._count(now_s)

    def resume(self, interval_s: float) -> None:
        """Go on where nobody took part: from the last measurement, or from one of now if that is older than this."""
        now_s = self._network.env.now
        self.diversity = self._everywhere(1.0)
        if now_s - self.measured_s >= interval_s:
            self.measure()
        else:
            self._add_others(now_s)

    def measure(self) -> None:
        """Take for each cell's load what it sent and was sent since the last measurement."""
        now_s = self._network.env.now
        if now_s == self.measured_s:  # somebody has begun at this very instant
            return
        occupied_s, on_air_s, since_s = self._occupied_s, self._on_air_s, self.measured_s
        self._count(now_s)
        for direction in _DIRECTIONS:
            self._own_share[direction] = (self._occupied_s[direction] - occupied_s[direction]) / (now_s - since_s)
        self._add_others(now_s)
        self.senders = np.maximum(0.0, self._on_air_s - on_air_s) / (now_s - since_s)

    def measure_interference(self, gain: Floats, cells: Ids) -> None:
        """Let active devices interfere at the cells for as long as these send, and a crowd for the others.

        A device sends with all its power, on however few resource blocks: it counts for as long as it is on the air.

        Args:
            gain: Between cells and active devices, linear. [device, cell]
            cells: Who serves them. [device]
        """
        self.interference_w = uplink_interference_w(self._air.mean_received_w(gain, cells), self.senders)
        others = self._others_share["uplink"]
        if others.any():
            self.interference_w += uplink_interference_w(self._air.crowd_w, others)

    def measure_diversity(self, ids: Ids, signals: Signals) -> None:
        """Take for each cell's gain by scheduling that of those who have something to send there, at their SINR.

        Args:
            ids: Active devices. [device]
            signals: Of them.
        """
        if self._kind.scheduler == "round-robin":
            return
        received: dict[Direction, Floats] = {"downlink": signals.down, "uplink": signals.up}
        for direction, sinr in received.items():
            of_users = self._sinr_of_users(direction, dict(zip(ids.tolist(), sinr.tolist(), strict=True)))
            users, typical = np.zeros(self._air.cells), np.ones(self._air.cells)
            for cell, values in of_users.items():
                users[cell], typical[cell] = len(values), max(median(values), _LEAST_SINR)
            self.diversity[direction] = scheduling_gain(self._kind.scheduler, users, typical)

    def _sinr_of_users(self, direction: Direction, sinr: dict[int, float]) -> dict[int, list[float]]:
        """Return the SINR of each that the scheduler of a cell chooses among: a multicast has that of its worst.

        Args:
            direction: Of what there is to send.
            sinr: By device.

        Returns:
            By cell.
        """
        of_users: dict[int, list[float]] = {}
        for transfer in self._network.transfers:
            if transfer.way.direction == direction and transfer.flow.left_bits is None:
                cell = transfer.way.base_station * self._kind.cells + transfer.sector
                of_users.setdefault(cell, []).append(sinr[transfer.device.id])
        worst: dict[Multicast, float] = {}
        if direction == "downlink":
            for device_id, listener in self._network.multicasts.listeners.items():
                worst[listener.multicast] = min(sinr[device_id], worst.get(listener.multicast, math.inf))
        for multicast, least in worst.items():
            cell = multicast.way.base_station * self._kind.cells + multicast.sector
            of_users.setdefault(cell, []).append(least)
        return of_users

    def _everywhere(self, value: float) -> dict[Direction, NDArray[np.float64]]:
        return {direction: np.full(self._air.cells, value) for direction in _DIRECTIONS}

    def _add_others(self, now_s: float) -> None:
        for crowd in self._others:
            crowd.go_to(now_s)
        for direction, own_share in self._own_share.items():
            self.share[direction] = np.clip(self._others_share[direction] + own_share, 0.0, 1.0)

    def _count(self, now_s: float) -> None:
        self.measured_s = now_s
        self._occupied_s = {direction: self._total_s(direction, Medium.occupied_s) for direction in _DIRECTIONS}
        self._on_air_s = self._total_s("uplink", Medium.airtime_s)

    def _total_s(self, direction: Direction, of: Callable[[Medium], list[float]]) -> NDArray[np.float64]:
        """Return what media tell of their cells. [cell]"""
        total_s = np.zeros(self._air.cells)
        for span in (self._network.whole, self._network.access):
            ways = span.ways[direction]
            told_s = {medium: of(medium) for medium in {way.medium: None for way in ways}}
            total_s += [told_s[way.medium][cell] for way in ways for cell in way.cells]
        return total_s

    def _hear(self, who: list[tuple[Direction, int]], left: float) -> None:
        for direction, cell in who:
            self._others_share[direction][cell] = 1.0 - left


def _crowds(kind: Cellular, air: AirInterface) -> Iterator[tuple[tuple[Background, ...], list[tuple[Direction, int]]]]:
    """Yield what others there are, and in which directions of which cells just these are."""
    crowds: dict[tuple[Background, ...], list[tuple[Direction, int]]] = {}
    for direction in _DIRECTIONS:
        for cell in range(air.cells):
            if backgrounds := kind.backgrounds(direction, cell):
                crowds.setdefault(backgrounds, []).append((direction, cell))
    yield from crowds.items()
