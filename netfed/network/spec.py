"""What a user writes about the network and the devices. Light to import: arrays and clocks come in inside methods."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from netfed.network.availability import Always, Availability
from netfed.network.battery import Battery
from netfed.network.profiles import PROFILES
from netfed.plugin import Plugin
from netfed.spelling import did_you_mean
from netfed.units import BitsPerSecond, Fraction, Seconds

if TYPE_CHECKING:
    from simpy import Environment

    from netfed.network.medium import Medium


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


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
    """

    rate: BitsPerSecond
    spread: Annotated[float, Field(ge=0, le=5)] = 0.0
    latency: Seconds = 0.0
    loss: Fraction = 0.0

    def __post_init__(self) -> None:
        _require(self.rate > 0, "rate must be more than 0 bit/s")
        _require(0 <= self.spread < math.inf, "spread must be 0 or more")
        _require(0 <= self.latency < math.inf, "latency must be 0 s or more")
        _require(0 <= self.loss <= 1, "loss must be from 0 to 1")


@dataclass(frozen=True)
class Devices:
    """Who takes part.

    Attributes:
        count: How many devices there are.
        profile: Their hardware: a profile's name, or the share of devices that has each.
        speed_spread: Standard deviation of the natural logarithm of a device's speed relative to its profile.
        dropout: How often they leave.
        availability: When they can be reached.
        battery: What they run on; null: they never run out.
    """

    count: Annotated[int, Field(ge=1)]
    profile: str | dict[str, Fraction] = "phone"
    speed_spread: Annotated[float, Field(ge=0, le=5)] = 0.0
    dropout: Dropout = field(default_factory=Dropout)
    availability: Availability = field(default_factory=Always)
    battery: Battery | None = None

    def __post_init__(self) -> None:
        _require(self.count >= 1, "count must be at least 1")
        _require(0 <= self.speed_spread < math.inf, "speed_spread must be 0 or more")
        for name, share in self.shares.items():
            known = f"profile: {name!r} is none of {', '.join(PROFILES)}"
            _require(name in PROFILES, known + did_you_mean(name, PROFILES))
            _require(0 <= share <= 1, f"profile: the share of {name!r} must be from 0 to 1")
        total = math.fsum(self.shares.values())
        _require(math.isclose(total, 1.0, abs_tol=1e-9), f"profile: the shares add up to {total:g}, not to 1")

    @property
    def shares(self) -> dict[str, float]:
        """Share of devices by profile."""
        return {self.profile: 1.0} if isinstance(self.profile, str) else self.profile


class Network(Plugin):
    """How payloads travel between the cloud and the devices.

    Attributes:
        uplink: Access links from devices to their base station.
        downlink: Access links from base stations to their devices.
        backhaul: Links between base stations and the cloud, one each way and base station.
    """

    uplink: LinkClass
    downlink: LinkClass
    backhaul: LinkClass

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


@dataclass(frozen=True)
class Ideal(Network, kind="ideal"):
    """No network effects: transfers are instant and lossless, and cost no energy."""

    uplink = downlink = backhaul = LinkClass(rate=math.inf)

    def backhaul_link(self, **_own: float) -> LinkClass:
        """Return a link without effects, whatever the topology says of it."""
        return self.backhaul

    def medium(self, env: Environment, backhaul_bps: float) -> Medium:
        """Return a medium that gives every transfer all it asks for."""
        from netfed.network.medium import Dedicated

        return Dedicated(env, backhaul_bps)


@dataclass(frozen=True)
class Rated(Network):
    """A network whose links have given rates: what `Fixed` and `Fluid` have in common."""

    uplink: LinkClass
    downlink: LinkClass
    backhaul: LinkClass

    def __post_init__(self) -> None:
        _require(self.backhaul.spread == 0, "backhaul: spread is for access links only")
        for name in ("uplink", "downlink"):
            _require(getattr(self, name).rate < math.inf, f"{name}: rate must be finite")


@dataclass(frozen=True)
class Fixed(Rated, kind="fixed"):
    """Constant rates: a transfer goes as fast as the slower of its two links, however many others are under way."""

    def medium(self, env: Environment, backhaul_bps: float) -> Medium:
        """Return a medium that shares nothing."""
        from netfed.network.medium import Dedicated

        return Dedicated(env, backhaul_bps)


@dataclass(frozen=True)
class Fluid(Rated, kind="fluid"):
    """Shared rates: the transfers of a cell share its airtime, and those of a backhaul its rate (see `sharing`)."""

    def medium(self, env: Environment, backhaul_bps: float) -> Medium:
        """Return a medium in which transfers slow each other down."""
        from netfed.network.flows import Shared

        return Shared(env, backhaul_bps)
