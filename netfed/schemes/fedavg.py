"""Federated averaging (McMahan et al., AISTATS 2017, arXiv:1602.05629, algorithm 1) in rounds with over-selection and a
deadline (Bonawitz et al., MLSys 2019, arXiv:1902.01046, section 2.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from netfed.learning.server import Mean, ServerOptimizer
from netfed.schemes.spec import Scheme
from netfed.units import Seconds

if TYPE_CHECKING:
    from collections.abc import Generator

    from netfed.simulation import Simulation


@dataclass(frozen=True)
class FedAvg(Scheme, kind="fedavg"):
    """Synchronous rounds; the server steps by the mean update, weighted by examples.

    A round asks more devices than it needs, or all that are available if these are fewer. It closes when ``cohort``
    updates are in, when its deadline passes, or when no client is left: the server notices at once that a connection
    has broken. A round without updates leaves the model as it was.

    Attributes:
        rounds: Aggregations.
        cohort: Updates that close a round.
        over_selection: Devices asked beyond the cohort, as a share of it (Bonawitz et al. ask 0.3).
        deadline: From the start of a round; null means none.
        server: What the server makes of the mean update.
    """

    rounds: Annotated[int, Field(ge=1, le=1_000_000)]
    cohort: Annotated[int, Field(ge=1)]
    over_selection: Annotated[float, Field(ge=0, le=10)] = 0.0
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
        return self.rounds * self.cohort

    def run(self, sim: Simulation) -> Generator[Any, Any, None]:
        from netfed.inbox import Inbox
        from netfed.schemes.steps import collect, dismiss, round_end, shares

        asked = math.ceil(self.cohort * (1 + self.over_selection))
        for version in range(self.rounds):
            inbox = Inbox(sim.env)
            devices = yield from sim.select(asked, version)
            clients = [sim.start(device, inbox) for device in sim.participants(devices, version)]
            arrivals = yield from collect(sim, inbox, self.cohort, round_end(sim, clients, self.deadline))
            yield from dismiss(sim, clients, inbox, "dismissed" if len(arrivals) == self.cohort else "late")
            sim.advance(arrivals, shares([arrival.examples for arrival in arrivals]), self.server)
