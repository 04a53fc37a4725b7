"""A base station that serves its devices, as the cloud does in other schemes."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from simpy import Event

from netfed.client import Arrival, participate
from netfed.errors import TransferLost
from netfed.learning.server import Mean
from netfed.schemes.steps import shares
from netfed.simulation import GlobalModel

if TYPE_CHECKING:
    from simpy import Process

    from netfed.graph import Node
    from netfed.inbox import Inbox
    from netfed.learning.cost import Cost
    from netfed.network.link import Link
    from netfed.network.population import Device
    from netfed.simulation import Inspection, Simulation


class Contribution(NamedTuple):
    """What a base station brings to the next version.

    Attributes:
        weights: Node of its model.
        arrivals: Updates that the model is made of.
        inspections: Of these updates.
    """

    weights: Node
    arrivals: list[Arrival]
    inspections: list[Inspection]

    @property
    def examples(self) -> list[list[int]]:
        """On how many each update was trained, for each edge round."""
        return [[arrival.examples for arrival in inspection.arrivals] for inspection in self.inspections]

    @property
    def faults(self) -> list[Node]:
        """Nodes of what is wrong with the updates, one for each edge round."""
        return [inspection.faults for inspection in self.inspections]


class Edge:
    """One base station: what it sends to devices and takes from them crosses their access links only.

    Args:
        sim: What it is a part of.
        base_station: Its index.

    Attributes:
        model: What it sends to devices.
        held: Number of the model that the cloud has last sent it (`Receiver`).
    """

    def __init__(self, sim: Simulation, base_station: int) -> None:
        self.env, self.codec, self.trainer = sim.env, sim.codec, sim.trainer
        self.base_station = base_station
        self.model = sim.model
        self.held = -1
        self._sim = sim
        self._arrivals: list[Arrival] = []
        self._inspections: list[Inspection] = []

    # What a client does.

    def downlink(self, device: Device) -> Link:
        """Return the way from the base station to a device."""
        return self._sim.network.link("downlink", device, self._sim.network.access, self.base_station)

    def uplink(self, device: Device) -> Link:
        """Return the way from a device to the base station."""
        return self._sim.network.link("uplink", device, self._sim.network.access, self.base_station)

    def compute(self, device: Device, cost: Cost) -> Generator[Event, Any, None]:
        """Spend the time and the energy of a computation on a device."""
        return self._sim.compute(device, cost)

    def lose(self, device: Device, version: int, cause: str) -> None:
        """Note that a participation has ended without an update."""
        self._sim.lose(device, version, cause)

    # What a scheme does.

    def receive(self) -> Generator[Event, Any, None]:
        """Bring the global model down from the cloud.

        Raises:
            TransferLost: The connection broke; there is nothing to send to devices.
        """
        model = self._sim.model
        payload = self.codec.encode_model(model.received, self)
        yield from self._sim.network.trunk("downlink", self.base_station).send(payload, model.version)
        self.codec.delivered(self, model.received)
        self.model = GlobalModel(model.version, model.received)

    def send(self) -> Generator[Event, Any, Contribution | None]:
        """Bring the model up to the cloud, and forget what it is made of; None if the connection broke.

        It goes up whole, as float32, whatever the codecs of the devices' links (if no update has changed it, and models
        are cached, as a header). Its updates count as arrived once it is there; if it is lost, they are lost with it.
        """
        version = self._sim.model.version
        contribution = Contribution(self.model.weights, self._arrivals, self._inspections)
        self.model, self._arrivals, self._inspections = self._sim.model, [], []
        payload = self.codec.encode_model(contribution.weights, self)
        try:
            yield from self._sim.network.trunk("uplink", self.base_station).send(payload, version)
        except TransferLost as loss:
            for arrival in contribution.arrivals:
                self.lose(arrival.device, version, loss.cause)
            return None
        for arrival in contribution.arrivals:
            self._sim.accept(arrival)
        return contribution

    def start(self, device: Device, inbox: Inbox) -> Process:
        """Start a client on the present model; its arrival is put into ``inbox``."""
        return self._sim.occupy(device, participate(self, device, self.model, inbox))

    def acknowledge(self, arrival: Arrival) -> None:
        """Take an update from its sender, whose state is committed; the cloud has yet to accept it."""
        self.codec.acknowledge(arrival.device, arrival.payload)

    def advance(self, arrivals: Sequence[Arrival]) -> None:
        """Add the mean update, weighted by examples, to the model; its version stays that of the global one."""
        average, inspection = self._sim.mean(arrivals, shares([arrival.examples for arrival in arrivals]))
        weights, _ = self._sim.aggregator.step(Mean(), self.model.weights, average, None)
        published = self.codec.publish(weights, self.model.received)
        self.model = GlobalModel(self.model.version, weights, published=published)
        self._arrivals.extend(arrivals)
        self._inspections.append(inspection)
