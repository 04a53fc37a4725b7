"""Who was kept busy by what, one thing after the other: the rows of a run as chains of spans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

_PHASES = ("downlink", "compute", "uplink")
_TRUNK = "backhaul-"


@dataclass(frozen=True)
class Span:
    """A transfer, with the promotion of the radio before it, or a computation.

    Attributes:
        phase: downlink, compute, uplink, or another link's name; promotion, of a radio that never came to transfer.
        start_s: When it began.
        end_s: When it ended, or was broken off.
        trunk: Whether it is a transfer between a base station and the cloud, no device taking part.
        airtime_s: For how long it was on the air; None if nothing tells.
        backhaul_s: How long the backhaul held it up.
        core_s: How long the limit of its session did, which the core network enforces.
        latency_s: How long its last bit was under way.
        partial: Whether it is a reception, together with others, of which the rest followed.
        connected_s: When the radio had been promoted; None if it was connected from the start.
    """

    phase: str
    start_s: float
    end_s: float
    trunk: bool = False
    airtime_s: float | None = None
    backhaul_s: float = 0.0
    core_s: float = 0.0
    latency_s: float = 0.0
    partial: bool = False
    connected_s: float | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Span:
        """Return what a row of kind transfer, reception, compute or promotion tells of."""
        link = row.get("link") or row["kind"]
        return cls(
            link.removeprefix(_TRUNK),
            row["start_s"],
            row["t_s"],
            link.startswith(_TRUNK),
            row.get("airtime_s"),
            row.get("backhaul_s") or 0.0,
            row.get("core_s") or 0.0,
            row.get("latency_s") or 0.0,
            row["kind"] == "reception" and not row.get("delivered") and not row.get("cause"),
        )

    def after(self, promotion: Span) -> Span:
        """Return this transfer with the promotion that it had to wait for."""
        return replace(self, start_s=promotion.start_s, connected_s=promotion.end_s)

    @property
    def place(self) -> int:
        """Where its phase stands in an update."""
        return _PHASES.index(self.phase) if self.phase in _PHASES else len(_PHASES)


@dataclass
class Chain:
    """What a device did for one update, or a base station to move one model: spans that join end to end.

    Attributes:
        device: Whose it is; None: a base station's.
        spans: At least one, in order.
        cell: Where it first sent or received; None if it did neither.
        edge: The base station whose server it was for, which its device may have left; where there is none, its cell.
        cause: What it was lost to; None if it was not.
    """

    device: int | None
    spans: list[Span] = field(default_factory=list)
    cell: int | None = None
    edge: int | None = None
    cause: str | None = None

    @property
    def start_s(self) -> float:
        """When its first span began."""
        return self.spans[0].start_s

    @property
    def end_s(self) -> float:
        """When its last span ended."""
        return self.spans[-1].end_s

    def goes_on(self, span: Span) -> bool:
        """Whether a span of the same device belongs to the same update."""
        last = self.spans[-1]
        return self.cause is None and last.end_s == span.start_s and (last.place < span.place or last.partial)


def chains(rows: Iterable[Mapping[str, Any]]) -> list[Chain]:
    """Return the chains of a run, in the order in which they ended.

    A transmission to several devices is part of none: their receptions are.

    Args:
        rows: Events of kinds transfer, reception, compute, promotion and lost, as recorded.
    """
    promotions: dict[int, Span] = {}  # by device: those whose transfers have not ended yet
    latest: dict[int, Chain] = {}  # by device
    ended: dict[int, Chain] = {}  # by identity: a chain that goes on is put last again
    for row in rows:
        device = row.get("device")
        chain = None if device is None else latest.get(device)
        if row["kind"] == "lost":
            if chain is not None and chain.end_s == row["t_s"]:
                chain.cause = chain.cause or row["cause"]
            continue
        span = Span.of(row)
        if device is None and not span.trunk:
            continue
        if device is not None and row["kind"] == "promotion" and not row.get("cause"):
            promotions[device] = span
            continue
        if device in promotions:
            span = span.after(promotions.pop(device))
        if chain is None or not chain.goes_on(span):
            chain = Chain(device)
        if device is not None:
            latest[device] = chain
        chain.spans.append(span)
        chain.cause = row.get("cause")
        if chain.cell is None:
            chain.cell = row.get("cell")
            edge = row.get("edge")
            chain.edge = chain.cell if edge is None else edge
        ended.pop(id(chain), None)
        ended[id(chain)] = chain
    return list(ended.values())
