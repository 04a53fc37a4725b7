"""Devices as rows: one array for each property, and a view of one row in one of its participations."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
from numpy.typing import NDArray

from netfed.network.profiles import PROFILES
from netfed.network.spec import Devices, Dropout, LinkClass, Network
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
        position_m: Where it is. [device, 2]
        base_station: Which one serves it. [device]
        flops_per_s: Sustained throughput. [device]
        bytes_per_s: Sustained memory bandwidth. [device]
        compute_w: Power while it trains; likewise ``transmit_w``, ``receive_w`` and ``idle_w``. [device]
        rate_up_bps: Of its radio while it has the cell for itself; likewise ``rate_down_bps``. [device]
        held: Number of the model that it holds (of the coder), -1 for none. [device]
        phase: Where in a period its windows start, as a share of the period. [device]
        ready_s: When its battery has, or had, the charge to take part. [device]
        dropout: How often devices leave.
        streams: Where their randomness comes from.
    """

    flops_per_s: Floats
    bytes_per_s: Floats
    compute_w: Floats
    transmit_w: Floats
    receive_w: Floats
    idle_w: Floats

    def __init__(self, devices: Devices, sites_m: Floats, spacing_m: float, network: Network, streams: Streams) -> None:
        ids = np.arange(devices.count)
        self.streams = streams
        self.dropout = devices.dropout
        self.base_station = np.floor(len(sites_m) * streams.uniform("base-station", ids)).astype(np.int64)
        self.position_m = sites_m[self.base_station] + scatter(devices.count, spacing_m, streams)
        bounds = np.cumsum(list(devices.shares.values()))[:-1]
        profile = np.searchsorted(bounds, streams.uniform("profile", ids), side="right")
        figures = np.array([astuple(PROFILES[name]) for name in devices.shares])[profile].T.copy()
        flops_per_s, bytes_per_s, self.compute_w, self.transmit_w, self.receive_w, self.idle_w = figures
        speed = np.exp(devices.speed_spread * streams.normal("speed", ids))
        self.flops_per_s = flops_per_s * speed
        self.bytes_per_s = bytes_per_s * speed
        self.rate_up_bps = _rates_bps(network.uplink, streams.normal("rate-uplink", ids))
        self.rate_down_bps = _rates_bps(network.downlink, streams.normal("rate-downlink", ids))
        self.held = np.full(devices.count, -1, np.int64)
        self.phase = streams.uniform("availability", ids)
        self.ready_s = np.zeros(devices.count)
        self._availability = devices.availability

    def __len__(self) -> int:
        return len(self.held)

    def available(self, now_s: float) -> NDArray[np.bool_]:
        """Return who can take part: can be reached, and has the charge. [device]"""
        start_s, _ = self._availability.window(self.phase, now_s)
        return (start_s <= now_s) & (self.ready_s <= now_s)

    def available_until(self, device_id: int, now_s: float) -> float:
        """Return when a device can no longer be reached: inf if always, ``now_s`` if it cannot be reached now."""
        start_s, end_s = self._availability.window(self.phase[[device_id]], now_s)
        return end_s.item() if start_s.item() <= now_s else now_s

    def next_available(self, now_s: float) -> float:
        """Return when the next of the devices that cannot take part now can; inf if none ever will."""
        ready_s = np.maximum(self.ready_s, now_s)
        start_s, _ = self._availability.window(self.phase, ready_s)
        opening_s = np.maximum(start_s, ready_s)
        return float(np.min(opening_s, where=opening_s > now_s, initial=np.inf))


class Device:
    """A device in one of its participations: a row of the population and an index for its draws.

    Args:
        population: Holds the row.
        index: Of the row: its ``id``.
        draw: Addresses the randomness of this participation, together with the id.
    """

    __slots__ = ("draw", "id", "population")

    def __init__(self, population: Population, index: int, draw: int) -> None:
        self.population = population
        self.id = index
        self.draw = draw

    @property
    def base_station(self) -> int:
        """Index of the base station that serves it."""
        return self.population.base_station.item(self.id)

    @property
    def dropout(self) -> Dropout:
        """How often it leaves."""
        return self.population.dropout

    @property
    def flops_per_s(self) -> float:
        """Sustained throughput."""
        return self.population.flops_per_s.item(self.id)

    @property
    def bytes_per_s(self) -> float:
        """Sustained memory bandwidth."""
        return self.population.bytes_per_s.item(self.id)

    @property
    def compute_w(self) -> float:
        """Power while it trains."""
        return self.population.compute_w.item(self.id)

    @property
    def transmit_w(self) -> float:
        """Power while its radio transmits."""
        return self.population.transmit_w.item(self.id)

    @property
    def receive_w(self) -> float:
        """Power while its radio receives."""
        return self.population.receive_w.item(self.id)

    @property
    def idle_w(self) -> float:
        """Power while it waits."""
        return self.population.idle_w.item(self.id)

    @property
    def rate_up_bps(self) -> float:
        """Rate of its radio upwards while it has the cell for itself."""
        return self.population.rate_up_bps.item(self.id)

    @property
    def rate_down_bps(self) -> float:
        """Rate of its radio downwards while it has the cell for itself."""
        return self.population.rate_down_bps.item(self.id)

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


def _rates_bps(link: LinkClass, normal: Floats) -> Floats:
    return link.rate * np.exp(link.spread * normal)
