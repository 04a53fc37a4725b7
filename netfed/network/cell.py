"""One cell: its flows share its airtime, or are in rate classes, some of which do while others are held at a level."""

from __future__ import annotations

import math
from typing import Any

from netfed.network.medium import Flow
from netfed.network.rate_class import FINE, FINER, RateClass, Tier, fine
from netfed.network.virtual_time import VirtualClock


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
        free_bps = self._free_carrier / self._free_weight / FINE if self._free_weight else 0.0
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
                self._left -= tier.held_airtime / FINER * tier.limit_bps
            else:
                held_weight += tier.held_weight
                held_airtime += tier.held_airtime
        self._held_s = held_airtime / FINER
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
