"""From a scenario to the parts of its run."""

from __future__ import annotations

from collections.abc import ValuesView
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from netfed.errors import ScenarioError
from netfed.plugin import Plugin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netfed.experiment import Experiment
    from netfed.graph import Graph
    from netfed.learning.executors import Pool
    from netfed.network.radio.channel import Term
    from netfed.scenario import Scenario
    from netfed.streams import Streams
    from netfed.task import Classification, Nothing


def build(scenario: Scenario, store: Path, workers: int | None = None) -> Experiment:
    """Build a run that has not begun.

    Args:
        scenario: What to play.
        store: Folder of values by key, found or created; runs may share it.
        workers: Threads, instead of the scenario's number.

    Raises:
        ScenarioError: Parts of the scenario do not fit each other or their data.
    """
    from simpy import Environment

    from netfed.experiment import Experiment
    from netfed.network.network import Network
    from netfed.network.profiles import CLOUD
    from netfed.recorder import Recorder
    from netfed.simulation import Simulation
    from netfed.streams import Streams

    env = Environment()
    streams = Streams(scenario.seed)
    recorder = Recorder(lambda: env.now)
    values = _values(scenario, store, workers, streams)
    simulation = Simulation(
        env=env,
        streams=streams,
        recorder=recorder,
        network=Network(env, scenario.network, scenario.topology, scenario.devices, streams, recorder),
        cloud=CLOUD,
        graph=values.graph,
        trainer=values.trainer,
        codec=values.codec,
        aggregator=values.aggregator,
    )
    try:
        simulation.population.refuse(values.trainer.peak_bytes())
    except ValueError as error:
        raise ScenarioError(f"devices: {error}; take a smaller model or rule.batch_size, or other devices") from error
    return Experiment(
        simulation=simulation,
        scheme=scenario.scheme,
        pool=values.pool,
        references=scenario.references,
        window=values.window,
        evaluate_every=scenario.evaluate_every,
        on_bad_update=scenario.on_bad_update,
        fingerprint=values.fingerprint,
    )


def link_budget(scenario: Scenario, device_id: int, t_s: float) -> list[Term]:
    """Return what the rates of a device's radio are made of, item by item. Nothing is built but the network.

    Args:
        scenario: With a network of radio cells.
        device_id: Whose.
        t_s: At what simulated time.

    Raises:
        ScenarioError: There is no such device, or its rates do not follow from a radio.
    """
    from simpy import Environment

    from netfed.network.link_budget import terms
    from netfed.network.network import Network
    from netfed.recorder import Recorder
    from netfed.streams import Streams

    if not 0 <= device_id < scenario.devices.count:
        raise ScenarioError(f"device {device_id}: there are devices 0 to {scenario.devices.count - 1}")
    env = Environment()
    recorder, streams = Recorder(lambda: env.now), Streams(scenario.seed)
    network = Network(env, scenario.network, scenario.topology, scenario.devices, streams, recorder)
    if network.radio_access is None:
        kind = scenario.network.kind
        raise ScenarioError(f"network.kind: links of {kind} have no budget; take cellular, whose rates follow from it")
    return terms(network.radio_access, device_id, t_s)


class _Values(NamedTuple):
    """What plans and computes values.

    Attributes:
        graph: Their nodes.
        trainer: Plans training: a `learning.trainer.Trainer`, or what is in its place where nothing is learned.
        codec: Plans payloads; likewise.
        aggregator: Plans versions; likewise.
        pool: Computes.
        window: Aggregations by which the clock may run ahead.
        fingerprint: What they are computed with.
    """

    graph: Graph
    trainer: Any
    codec: Any
    aggregator: Any
    pool: Pool
    window: int
    fingerprint: dict[str, str]


def _values(scenario: Scenario, store: Path, workers: int | None, streams: Streams) -> _Values:
    from netfed.task import Classification, Nothing

    match scenario.task:
        case Classification():
            return _learned(scenario, scenario.task, store, workers, streams)
        case Nothing():
            return _sized(scenario.task, store)
    raise ScenarioError(f"task: {scenario.task.kind} cannot be played")


def _learned(scenario: Scenario, spec: Classification, store: Path, workers: int | None, streams: Streams) -> _Values:
    """Return what learns a task."""
    from netfed.codecs.coder import Coder
    from netfed.graph import Graph, Store
    from netfed.learning.aggregate import Aggregator
    from netfed.learning.data.shares import deal
    from netfed.learning.survey import survey
    from netfed.learning.task import Classification
    from netfed.learning.tensors import TENSORS
    from netfed.learning.trainer import Trainer
    from netfed.namespace import fingerprint, foreign_sources

    learner = scenario.learner
    modules = [*(type(plugin).__module__ for plugin in _plugins(scenario)), learner[0].module()]
    task = Classification(deal(spec.dataset, spec.split, spec.partition, spec.hands, scenario.devices.count, streams))
    executor = scenario.executor.serving(scenario.scheme.together, partial(survey, task, *learner, streams))
    provenance = fingerprint(executor.numerics, foreign_sources(modules))
    pool = executor.pool(workers)
    tolerant = scenario.on_bad_update == "quarantine"
    graph = Graph(Store(store, provenance["namespace"]), pool, executor.lazy, tolerant)
    trainer = Trainer(graph, task, *learner, scenario.pretraining, streams)
    codec = Coder(graph, scenario.codec, scenario.downlink, trainer.layout, trainer.frozen, TENSORS, streams)
    aggregator = Aggregator(graph, codec.decode, trainer.layout)
    return _Values(graph, trainer, codec, aggregator, pool, executor.window, provenance)


def _sized(task: Nothing, store: Path) -> _Values:
    """Return what is in its place where nothing is learned."""
    from netfed.graph import Graph, Store
    from netfed.learning.executors import Serial
    from netfed.namespace import fingerprint_without_values
    from netfed.sized import Aggregator, Coder, Trainer

    provenance = fingerprint_without_values()
    executor = Serial()
    pool = executor.pool()
    graph = Graph(Store(store, provenance["namespace"]), pool)
    return _Values(graph, Trainer(task), Coder(task), Aggregator(), pool, executor.window, provenance)


def _plugins(spec: Any) -> Iterator[Plugin]:
    """Yield every plug-in that a spec is made of."""
    if isinstance(spec, Plugin):
        yield spec
    if is_dataclass(spec):
        spec = [getattr(spec, field.name) for field in fields(spec)]
    if isinstance(spec, dict):
        spec = spec.values()
    if isinstance(spec, list | tuple | ValuesView):
        for part in spec:
            yield from _plugins(part)
