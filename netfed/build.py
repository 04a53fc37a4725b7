"""From a scenario to the parts of its run."""

from __future__ import annotations

from collections.abc import ValuesView
from dataclasses import fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netfed.plugin import Plugin

if TYPE_CHECKING:
    from collections.abc import Iterator

    from netfed.experiment import Experiment
    from netfed.scenario import Scenario


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

    from netfed.codecs.coder import Coder
    from netfed.experiment import Experiment
    from netfed.graph import Graph, Store
    from netfed.learning.cohort import survey
    from netfed.learning.data.shares import deal
    from netfed.learning.task import Classification
    from netfed.learning.tensors import TENSORS
    from netfed.learning.trainer import Trainer
    from netfed.namespace import fingerprint, foreign_sources
    from netfed.network.network import Network
    from netfed.network.profiles import CLOUD
    from netfed.recorder import Recorder
    from netfed.simulation import Simulation
    from netfed.streams import Streams

    env = Environment()
    streams = Streams(scenario.seed)
    recorder = Recorder(lambda: env.now)
    modules = [*(type(spec).__module__ for spec in _plugins(scenario)), scenario.model.module()]
    spec = scenario.task
    task = Classification(deal(spec.dataset, spec.split, spec.partition, spec.hands, scenario.devices.count, streams))
    learner = scenario.model, scenario.adapter, scenario.rule
    executor = scenario.executor.serving(scenario.scheme.together, partial(survey, task, *learner, streams))
    provenance = fingerprint(executor.numerics, foreign_sources(modules))
    pool = executor.pool(workers)
    tolerant = scenario.on_bad_update == "quarantine"
    graph = Graph(Store(store, provenance["namespace"]), pool, executor.lazy, tolerant)
    trainer = Trainer(graph, task, *learner, scenario.pretraining, streams)
    simulation = Simulation(
        env=env,
        streams=streams,
        recorder=recorder,
        network=Network(env, scenario.network, scenario.topology, scenario.devices, streams, recorder),
        cloud=CLOUD,
        graph=graph,
        trainer=trainer,
        codec=Coder(graph, scenario.codec, scenario.downlink, trainer.layout, trainer.frozen, TENSORS, streams),
    )
    return Experiment(
        simulation=simulation,
        scheme=scenario.scheme,
        pool=pool,
        references=scenario.references,
        window=executor.window,
        evaluate_every=scenario.evaluate_every,
        on_bad_update=scenario.on_bad_update,
        fingerprint=provenance,
    )


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
