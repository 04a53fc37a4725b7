"""What a user writes about the network and the devices. Light to import: arrays and clocks come in inside methods."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from netfed.network.availability import Always, Availability
from netfed.network.background import Background, too_much
from netfed.network.battery import Battery
from netfed.network.cell_trace import CellTrace
from netfed.network.cells import absent, named
from netfed.network.device_trace import DeviceTrace, conflicts
from netfed.network.mobility.spec import Mobility, Static
from netfed.network.outages import Outages
from netfed.network.profiles import PROFILES
from netfed.network.rate_trace import RateTrace, by_direction
from netfed.network.rrc import Rrc
from netfed.network.thermal import Thermal
from netfed.network.topology import BASE_STATION, Topology
from netfed.plugin import Plugin
from netfed.spelling import did_you_mean
from netfed.units import BitsPerSecond, Bytes, Fraction, Seconds
from netfed.validation import Path, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from simpy import Environment

    from netfed.network.medium import Medium
    from netfed.network.network import Network as Links
    from netfed.network.radio_access import RadioAccess
    from netfed.network.steps import Steps
    from netfed.network.traffic import Direction


Delivery = Literal["unicast", "multicast"]
"""To each by itself, or once for all of them."""


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_whole(key: str, shares: Mapping[Any, float]) -> None:
    total = math.fsum(shares.values())
    _require(math.isclose(total, 1.0, abs_tol=1e-9), f"{key}: the shares add up to {total:g}, not to 1")


def _check_keys(weights: Mapping[str, float]) -> None:
    """Refuse keys that are no numbers, or that are the same one."""
    known: dict[float, str] = {}
    for key in weights:
        try:
            first = known.setdefault(float(key), key)
        except ValueError:
            raise ValueError(f"weight: {key!r} is not a number") from None
        _require(first is key, f"weight: {first} and {key} are the same")


@dataclass(frozen=True)
class Dropout:
    """Probabilities that a device leaves in a phase, at a moment drawn uniformly over it."""

    download: Fraction = 0.0
    compute: Fraction = 0.0
    upload: Fraction = 0.0

    def __post_init__(self) -> None:
        for phase in ("download", "compute", "upload"):
            _require(0 <= getattr(self, phase) <= 1, f"{phase} must be from 0 to 1")


@dataclass(frozen=True)
class LinkClass:
    """What links of one class have in common.

    Attributes:
        rate: Median over devices of what a device gets while it has the link for itself.
        spread: Standard deviation of the natural logarithm of a device's rate. Access links only.
        latency: From the last bit's departure to its arrival.
        loss: Probability that a transfer breaks, after a share of its bits drawn uniformly.
        limit: What a transfer gets at the most, however fast the radio (in 5G the session's aggregate maximum bit rate:
            3GPP TS 23.501, clause 5.7.2.6); null: as much as there is. Access links only.
    """

    rate: BitsPerSecond
    spread: Annotated[float, Field(ge=0, le=5)] = 0.0
    latency: Seconds = 0.0
    loss: Fraction = 0.0
    limit: BitsPerSecond | None = None

    def __post_init__(self) -> None:
        _require(self.rate > 0, "rate must be more than 0 bit/s")
        _require(0 <= self.spread < math.inf, "spread must be 0 or more")
        _require(0 <= self.latency < math.inf, "latency must be 0 s or more")
        _require(0 <= self.loss <= 1, "loss must be from 0 to 1")
        _require(self.limit is None or self.limit > 0, "limit must be more than 0 bit/s")


@dataclass(frozen=True)
class Devices:
    """Who takes part.

    Attributes:
        count: How many devices there are.
        profile: Their hardware: a profile's name, or the share of devices that has each.
        speed_spread: Standard deviation of the natural logarithm of a device's speed relative to its profile.
        dropout: How often they leave.
        availability: When they can be reached.
        mobility: How they move.
        battery: What they run on; null: they never run out.
        radio: How their radios connect; null: at once, and they are idle as soon as a transfer ends.
        thermal: How heat slows them down; null: it does not.
        uplink: Rate of their radios over time, in place of that of the network's uplink: each device is at a moment of
            the trace of its own, and keeps the distance; null: constant.
        downlink: Likewise.
        traces: Traces that some of them follow instead, in one direction or in both.
        memory: What a learner may take on each; null: what their profiles say. Who has too little is never selected.
        weight: What the transfers of a device weigh when they share airtime, or the backhaul, with others: a number, or
            the share of devices that has each. A weight of 4 gets four times what one of 1 does (discriminatory
            processor sharing: Fayolle, Mitrani and Iasnogorodski, JACM 27(3), 1980). It stands for the priority level
            of a QoS flow, 3GPP TS 23.501, clause 5.7.3.3, which leaves open what a scheduler makes of it. What goes to
            several devices at once (``network.delivery``) weighs 1.
    """

    count: Annotated[int, Field(ge=1)]
    profile: str | dict[str, Fraction] = "phone"
    speed_spread: Annotated[float, Field(ge=0, le=5)] = 0.0
    dropout: Dropout = field(default_factory=Dropout)
    availability: Availability = field(default_factory=Always)
    mobility: Mobility = field(default_factory=Static)
    battery: Battery | None = None
    radio: Rrc | None = None
    thermal: Thermal | None = None
    uplink: RateTrace | None = None
    downlink: RateTrace | None = None
    traces: tuple[DeviceTrace, ...] = ()
    memory: Bytes | None = None
    weight: float | dict[str, Fraction] = 1.0

    def __post_init__(self) -> None:
        _require(self.count >= 1, "count must be at least 1")
        _require(0 <= self.speed_spread < math.inf, "speed_spread must be 0 or more")
        for name, share in self.shares.items():
            known = f"profile: {name!r} is none of {', '.join(PROFILES)}"
            _require(name in PROFILES, known + did_you_mean(name, PROFILES))
            _require(0 <= share <= 1, f"profile: the share of {name!r} must be from 0 to 1")
        _require_whole("profile", self.shares)
        if isinstance(self.weight, dict):
            _check_keys(self.weight)
        for weight, share in self.weights.items():
            _require(0.001 <= weight <= 1000, f"weight: {weight:g} is not from 0.001 to 1000")
            _require(0 <= share <= 1, f"weight: the share of {weight:g} must be from 0 to 1")
        _require_whole("weight", self.weights)
        _ = self.rates()
        for conflict in conflicts(self.traces, self.count):
            raise ValueError(conflict)

    def traced(self) -> list[tuple[Path, Direction]]:
        """Return the keys under which there are traces, and the directions of these."""
        found: list[tuple[Path, Direction]] = [(("devices", direction), direction) for direction in self.rates()]
        for index, trace in enumerate(self.traces):
            found += [(("devices", "traces", index), direction) for direction in trace.rates]
        return found

    def rates(self) -> dict[Direction, Steps]:
        """Return the rates of all who have no trace of their own that follow one, by direction.

        Raises:
            ValueError: A trace does not say what it should.
        """
        return by_direction(self.uplink, self.downlink)

    @property
    def shares(self) -> dict[str, float]:
        """Share of devices by profile."""
        return {self.profile: 1.0} if isinstance(self.profile, str) else self.profile

    @property
    def weights(self) -> dict[float, float]:
        """Share of devices by weight."""
        if isinstance(self.weight, dict):
            return {float(weight): share for weight, share in self.weight.items()}
        return {self.weight: 1.0}


class Network(Plugin):
    """How payloads travel between the cloud and the devices.

    Attributes:
        backhaul: Links between base stations and the cloud, one each way and base station.
        background: What others take of the airtime of cells; null: nothing. Of several, a cell feels all that take some
            of its airtime together.
        outages: When cells and links of the backhaul are out of order.
        traces: Cells whose rates follow traces: what background and outages take of them they take of that.
        delivery: How the same payload goes down to devices of one cell: ``unicast``, to each by itself, or
            ``multicast``, once for all that begin to receive it at the same moment, at the rate of the worst of them
            (point to multipoint: 3GPP TS 23.247). It crosses the backhaul as often as the air.
        meter: How far apart looks at how busy links are (see `meter`); null: nobody looks.
    """

    backhaul: LinkClass
    background: Background | tuple[Background, ...] | None = None
    outages: tuple[Outages, ...] = ()
    traces: tuple[CellTrace, ...] = ()
    delivery: Delivery = "unicast"
    meter: float | Literal["auto"] | None = None

    @property
    def cells(self) -> int:
        """How many cells a base station has: its sectors."""
        return 1

    def misfits(self, topology: Topology, devices: Devices) -> Iterator[Problem]:
        """Yield what it says that does not fit the rest of a scenario.

        Args:
            topology: Where base stations are.
            devices: Who takes part.
        """
        yield from self._absent(topology)
        for index, line in too_much(self.every_background):
            yield Problem(("network", "background", index), line)
        for path, direction in devices.traced():
            if any(direction in trace.rates for trace in self.traces):
                why = "cells of the network follow traces in this direction: leave out these, or this one"
                yield Problem(path, why)
            if direction == "downlink" and self.delivery == "multicast":
                yield Problem(path, "rates follow a trace in unicast alone, and network.delivery is multicast")
        for index, trace in enumerate(self.traces):
            for direction in trace.rates:
                for other in range(index):
                    if trace.meets(self.traces[other], direction):
                        why = f"a cell cannot follow this trace of its {direction} and that of traces.{other} too"
                        yield Problem(("network", "traces", index), why)

    def backgrounds(self, direction: Direction, cell: int) -> tuple[Background, ...]:
        """Return what others take of the airtime of a cell."""
        return tuple(each for each in self.every_background if each.takes(direction, cell))

    @property
    def every_background(self) -> tuple[Background, ...]:
        """What others take of the airtime of any cell."""
        if self.background is None:
            return ()
        return self.background if isinstance(self.background, tuple) else (self.background,)

    def _absent(self, topology: Topology) -> Iterator[Problem]:
        one = isinstance(self.background, Background)
        spoken_of: list[tuple[Path, Background | Outages | CellTrace]] = [
            *(
                (("network", "background", *(() if one else (index,))), each)
                for index, each in enumerate(self.every_background)
            ),
            *((("network", "outages", index), outages) for index, outages in enumerate(self.outages)),
            *((("network", "traces", index), trace) for index, trace in enumerate(self.traces)),
        ]
        if not any(named(each.cells) for _, each in spoken_of) and all(o.links in ("all", ()) for o in self.outages):
            return
        graph = topology.graph()
        count = self.cells * sum(role == BASE_STATION for _, role in graph.nodes(data="role"))
        for path, each in spoken_of:
            links = each.absent_links(graph) if isinstance(each, Outages) else ()
            for line in (*absent(each.cells, count), *links):
                yield Problem(path, line)

    def air(self, direction: Direction) -> LinkClass:
        """Return the access links between devices and their base station."""
        raise NotImplementedError

    def best_bps(self, direction: Direction, cell: int) -> float:
        """Return the median rate of radios in a cell, at the best moment of its trace if it follows one."""
        traces = (trace.rates[direction] for trace in self.traces if trace.leads(direction, cell))
        return max([self.air(direction).rate, *(float(steps.rate_bps.max()) for steps in traces)])

    def backhaul_link(self, **own: float) -> LinkClass:
        """Return one link of the backhaul.

        Args:
            own: Its own figures: any of ``rate``, ``latency`` and ``loss``.
        """
        return replace(self.backhaul, **own)

    def medium(self, env: Environment, backhaul_bps: float) -> Medium:
        """Return what carries the bits of one direction of one base station.

        Args:
            env: The clock.
            backhaul_bps: Rate of the backhaul link behind it.
        """
        raise NotImplementedError

    def mesh(self, env: Environment, rates_bps: Sequence[float], routes: Sequence[Sequence[int]]) -> Medium | None:
        """Return what carries the bits of one direction of base stations that share links of the backhaul.

        Args:
            env: The clock.
            rates_bps: Of the links.
            routes: The links that each cell's bits go over. [cell]

        Returns:
            None: They do not slow each other down; each has its `medium`.
        """
        return None

    def radio_access(self, network: Links, mobility: Mobility, spacing_m: float) -> RadioAccess | None:
        """Return what gives devices their cells and rates; None: they keep those that they have.

        Args:
            network: The network of a run.
            mobility: How devices move.
            spacing_m: Between base stations.
        """
        return None


@dataclass(frozen=True)
class Ideal(Network, kind="ideal"):
    """No network effects: transfers are instant and lossless, and cost no energy."""

    backhaul = LinkClass(rate=math.inf)

    def air(self, direction: Direction) -> LinkClass:
        """Return links without effects."""
        return self.backhaul

    def backhaul_link(self, **_own: float) -> LinkClass:
        """Return a link without effects, whatever the topology says of it."""
        return self.backhaul

    def medium(self, env: Environment, backhaul_bps: float) -> Medium:
        """Return a medium that gives every transfer all it asks for."""
        from netfed.network.dedicated import Dedicated

        return Dedicated(env, backhaul_bps, self.cells)


def check_backhaul(link: LinkClass) -> None:
    """Refuse what only access links have.

    Raises:
        ValueError: It has some of that.
    """
    _require(link.spread == 0, "backhaul: spread is for access links only")
    _require(link.limit is None, "backhaul: limit is for access links only")


def check_meter(interval: float | Literal["auto"] | None) -> None:
    """Refuse looks at links that are no time apart.

    Raises:
        ValueError: They are.
    """
    _require(interval is None or interval == "auto" or 0 < interval < math.inf, "meter must be more than 0 s")


@dataclass(frozen=True)
class Rated(Network):
    """A network whose links have given rates: what `Fixed` and `Fluid` have in common.

    Attributes:
        uplink: From devices to their base station.
        downlink: From base stations to their devices.
        backhaul: Links between base stations and the cloud, one each way and base station.
        background: What others take of the airtime of cells; null: nothing. Of several, a cell feels all that take some
            of its airtime together.
        outages: When cells and links of the backhaul are out of order.
        traces: See `Network`; likewise ``delivery``.
        meter: Time between records of how busy each link is and how much waits for it, while anything is under way;
            auto: 1 s at first, and twice as long after every thousand of them, at ten moments or more; null: none
            are made.
    """

    uplink: LinkClass
    downlink: LinkClass
    backhaul: LinkClass
    background: Background | tuple[Background, ...] | None = None
    outages: tuple[Outages, ...] = ()
    traces: tuple[CellTrace, ...] = ()
    delivery: Delivery = "unicast"
    meter: Seconds | Literal["auto"] | None = "auto"

    def __post_init__(self) -> None:
        check_backhaul(self.backhaul)
        for name in ("uplink", "downlink"):
            _require(getattr(self, name).rate < math.inf, f"{name}: rate must be finite")
        check_meter(self.meter)

    def air(self, direction: Direction) -> LinkClass:
        """Return the access links of one direction."""
        return self.uplink if direction == "uplink" else self.downlink


@dataclass(frozen=True)
class Fixed(Rated, kind="fixed"):
    """Constant rates: a transfer goes as fast as the slower of its two links, however many others are under way.

    In a cell that follows a trace, each transfer gets what the trace says, as if it were alone.
    """

    def medium(self, env: Environment, backhaul_bps: float) -> Medium:
        """Return a medium that shares nothing."""
        from netfed.network.dedicated import Dedicated

        return Dedicated(env, backhaul_bps, self.cells)


@dataclass(frozen=True)
class Fluid(Rated, kind="fluid"):
    """Shared rates: the transfers of a cell share its airtime, and those of a backhaul its rate (see `sharing`)."""

    def medium(self, env: Environment, backhaul_bps: float) -> Medium:
        """Return a medium in which transfers slow each other down."""
        from netfed.network.flows import Shared

        return Shared(env, backhaul_bps, self.cells)

    def mesh(self, env: Environment, rates_bps: Sequence[float], routes: Sequence[Sequence[int]]) -> Medium:
        """Return a medium in which transfers slow each other down wherever they meet."""
        from netfed.network.flows import Meshed

        return Meshed(env, rates_bps, routes)
