"""No federation: all data in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from netfed.schemes.spec import Scheme

if TYPE_CHECKING:
    from collections.abc import Generator

    from netfed.inbox import Inbox
    from netfed.network.population import Device
    from netfed.simulation import Simulation


@dataclass(frozen=True)
class Central(Scheme, kind="central"):
    """Devices send their examples to the cloud, once and as they are stored; then the cloud trains on all of them.

    Version v is the model after v trainings by the scenario's rule, each ``rule.epochs`` passes over what has arrived.
    A device whose upload is lost contributes nothing. An upload arrives once but is in every version: the row of each
    says how many uploads it is made of, and these rows do not add up to what has arrived.

    Attributes:
        rounds: Trainings, one after the other.
        devices: How many are asked, of those that can be reached at the start.
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
        from netfed.errors import RunFailed
        from netfed.inbox import Inbox
        from netfed.schemes.steps import collect, round_end

        inbox = Inbox(sim.env)
        devices = yield from sim.select(self.devices, 0)
        uploads = [sim.occupy(device, _upload(sim, device, inbox)) for device in sim.participants(devices, 0)]
        arrivals = yield from collect(sim, inbox, len(uploads), round_end(sim, uploads))
        if not arrivals:
            raise RunFailed(f"the cloud has nothing to train on: all {len(uploads)} uploads were lost")
        examples = sim.trainer.gather(sorted(arrival.device.id for arrival in arrivals))
        for version in range(self.rounds):
            update = sim.trainer.begin_centrally(examples, version, sim.model.weights)
            yield from sim.compute_in_cloud(update.cost)
            sim.advance_to(sim.aggregator.add(sim.model.weights, update.delta), len(arrivals))


def _upload(sim: Simulation, device: Device, inbox: Inbox) -> Generator[Any, Any, None]:
    """A device's part."""
    from netfed.client import Arrival
    from netfed.codecs.coder import Payload
    from netfed.errors import Dropped, TransferLost

    try:
        examples = sim.trainer.data(device)
        payload = Payload(examples.bits)
        yield from sim.uplink(device).send(payload)
        inbox.put(Arrival(device, sim.model, len(examples), payload))
    except (TransferLost, Dropped) as loss:
        sim.lose(device, sim.model.version, loss.cause)
