"""One cell: its flows share its airtime, or are in rate classes, some of which do while others are held at a level.

A flow has a level that it cannot pass, per weight: that of the backhaul, or a limit of its own if that is lower. Flows
with the same limit are a tier.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Any

from netfed.network.medium import Flow
from netfed.network.virtual_time import VirtualClock

_FINE, _FINER = 2.0**60, 2.0**120


def fine(amount: float) -> int:
    """Return a positive amount as a positive whole number, in units of 2^-60.

    Sums of these are exact: they depend on what is there, not on what was and has gone.
    """
    return math.ceil(amount * _FINE)


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
        return fine(_FINE / self.carrier_bps)

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


class Cell:
    """The flows of a cell: due on its airtime while none can be held; else rate classes are, and the flows on these.

    What it sends in total is a function of the backhaul's level, made of straight pieces.

    Args:
        level: The clock that drives the rate classes that the backhaul holds: bits per weight.

    Attributes:
        airtime: The clock that drives what is free: seconds per weight.
        limited: The tiers that have limits.
        slope: Of the piece that belongs to the present free and held rate classes; a weight.
        intercept_bps: Of that piece.
        low_bps: Its lower end, per weight: where the next rate class, if the level falls, would be held.
        high_bps: Its upper end, per weight: where the next one, if the level rises, would be free.
    """

    def __init__(self, level: VirtualClock[RateClass]) -> None:
        self.airtime: VirtualClock[RateClass | Flow] = VirtualClock()
        self.limited: list[Tier] = []
        self._capacity = 1.0
        self._clocks: dict[Flow, RateClass | None] = {}  # None is the airtime
        self._classified = False
        self._tiers = [Tier(math.inf, level)]
        self._free_weight = 0
        self._free_carrier = 0  # weight times rate of the carrier
        self._crossed: list[Tier] = []  # whose rate classes have been let go or held since the clocks were last set
        self._next_held = self._next_free = self._tiers[0]
        self._find_piece()
        self.find_ends()

    def set_capacity(self, capacity: float) -> None:
        """Let the cell have another share of the airtime that it is built for."""
        self._capacity = capacity
        self._find_piece()

    def join(self, flow: Flow, bits: float, weight: int, now_s: float) -> None:
        """Let a flow in."""
        if flow.most_bps < math.inf:
            self.classify(now_s)
        if self._classified:
            self._classify(flow, bits, weight, now_s)
            return
        carrier_bps = flow.carrier_bps
        self.airtime.expect(flow, self.airtime.read(now_s) + bits / weight / carrier_bps)
        self._clocks[flow] = None
        self._count_free(fine(carrier_bps), weight)
        self._find_piece()

    def leave(self, flow: Flow, weight: int, now_s: float) -> None:
        """Let a flow out."""
        flow.held_s, flow.limited_s = self.held_s(flow, weight, now_s)
        rate_class = self._clocks.pop(flow)
        if rate_class is None:
            self._forget(flow, weight)
            self._find_piece()
            return
        rate_class.forget(flow)
        self._weigh(rate_class, rate_class.tier.index(rate_class.carrier_bps), -weight)
        if not (self._clocks or self.limited):
            self._classified = False

    def left_bits(self, flow: Flow, weight: int, at_s: float) -> float:
        """Return how many of a flow's bits have not left at a moment, but for rounding."""
        rate_class = self._clocks[flow]
        if rate_class is None:
            return (self.airtime.due(flow) - self.airtime.read(at_s)) * flow.carrier_bps * weight
        return (rate_class.due(flow) - rate_class.read(at_s)) * weight

    def rate_bps(self, flow: Flow, weight: int) -> float:
        """Return how fast a flow is."""
        rate_class = self._clocks[flow]
        per_weight = self.airtime.speed * flow.carrier_bps if rate_class is None else rate_class.speed
        return per_weight * weight

    def held_s(self, flow: Flow, weight: int, now_s: float) -> tuple[float, float]:
        """Return for how long a flow has not been on the air because it was held: in all, and by its limit."""
        rate_class = self._clocks[flow]
        if rate_class is None:
            return flow.held_s, flow.limited_s
        held_s, limited_s = rate_class.held_s(weight, flow.radio_bps, now_s)
        return flow.held_s + held_s, flow.limited_s + limited_s

    def classify(self, now_s: float) -> None:
        """Put the flows in rate classes, so that some can be held. There they stay until the last one leaves."""
        if not self._classified:
            self._classified = True
            for flow in list(self._clocks):
                weight = fine(flow.weight)
                bits = self.left_bits(flow, weight, now_s)
                self._forget(flow, weight)
                self._classify(flow, bits, weight, now_s)

    def _classify(self, flow: Flow, bits: float, weight: int, now_s: float) -> None:
        """Let a flow into its rate class."""
        carrier_bps, most_bps = flow.carrier_bps, flow.most_bps
        tier = self._tiers[0] if most_bps == math.inf else self._limited(most_bps / weight)
        index = tier.index(carrier_bps)
        if index == len(tier.carriers_bps) or tier.carriers_bps[index] != carrier_bps:
            self._open(tier, index, carrier_bps, now_s)
        self._clocks[flow] = rate_class = tier.rate_classes[index]
        rate_class.expect(flow, rate_class.read(now_s) + bits / weight)
        self._weigh(rate_class, index, weight)
        held_s, limited_s = rate_class.held_s(weight, flow.radio_bps, now_s)
        flow.held_s -= held_s
        flow.limited_s -= limited_s

    def _forget(self, flow: Flow, weight: int) -> None:
        """Let a flow that is in no rate class be due no more."""
        self.airtime.forget(flow)
        self._count_free(fine(flow.carrier_bps), -weight)

    def balance(self, level_bps: float) -> None:
        """Find who is held at a level, now that flows have come or gone.

        Whoever is let go, or is held, leaves the free more airtime, never less. So those that keep less than the free
        have are held rightly, and those that pass their level are, whoever else is let go or held.
        """
        for tier in self.limited:
            tier.at_limit = tier.limit_bps <= level_bps
        self._find_piece()
        while (lagging := self._lagging(level_bps)) is not None:
            self._move(lagging, 1)
        while (passing := self._passing(level_bps)) is not None:
            self._move(passing, -1)

    def hold(self) -> None:
        """Go down to the next piece, beyond the lower end of this one."""
        tier = self._next_held
        if tier.at_limit and self.low_bps == tier.limit_bps:
            tier.at_limit = False
            self._find_piece()
        else:
            self._move(tier, -1)
        self.find_ends()

    def release(self) -> None:
        """Go up to the next piece, beyond the upper end of this one."""
        tier = self._next_free
        if not tier.at_limit and self.high_bps == tier.limit_bps:
            tier.at_limit = True
            self._find_piece()
        else:
            self._move(tier, 1)
        self.find_ends()

    def go_to(self, level_bps: float) -> float:
        """Go to the piece that holds a level, and return what the cell sends there."""
        while level_bps < self.low_bps:
            self.hold()
        while level_bps > self.high_bps:
            self.release()
        return self.intercept_bps + (self.slope * level_bps if self.slope else 0.0)

    @property
    def most_bps(self) -> float:
        """What the cell cannot pass, whatever the level."""
        fastest = (tier.carriers_bps[-1] for tier in self._tiers if tier.carriers_bps)
        return self._capacity * max(fastest, default=0.0)

    def share(self, level_bps: float) -> float:
        """Return the airtime that a free flow gets at a level, per weight."""
        if not self._free_weight:
            return 0.0
        left = self._left - level_bps * self._held_s if self._held_s else self._left
        return left / self._free_weight if left > 0 else 0.0

    def drive(self, level_bps: float, now_s: float) -> None:
        """Let the clocks run as they do at a level, but for that of the backhaul."""
        while self._crossed:
            self._crossed.pop().hand_over(self.airtime, now_s)
        for tier in self.limited:
            tier.drive(level_bps, now_s)
        if (share := self.share(level_bps)) != self.airtime.rate:
            self.airtime.follow(None, share, now_s)

    def _limited(self, limit_bps: float) -> Tier:
        """Return the tier of a limit. One that has become empty serves another limit: they come and go with rates."""
        for tier in self.limited:
            if tier.limit_bps == limit_bps:
                return tier
        for tier in self.limited:
            if not tier.rate_classes:
                tier.limit_bps = limit_bps
                return tier
        tier = Tier(limit_bps, VirtualClock())
        self.limited.append(tier)
        self._tiers.append(tier)
        return tier

    def _open(self, tier: Tier, index: int, carrier_bps: float, now_s: float) -> None:
        rate_class = RateClass(tier, carrier_bps)
        tier.rate_classes.insert(index, rate_class)
        tier.carriers_bps.insert(index, carrier_bps)
        if index <= tier.free:
            tier.free += 1
        if index <= tier.driven:
            tier.driven += 1
            rate_class.follow(self.airtime, carrier_bps, now_s)
        else:
            rate_class.follow(tier.level, 1.0, now_s)

    def _weigh(self, rate_class: RateClass, index: int, weight: int) -> None:
        tier = rate_class.tier
        rate_class.weight += weight
        if index < tier.free:
            self._count_free(rate_class.carrier, weight)
        else:
            tier.count_held(rate_class, weight)
        driver: VirtualClock[Any] = self.airtime if index < tier.driven else tier.level
        if rate_class.weight:
            driver.expect(rate_class, rate_class.alarm())
        else:
            driver.forget(rate_class)
            del tier.rate_classes[index], tier.carriers_bps[index]
            tier.free -= index < tier.free
            tier.driven -= driver is self.airtime
        self._find_piece()

    def _move(self, tier: Tier, step: int) -> None:
        """Hold the fastest rate class of a tier that is free (-1), or let the slowest that is held go (1)."""
        rate_class = tier.rate_classes[tier.free - (step < 0)]
        tier.free += step
        self._crossed.append(tier)
        self._count_free(rate_class.carrier, step * rate_class.weight)
        tier.count_held(rate_class, -step * rate_class.weight)
        self._find_piece()

    def _count_free(self, carrier: int, weight: int) -> None:
        self._free_weight += weight
        self._free_carrier += weight * carrier

    def _passing(self, level_bps: float) -> Tier | None:
        """Return a tier with a free rate class that passes its level."""
        share = self.share(level_bps)
        for tier in self._tiers:
            if tier.free and share * tier.rate_classes[tier.free - 1].carrier_bps > min(level_bps, tier.limit_bps):
                return tier
        return None

    def _lagging(self, level_bps: float) -> Tier | None:
        """Return the tier with the held rate class that has the most airtime, if the free have less."""
        most, found = self.share(level_bps), None
        for tier in self._tiers:
            if tier.free < len(tier.rate_classes):
                held_share = min(level_bps, tier.limit_bps) / tier.rate_classes[tier.free].carrier_bps
                if held_share > most:
                    most, found = held_share, tier
        return found

    def _find_piece(self) -> None:
        free_bps = self._free_carrier / self._free_weight / _FINE if self._free_weight else 0.0
        plain = self._tiers[0]
        if not (self.limited or plain.held_weight):
            self._left, self._held_s, self.slope = self._capacity, 0.0, 0.0
            self.intercept_bps = self._capacity * free_bps
            return
        held_weight, held_airtime = plain.held_weight, plain.held_airtime
        fixed_bps, self._left = 0.0, self._capacity
        for tier in self.limited:
            if tier.at_limit:
                fixed_bps += tier.held_weight * tier.limit_bps
                self._left -= tier.held_airtime / _FINER * tier.limit_bps
            else:
                held_weight += tier.held_weight
                held_airtime += tier.held_airtime
        self._held_s = held_airtime / _FINER
        self.intercept_bps = fixed_bps + self._left * free_bps
        self.slope = held_weight - self._held_s * free_bps

    def find_ends(self) -> None:
        """Find the ends of the present piece: the levels between which every tier stays as it is.

        Where nobody is free, all that are held would be free from the same level on, at which they use up the airtime;
        then it is the one with the most airtime that is.
        """
        lowest_bps, highest_bps = 0.0, math.inf
        only = None
        if self.limited and not self._free_weight:
            only = self._lagging(self._left / self._held_s if self._held_s else math.inf)
        for tier in self._tiers:
            low_bps, high_bps = (tier.limit_bps, math.inf) if tier.at_limit else (0.0, tier.limit_bps)
            rate_classes, free = tier.rate_classes, tier.free
            if free and (border_bps := self._border_bps(tier, rate_classes[free - 1])) > low_bps:
                low_bps = border_bps
            if free < len(rate_classes) and only in (None, tier):
                high_bps = min(high_bps, self._border_bps(tier, rate_classes[free]))
            if low_bps > lowest_bps:
                lowest_bps, self._next_held = low_bps, tier
            if high_bps < highest_bps:
                highest_bps, self._next_free = high_bps, tier
        self.low_bps, self.high_bps = lowest_bps, highest_bps

    def _border_bps(self, tier: Tier, rate_class: RateClass) -> float:
        """Return the level at which a rate class just reaches its own with its share of airtime.

        One that a limit holds does so because the level, at which others are held, leaves it less airtime.
        """
        free_s = self._free_weight / rate_class.carrier_bps
        if not tier.at_limit:
            return self._left / (self._held_s + free_s)
        left = self._left - tier.limit_bps * free_s
        return left / self._held_s if self._held_s else math.copysign(math.inf, left)


def _hand_over(
    rate_class: RateClass, source: VirtualClock[Any], target: VirtualClock[Any], rate: float, now_s: float
) -> None:
    source.forget(rate_class)
    rate_class.follow(target, rate, now_s)
    target.expect(rate_class, rate_class.alarm())
