"""No federation: each device trains for itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from netfed.schemes.spec import Scheme

if TYPE_CHECKING:
    from collections.abc import Generator

    from netfed.graph import Node
    from netfed.inbox import Inbox
    from netfed.network.population import Device
    from netfed.simulation import Simulation


@dataclass(frozen=True)
class Local(Scheme, kind="local"):
    """Nothing is sent. Version v is each device's own model after v local trainings, the first of them from version 0.

    Its metric is the mean over the devices, each model on its own device's tests. Devices train whether or not they can
    be reached. Who drops out of a training keeps the model that it had; the others wait for the slowest.

    Attributes:
        rounds: Trainings, one after the other.
        devices: How many take part: those with the lowest ids.
    """

    rounds: Annotated[int, Field(ge=1, le=1_000_000)]
    devices: Annotated[int, Field(ge=1)]

    @property
    def clients(self) -> int:
        return self.devices

    @property
    def together(self) -> int:
        return 1

    @property
    def versions(self) -> int:
        return self.rounds

    @property
    def participations(self) -> int:
        return self.rounds * self.devices

    def run(self, sim: Simulation) -> Generator[Any, Any, None]:
        from numpy import arange

        from netfed.inbox import Inbox
        from netfed.learning.personal import PersonalModels
        from netfed.schemes.steps import collect, round_end
        from netfed.simulation import GlobalModel

        personal = PersonalModels(sim.graph, sim.trainer, self.devices)
        models = personal.initial
        for version in range(self.rounds):
            inbox = Inbox(sim.env)
            trainings = [
                sim.env.process(_train(sim, device, personal.own(models, device.id), inbox))
                for device in sim.participants(arange(self.devices), version)
            ]
            sim.tally["selected"] += self.devices
            arrivals = yield from collect(sim, inbox, self.devices, round_end(sim, trainings))
            models = personal.advance(models, {arrival.device.id: arrival.sent for arrival in arrivals})
            sim.publish(GlobalModel(version + 1, models), len(arrivals), personal.evaluation)


def _train(sim: Simulation, device: Device, model: Node, inbox: Inbox) -> Generator[Any, Any, None]:
    """A device's part: what a participation is, without its links."""
    from netfed.client import Arrival
    from netfed.codecs.coder import Payload
    from netfed.errors import Dropped

    try:
        update = sim.trainer.begin(device, model)
        yield from sim.compute(device, update.cost)
        inbox.put(Arrival(device, sim.model, update.examples, Payload(0, update.delta)))
    except Dropped as loss:
        sim.lose(device, sim.model.version, loss.cause)
