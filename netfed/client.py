"""The one place where time meets tensors."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from netfed.errors import Dropped, SimulationError, TransferLost

if TYPE_CHECKING:
    from simpy import Environment, Event

    from netfed.codecs.coder import Coder, Payload
    from netfed.graph import Node
    from netfed.inbox import Inbox
    from netfed.learning.cost import Cost
    from netfed.learning.trainer import Trainer
    from netfed.network.link import Link
    from netfed.network.population import Device
    from netfed.recorder import Row
    from netfed.simulation import GlobalModel


class Server(Protocol):
    """Whom a device learns with: the cloud (`Simulation`), or a base station (`Edge`)."""

    env: Environment
    codec: Coder
    trainer: Trainer

    def downlink(self, device: Device) -> Link: ...

    def uplink(self, device: Device) -> Link: ...

    def compute(self, device: Device, cost: Cost) -> Generator[Event, Any, None]: ...

    def lose(self, device: Device, version: int, cause: str) -> None: ...


@dataclass
class Arrival:
    """An update that has reached the server.

    Attributes:
        device: Who sent it.
        model: The one that it was trained from.
        examples: Number of examples that it was trained on.
        payload: What came over the uplink.
        row: Where the records tell of it, once it is acknowledged.
    """

    device: Device
    model: GlobalModel
    examples: int
    payload: Payload
    row: Row = field(default_factory=dict)

    @property
    def sent(self) -> Node:
        """The node of what was sent.

        Raises:
            SimulationError: The payload has no content.
        """
        if self.payload.sent is None:
            raise SimulationError(f"device {self.device.id} sent a payload without content")
        return self.payload.sent


def participate(sim: Server, device: Device, model: GlobalModel, inbox: Inbox) -> Generator[Any, Any, None]:
    """A device's part in one round: receive the model, train on it, send the update back."""
    try:
        yield from sim.downlink(device).send(sim.codec.encode_model(model.received, device))
        sim.codec.delivered(device, model.received)
        update = sim.trainer.begin(device, model.received)  # a node: real training, done when first read
        yield from sim.compute(device, update.cost)  # FLOPs and bytes moved, on this device's profile
        payload = sim.codec.encode(update.delta, device)  # bits from shapes
        yield from sim.uplink(device).send(payload)
        inbox.put(Arrival(device, model, update.examples, payload))
    except (TransferLost, Dropped) as loss:
        sim.lose(device, model.version, loss.cause)
