"""A network of radio cells as a user writes it. Light to import: arrays and clocks come in inside methods."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from netfed.network.background import Background
from netfed.network.link_adaptation.scheduler import Scheduler
from netfed.network.mobility.handover import SHORTEST_S, Handover
from netfed.network.mobility.spec import Area, Manhattan
from netfed.network.outages import Outages
from netfed.network.radio.antenna import Antenna, Sectors
from netfed.network.radio.buildings import Buildings
from netfed.network.radio.carrier import Carrier
from netfed.network.radio.propagation import Propagation
from netfed.network.spec import Delivery, Devices, LinkClass, Network, check_backhaul, check_meter
from netfed.network.topology import Hexagonal, Topology, whole_rings
from netfed.units import BitsPerSecond, Seconds
from netfed.validation import Problem

if TYPE_CHECKING:
    from simpy import Environment

    from netfed.network.medium import Medium
    from netfed.network.mobility.spec import Mobility
    from netfed.network.network import Network as Links
    from netfed.network.radio_access import RadioAccess
    from netfed.network.traffic import Direction


@dataclass(frozen=True)
class Session:
    """What the session of a device may have in one direction.

    Attributes:
        limit: What a transfer gets at the most, however fast the radio (in 5G the session's aggregate maximum bit rate:
            3GPP TS 23.501, clause 5.7.2.6); null: as much as there is.
    """

    limit: BitsPerSecond | None = None

    def __post_init__(self) -> None:
        if self.limit is not None and not self.limit > 0:
            raise ValueError("limit must be more than 0 bit/s")


@dataclass(frozen=True)
class Cellular(Network, kind="cellular"):
    """Rates that follow from the radio: where devices are, what is in between, who interferes (see `radio_access`).

    What is shared is shared as under ``fluid``. A device that takes part is served by the strongest cell when it
    begins, and changes cells as it moves.

    Attributes:
        propagation: What lies between base stations and devices.
        carrier: What they transmit on.
        backhaul: Links between base stations and the cloud, one each way and base station.
        antenna: Of the base stations.
        buildings: Who is behind which walls.
        scheduler: Who is sent to first.
        background: What others take of the airtime of cells: their traffic interferes; null: nothing. Of several, a
            cell feels all that take some of its airtime together.
        outages: When cells and links of the backhaul are out of order.
        uplink: Of the sessions of devices, towards the cloud.
        downlink: Likewise, from it.
        latency: Over the air: 4 ms is what ITU-R M.2410, clause 4.7.1, asks of enhanced mobile broadband, one way.
        refresh: Between looks at the radio, at the most: signals, cells, interference and rates stay as they are in
            between.
        handover: When devices change cells.
        wraparound: Whether the base stations repeat all around, as 3GPP's evaluations have it: hexagonal grids of 7,
            19, 37, ... of them.
        delivery: How the same payload goes down to devices of one cell: ``unicast``, to each by itself, or
            ``multicast``, once for all that begin to receive it at the same moment, at the rate of the worst of them
            (point to multipoint: 3GPP TS 23.247). It crosses the backhaul as often as the air.
        meter: Time between records of how busy each link is and how much waits for it, while anything is under way;
            auto: 1 s at first, and twice as long after every thousand of them, at ten moments or more; null: none
            are made.
    """

    lacks: ClassVar[dict[str, str]] = {
        "traces": "rates follow from the radio of a cellular network; leave traces out, or take fluid: here,"
        " background takes airtime over time, and outages all of it"
    }

    propagation: Propagation
    carrier: Carrier
    backhaul: LinkClass
    antenna: Antenna = field(default_factory=Sectors)
    buildings: Buildings = field(default_factory=Buildings)
    scheduler: Scheduler = "round-robin"
    background: Background | tuple[Background, ...] | None = None
    outages: tuple[Outages, ...] = ()
    uplink: Session = field(default_factory=Session)
    downlink: Session = field(default_factory=Session)
    latency: Seconds = 0.004
    refresh: Seconds = 1.0
    handover: Handover = field(default_factory=Handover)
    wraparound: bool = False
    delivery: Delivery = "unicast"
    meter: Seconds | Literal["auto"] | None = "auto"

    def __post_init__(self) -> None:
        self.propagation.check_frequency(self.carrier.frequency)
        self.buildings.check(self.propagation, self.carrier.frequency)
        check_backhaul(self.backhaul)
        if not SHORTEST_S <= self.refresh < math.inf:
            raise ValueError("refresh must be 1 ms or more: each look at the radio costs time")
        if not 0 <= self.latency < math.inf:
            raise ValueError("latency must be 0 s or more")
        check_meter(self.meter)

    @property
    def cells(self) -> int:
        """How many cells a base station has: its sectors."""
        return self.antenna.sectors

    def misfits(self, topology: Topology, devices: Devices) -> Iterator[Problem]:
        """Yield what it says that does not fit the rest of a scenario."""
        yield from super().misfits(topology, devices)
        for path in dict.fromkeys(path for path, _ in devices.traced()):
            yield Problem(path, "rates follow from the radio of a cellular network; leave out this trace")
        if self.wraparound:
            try:
                _check_repeats(topology)
            except ValueError as error:
                yield Problem(("network", "wraparound"), str(error))
        if isinstance(devices.mobility, Manhattan):
            try:
                devices.mobility.blocks(_area(topology))
            except ValueError as error:
                yield Problem(("devices", "mobility", "block"), str(error))

    def air(self, direction: Direction) -> LinkClass:
        """Return what access links have in common: their rates are the radio's."""
        session = self.uplink if direction == "uplink" else self.downlink
        return LinkClass(rate=math.inf, latency=self.latency, limit=session.limit)

    def medium(self, env: Environment, backhaul_bps: float) -> Medium:
        """Return a medium in which transfers slow each other down."""
        from netfed.network.flows import Shared

        return Shared(env, backhaul_bps, self.cells)

    def mesh(self, env: Environment, rates_bps: Sequence[float], routes: Sequence[Sequence[int]]) -> Medium:
        """Return a medium in which transfers slow each other down wherever they meet."""
        from netfed.network.flows import Meshed

        return Meshed(env, rates_bps, routes)

    def radio_access(self, network: Links, mobility: Mobility, spacing_m: float) -> RadioAccess:
        """Return what gives devices their cells and rates."""
        from netfed.network.radio_access import RadioAccess

        return RadioAccess(self, network, mobility, spacing_m)


def _area(topology: Topology) -> Area:
    """Return the area that the cells of a topology's base stations cover."""
    from netfed.network.backhaul import positions_m

    return Area.around(positions_m(topology.graph()), topology.spacing / math.sqrt(3.0))


def _check_repeats(topology: Topology) -> None:
    """Refuse base stations that cannot repeat all around.

    Raises:
        ValueError: They are no hexagonal grid of whole rings.
    """
    if not isinstance(topology, Hexagonal):
        raise ValueError(f"a topology of kind {topology.kind} does not repeat; take hexagonal, or leave this out")
    whole_rings(topology.base_stations)
