"""The network of one run."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from simpy import Environment, Event

from netfed.network import spec
from netfed.network.backhaul import in_series, positions_m, routes
from netfed.network.bandwidth import Radios
from netfed.network.batteries import Batteries
from netfed.network.carriers import Carriers
from netfed.network.compute import compute
from netfed.network.connections import Connections
from netfed.network.device_trace import followed
from netfed.network.energy import PARTS, Ledger
from netfed.network.heat import Heat
from netfed.network.link import Link
from netfed.network.meter import Meter
from netfed.network.multicast import Multicasts
from netfed.network.population import Device, Population
from netfed.network.profiles import Cost
from netfed.network.reception import Reception
from netfed.network.span import Span
from netfed.network.topology import Topology
from netfed.network.traffic import Direction
from netfed.network.transfer import Transfer
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
        recorder: Takes a row of each transfer, of each computation, and of what the meter sees.

    Attributes:
        graph: The cloud, the base stations, and the links between them (`Topology.graph`).
        population: The devices.
        batteries: What they run on; None where they never run out.
        heat: How hot they are; None where it makes no difference.
        connections: The states of their radios; None where these connect at once.
        radios: What lets their rates follow traces; None where none does.
        whole: The way between the cloud and the devices. Transfers on it do not share with those on its two parts.
        access: The part between base stations and devices.
        backhaul: The part between the cloud and base stations.
        media: What carries bits the whole way, by direction and base station.
        traffic: Bits that go the whole way, by direction and base station.
        ledger: Joules, by device and part.
        radio_access: What gives devices their cells and rates; None where they keep those that they have.
        meter: Looks at how busy links are; None where nobody does.
        transfers: Between devices and base stations, under way: the keys, in the order in which they began.
        multicasts: Transmissions down to several devices at once.
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
        self.batteries = None
        if devices.battery is not None:
            self.batteries = Batteries(env, devices.battery, self.population, devices.radio)
        self.heat = None if devices.thermal is None else Heat(env, devices.thermal)
        self.ledger = Ledger(len(self.population), PARTS if devices.radio is None else (*PARTS, "tail"))
        self.connections = None if devices.radio is None else Connections(self, devices.radio)
        self.radios = None
        if devices.traced():
            own, which = [trace.rates for trace in devices.traces], followed(devices.traces, devices.count, streams)
            self.radios = Radios(env, devices.rates(), streams, own, which if own else None)
        self.transfers: dict[Transfer, None] = {}
        self.multicasts = Multicasts(self)
        self._links = {"uplink": Link, "downlink": Reception if kind.delivery == "multicast" else Link}
        backhauls = routes(self.graph, kind)
        links: dict[Direction, spec.LinkClass] = {"uplink": kind.air("uplink"), "downlink": kind.air("downlink")}
        carriers = Carriers(env, kind, self.graph, streams)
        self.whole = Span(
            {direction: carriers.whole(direction) for direction in links},
            {direction: [in_series([link, backhaul]) for backhaul in backhauls] for direction, link in links.items()},
            devices.dropout,
        )
        self.access = Span(
            {direction: carriers.access(direction) for direction in links},
            {direction: [link] * len(backhauls) for direction, link in links.items()},
            devices.dropout,
        )
        self.backhaul = Span(
            {direction: carriers.backhaul() for direction in links},
            dict.fromkeys(links, backhauls),
            spec.Dropout(),
        )
        self.media = self.whole.media
        self.traffic = self.whole.traffic
        self.meter = None if kind.meter is None else self._metered(Meter(env, recorder, kind.meter), carriers)
        self.radio_access = kind.radio_access(self, devices.mobility, topology.spacing)

    def _metered(self, meter: Meter, carriers: Carriers) -> Meter:
        """Show a meter every link whose rate has an end."""
        for span in (self.whole, self.access):
            for direction, ways in span.ways.items():
                for way in ways:
                    for sector, cell in enumerate(way.cells):
                        meter.add(way.medium, [cell], link=direction, cell=way.base_station, sector=sector)
        for span in (self.whole, self.backhaul):
            for direction, media in span.media.items():
                for medium in dict.fromkeys(media):
                    for cable, base_stations, cells in carriers.loads[medium]:
                        if cable.rate_bps < math.inf:
                            alone = len(base_stations) == 1
                            name = {"cell": base_stations[0]} if alone else {"ends": cable.ends}
                            meter.add(medium, cells, cable.rate_bps, link=f"backhaul-{direction}", **name)
        return meter

    def attach(self, devices: NDArray[np.int64]) -> None:
        """Let devices that will begin now find their cells, where these depend on the radio."""
        if self.radio_access is not None:
            self.radio_access.attach(devices)

    def join(self, device_id: int) -> None:
        """Note that a device takes part: its cell and its rates follow its radio from now on."""
        if self.radio_access is not None:
            self.radio_access.join(device_id)

    def leave(self, device_id: int) -> None:
        """Note that a device takes part no longer."""
        if self.radio_access is not None:
            self.radio_access.leave(device_id)

    def link(self, direction: Direction, device: Device, span: Span, edge: int | None = None) -> Link:
        """Return the way between a device and the cloud (``whole``) or its base station (``access``).

        Args:
            direction: Of the payloads.
            device: At one end.
            span: What is crossed.
            edge: The base station whose server is at the other end; None: the cloud is.
        """
        return self._links[direction](self, span.ways[direction], device, edge)

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
