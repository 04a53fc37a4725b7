"""Buffered asynchronous aggregation (Nguyen et al., AISTATS 2022, arXiv:2106.06639, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from netfed.schemes.spec import Scheme

if TYPE_CHECKING:
    from collections.abc import Generator

    from simpy import Store

    from netfed.simulation import Simulation


@dataclass(frozen=True)
class FedBuff(Scheme, kind="fedbuff"):
    """A fixed number of clients is always at work; every ``buffer`` arrivals the server takes a step.

    The step is the sum of the buffered updates over the buffer's size, each discounted by (1 + staleness) to the power
    of minus ``staleness_exponent`` (section 5, where it is 1/2). Staleness counts the versions published since the
    client was sent its model. Updates count alike, however many examples they saw.

    Attributes:
        aggregations: Server steps.
        concurrency: Clients at work.
        buffer: Arrivals per step.
        staleness_exponent: 0 discounts nothing.
    """

    aggregations: Annotated[int, Field(ge=1, le=1_000_000)]
    concurrency: Annotated[int, Field(ge=1)]
    buffer: Annotated[int, Field(ge=1)] = 10
    staleness_exponent: Annotated[float, Field(ge=0, le=10)] = 0.5

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
        from simpy import Store

        from netfed.schemes.steps import collect, dismiss

        inbox = Store(sim.env)
        seats = [sim.env.process(self._keep_busy(sim, inbox)) for _ in range(self.concurrency)]
        for version in range(self.aggregations):
            arrivals = yield from collect(sim, inbox, self.buffer)
            staleness = [version - arrival.version for arrival in arrivals]
            sim.advance(arrivals, [(1 + s) ** -self.staleness_exponent / self.buffer for s in staleness])
        yield from dismiss(sim, seats, inbox, "dismissed")

    def _keep_busy(self, sim: Simulation, inbox: Store) -> Generator[Any, Any, None]:
        from simpy import Interrupt

        from netfed.schemes.steps import Settled

        client = None
        try:
            while True:
                devices = yield from sim.select(1, sim.tally["selected"])
                for device in sim.participants(devices):
                    client = sim.start(device, inbox)
                    yield client
                yield Settled(sim.env)  # what has arrived by now is aggregated before the next client starts
        except Interrupt as end:
            if client is not None and client.is_alive:
                client.interrupt(end.cause)
