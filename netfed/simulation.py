"""The named parts of one run, and the few verbs that a scheme has."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from simpy import Environment, Event, Process, Store

from netfed.client import Arrival, participate
from netfed.errors import RunFailed, SimulationError
from netfed.graph import Graph, Node
from netfed.learning.aggregate import apply_deltas
from netfed.learning.tensors import TENSORS
from netfed.network.population import Device
from netfed.recorder import Recorder, Row, Scalar

if TYPE_CHECKING:
    from netfed.codecs.coder import Coder
    from netfed.learning.cost import Cost
    from netfed.learning.trainer import Trainer
    from netfed.network.link import Link
    from netfed.network.network import Network
    from netfed.network.population import Population
    from netfed.network.profiles import Profile
    from netfed.streams import Streams

_LOST_IN_A_ROW = 100_000


@dataclass(frozen=True)
class GlobalModel:
    """A version of what is trained; ``weights`` is its node."""

    version: int
    weights: Node


@dataclass(frozen=True)
class Published:
    """A version of the global model at the moment when it was published.

    Attributes:
        row: What had happened until then: simulated time, updates, bits, joules.
        model: Its value.
    """

    row: Row
    model: GlobalModel


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

    Attributes:
        model: The present version.
        tally: Participations by what became of them: selected, arrived, late, lost, dismissed.
        losses: Those without an update, by cause.
        cloud_j: What the server has spent on computing.
        published: Versions since somebody last took them away.
        states: Of devices, committed since somebody last took them away.
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
        self.model = GlobalModel(0, trainer.initial)
        self.tally: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()
        self.cloud_j = 0.0
        self.published: list[Published] = []
        self.states: list[Node] = []
        self._busy = np.zeros(len(self.population), bool)
        self._begun = np.zeros(len(self.population), np.int64)
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
        if self._lost_in_a_row == _LOST_IN_A_ROW:
            causes = ", ".join(f"{count} {cause}" for cause, count in self.losses.most_common(3))
            raise RunFailed(f"{_LOST_IN_A_ROW} participations in a row brought no update (so far: {causes})")

    def record(self, kind: str, **fields: Scalar) -> None:
        """Record an event at the present simulated time."""
        self.recorder.row(kind, **fields)

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
                luck = self.streams.uniform("selection", candidates, index)
                return np.sort(candidates[np.argsort(luck, kind="stable")[:count]])
            yield self._candidate_may_exist()

    def participants(self, devices: NDArray[np.int64], draw: int | None = None) -> Iterator[Device]:
        """Yield devices with the draw index of their participation.

        Args:
            devices: Their ids.
            draw: The round, in synchronous schemes; None counts each device's own beginnings.
        """
        for device in devices.tolist():
            yield Device(self.population, device, int(self._begun[device]) if draw is None else draw)

    def start(self, device: Device, inbox: Store) -> Process:
        """Start a client on the present model; its arrival is put into ``inbox``."""
        self.tally["selected"] += 1
        self._busy[device.id] = True
        self._begun[device.id] += 1
        client = self.env.process(participate(self, device, self.model, inbox))
        client.callbacks.append(partial(self._free, device.id))
        until_s = self.population.available_until(device.id, self.env.now)
        if until_s < math.inf:
            departure = self.env.timeout(until_s - self.env.now)
            departure.callbacks.append(partial(_depart, client))
        return client

    def acknowledge(self, arrival: Arrival) -> None:
        """Accept an update: its sender's state is committed, and the update will be aggregated."""
        self.tally["arrived"] += 1
        self._lost_in_a_row = 0
        self.codec.acknowledge(arrival.device, arrival.payload)
        if arrival.payload.state is not None:
            self.states.append(arrival.payload.state)
        staleness = self.model.version - arrival.version
        self.record("arrival", device=arrival.device.id, version=arrival.version, staleness=staleness)

    def advance(self, arrivals: Sequence[Arrival], weights: Sequence[float]) -> None:
        """Publish the next version: the model plus the weighted sum of the arrivals' updates."""
        model = self.model.weights
        if arrivals:
            by_device = sorted(
                zip(arrivals, weights, strict=True), key=lambda pair: (pair[0].device.id, pair[0].device.draw)
            )
            in_order = [weight for _, weight in by_device]
            reads = (model, *(_sent(arrival) for arrival, _ in by_device))
            model = self.graph.node(
                "model", ["sum", in_order], reads, partial(apply_deltas, in_order, self.codec.decode), TENSORS
            )
        self.publish(GlobalModel(self.model.version + 1, model), len(arrivals))

    def publish(self, model: GlobalModel, arrived: int = 0) -> None:
        """Make a version the present one.

        Args:
            model: The version.
            arrived: How many updates it was made of.
        """
        self.model = model
        row: Row = {
            "t_s": self.env.now,
            "kind": "round",
            "version": model.version,
            "accuracy": None,
            "loss": None,
            "arrived": arrived,
            **{name: self.tally[name] for name in ("selected", "late", "lost", "dismissed")},
            **{f"bits_{name}": count for name, count in self.bits().items()},
            "energy_j": math.fsum(self.network.ledger.totals_j().values()),
        }
        self.published.append(Published(row, model))

    def pretrain(self) -> Generator[Event, Any, None]:
        """Spend the time and the energy of pre-training in the cloud, and publish version 0."""
        duration_s = self.cloud.duration_s(self.trainer.pretraining_cost())
        self.cloud_j = duration_s * self.cloud.compute_w
        yield self.env.timeout(duration_s)
        self.publish(self.model)

    def bits(self) -> dict[str, int]:
        """Return the bits sent so far; what crosses an access link crosses the backhaul behind it too."""
        total = self.network.traffic.totals()
        up, down, lost = total["up"], total["down"], total["lost_up"] + total["lost_down"]
        return {"up": up, "down": down, "backhaul": up + down, "lost": lost}

    def _candidate_may_exist(self) -> Event:
        """Return an event at which `select` should look again: a client ends, or a device becomes available."""
        if self._freed is None or self._freed.triggered:
            self._freed = self.env.event()
        later_s = self.population.next_available(self.env.now)
        return self._freed if later_s == math.inf else self._freed | self.env.timeout(later_s - self.env.now)

    def _free(self, device: int, _: Event) -> None:
        self._busy[device] = False
        if self._freed is not None and not self._freed.triggered:
            self._freed.succeed()


def _sent(arrival: Arrival) -> Node:
    if arrival.payload.sent is None:
        raise SimulationError(f"device {arrival.device.id} sent a payload without content")
    return arrival.payload.sent


def _depart(client: Process, _: Event) -> None:
    if client.is_alive:
        client.interrupt("unavailable")
