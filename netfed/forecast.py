"""What a run will come to, told without training.

Time, bits, joules and updates follow from the events alone, which never wait for a value: they are played to the end,
and nothing is read. What reading would compute is counted; what that takes is estimated from a few timed steps.
"""

from __future__ import annotations

import re
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netfed.codecs.float32 import Float32

if TYPE_CHECKING:
    from netfed.experiment import Experiment
    from netfed.graph import Node, Store
    from netfed.learning.trainer import Trainer
    from netfed.network.population import Device
    from netfed.scenario import Scenario
    from netfed.simulation import Simulation

_CODED, _SUM = 3, 4
"""Of an update's size, what is held at once: for each that is coded itself, its payload and what is made of that; for
all, what is summed up and the next, in float64."""

_VERSIONS = 4
"""Of the model that are held at once: what all start from, version 0, the present one and the next."""

TRAININGS = ("pretrained", "update", "reference")
"""Kinds of nodes that train."""

_FILING_S, _ROWS_S = 0.14, 2e-5
"""What a run takes beyond its events and values: to load what writes rows, and to write those of a participation. CPU
time of network-only runs of 127 to 100,000 participations on one core of an AMD EPYC (Zen 4), less that of dry runs."""

_MOST_CLIENTS, _MOST_STEPS = 32, 256
_ENOUGH_S, _BUDGET_S = 0.2, 2.0


@dataclass(frozen=True)
class Forecast:
    """What a run will come to.

    All that is simulated is exact: the run will tell the same. What bad updates would change (`quarantine`) nobody
    knows before they are trained.

    Attributes:
        name: Of the scenario.
        scheme: Its kind.
        seed: Of the world.
        rounds: Aggregations.
        rounds_without_updates: Those that no update reached.
        sim_time_s: Simulated time.
        bits: Up, down, over the backhaul, and lost of all these.
        energy_j: Of the devices.
        energy_parts_j: By what it is spent on; the cloud's too.
        updates: Participations by what becomes of them.
        devices: How many there are, how many are refused for want of memory, and how many empty their batteries.
        losses: Those without an update, by cause.
        trainings: To be done: pre-training, updates that will be read, and reference lines.
        reused: Trainings for which the store has what would be made of them.
        wall_s: About what the run takes on this computer.
        memory_bytes: About what its process will hold at the most.
        model_bytes: Of one version: what is trained and sent.
        frozen_bytes: Of what a device is sent once.
        data_bytes: Of all examples.
        values_bytes: Of the values that are alive at once, at the most.
    """

    name: str
    scheme: str
    seed: int
    rounds: int
    rounds_without_updates: int
    sim_time_s: float
    bits: dict[str, int]
    energy_j: float
    energy_parts_j: dict[str, float]
    updates: dict[str, int]
    devices: dict[str, int]
    losses: dict[str, int]
    trainings: dict[str, int]
    reused: int
    wall_s: float
    memory_bytes: int
    model_bytes: int
    frozen_bytes: int
    data_bytes: int
    values_bytes: int


def forecast(scenario: Scenario, store: Path | None = None, workers: int | None = None) -> Forecast:
    """Play the events of a run to their end without training.

    On one core of an AMD EPYC (Zen 4) a participation takes 0.11 ms where a hundred devices of a thousand take part at
    a time, and 0.32 ms where ten thousand of a million do, so that a million take two to five minutes; nothing is kept
    of them.

    An executor that is not lazy would also train what nobody reads: its work is foreseen as if it were lazy.

    Args:
        scenario: What would be played.
        store: Where the run would look for values; it is only read.
        workers: Threads, instead of the scenario's number.

    Raises:
        RunFailed: No update can ever arrive.
        ScenarioError: Parts of the scenario do not fit each other or their data.
    """
    from netfed.build import build
    from netfed.graph import Store

    with tempfile.TemporaryDirectory(prefix="netfed-forecast-") as folder:
        scratch = Path(folder)
        begun_s = time.perf_counter()
        executor: Any = scenario.executor
        scenario = replace(scenario, executor=replace(executor, lazy=True))
        experiment = build(scenario, scratch, workers)
        values = store if store is not None and store.is_dir() else scratch
        trainer = experiment.simulation.trainer
        demand = Demand(trainer, Store(values, experiment.fingerprint["namespace"]))
        for nodes in experiment.rehearse():
            demand.count(nodes)
        played_s = time.perf_counter() - begun_s
        resident_bytes = _resident_bytes()
        computed_s = _computing_s(demand, experiment, scenario, scratch, workers)
    account = experiment.account()
    model_bytes, frozen_bytes = (
        sum(spec.bytes for spec in layout.values()) for layout in (trainer.layout, trainer.frozen)
    )
    copies = 1 if scenario.codec == Float32() else _CODED
    values_bytes = (copies * demand.most_updates + _SUM) * model_bytes
    replicas = min(experiment.workers, max(1, demand.most_updates))
    models_bytes = _VERSIONS * model_bytes + replicas * (model_bytes + frozen_bytes)
    return Forecast(
        name=scenario.name,
        seed=scenario.seed,
        **account,
        trainings={kind: demand.computed[kind] for kind in TRAININGS},
        reused=sum(demand.reused[kind] for kind in TRAININGS),
        wall_s=played_s + computed_s + _FILING_S + _ROWS_S * account["updates"]["selected"],
        memory_bytes=resident_bytes + values_bytes + models_bytes,
        model_bytes=model_bytes,
        frozen_bytes=frozen_bytes,
        data_bytes=trainer.data_bits // 8,
        values_bytes=values_bytes,
    )


class Demand:
    """Counts what reading nodes would compute.

    Args:
        trainer: Plans them.
        store: Has the values that need not be computed.

    Attributes:
        computed: Nodes to be computed, by kind.
        reused: Nodes that stored values spare, by kind.
        work_bytes: Moved by all trainings to be computed, pre-training left out.
        evaluations: Of a model on all tests.
        most_updates: Updates that are read at once, at the most.
    """

    def __init__(self, trainer: Trainer, store: Store) -> None:
        self._trainer = trainer
        self._store = store
        self.computed: Counter[str] = Counter()
        self.reused: Counter[str] = Counter()
        self.work_bytes = 0.0
        self.evaluations = 0
        self.most_updates = 0

    def count(self, nodes: Sequence[Node]) -> None:
        """Count what reading these would compute, and let go of it, as if it had been."""
        updates = self.computed["update"]
        needed = list(nodes)
        stored: list[Node] = []
        while needed:
            node = needed.pop()
            if node.settled:
                continue
            if node.form is not None and node.key in self._store:
                stored.append(node)
                continue
            self.computed[node.kind] += 1
            self.work_bytes += _work_bytes(self._trainer, node)
            self.evaluations += node.kind == "evaluation" and node.form is not None
            needed += _let_go(node)
        while stored:
            node = stored.pop()
            if not node.settled:
                self.reused[node.kind] += 1
                stored += _let_go(node)
        self.most_updates = max(self.most_updates, self.computed["update"] - updates)


def _let_go(node: Node) -> tuple[Node, ...]:
    """Return what a node reads, and make it settled."""
    reads, node.reads, node.compute = node.reads, (), None
    return reads


def _work_bytes(trainer: Trainer, node: Node) -> float:
    """Return the bytes that a training moves, local or of a reference line; of all else, none."""
    from netfed.learning.rules.spec import Rule
    from netfed.learning.task import TaskExamples
    from netfed.learning.trainer import LocalTraining

    match node.compute:
        case (
            LocalTraining(rule=rule, examples=examples) | partial(args=(Rule() as rule, TaskExamples() as examples, *_))
        ):
            return trainer.cost(len(examples)).bytes * (rule.epochs / trainer.epochs)
    return 0.0


def _computing_s(
    demand: Demand, experiment: Experiment, scenario: Scenario, scratch: Path, workers: int | None
) -> float:
    """Estimate what the demand takes on this computer, from the pace of a few steps from random weights.

    Trainings are taken to last as long as the bytes that they move. What is timed is calibration: no value of it is
    kept, none enters the run.
    """
    if not demand.computed:
        return 0.0
    from netfed.build import build
    from netfed.learning.adapters import Full
    from netfed.learning.executors import Serial

    fresh = replace(scenario, pretraining=None, references=())
    clients = demand.computed["update"] // max(1, experiment.simulation.model.version)
    pace = _Pace.of(build(fresh, scratch / "pace", workers).simulation, fresh, max(1, clients))
    seconds = pace.begin_s + pace.update_s * demand.computed["update"] + pace.training_s_per_byte * demand.work_bytes
    seconds += pace.evaluation_s * demand.evaluations
    if scenario.pretraining is not None and demand.computed["pretrained"]:
        whole = replace(fresh, adapter=Full(), rule=scenario.pretraining, executor=Serial())
        pace = _Pace.of(build(whole, scratch / "pace", workers).simulation, whole, 1)
        seconds += pace.training_s_per_byte * experiment.simulation.trainer.pretraining_cost().bytes
    return seconds


@dataclass(frozen=True)
class _Pace:
    """How fast this computer is.

    Attributes:
        begin_s: The first training of all.
        training_s_per_byte: Of trainings side by side, per byte moved.
        update_s: What an update takes besides: its payload, its part in the mean, and in keeping the version.
        evaluation_s: Of a model on all tests.
    """

    begin_s: float
    training_s_per_byte: float
    update_s: float
    evaluation_s: float

    @classmethod
    def of(cls, sim: Simulation, scenario: Scenario, clients: int) -> _Pace:
        """Make versions of a few updates, of one step each and of several."""
        import numpy as np

        devices = list(sim.participants(np.arange(min(clients, len(sim.population))), 0))
        begin_s, _, _ = _version(sim, scenario, devices[:1], 1)
        once_s, _, _ = _version(sim, scenario, devices[:1], 1)
        devices = devices[: min(_MOST_CLIENTS, max(1, int(_BUDGET_S / once_s)))]
        _version(sim, scenario, devices, 1)
        short_s, little_bytes, _ = _version(sim, scenario, devices, 1)
        steps, long_s, many_bytes, evaluation_s = 1, short_s, little_bytes, 0.0
        while steps < _MOST_STEPS and long_s < short_s + _ENOUGH_S:
            steps *= 4
            long_s, many_bytes, evaluation_s = _version(sim, scenario, devices, steps)
        s_per_byte = max(long_s - short_s, 0.0) / (many_bytes - little_bytes)
        update_s = max(short_s - s_per_byte * little_bytes, 0.0) / len(devices)
        return cls(begin_s, s_per_byte, update_s, evaluation_s)


def _version(sim: Simulation, scenario: Scenario, devices: Sequence[Device], steps: int) -> tuple[float, float, float]:
    """Make a version of an update from each device, trained for some steps on one batch of its data.

    Returns:
        Seconds to make it, bytes moved in training, seconds to evaluate it.
    """
    from netfed.client import Arrival
    from netfed.learning.task import TaskExamples
    from netfed.learning.trainer import LocalTraining

    *_, rule = scenario.learner
    rule = replace(rule, epochs=steps)
    arrivals, moved_bytes = [], 0.0
    for device in devices:
        share = sim.trainer.data(device)
        batch = TaskExamples(share.inputs[: rule.batch_size], share.labels[: rule.batch_size], share.digest)
        training = LocalTraining(sim.trainer, rule, batch, device.id)
        reads = sim.trainer.base, sim.model.received
        delta = sim.graph.node("calibration", [steps, device.id, sim.model.version], reads, training)
        moved_bytes += _work_bytes(sim.trainer, delta)
        arrivals.append(Arrival(device, sim.model, len(batch), sim.codec.encode(delta, device)))
    sim.advance(arrivals, [1.0 / len(arrivals)] * len(arrivals))
    made_s, evaluated_s = (
        _settling_s(sim, node) for node in (sim.model.weights, sim.trainer.evaluation(sim.model.weights))
    )
    return made_s, moved_bytes, evaluated_s


def _settling_s(sim: Simulation, node: Node) -> float:
    start_s = time.perf_counter()
    sim.graph.settle([node])
    return time.perf_counter() - start_s


def _resident_bytes() -> int:
    """Return what this process has held at the most.

    Linux's ``ru_maxrss`` is no less than what the process held that started this one.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (peak,) = re.findall(r"^VmHWM:\s*(\d+) kB$", status.read_text(), re.MULTILINE)
        return int(peak) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
