"""The named parts of one run, and the few verbs that a scheme has."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from simpy import Environment, Event, Process

from netfed.client import Arrival, participate
from netfed.errors import RunFailed
from netfed.graph import Graph, Node
from netfed.learning.server import Mean, ServerOptimizer
from netfed.network.population import Device
from netfed.recorder import Recorder, Row, Scalar

if TYPE_CHECKING:
    from netfed.codecs.coder import Coder
    from netfed.inbox import Inbox
    from netfed.learning.aggregate import Aggregator, Average
    from netfed.learning.cost import Cost
    from netfed.learning.trainer import Trainer
    from netfed.network.link import Link
    from netfed.network.network import Network
    from netfed.network.population import Population
    from netfed.network.profiles import Profile
    from netfed.streams import Streams

_LOST_IN_A_ROW = 10_000
"""Participations without an update, one after the other, after which no update is waited for any more."""


@dataclass(frozen=True)
class GlobalModel:
    """A version of what is trained.

    Attributes:
        version: Its number.
        weights: Its node.
        memory: Node of what the server remembers besides (`ServerOptimizer`); None: nothing.
        published: Node of what devices are sent of it (`Downlink`); None: itself.
    """

    version: int
    weights: Node
    memory: Node | None = None
    published: Node | None = None

    @property
    def received(self) -> Node:
        """Node of what a device that is sent it holds, and trains."""
        return self.published or self.weights


class Inspection(NamedTuple):
    """What came of the updates of one mean.

    Attributes:
        faults: Node of what is wrong with each; None if nothing is.
        arrivals: In the same order.
    """

    faults: Node
    arrivals: list[Arrival]


@dataclass(frozen=True)
class Published:
    """A version of the global model at the moment when it was published.

    Attributes:
        row: What had happened until then: simulated time, updates, bits, joules.
        model: Its value.
        evaluate: Plans its evaluation, if there is anything to evaluate.
        inspections: Of the updates that it is made of.
        states: Of devices, committed since the version before.
        events: What happened on devices and links since then.
    """

    row: Row
    model: GlobalModel
    evaluate: Callable[[Node], Node | None]
    inspections: list[Inspection]
    states: list[Node]
    events: list[Row]


class Simulation:
    """The parts of one run, all public: a scheme, or a script, uses them directly.

    Args:
        env: The clock.
        streams: The world's randomness.
        recorder: Takes the events.
        network: Links, devices and their ledgers.
        cloud: What the server computes with.
        graph: Nodes of all values.
        trainer: Plans training.
        codec: Plans payloads.
        aggregator: Plans versions.

    Attributes:
        model: The present version.
        tally: Participations by what became of them: selected, arrived, late, lost, dismissed.
        losses: Those without an update, by cause.
        cloud_j: What the server has spent on computing.
        published: Versions since somebody last took them away.
        inspections: Of the updates of the next version.
        states: Of devices, committed since the present version.
    """

    def __init__(
        self,
        env: Environment,
        streams: Streams,
        recorder: Recorder,
        network: Network,
        cloud: Profile,
        graph: Graph,
        trainer: Trainer,
        codec: Coder,
        aggregator: Aggregator,
    ) -> None:
        self.env = env
        self.streams = streams
        self.recorder = recorder
        self.network = network
        self.population: Population = network.population
        self.cloud = cloud
        self.graph = graph
        self.trainer = trainer
        self.codec = codec
        self.aggregator = aggregator
        self.model = GlobalModel(0, trainer.initial)
        self.tally: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()
        self.cloud_j = 0.0
        self.published: list[Published] = []
        self.inspections: list[Inspection] = []
        self.states: list[Node] = []
        self._busy = np.zeros(len(self.population), bool)
        self._begun = np.zeros(len(self.population), np.int32)
        self._lost_in_a_row = 0
        self._freed: Event | None = None

    # What a client does.

    def downlink(self, device: Device) -> Link:
        """Return the way from the cloud to a device."""
        return self.network.downlink(device)

    def uplink(self, device: Device) -> Link:
        """Return the way from a device to the cloud."""
        return self.network.uplink(device)

    def compute(self, device: Device, cost: Cost) -> Generator[Event, Any, None]:
        """Spend the time and the energy of a computation on a device."""
        return self.network.compute(device, cost)

    def lose(self, device: Device, version: int, cause: str) -> None:
        """Note that a participation has ended without an update."""
        self.losses[cause] += 1
        self.tally[cause if cause in ("late", "dismissed") else "lost"] += 1
        self.record("lost", device=device.id, version=version, cause=cause)
        self._lost_in_a_row += 1
        if self._lost_in_a_row == max(_LOST_IN_A_ROW, len(self.population)):
            causes = ", ".join(f"{count} {cause}" for cause, count in self.losses.most_common(3))
            raise RunFailed(
                f"{self._lost_in_a_row} participations in a row brought no update (so far: {causes}):"
                " lessen what most of them are lost to"
            )

    def record(self, kind: str, **fields: Scalar) -> Row:
        """Record an event at the present simulated time; return its row."""
        return self.recorder.row(kind, **fields)

    # What a scheme does.

    def select(self, count: int, index: int) -> Generator[Event, Any, NDArray[np.int64]]:
        """Wait until a device is free and available; return at most ``count`` such, in order of their ids.

        Args:
            count: How many are wanted.
            index: Of this selection: each device's luck is drawn at (device, index), whoever else is there.
        """
        while True:
            candidates = np.flatnonzero(self.population.available(self.env.now) & ~self._busy)
            if len(candidates):
                return candidates[_least(self.streams.uniform("selection", candidates, index), count)]
            yield self._candidate_may_exist()

    def participants(self, devices: NDArray[np.int64], draw: int | None = None) -> Iterator[Device]:
        """Yield devices with the draw index of their participation.

        Args:
            devices: Their ids.
            draw: The round, in synchronous schemes; None counts each device's own beginnings.
        """
        self.network.attach(devices)
        for device in devices.tolist():
            yield Device(self.population, device, int(self._begun[device]) if draw is None else draw)

    def start(self, device: Device, inbox: Inbox) -> Process:
        """Start a client on the present model; its arrival is put into ``inbox``."""
        return self.occupy(device, participate(self, device, self.model, inbox))

    def occupy(self, device: Device, part: Generator[Any, Any, None]) -> Process:
        """Let a device play its part until that ends, or until the device is no longer available."""
        self.tally["selected"] += 1
        self._busy[device.id] = True
        self.network.join(device.id)
        self._begun[device.id] += 1
        client = self.env.process(part)
        client.callbacks.append(partial(self._free, device.id))
        until_s = self.population.available_until(device.id, self.env.now)
        if until_s < math.inf:
            departure = self.env.timeout(until_s - self.env.now)
            departure.callbacks.append(partial(_depart, client))
        return client

    def acknowledge(self, arrival: Arrival) -> None:
        """Take an update from its sender, whose state is committed, and accept it."""
        self.codec.acknowledge(arrival.device, arrival.payload)
        self.accept(arrival)

    def accept(self, arrival: Arrival) -> None:
        """Count an update that has been acknowledged: it is with the cloud, and will be aggregated."""
        self.tally["arrived"] += 1
        self._lost_in_a_row = 0
        if arrival.payload.state is not None:
            self.states.append(arrival.payload.state)
        version = arrival.model.version
        staleness = self.model.version - version
        arrival.row = self.record("arrival", device=arrival.device.id, version=version, staleness=staleness)

    def mean(self, arrivals: Sequence[Arrival], weights: Sequence[float]) -> tuple[Average, Inspection]:
        """Plan the mean of the arrivals' updates, in order of device, and what is wrong with them."""
        pairs = zip(arrivals, weights, strict=True)
        by_device = sorted(pairs, key=lambda pair: (pair[0].device.id, pair[0].device.draw))
        ordered = [arrival for arrival, _ in by_device]
        average = self.aggregator.mean(
            [arrival.sent for arrival in ordered],
            [arrival.model.received for arrival in ordered],
            [weight for _, weight in by_device],
        )
        return average, Inspection(average.faults, ordered)

    def advance(
        self, arrivals: Sequence[Arrival], weights: Sequence[float], server: ServerOptimizer | None = None
    ) -> None:
        """Publish the next version: the model after the weighted sum of the arrivals' updates.

        Args:
            arrivals: If there are none, the model stays as it is.
            weights: One for each.
            server: Makes a step of the sum; None adds it as it is.
        """
        average = None
        if arrivals:
            average, inspection = self.mean(arrivals, weights)
            self.inspections.append(inspection)
        self.step(average, len(arrivals), server)

    def step(self, average: Average | None, arrived: int, server: ServerOptimizer | None = None) -> None:
        """Publish the next version: the model after a mean update.

        Args:
            average: The update; None: the model stays as it is.
            arrived: How many updates it is the mean of.
            server: Makes a step of it; None adds it as it is.
        """
        weights, memory = self.model.weights, self.model.memory
        if average is not None:
            weights, memory = self.aggregator.step(server or Mean(), weights, average, memory)
        self.advance_to(weights, arrived, memory)

    def mix(self, arrival: Arrival, share: float) -> None:
        """Publish the next version: the model moved by ``share`` (0 to 1) towards the one that an arrival brings."""
        average, inspection = self.mean([arrival], [1.0])
        self.inspections.append(inspection)
        mixed = self.aggregator.mix(self.model.weights, arrival.model.received, average, share)
        self.advance_to(mixed, 1)

    def advance_to(self, weights: Node, arrived: int, memory: Node | None = None) -> None:
        """Publish the next version.

        Args:
            weights: Its node.
            arrived: How many updates it is made of.
            memory: Node of what the server remembers.
        """
        received = self.codec.publish(weights, self.model.received)
        self.publish(GlobalModel(self.model.version + 1, weights, memory, received), arrived)

    def publish(self, model: GlobalModel, arrived: int = 0, evaluate: Callable[[Node], Node] | None = None) -> None:
        """Make a version the present one.

        Args:
            model: The version.
            arrived: How many updates it was made of.
            evaluate: Plans its evaluation; None: that of one model, on all tests.
        """
        self.model = model
        if self.network.meter is not None:
            self.network.meter.look()
        row: Row = {
            "t_s": self.env.now,
            "kind": "round",
            "version": model.version,
            "accuracy": None,
            "loss": None,
            "arrived": arrived,
            "quarantined": 0,
            **{name: self.tally[name] for name in ("selected", "late", "lost", "dismissed")},
            **{f"bits_{name}": count for name, count in self.bits().items()},
            "energy_j": math.fsum(self.network.ledger.totals_j().values()),
        }
        since = self.inspections, self.states, self.recorder.take()
        self.inspections, self.states = [], []
        self.published.append(Published(row, model, evaluate or self.trainer.evaluation, *since))

    def pretrain(self) -> Generator[Event, Any, None]:
        """Spend the time and the energy of pre-training in the cloud, and publish version 0."""
        yield from self.compute_in_cloud(self.trainer.pretraining_cost())
        self.publish(self.model)

    def compute_in_cloud(self, cost: Cost) -> Generator[Event, Any, None]:
        """Spend the time and the energy of a computation in the cloud."""
        duration_s = self.cloud.duration_s(cost)
        self.cloud_j += duration_s * self.cloud.compute_w
        yield self.env.timeout(duration_s)

    def bits(self) -> dict[str, int]:
        """Return the bits sent so far; see `Network.bits`."""
        return self.network.bits()

    def _candidate_may_exist(self) -> Event:
        """Return an event at which `select` should look again: a client ends, or a device becomes available."""
        if self._freed is None or self._freed.triggered:
            self._freed = self.env.event()
        later_s = self.population.next_available(self.env.now)
        return self._freed if later_s == math.inf else self._freed | self.env.timeout(later_s - self.env.now)

    def _free(self, device: int, _: Event) -> None:
        self._busy[device] = False
        self.network.leave(device)
        if self._freed is not None and not self._freed.triggered:
            self._freed.succeed()


def _least(draws: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return where the least so many draws are, in order of place; of equal ones, those that come first."""
    if count == 1:
        return np.array([draws.argmin()])
    if count >= len(draws):
        return np.arange(len(draws))
    limit = np.partition(draws, count - 1)[count - 1]
    below, at = np.flatnonzero(draws < limit), np.flatnonzero(draws == limit)
    return np.sort(np.concatenate((below, at[: count - len(below)])))


def _depart(client: Process, _: Event) -> None:
    if client.is_alive:
        client.interrupt("unavailable")
