"""What devices and cells receive of each other over the air, and the rates that this allows."""

from __future__ import annotations

from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netfed.network.backhaul import positions_m
from netfed.network.course import Course
from netfed.network.link_adaptation.rates import RateLadder, downlink_ladder, uplink_ladder
from netfed.network.mobility.spec import Area
from netfed.network.radio.channel import Channel
from netfed.network.radio.power import linear, open_loop_power_w, thermal_noise_w, watts
from netfed.network.radio.sinr import downlink_sinr, uplink_received_w, uplink_sinr
from netfed.network.radio.wraparound import Wraparound
from netfed.network.traffic import Direction

if TYPE_CHECKING:
    from netfed.network.cellular import Cellular
    from netfed.network.mobility.spec import Mobility
    from netfed.network.network import Network

Floats = NDArray[np.floating[Any]]
Ids = NDArray[np.int64]

_SQRT_3 = 3**0.5
_CROWD = 512
"""Devices that stand for those whom others serve: those with the least ids, where they are at first."""
_SILENCE_DB = -300.0
"""Gain from a cell that is out of order."""


class Signals(NamedTuple):
    """What devices and cells receive of each other at one moment.

    Attributes:
        down: SINR of each device, linear. [device]
        up: SINR of each device at its cell, linear. [device]
        down_bps: Rate while it has the cell for itself, whoever is sent to first. [device]
        up_bps: Likewise.
        allocation_up: Share of the cell's resource blocks that a device is on meanwhile. [device]
    """

    down: Floats
    up: Floats
    down_bps: NDArray[np.float64]
    up_bps: NDArray[np.float64]
    allocation_up: NDArray[np.float64]


class AirInterface:
    """The radio between all cells and all devices.

    Args:
        kind: What the user wrote.
        network: Holds the devices.
        mobility: How devices move.
        spacing_m: Between base stations.

    Attributes:
        carrier: What they transmit on.
        trajectories: Where devices are.
        channel: What reaches the other end.
        surroundings: Who is behind which walls.
        ladders: Rates by SINR, by direction.
        noise_w: In a receiver, over the whole carrier, by direction.
        cells: How many there are.
    """

    def __init__(self, kind: Cellular, network: Network, mobility: Mobility, spacing_m: float) -> None:
        population, sites_m = network.population, positions_m(network.graph)
        self.carrier = carrier = kind.carrier
        streams = population.streams
        area = Area.around(sites_m, spacing_m / _SQRT_3)
        self.trajectories = mobility.trajectories(population.position_m, area, streams)
        wraparound = Wraparound(len(sites_m), spacing_m) if kind.wraparound else None
        self.channel = Channel(kind.propagation, kind.antenna, sites_m, carrier.frequency, streams, wraparound)
        self.surroundings = kind.buildings.surround(
            np.arange(len(population)), kind.propagation, carrier.frequency, streams
        )
        self.ladders: dict[Direction, RateLadder] = {
            "downlink": downlink_ladder(carrier),
            "uplink": uplink_ladder(carrier),
        }
        self.noise_w: dict[Direction, float] = {
            "downlink": thermal_noise_w(carrier.occupied_hz, carrier.device_noise_figure),
            "uplink": thermal_noise_w(carrier.occupied_hz, carrier.noise_figure),
        }
        self.cells = self.channel.cells
        self._devices = len(population)
        self._silent = np.zeros((len(kind.outages), self.cells), np.bool_)
        self._outages = [
            Course(outages.of_cell(streams, number, cell), partial(self._hear_of_outage, number, cell))
            for number, outages in enumerate(kind.outages)
            for cell in range(self.cells)
            if outages.hits_cell(cell)
        ]

    def gain_db(self, ids: Ids, now_s: float) -> NDArray[np.float32]:
        """Return the gain between cells and devices: next to nothing, if a cell is out of order. [device, cell]"""
        gain_db = self.channel_gain_db(ids, now_s)
        gain_db[:, self.out_of_order(now_s)] = _SILENCE_DB
        return gain_db

    def channel_gain_db(self, ids: Ids, now_s: float) -> NDArray[np.float32]:
        """Return the gain between cells and devices, as if no cell was out of order. [device, cell]"""
        positions_m = self.trajectories.positions_m(ids, now_s)
        return self.channel.gain_db(positions_m, self.surroundings.of(ids), now_s)

    def out_of_order(self, now_s: float) -> NDArray[np.bool_]:
        """Return which cells are: they neither send nor receive. [cell]"""
        for outage in self._outages:
            outage.go_to(now_s)
        return np.asarray(self._silent.any(axis=0))

    def device_power_w(self, gain: Floats, cells: Ids) -> Floats:
        """Return what devices transmit.

        Args:
            gain: Between cells and devices, linear. [device, cell]
            cells: Who serves them. [device]

        Returns:
            [device]
        """
        carrier = self.carrier
        return open_loop_power_w(
            gain[np.arange(len(gain)), cells],
            carrier.resource_blocks,
            carrier.subcarrier_spacing,
            carrier.power_target,
            carrier.path_loss_compensation,
            carrier.device_transmit_power,
        )

    def mean_received_w(self, gain: Floats, cells: Ids) -> NDArray[np.float64]:
        """Return with what power cells receive a device of each, in the mean.

        Args:
            gain: Between cells and devices, linear. [device, cell]
            cells: Who serves them. [device]

        Returns:
            [serving cell, receiving cell]
        """
        users = np.maximum(np.bincount(cells, minlength=self.cells), 1)
        return uplink_received_w(gain, cells, self.device_power_w(gain, cells)) / users[:, None]

    @cached_property
    def crowd_w(self) -> NDArray[np.float64]:
        """With what power cells receive the devices that others serve in each. [serving cell, receiving cell]"""
        gain_db = self.gain_db(np.arange(min(_CROWD, self._devices)), 0.0)
        return self.mean_received_w(linear(gain_db), np.argmax(gain_db, axis=1))

    def signals(self, gain: Floats, cells: Ids, load_down: Floats, interference_w: Floats) -> Signals:
        """Return what devices and their cells receive of each other, and the rates that this allows.

        Args:
            gain: Between cells and devices, linear. [device, cell]
            cells: Who serves them. [device]
            load_down: Of each cell's downlink. [cell]
            interference_w: That each cell receives. [cell]
        """
        carrier, noise_w = self.carrier, self.noise_w
        serving_gain, power_w = gain[np.arange(len(gain)), cells], self.device_power_w(gain, cells)
        down = downlink_sinr(
            gain, cells, watts(carrier.transmit_power), load_down, noise_w["downlink"], carrier.beam_gain
        )
        up = uplink_sinr(serving_gain, cells, power_w, interference_w, noise_w["uplink"], carrier.beam_gain)
        ladder = self.ladders["uplink"]
        return Signals(down, up, self.ladders["downlink"].rates_bps(down), ladder.rates_bps(up), ladder.allocations(up))

    def _hear_of_outage(self, number: int, cell: int, left: float) -> None:
        self._silent[number, cell] = left == 0
