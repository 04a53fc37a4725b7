"""The one place where time meets tensors."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from netfed.errors import Dropped, TransferLost

if TYPE_CHECKING:
    from simpy import Store

    from netfed.codecs.coder import Payload
    from netfed.network.population import Device
    from netfed.simulation import GlobalModel, Simulation


@dataclass(frozen=True)
class Arrival:
    """An update that has reached the server.

    Attributes:
        device: Who sent it.
        version: Of the model that it was trained from.
        examples: Number of examples that it was trained on.
        payload: What came over the uplink.
    """

    device: Device
    version: int
    examples: int
    payload: Payload


def participate(sim: Simulation, device: Device, model: GlobalModel, inbox: Store) -> Generator[Any, Any, None]:
    """A device's part in one round: receive the model, train on it, send the update back."""
    try:
        yield from sim.downlink(device).send(sim.codec.encode_model(device.held))
        device.held = model.version
        update = sim.trainer.begin(device, model.weights)  # a node: real training, done when first read
        yield from sim.compute(device, update.cost)  # FLOPs and bytes moved, on this device's profile
        payload = sim.codec.encode(update.delta, device)  # bits from shapes
        yield from sim.uplink(device).send(payload)
        inbox.put(Arrival(device, model.version, update.examples, payload))
    except (TransferLost, Dropped) as loss:
        sim.lose(device, model.version, loss.cause)
