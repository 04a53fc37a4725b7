"""Buffered asynchronous aggregation (Nguyen et al., AISTATS 2022, arXiv:2106.06639, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from netfed.learning.server import Mean, ServerOptimizer
from netfed.schemes.spec import Scheme
from netfed.schemes.staleness import Polynomial, Staleness

if TYPE_CHECKING:
    from collections.abc import Generator

    from netfed.simulation import Simulation


@dataclass(frozen=True)
class FedBuff(Scheme, kind="fedbuff"):
    """A fixed number of clients is always at work; every ``buffer`` arrivals the server takes a step.

    The step is the sum of the buffered updates over the buffer's size, each discounted by its staleness: in the paper
    by the root of 1 + staleness (section 5). Updates count alike, however many examples they saw.

    Attributes:
        aggregations: Server steps.
        concurrency: Clients at work.
        buffer: Arrivals per step.
        staleness: How much less an update counts that was trained from an old version.
        server: What the server makes of the discounted mean.
    """

    aggregations: Annotated[int, Field(ge=1, le=1_000_000)]
    concurrency: Annotated[int, Field(ge=1)]
    buffer: Annotated[int, Field(ge=1)] = 10
    staleness: Staleness = field(default_factory=Polynomial)
    server: ServerOptimizer = field(default_factory=Mean)

    @property
    def clients(self) -> int:
        return self.concurrency

    @property
    def versions(self) -> int:
        return self.aggregations

    @property
    def participations(self) -> int:
        return self.aggregations * self.buffer

    def run(self, sim: Simulation) -> Generator[Any, Any, None]:
        from netfed.inbox import Inbox
        from netfed.schemes.steps import collect, dismiss, keep_busy

        inbox = Inbox(sim.env)
        seats = [sim.env.process(keep_busy(sim, inbox)) for _ in range(self.concurrency)]
        for version in range(self.aggregations):
            arrivals = yield from collect(sim, inbox, self.buffer)
            factors = [self.staleness.factor(version - arrival.model.version) for arrival in arrivals]
            sim.advance(arrivals, [factor / self.buffer for factor in factors], self.server)
        yield from dismiss(sim, seats, inbox, "dismissed")
