"""What each round's duration went to, along its critical path.

The path is followed backwards, from the end of a round to its beginning: the update that came last, what its device did
for it, one thing after the other, and, if that began within the round, whoever had ended then, so that it could begin
(in FedBuff the client that left its seat; under a base station its round before, or the model from the cloud). This is
the critical path method (Kelley and Walker, "Critical-path planning and scheduling", 1959) on what has happened.

Durations are fractions: each float is one, so their sums are exact. The parts of a round add up to its duration.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from netfed.chains import Chain, Span

CLOUD, DEVICES = "cloud", "waiting for devices"
STRAGGLERS, DEADLINE = "waiting for stragglers", "deadline slack"
PROMOTION, RADIO, SHARE, BACKHAUL, CORE, LATENCY = "promotion", "radio", "cell share", "backhaul", "core", "latency"

Parts = dict[str, Fraction]
"""Seconds by what they went to."""

_ROUNDING = Fraction(1, 2**20)
"""The share of a transfer below which waiting is taken for rounding: where a rate changes, whole bits are counted."""


@dataclass(frozen=True)
class Leg:
    """A stretch of the critical path.

    Attributes:
        name: downlink, compute, uplink, or what was waited for.
        start_s: When it began, or the round did, if that was later.
        end_s: When it ended.
        parts: What it went to; they add up to its duration.
        device: Whose it is, or who was waited for; None: nobody's.
        cell: Where; None: nowhere.
    """

    name: str
    start_s: float
    end_s: float
    parts: Parts
    device: int | None = None
    cell: int | None = None


@dataclass(frozen=True)
class Round:
    """From one version of the model to the next.

    Attributes:
        version: The one that it made.
        begin_s: When the version before was published; 0 for the first.
        end_s: When this one was.
        legs: Its critical path, in order of time, without gaps.
    """

    version: int
    begin_s: float
    end_s: float
    legs: list[Leg]

    @property
    def parts(self) -> Parts:
        """What its duration went to; they add up to it."""
        return total(leg.parts for leg in self.legs)

    @property
    def bottleneck(self) -> str:
        """The largest part; empty if it took no time."""
        return largest(self.parts)


def critical_paths(chains: Sequence[Chain], versions: Sequence[int], ends_s: Sequence[float]) -> Iterator[Round]:
    """Yield the rounds of a run.

    Args:
        chains: In the order in which they ended.
        versions: That were published. [round]
        ends_s: When. [round]
    """
    order_s = [chain.end_s for chain in chains]
    begin_s = 0.0
    for version, end_s in zip(versions, ends_s, strict=True):
        there = bisect_right(order_s, end_s)
        yield Round(version, begin_s, end_s, [*_backwards(chains, there, begin_s, end_s)][::-1])
        begin_s = end_s


def total(parts: Iterable[Mapping[str, Fraction]]) -> Parts:
    """Return the sums, by name."""
    sums: Parts = {}
    for each in parts:
        for name, duration in each.items():
            sums[name] = sums.get(name, Fraction(0)) + duration
    return sums


def largest(parts: Parts) -> str:
    """Return the name of the largest part; empty if all are zero."""
    name = max(parts, key=parts.__getitem__, default="")
    return name if name and parts[name] else ""


def _backwards(chains: Sequence[Chain], there: int, begin_s: float, end_s: float) -> Iterator[Leg]:
    """Yield the legs of the critical path that ends with one of the first ``there`` chains, the last leg first."""
    edge: int | None = None
    now_s, idle = end_s, CLOUD
    while now_s > begin_s:
        there = _last(chains, there, edge, now_s, begin_s)
        if there < 0:
            yield _waiting(idle, begin_s, now_s)
            return
        chain = chains[there]
        if chain.end_s < now_s:
            yield _waiting(idle, chain.end_s, now_s)
        idle = DEVICES
        mate = _mate(chains, there, edge) if chain.cause else None
        if mate is not None:
            now_s, there = max(begin_s, chains[mate].end_s), mate + 1
        else:
            now_s = max(begin_s, chain.start_s)
            edge = chain.edge if chain.device is None else edge
        if chain.cause:
            if now_s < chain.end_s:
                name = DEADLINE if chain.cause == "late" else STRAGGLERS
                yield _waiting(name, now_s, chain.end_s, chain)
        else:
            yield from _worked(chain, begin_s)


def _last(chains: Sequence[Chain], there: int, edge: int | None, now_s: float, begin_s: float) -> int:
    """Return which of the first ``there`` chains ended last by now, one that was not lost if there is such; or -1.

    Under a base station (``edge``) none but those of its server count.
    """
    found = -1
    for index in range(there - 1, -1, -1):
        chain = chains[index]
        if chain.end_s <= begin_s or (found >= 0 and chain.end_s < chains[found].end_s):
            break
        if chain.end_s <= now_s and edge in (None, chain.edge):
            if not chain.cause:
                return index
            found = max(found, index)
    return found


def _mate(chains: Sequence[Chain], lost: int, edge: int | None) -> int | None:
    """Return the last to arrive of those that a server has waited for together with one that was lost."""
    start_s, device = chains[lost].start_s, chains[lost].device
    for index in range(lost - 1, -1, -1):
        chain = chains[index]
        if chain.end_s < start_s:
            break
        together = chain.start_s == start_s and (chain.device is None) == (device is None)
        if together and not chain.cause and edge in (None, chain.edge):
            return index
    return None


def _waiting(name: str, start_s: float, end_s: float, lost: Chain | None = None) -> Leg:
    duration = {name: Fraction(end_s) - Fraction(start_s)}
    return Leg(name, start_s, end_s, duration, *((lost.device, lost.cell) if lost else ()))


def _worked(chain: Chain, begin_s: float) -> Iterator[Leg]:
    """Yield the legs of a chain since the round began, the last one first."""
    for span in reversed(chain.spans):
        if span.end_s > max(begin_s, span.start_s):
            start_s = max(begin_s, span.start_s)
            yield Leg(span.phase, start_s, span.end_s, split(span, start_s), chain.device, chain.cell)


def split(span: Span, since_s: float) -> Parts:
    """Return what a span went to, from a moment in it on.

    A radio that is not connected is promoted first. Then bits flow: at each moment of that in the same proportion to
    the radio, to waiting for the cell's airtime, to waiting for the backhaul, and to the limit of the session, which
    the core network enforces. Latency follows.
    """
    duration = Fraction(span.end_s) - Fraction(since_s)
    if span.phase in ("compute", PROMOTION):
        return {span.phase: duration}
    connected_s = span.start_s if span.connected_s is None else span.connected_s
    promotion = max(Fraction(connected_s) - Fraction(since_s), Fraction(0))
    duration -= promotion
    whole = Fraction(span.end_s) - Fraction(connected_s)
    latency = min(Fraction(span.latency_s), whole)
    whole -= latency
    latency = min(latency, duration)
    flowing = duration - latency
    if span.trunk:
        parts = {BACKHAUL: flowing}
    elif span.airtime_s is None:
        parts = {"": flowing}
    else:
        held = min(Fraction(span.backhaul_s), whole)
        limited = min(Fraction(span.core_s), whole - held)
        shared = max(whole - held - limited - Fraction(span.airtime_s), Fraction(0))
        shared, held, limited = (
            flowing * each / whole if each > _ROUNDING * whole else Fraction(0) for each in (shared, held, limited)
        )
        parts = {RADIO: flowing - shared - held - limited, SHARE: shared, BACKHAUL: held, CORE: limited}
    parts = {PROMOTION: promotion, **parts, LATENCY: latency}
    return {f"{span.phase} {name}".strip(): part for name, part in parts.items() if part}
