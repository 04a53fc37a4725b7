"""The named parts of one run, and the few verbs that a scheme has."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
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
from netfed.learning.references import reference_lines
from netfed.learning.tensors import TENSORS, require_finite, tensors_digest
from netfed.network.population import Device
from netfed.recorder import Recorder, Row, Scalar

if TYPE_CHECKING:
    from netfed.codecs.coder import Coder
    from netfed.learning.cost import Cost
    from netfed.learning.executors import Pool
    from netfed.learning.trainer import Trainer
    from netfed.network.link import Link
    from netfed.network.network import Network
    from netfed.network.population import Population
    from netfed.network.profiles import Profile
    from netfed.schemes.spec import Scheme
    from netfed.streams import Streams

_LOST_IN_A_ROW = 100_000


@dataclass(frozen=True)
class GlobalModel:
    """A version of what is trained; ``weights`` is its node."""

    version: int
    weights: Node


@dataclass(frozen=True)
class Window:
    """The rows of some aggregations, complete with their metrics.

    Attributes:
        rounds: One row an aggregation; the first of all is version 0.
        events: What happened on devices and links up to the last of them.
    """

    rounds: list[Row]
    events: list[Row]


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        version: Of the global model.
        versions: At the end of the run.
        t_s: Simulated time of the last aggregation.
        metric: Its name and its last value; None while there is none.
        bits: Sent so far, both directions.
        lost: Updates lost or late so far.
        trained: Local trainings done so far.
        torch_s: CPU seconds spent on computing values so far.
    """

    version: int
    versions: int
    t_s: float
    metric: tuple[str, float | None]
    bits: int
    lost: int
    trained: int
    torch_s: float


class Simulation:
    """One run. Its parts are public: a scheme, or a script, uses them directly.

    Args:
        env: The clock.
        streams: The world's randomness.
        recorder: Takes the events.
        network: Links, devices and their ledgers.
        cloud: What the server computes with.
        graph: Nodes of all values.
        pool: Computes them.
        trainer: Plans training.
        codec: Plans payloads.
        scheme: The protocol.
        references: Which reference lines to compute: pretrained, central, local.
        window: Aggregations by which the clock may run ahead of the tensors.
        fingerprint: What values are computed with (`namespace.fingerprint`).
        evaluate_every: Aggregations from one evaluation to the next; the last one is always evaluated. 0: none is.
    """

    def __init__(
        self,
        env: Environment,
        streams: Streams,
        recorder: Recorder,
        network: Network,
        cloud: Profile,
        graph: Graph,
        pool: Pool,
        trainer: Trainer,
        codec: Coder,
        scheme: Scheme,
        references: Sequence[str] = (),
        window: int = 1,
        evaluate_every: int = 1,
        fingerprint: Mapping[str, str] | None = None,
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
        self.scheme = scheme
        self.fingerprint = dict(fingerprint or {})
        self.model = GlobalModel(0, trainer.initial)
        self.tally: Counter[str] = Counter()
        self.losses: Counter[str] = Counter()
        self._pool = pool
        self._references = references
        self._window = window
        self._evaluate_every = evaluate_every
        self._busy = np.zeros(len(self.population), bool)
        self._begun = np.zeros(len(self.population), np.int64)
        self._lost_in_a_row = 0
        self._freed: Event | None = None
        self._cloud_j = 0.0
        self._states: list[Node] = []
        self._open: list[tuple[Row, Node, Node | None]] = []
        self._closed = env.event()
        self._last_row: Row = {}
        self._scores: list[float] = []
        self._reference_scores: dict[str, float] = {}

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
            self._states.append(arrival.payload.state)
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
        self.model = GlobalModel(self.model.version + 1, model)
        self._open_row(len(arrivals))

    # What a run does.

    def windows(self) -> Iterator[Window]:
        """Play the run to its end, a window of aggregations at a time.

        Raises:
            RunFailed: Training has diverged, or no update can ever arrive.
            RunFolderError: A stored value is damaged.
            SimulationError: netfed or a plug-in broke an invariant, or a client's training raised.
        """
        play = self.env.process(self._play())
        while play.is_alive:
            self._closed = self.env.event()
            try:
                self.env.run(until=self._closed)
            except RuntimeError as error:
                if not str(error).startswith("No scheduled events left"):
                    raise
                raise RunFailed(
                    f"nothing can happen after {self.env.now:g} s: no client is at work, no device becomes available, "
                    "and the scheme still waits"
                ) from error
            yield self._read_window()
        self._reference_scores = reference_lines(
            self._references, self.trainer, self.graph, len(self.population), self.scheme.participations
        )
        self.network.check_conservation()

    @property
    def progress(self) -> Progress:
        """How far the run has come, as of the last window."""
        row = self._last_row
        return Progress(
            version=int(row["version"] or 0),
            versions=self.scheme.versions,
            t_s=float(row["t_s"] or 0.0),
            metric=("accuracy", self._scores[-1] if self._scores else None),
            bits=int(row["bits_up"] or 0) + int(row["bits_down"] or 0),
            lost=self.tally["lost"] + self.tally["late"],
            trained=self.graph.counts("update")["trained"],
            torch_s=self._pool.cpu_s,
        )

    def summary(self) -> dict[str, Any]:
        """Return the run's results after its last window: plain data, ready for JSON.

        Raises:
            RunFailed: The last model is not finite.
        """
        (model,) = self.graph.read([self.model.weights])
        require_finite(model, f"version {self.model.version}")
        scores: list[float | None] = [*self._scores] or [None]
        energy_j = {**self.network.ledger.totals_j(), "cloud": self._cloud_j}
        return {
            "scheme": self.scheme.kind,
            "rounds": self.model.version,
            "sim_time_s": self._last_row["t_s"],
            "metric": {
                "name": "accuracy",
                "first": scores[0],
                "last": scores[-1],
                "best": max(scores, key=lambda score: score or 0.0),
            },
            "references": self._reference_scores,
            "bits": self._bits(),
            "energy_j": math.fsum(value for part, value in energy_j.items() if part != "cloud"),
            "energy_parts_j": energy_j,
            "updates": {name: self.tally[name] for name in ("selected", "arrived", "late", "lost", "dismissed")},
            "losses": dict(sorted(self.losses.items())),
            "jobs": self.graph.counts("update"),
            "reference_jobs": self.graph.counts("reference")["trained"],
            "torch_s": self._pool.cpu_s,
            "model_digest": tensors_digest(model),
        }

    def _play(self) -> Generator[Event, Any, None]:
        cost = self.trainer.pretraining_cost()
        duration_s = self.cloud.duration_s(cost)
        self._cloud_j = duration_s * self.cloud.compute_w
        yield self.env.timeout(duration_s)
        self._open_row(0)
        yield from self.scheme.run(self)
        self._close()

    def _open_row(self, arrived: int) -> None:
        version = self.model.version
        due = self._evaluate_every and (version % self._evaluate_every == 0 or version == self.scheme.versions)
        evaluation = self.trainer.evaluation(self.model.weights) if due else None
        row: Row = {
            "t_s": self.env.now,
            "kind": "round",
            "version": version,
            "accuracy": None,
            "loss": None,
            "arrived": arrived,
            **{name: self.tally[name] for name in ("selected", "late", "lost", "dismissed")},
            **{f"bits_{name}": count for name, count in self._bits().items()},
            "energy_j": math.fsum(self.network.ledger.totals_j().values()),
        }
        self._open.append((row, self.model.weights, evaluation))
        if len(self._open) >= self._window or version == self.scheme.versions:
            self._close()

    def _bits(self) -> dict[str, int]:
        """Bits sent so far; what crosses an access link crosses the backhaul behind it too."""
        total = self.network.traffic.totals()
        up, down, lost = total["up"], total["down"], total["lost_up"] + total["lost_down"]
        return {"up": up, "down": down, "backhaul": up + down, "lost": lost}

    def _close(self) -> None:
        if not self._closed.triggered:
            self._closed.succeed()

    def _read_window(self) -> Window:
        opened, self._open = self._open, []
        states, self._states = self._states, []
        evaluations = [evaluation for *_, evaluation in opened if evaluation is not None]
        self.graph.settle([*(weights for _, weights, _ in opened), *states, *evaluations])
        for row, _, evaluation in opened:
            if evaluation is not None:
                row.update(self.graph.read([evaluation])[0])
                self._scores.append(_finite(row))
            self._last_row = row
        return Window([row for row, *_ in opened], self.recorder.take())

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


def _finite(row: Row) -> float:
    """Return a row's accuracy.

    Raises:
        RunFailed: Its loss is not finite.
    """
    if not math.isfinite(float(row["loss"] or 0.0)):
        learner = "rule" if row["version"] else "pretraining"
        raise RunFailed(
            f"diverged: the loss of version {row['version']} is {row['loss']}; lower {learner}.learning_rate"
        )
    return float(row["accuracy"] or 0.0)
