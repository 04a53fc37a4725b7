"""Hierarchical federated averaging (HierFAVG: Liu et al., ICC 2020, arXiv:1905.06641, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from netfed.learning.server import Mean, ServerOptimizer
from netfed.schemes.spec import Scheme
from netfed.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy import int64
    from numpy.typing import NDArray

    from netfed.schemes.edge import Contribution, Edge
    from netfed.simulation import Simulation


@dataclass(frozen=True)
class Hierarchical(Scheme, kind="hierarchical"):
    """Base stations average the updates of their devices; the cloud averages the models of the base stations.

    In a round the cloud sends its model to the base stations of the cohort. Each does ``edge_rounds`` rounds with those
    of its devices that can be reached then, over their access links, at a pace of its own, and sends its model back
    over the backhaul. Both averages are weighted by the examples that the updates come from, those of bad updates left
    out. A base station whose backhaul loses a model sits out, and its devices count as lost, once each; or it has
    worked in vain, and its updates count as lost.

    Attributes:
        rounds: Of the cloud.
        cohort: Devices that take part in a round, wherever they are.
        edge_rounds: Of a base station in one round of the cloud.
        deadline: From the start of an edge round; null means none.
        server: What the cloud makes of the mean gain of the base stations' models.
    """

    rounds: Annotated[int, Field(ge=1, le=1_000_000)]
    cohort: Annotated[int, Field(ge=1)]
    edge_rounds: Annotated[int, Field(ge=1, le=1000)] = 1
    deadline: Seconds | None = None
    server: ServerOptimizer = field(default_factory=Mean)

    def __post_init__(self) -> None:
        if self.deadline == 0:
            raise ValueError("deadline is 0 s, so that every update would be late; null means none")

    @property
    def clients(self) -> int:
        return self.cohort

    @property
    def versions(self) -> int:
        return self.rounds

    @property
    def participations(self) -> int:
        return self.rounds * self.edge_rounds * self.cohort

    def run(self, sim: Simulation) -> Generator[Any, Any, None]:
        edges: dict[int, Edge] = {}
        for version in range(self.rounds):
            devices = yield from sim.select(self.cohort, version)
            yield from self._round(sim, edges, devices)

    def _round(self, sim: Simulation, edges: dict[int, Edge], devices: NDArray[int64]) -> Generator[Any, Any, None]:
        """The cloud's part in a round."""
        from netfed.schemes.edge import Edge

        sim.network.attach(devices)
        serving = sim.population.base_station[devices]
        at_work = [
            sim.env.process(self._serve(sim, edges.setdefault(index, Edge(sim, index)), devices[serving == index]))
            for index in sorted(set(serving.tolist()))
        ]
        yield sim.env.all_of(at_work)
        back: list[Contribution] = [work.value for work in at_work if work.value and work.value.arrivals]
        sim.inspections += [inspection for edge in back for inspection in edge.inspections]
        mean = sim.aggregator.mean_of_models(back, sim.model.received) if back else None
        sim.step(mean, sum(len(edge.arrivals) for edge in back), self.server)

    def _serve(self, sim: Simulation, edge: Edge, devices: NDArray[int64]) -> Generator[Any, Any, Contribution | None]:
        """A base station's part in a round; its value is what it brings, or None if a model was lost."""
        from netfed.errors import TransferLost
        from netfed.inbox import Inbox
        from netfed.schemes.steps import collect, dismiss, round_end

        first = sim.model.version * self.edge_rounds
        try:
            yield from edge.receive()
        except TransferLost as loss:
            sim.tally["selected"] += len(devices)
            for device in sim.participants(devices):
                sim.lose(device, sim.model.version, loss.cause)
            return None
        for draw in range(first, first + self.edge_rounds):
            inbox = Inbox(sim.env)
            reachable = devices[sim.population.available(sim.env.now)[devices]]
            clients = [edge.start(device, inbox) for device in sim.participants(reachable, draw)]
            arrivals = yield from collect(edge, inbox, len(clients), round_end(edge, clients, self.deadline))
            yield from dismiss(edge, clients, inbox, "late")
            if arrivals:
                edge.advance(arrivals)
        return (yield from edge.send())
