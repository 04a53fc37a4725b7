"""The network of one run."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from simpy import Environment, Event

from netfed.network import spec
from netfed.network.compute import compute
from netfed.network.energy import Ledger
from netfed.network.link import Link
from netfed.network.medium import Medium
from netfed.network.population import Device, Population
from netfed.network.profiles import Cost
from netfed.network.topology import CLOUD, base_station, connect
from netfed.network.traffic import Direction, Traffic
from netfed.recorder import Recorder
from netfed.streams import Streams


class Network:
    """Links, devices and their ledgers.

    Args:
        env: The clock.
        kind: How payloads travel.
        topology: Where base stations are.
        devices: Who takes part.
        streams: The world's randomness.
        recorder: Takes a row of each transfer and of each computation.

    Attributes:
        population: The devices.
        graph: The cloud, base stations and devices, and the links between them (`topology.connect`).
        media: What carries bits, by direction and base station.
        traffic: Bits, by direction and base station.
        ledger: Joules, by device and part.
    """

    def __init__(
        self,
        env: Environment,
        kind: spec.Network,
        topology: spec.Topology,
        devices: spec.Devices,
        streams: Streams,
        recorder: Recorder,
    ) -> None:
        self.env = env
        self.recorder = recorder
        self.population = Population(devices, topology, kind, streams)
        self.graph = connect(topology, kind, self.population)
        backhauls = [self.graph.edges[CLOUD, base_station(index)] for index in range(topology.base_stations)]
        self.media: dict[Direction, list[Medium]] = {
            "uplink": [kind.medium(env, links["uplink"].rate) for links in backhauls],
            "downlink": [kind.medium(env, links["downlink"].rate) for links in backhauls],
        }
        self.traffic = Traffic(self.media)
        self.ledger = Ledger(len(self.population))

    def downlink(self, device: Device) -> Link:
        """Return the way from the cloud to a device."""
        return Link(self, device, "downlink")

    def uplink(self, device: Device) -> Link:
        """Return the way from a device to the cloud."""
        return Link(self, device, "uplink")

    def compute(self, device: Device, cost: Cost | None) -> Generator[Event, Any, None]:
        """Spend the time and the energy of a computation on a device; see `compute`."""
        return compute(self.env, device, cost, self.ledger, self.recorder)

    def check_conservation(self) -> None:
        """Make sure that no bit has vanished or appeared.

        Raises:
            SimulationError: One has.
        """
        self.traffic.check()
