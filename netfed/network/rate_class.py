"""Flows that are equally fast per weight, whatever happens: those of one rate of the carrier under one limit.

A flow has a level that it cannot pass, per weight: that of the backhaul, or a limit of its own if that is lower. Flows
with the same limit are a tier.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any

from netfed.network.medium import Flow
from netfed.network.virtual_time import VirtualClock

FINE, FINER = 2.0**60, 2.0**120
"""A unit in fine units, and in fine units of these."""


def fine(amount: float) -> int:
    """Return a positive amount as a positive whole number, in units of 2^-60.

    Sums of these are exact: they depend on what is there, not on what was and has gone.
    """
    return math.ceil(amount * FINE)


class RateClass(VirtualClock[Flow]):
    """The flows of one tier and one rate of the carrier: per weight they are equally fast, whatever happens.

    It is a clock that shows bits per weight.

    Attributes:
        tier: Theirs.
        carrier_bps: What their radios would do on all resource blocks.
        carrier: The same, in fine units.
        weight: Of all of them, in fine units.
    """

    __slots__ = ("_held", "_held_from", "carrier", "carrier_bps", "tier", "weight")

    def __init__(self, tier: Tier, carrier_bps: float) -> None:
        super().__init__()
        self.tier = tier
        self.carrier_bps = carrier_bps
        self.carrier = fine(carrier_bps)
        self.weight = 0
        self._held = 0.0, 0.0, 0.0  # for how long, by how much it moved meanwhile, and how long the limit held it
        self._held_from: tuple[float, float, float] | None = None  # since when, at what readings of it and of the limit

    @property
    def airtime(self) -> int:
        """Airtime of one bit; in fine units of fine units, for it is small."""
        return fine(FINE / self.carrier_bps)

    def follow(self, driver: VirtualClock[Any] | None, rate: float, now_s: float) -> None:
        """Go on by this driver and at this rate; while its tier's level is that, it is held."""
        if self._held_from is not None:
            self._held = self._held_until(now_s)
        super().follow(driver, rate, now_s)
        held = driver is self.tier.level
        self._held_from = (now_s, self.read(now_s), self.tier.limiting_s(now_s)) if held else None

    def held_s(self, weight: int, radio_bps: float, now_s: float) -> tuple[float, float]:
        """Return for how long a flow was not on the air for being held, if it had been here from the beginning.

        Returns:
            In all, and by its limit.
        """
        seconds, bits, limited_s = self._held if self._held_from is None else self._held_until(now_s)
        by_limit_s = limited_s * max(0.0, 1 - weight * self.tier.limit_bps / radio_bps) if limited_s else 0.0
        return seconds - weight * bits / radio_bps, by_limit_s

    def _held_until(self, now_s: float) -> tuple[float, float, float]:
        assert self._held_from is not None
        (seconds, bits, limited_s), (since_s, reading, limiting_s) = self._held, self._held_from
        limited_s += self.tier.limiting_s(now_s) - limiting_s
        return seconds + (now_s - since_s), bits + (self.read(now_s) - reading), limited_s


class Tier:
    """The rate classes of a cell that have one limit, the slowest first. The first are free, the rest are held.

    Args:
        limit_bps: What their flows get at the most, per weight.
        level: The clock that drives those that are held: bits per weight.

    Attributes:
        limit_bps: See above.
        level: See above.
        rate_classes: See above.
        carriers_bps: What their radios would do on all resource blocks.
        free: How many are.
        driven: How many the cell's airtime drives: those that were free when the clocks were last set.
        at_limit: Whether the limit holds them, and not the backhaul's level.
        held_weight: Of those that are held.
        held_airtime: Likewise, weight times airtime of a bit.
    """

    __slots__ = (
        "_limiting",
        "_limiting_s",
        "_limiting_since_s",
        "at_limit",
        "carriers_bps",
        "driven",
        "free",
        "held_airtime",
        "held_weight",
        "level",
        "limit_bps",
        "rate_classes",
    )

    def __init__(self, limit_bps: float, level: VirtualClock[RateClass]) -> None:
        self.limit_bps = limit_bps
        self.level = level
        self.rate_classes: list[RateClass] = []
        self.carriers_bps: list[float] = []
        self.free = 0
        self.driven = 0
        self.at_limit = limit_bps < math.inf
        self._limiting = False
        self._limiting_s = self._limiting_since_s = 0.0
        self.held_weight = 0
        self.held_airtime = 0

    def limiting_s(self, now_s: float) -> float:
        """Return for how long so far its limit, being lower than the backhaul's level, was what holds."""
        return self._limiting_s + (now_s - self._limiting_since_s if self._limiting else 0.0)

    def drive(self, level_bps: float, now_s: float) -> None:
        """Let those that are held go on at their limit, or at the backhaul's level if that is lower."""
        self.level.follow(None, min(level_bps, self.limit_bps), now_s)
        limiting = self.limit_bps <= level_bps
        if limiting != self._limiting:
            self._limiting_s = self.limiting_s(now_s)
            self._limiting, self._limiting_since_s = limiting, now_s

    def index(self, carrier_bps: float) -> int:
        """Return the place of a rate class, which may not be there."""
        return bisect_left(self.carriers_bps, carrier_bps)

    def count_held(self, rate_class: RateClass, weight: int) -> None:
        """Count weight of a rate class in, or out, among those that are held."""
        self.held_weight += weight
        self.held_airtime += weight * rate_class.airtime

    def hand_over(self, airtime: VirtualClock[Any], now_s: float) -> None:
        """Let airtime drive the rate classes that are free now, and the level those that are held."""
        while self.driven < self.free:
            rate_class = self.rate_classes[self.driven]
            _hand_over(rate_class, self.level, airtime, rate_class.carrier_bps, now_s)
            self.driven += 1
        while self.driven > self.free:
            self.driven -= 1
            _hand_over(self.rate_classes[self.driven], airtime, self.level, 1.0, now_s)


def _hand_over(
    rate_class: RateClass, source: VirtualClock[Any], target: VirtualClock[Any], rate: float, now_s: float
) -> None:
    source.forget(rate_class)
    rate_class.follow(target, rate, now_s)
    target.expect(rate_class, rate_class.alarm())
