"""Asynchronous federated optimisation (Xie, Koyejo and Gupta 2019, arXiv:1903.03934, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from netfed.schemes.spec import Scheme
from netfed.schemes.staleness import Polynomial, Staleness

if TYPE_CHECKING:
    from collections.abc import Generator

    from netfed.simulation import Simulation


@dataclass(frozen=True)
class FedAsync(Scheme, kind="fedasync"):
    """A fixed number of clients is always at work; the server moves towards each model as it arrives.

    The new model is (1 - a) times the old one plus a times the client's, where a is ``alpha`` times the factor of the
    client's staleness. The paper's clients are also pulled back to where they started from: that is ``rule.proximal``.

    Attributes:
        aggregations: Server steps, one for each arrival.
        concurrency: Clients at work.
        alpha: How far a fresh model moves the server's; 1: all the way.
        staleness: How much less a stale one does.
    """

    aggregations: Annotated[int, Field(ge=1, le=1_000_000)]
    concurrency: Annotated[int, Field(ge=1)]
    alpha: Annotated[float, Field(gt=0, le=1)]
    staleness: Staleness = field(default_factory=Polynomial)

    @property
    def clients(self) -> int:
        return self.concurrency

    @property
    def versions(self) -> int:
        return self.aggregations

    @property
    def participations(self) -> int:
        return self.aggregations

    def run(self, sim: Simulation) -> Generator[Any, Any, None]:
        from netfed.inbox import Inbox
        from netfed.schemes.steps import collect, dismiss, keep_busy

        inbox = Inbox(sim.env)
        seats = [sim.env.process(keep_busy(sim, inbox)) for _ in range(self.concurrency)]
        for version in range(self.aggregations):
            (arrival,) = yield from collect(sim, inbox, 1)
            sim.mix(arrival, self.alpha * self.staleness.factor(version - arrival.model.version))
        yield from dismiss(sim, seats, inbox, "dismissed")
