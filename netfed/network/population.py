"""Devices as rows: one array for each property, and a view of one row in one of its participations."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
from numpy.typing import NDArray

from netfed.network.profiles import PROFILES
from netfed.network.spec import Devices, Dropout, LinkClass, Network, Topology
from netfed.network.topology import hexagonal_layout, scatter
from netfed.streams import Streams


class Population:
    """All devices. Every draw is addressed by device: another device more changes nobody else.

    Attributes:
        position_m: Where it is. [device, 2]
        base_station: Which one serves it. [device]
        flops_per_s: Sustained throughput. [device]
        bytes_per_s: Sustained memory bandwidth. [device]
        compute_w: Power while it trains; likewise ``transmit_w``, ``receive_w`` and ``idle_w``. [device]
        rate_up_bps: Of its radio while it has the cell for itself; likewise ``rate_down_bps``. [device]
        held: Version of the model that it holds, -1 for none. [device]
        dropout: How often devices leave.
        streams: Where their randomness comes from.
    """

    def __init__(self, devices: Devices, topology: Topology, network: Network, streams: Streams) -> None:
        ids = np.arange(devices.count)
        self.streams = streams
        self.dropout = devices.dropout
        self.base_station = np.floor(topology.base_stations * streams.uniform("base-station", ids)).astype(np.int64)
        self.position_m = scatter(topology, hexagonal_layout(topology)[self.base_station], streams)
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
        self._availability = devices.availability
        self._phase = streams.uniform("availability", ids)

    def __len__(self) -> int:
        return len(self.held)

    def available(self, now_s: float) -> NDArray[np.bool_]:
        """Return who can be reached. [device]"""
        start_s, _ = self._availability.window(self._phase, now_s)
        return start_s <= now_s

    def available_until(self, device_id: int, now_s: float) -> float:
        """Return when a device can no longer be reached: inf if always, ``now_s`` if it cannot be reached now."""
        start_s, end_s = self._availability.window(self._phase[[device_id]], now_s)
        return float(end_s[0]) if start_s[0] <= now_s else now_s

    def next_available(self, now_s: float) -> float:
        """Return when the next of the devices that cannot be reached now can be; inf if all can."""
        start_s, _ = self._availability.window(self._phase, now_s)
        return float(np.min(start_s, where=start_s > now_s, initial=np.inf))


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
        return int(self.population.base_station[self.id])

    @property
    def dropout(self) -> Dropout:
        """How often it leaves."""
        return self.population.dropout

    @property
    def flops_per_s(self) -> float:
        """Sustained throughput."""
        return float(self.population.flops_per_s[self.id])

    @property
    def bytes_per_s(self) -> float:
        """Sustained memory bandwidth."""
        return float(self.population.bytes_per_s[self.id])

    @property
    def compute_w(self) -> float:
        """Power while it trains."""
        return float(self.population.compute_w[self.id])

    @property
    def transmit_w(self) -> float:
        """Power while its radio transmits."""
        return float(self.population.transmit_w[self.id])

    @property
    def receive_w(self) -> float:
        """Power while its radio receives."""
        return float(self.population.receive_w[self.id])

    @property
    def idle_w(self) -> float:
        """Power while it waits."""
        return float(self.population.idle_w[self.id])

    @property
    def rate_up_bps(self) -> float:
        """Rate of its radio upwards while it has the cell for itself."""
        return float(self.population.rate_up_bps[self.id])

    @property
    def rate_down_bps(self) -> float:
        """Rate of its radio downwards while it has the cell for itself."""
        return float(self.population.rate_down_bps[self.id])

    @property
    def held(self) -> int:
        """Version of the model that it holds, -1 for none."""
        return int(self.population.held[self.id])

    @held.setter
    def held(self, version: int) -> None:
        self.population.held[self.id] = version

    def breaks_off(self, cause: str, probability: float) -> float | None:
        """Draw whether ``cause`` ends a phase of this participation early.

        Args:
            cause: Its slug, and the stream's name.
            probability: That it does.

        Returns:
            The share of the phase after which it does, uniform in (0, 1), or None.
        """
        if probability == 0 or self._uniform(cause) >= probability:
            return None
        return self._uniform(cause + "/share")

    def _uniform(self, stream: str) -> float:
        return float(self.population.streams.uniform(stream, self.id, self.draw))


def _rates_bps(link: LinkClass, normal: NDArray[np.float64]) -> NDArray[np.float64]:
    return link.rate * np.exp(link.spread * normal)
