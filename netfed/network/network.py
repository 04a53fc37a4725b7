"""The network of one run."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

from simpy import Environment, Event

from netfed.network import spec
from netfed.network.backhaul import in_series, positions_m, routes
from netfed.network.batteries import Batteries
from netfed.network.compute import compute
from netfed.network.energy import Ledger
from netfed.network.link import Link
from netfed.network.medium import Dedicated, Medium
from netfed.network.population import Device, Population
from netfed.network.profiles import Cost
from netfed.network.span import Span
from netfed.network.topology import Topology
from netfed.network.traffic import Direction
from netfed.network.trunk import Trunk
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
        graph: The cloud, the base stations, and the links between them (`Topology.graph`).
        population: The devices.
        batteries: What they run on; None where they never run out.
        whole: The way between the cloud and the devices. Transfers on it do not share with those on its two parts.
        access: The part between base stations and devices.
        backhaul: The part between the cloud and base stations.
        media: What carries bits the whole way, by direction and base station.
        traffic: Bits that go the whole way, by direction and base station.
        ledger: Joules, by device and part.
    """

    def __init__(
        self,
        env: Environment,
        kind: spec.Network,
        topology: Topology,
        devices: spec.Devices,
        streams: Streams,
        recorder: Recorder,
    ) -> None:
        self.env = env
        self.recorder = recorder
        self.graph = topology.graph()
        self.population = Population(devices, positions_m(self.graph), topology.spacing, kind, streams)
        self.batteries = None if devices.battery is None else Batteries(env, devices.battery, self.population)
        self.ledger = Ledger(len(self.population))
        backhauls = routes(self.graph, kind)
        links: dict[Direction, spec.LinkClass] = {"uplink": kind.uplink, "downlink": kind.downlink}
        self.whole = Span(
            {direction: [kind.medium(env, backhaul.rate) for backhaul in backhauls] for direction in links},
            {direction: [in_series([link, backhaul]) for backhaul in backhauls] for direction, link in links.items()},
            devices.dropout,
        )
        self.access = Span(
            {direction: [kind.medium(env, math.inf) for _ in backhauls] for direction in links},
            {direction: [link] * len(backhauls) for direction, link in links.items()},
            devices.dropout,
        )
        self.backhaul = Span(
            {direction: [_wire(env, kind, backhaul) for backhaul in backhauls] for direction in links},
            dict.fromkeys(links, backhauls),
            spec.Dropout(),
        )
        self.media = self.whole.media
        self.traffic = self.whole.traffic

    def link(self, direction: Direction, device: Device, span: Span) -> Link:
        """Return the way between a device and the cloud (``whole``) or its base station (``access``)."""
        return Link(self, span.ways[direction][device.base_station], device)

    def downlink(self, device: Device) -> Link:
        """Return the way from the cloud to a device."""
        return self.link("downlink", device, self.whole)

    def uplink(self, device: Device) -> Link:
        """Return the way from a device to the cloud."""
        return self.link("uplink", device, self.whole)

    def trunk(self, direction: Direction, base_station: int) -> Trunk:
        """Return the way between a base station and the cloud."""
        return Trunk(self, self.backhaul.ways[direction][base_station])

    def bits(self) -> dict[str, int]:
        """Return the bits sent: from devices, to devices, over backhauls, and how many of all these were lost.

        What goes the whole way crosses both, and is lost but once.
        """
        whole, access, backhaul = (span.traffic.totals() for span in (self.whole, self.access, self.backhaul))
        return {
            "up": whole["up"] + access["up"],
            "down": whole["down"] + access["down"],
            "backhaul": whole["up"] + whole["down"] + backhaul["up"] + backhaul["down"],
            "lost": sum(totals[way] for totals in (whole, access, backhaul) for way in ("lost_up", "lost_down")),
        }

    def compute(self, device: Device, cost: Cost | None) -> Generator[Event, Any, None]:
        """Spend the time and the energy of a computation on a device; see `compute`."""
        return compute(self, device, cost)

    def check_conservation(self) -> None:
        """Make sure that no bit and no joule has vanished or appeared.

        Raises:
            SimulationError: One has.
        """
        for span in (self.whole, self.access, self.backhaul):
            span.traffic.check()
        if self.batteries is not None:
            self.batteries.check(self.ledger.joules.sum(axis=1))


def _wire(env: Environment, kind: spec.Network, backhaul: spec.LinkClass) -> Medium:
    """Return what carries bits over a backhaul alone: the wire is to them what its airtime is to a cell."""
    return kind.medium(env, math.inf) if backhaul.rate < math.inf else Dedicated(env, math.inf)
