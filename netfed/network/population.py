"""Devices as rows: one array for each property, and a view of one row in one of its participations."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from netfed.network.availability import Always, Condition, overlap
from netfed.network.profiles import PROFILES, Profile
from netfed.network.spec import Devices, Dropout, Network
from netfed.network.traffic import Direction
from netfed.streams import Streams

Floats = NDArray[np.float64]


class Population:
    """All devices. Every draw is addressed by device: another device more changes nobody else.

    Args:
        devices: Who they are.
        sites_m: Where the base stations are. [base station, 2]
        spacing_m: Between base stations.
        network: Gives the rates of access links.
        streams: The world's randomness.

    Attributes:
        base_station: Which one serves it. [device]
        sector: Which of the base station's cells does. [device]
        profiles: Classes of hardware.
        profile: Index of its own. [device]
        speed: Relative to it. [device]
        rate_up_bps: Of its radio while it has the cell for itself; likewise ``rate_down_bps``. [device]
        allocation_up: Share of the cell's resource blocks that it sends on, to have that rate upwards. [device]
        weight: Of its transfers among others; None where all weigh 1. [device]
        held: Number of the model that it holds (of the coder), -1 for none. [device]
        ready_s: When its battery has, or had, the charge to take part; inf: it never does. [device]
        refused: How many have too little memory to take part.
        charged: Tells when batteries that are drained at rest have the charge; None where there are none.
        dropout: How often devices leave.
        streams: Where their randomness comes from.
    """

    def __init__(self, devices: Devices, sites_m: Floats, spacing_m: float, network: Network, streams: Streams) -> None:
        ids = np.arange(devices.count)
        self.streams = streams
        self._sites_m, self._spacing_m = sites_m, spacing_m
        self.dropout = devices.dropout
        self.base_station = np.floor(len(sites_m) * streams.uniform("base-station", ids)).astype(np.int32)
        self.sector = np.zeros(devices.count, np.int16)
        self.profiles = [PROFILES[name] for name in devices.shares]
        self.profile = _drawn(devices.shares.values(), streams.uniform("profile", ids)).astype(np.uint8)
        self.speed: Floats = np.exp(devices.speed_spread * streams.normal("speed", ids))
        self.rate_up_bps = self._rates_bps(network, "uplink")
        self.rate_down_bps = self._rates_bps(network, "downlink")
        self.allocation_up: Floats = np.ones(devices.count)
        self.weight: Floats | None = None
        if {*devices.weights} != {1.0}:
            self.weight = np.array([*devices.weights])[_drawn(devices.weights.values(), streams.uniform("weight", ids))]
        self.held = np.full(devices.count, -1, np.int32)
        self.ready_s = np.zeros(devices.count)
        self.charged: Condition | None = None
        self.refused = 0
        self._memory_bytes = devices.memory
        self._availability = devices.availability
        self._always = isinstance(devices.availability, Always)

    def __len__(self) -> int:
        return len(self.held)

    @cached_property
    def position_m(self) -> Floats:
        """Where it is. [device, 2]"""
        return self._sites_m[self.base_station] + scatter(len(self), self._spacing_m, self.streams)

    @cached_property
    def phase(self) -> Floats:
        """Where in a period its windows start, as a share of the period. [device]"""
        return self.streams.uniform("availability", np.arange(len(self)))

    @property
    def flops_per_s(self) -> Floats:
        """Sustained throughput. [device]"""
        return self._of_profile("flops_per_s") * self.speed

    @property
    def bytes_per_s(self) -> Floats:
        """Sustained memory bandwidth. [device]"""
        return self._of_profile("bytes_per_s") * self.speed

    @property
    def compute_w(self) -> Floats:
        """Power while it trains. [device]"""
        return self._of_profile("compute_w")

    @property
    def transmit_w(self) -> Floats:
        """Power while its radio transmits. [device]"""
        return self._of_profile("transmit_w")

    @property
    def receive_w(self) -> Floats:
        """Power while its radio receives. [device]"""
        return self._of_profile("receive_w")

    @property
    def idle_w(self) -> Floats:
        """Power while it waits. [device]"""
        return self._of_profile("idle_w")

    def _of_profile(self, figure: str) -> Floats:
        return np.array([getattr(profile, figure) for profile in self.profiles])[self.profile]

    def available(self, now_s: float) -> NDArray[np.bool_]:
        """Return who can take part: can be reached, and has the charge. [device]"""
        ready = self.ready_s <= now_s
        if self._always and self.charged is None:
            return ready
        start_s, _ = self._windows(now_s)
        return (start_s <= now_s) & ready

    def available_until(self, device_id: int, now_s: float) -> float:
        """Return when a device can no longer be reached: inf if always, ``now_s`` if it cannot be reached now."""
        if self._always:
            return np.inf
        start_s, end_s = self._availability.window(self.phase[[device_id]], now_s)
        return end_s.item() if start_s.item() <= now_s else now_s

    def next_available(self, now_s: float) -> float:
        """Return when the next of the devices that cannot take part now can; inf if none ever will."""
        ready_s = np.maximum(self.ready_s, now_s)
        start_s, _ = self._windows(ready_s)
        opening_s = np.maximum(start_s, ready_s)
        return float(np.min(opening_s, where=opening_s > now_s, initial=np.inf))

    def refuse(self, need_bytes: float) -> None:
        """Let devices that have not so much memory never take part.

        Raises:
            ValueError: No device has.
        """
        memory_bytes = np.full(len(self), self._memory_bytes or self._of_profile("memory_bytes"))
        small = memory_bytes < need_bytes
        if small.all():
            most_bytes = memory_bytes.max()
            raise ValueError(
                f"training needs {need_bytes / 1e6:.3g} MB, and no device has more than {most_bytes / 1e6:.3g} MB"
            )
        if small.any():
            self.ready_s[small] = np.inf
            self.refused = int(small.sum())

    def _rates_bps(self, network: Network, direction: Direction) -> Floats:
        """Return the rates of radios: the best that their cells have to give, spread as their links are. [device]"""
        link = network.air(direction)
        best_bps: float | Floats = link.rate
        if network.traces:
            cells = range(len(self._sites_m) * network.cells)
            by_cell_bps = np.array([network.best_bps(direction, cell) for cell in cells])
            best_bps = by_cell_bps[self.base_station * network.cells + self.sector]
        normal = self.streams.normal(f"rate-{direction}", np.arange(len(self.base_station)))
        rates_bps: Floats = best_bps * np.exp(link.spread * normal)
        return rates_bps

    def _windows(self, from_s: float | Floats) -> tuple[Floats, Floats]:
        """Return the first window of each device, ending after a moment, in which it can be reached and is charged."""
        if self.charged is None:
            return self._availability.window(self.phase, from_s)

        def reached(index: NDArray[np.int64], from_s: Floats) -> tuple[Floats, Floats]:
            return self._availability.window(self.phase[index], from_s)

        return overlap([reached, self.charged], np.broadcast_to(from_s, len(self)).astype(np.float64))


class Device:
    """A device in one of its participations: a row of the population and an index for its draws.

    Args:
        population: Holds the row.
        index: Of the row: its ``id``.
        draw: Addresses the randomness of this participation, together with the id.

    Attributes:
        profile: Its hardware.
    """

    __slots__ = ("draw", "id", "population", "profile")

    def __init__(self, population: Population, index: int, draw: int) -> None:
        self.population = population
        self.id = index
        self.draw = draw
        self.profile: Profile = population.profiles[population.profile.item(index)]

    @property
    def base_station(self) -> int:
        """Index of the base station that serves it."""
        return self.population.base_station.item(self.id)

    @property
    def sector(self) -> int:
        """Which of the base station's cells does."""
        return self.population.sector.item(self.id)

    @property
    def dropout(self) -> Dropout:
        """How often it leaves."""
        return self.population.dropout

    @property
    def flops_per_s(self) -> float:
        """Sustained throughput."""
        return self.profile.flops_per_s * self.population.speed.item(self.id)

    @property
    def bytes_per_s(self) -> float:
        """Sustained memory bandwidth."""
        return self.profile.bytes_per_s * self.population.speed.item(self.id)

    @property
    def compute_w(self) -> float:
        """Power while it trains."""
        return self.profile.compute_w

    @property
    def transmit_w(self) -> float:
        """Power while its radio transmits."""
        return self.profile.transmit_w

    @property
    def receive_w(self) -> float:
        """Power while its radio receives."""
        return self.profile.receive_w

    @property
    def idle_w(self) -> float:
        """Power while it waits."""
        return self.profile.idle_w

    @property
    def rate_up_bps(self) -> float:
        """Rate of its radio upwards while it has the cell for itself."""
        return self.population.rate_up_bps.item(self.id)

    @property
    def rate_down_bps(self) -> float:
        """Rate of its radio downwards while it has the cell for itself."""
        return self.population.rate_down_bps.item(self.id)

    def radio(self, direction: Direction) -> tuple[float, float]:
        """Return the rate of its radio, and the share of the cell's resource blocks that this takes."""
        if direction == "uplink":
            return self.rate_up_bps, self.population.allocation_up.item(self.id)
        return self.rate_down_bps, 1.0

    @property
    def weight(self) -> float:
        """Of its transfers among others."""
        weights = self.population.weight
        return 1.0 if weights is None else weights.item(self.id)

    @property
    def held(self) -> int:
        """Number of the model that it holds, -1 for none."""
        return self.population.held.item(self.id)

    @held.setter
    def held(self, number: int) -> None:
        self.population.held[self.id] = number

    def breaks_off(self, cause: str, probability: float) -> float | None:
        """Draw whether ``cause`` ends a phase of this participation early.

        Args:
            cause: Its slug, and the stream's name.
            probability: That it does.

        Returns:
            The share of the phase after which it does, uniform in (0, 1), or None.
        """
        if probability == 0 or self.population.streams.draw(cause, self.id, self.draw) >= probability:
            return None
        return self.population.streams.draw(cause + "/share", self.id, self.draw)


def scatter(count: int, spacing_m: float, streams: Streams) -> Floats:
    """Return places drawn uniformly from a hexagonal cell about the origin: it is three rhombi.

    Args:
        count: Of devices.
        spacing_m: Between the middles of neighbouring cells.
        streams: Addressed by device.

    Returns:
        Coordinates in metres. [device, 2]
    """
    ids = np.arange(count)
    corners = spacing_m / np.sqrt(3.0) * np.exp(1j * np.pi * (1 / 6 + 2 / 3 * np.arange(3)))
    rhombus = np.floor(3 * streams.uniform("position", ids, 0)).astype(np.int64)
    along = streams.uniform("position", ids, 1) * corners[rhombus]
    across = streams.uniform("position", ids, 2) * corners[(rhombus + 1) % 3]
    places = along + across
    return np.stack((places.real, places.imag), axis=-1)


def _drawn(shares: Iterable[float], draws: Floats) -> NDArray[np.int64]:
    """Return which of some classes each device is of, by their shares. [device]"""
    return np.searchsorted(np.cumsum([*shares])[:-1], draws, side="right")
