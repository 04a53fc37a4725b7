"""A base station that serves its devices, as the cloud does in other schemes."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

from simpy import Event

from netfed.client import Arrival, participate
from netfed.learning.server import Mean
from netfed.schemes.steps import shares
from netfed.simulation import GlobalModel

if TYPE_CHECKING:
    from simpy import Process, Store

    from netfed.learning.cost import Cost
    from netfed.network.link import Link
    from netfed.network.population import Device
    from netfed.simulation import Inspection, Simulation


class Edge:
    """One base station: what it sends to devices and takes from them crosses their access links only.

    Args:
        sim: What it is a part of.
        base_station: Its index.

    Attributes:
        model: What it sends to devices.
        arrivals: Updates that its model is made of, since it came from the cloud.
        inspections: Of these updates.
    """

    def __init__(self, sim: Simulation, base_station: int) -> None:
        self.env, self.codec, self.trainer = sim.env, sim.codec, sim.trainer
        self.base_station = base_station
        self.model = sim.model
        self.arrivals: list[Arrival] = []
        self.inspections: list[Inspection] = []
        self._sim = sim
        self._held = -1

    # What a client does.

    def downlink(self, device: Device) -> Link:
        """Return the way from the base station to a device."""
        return self._sim.network.link("downlink", device, self._sim.network.access)

    def uplink(self, device: Device) -> Link:
        """Return the way from a device to the base station."""
        return self._sim.network.link("uplink", device, self._sim.network.access)

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
        model, self.arrivals, self.inspections = self._sim.model, [], []
        payload = self.codec.encode_model(model.received, self._held)
        yield from self._sim.network.trunk("downlink", self.base_station).send(payload, model.version)
        self.model = GlobalModel(model.version, model.received)
        self._held = self.codec.number(model.received)

    def send(self) -> Generator[Event, Any, None]:
        """Bring the model up to the cloud.

        Raises:
            TransferLost: The connection broke.
        """
        payload = self.codec.encode_model(self.model.weights, self._held)
        yield from self._sim.network.trunk("uplink", self.base_station).send(payload, self._sim.model.version)

    def start(self, device: Device, inbox: Store) -> Process:
        """Start a client on the present model; its arrival is put into ``inbox``."""
        return self._sim.occupy(device, participate(self, device, self.model, inbox))

    def acknowledge(self, arrival: Arrival) -> None:
        """Accept an update; see `Simulation.acknowledge`."""
        self._sim.acknowledge(arrival)

    def advance(self, arrivals: Sequence[Arrival]) -> None:
        """Add the mean update, weighted by examples, to the model; its version stays that of the global one."""
        weights = self.model.weights
        if arrivals:
            average, inspection = self._sim.mean(arrivals, shares([arrival.examples for arrival in arrivals]))
            weights, _ = self._sim.aggregator.step(Mean(), weights, average, None)
            self.inspections.append(inspection)
        published = self.codec.publish(weights, self.model.received)
        self.model = GlobalModel(self.model.version, weights, published=published)
        self.arrivals.extend(arrivals)

    @property
    def examples(self) -> int:
        """How many examples its model has been trained on, since it came from the cloud."""
        return sum(arrival.examples for arrival in self.arrivals)
