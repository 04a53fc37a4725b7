"""An experiment: a scheme played on a simulation, a window of aggregations at a time, and what is measured of it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simpy import Event
from simpy.core import EmptySchedule

from netfed.errors import RunFailed
from netfed.graph import Node
from netfed.progress import Progress
from netfed.recorder import Row
from netfed.simulation import Published, Simulation

if TYPE_CHECKING:
    from netfed.learning.executors import Pool
    from netfed.schemes.spec import Scheme

_BAD_IN_A_ROW = 10
AHEAD = 500
"""Participations by which the clock runs ahead of the values: played one after the other each takes two thirds of what
it takes between two trainings, which leave nothing of the simulation in the processor's caches; nor does it of them."""


@dataclass(frozen=True)
class Window:
    """The rows of some aggregations, complete with their metrics.

    Attributes:
        rounds: One row an aggregation; the first of all is version 0.
        events: What happened on devices and links up to the last of them.
        quarantined: Updates that were kept out of them: device, version, cause, detail and, of one that failed, its
            traceback.
    """

    rounds: list[Row]
    events: list[Row]
    quarantined: list[Row]


class Experiment:
    """One run of a scheme, from pre-training to the last version.

    Args:
        simulation: The world that it runs in.
        scheme: The protocol.
        pool: Computes the values.
        references: Which reference lines to compute: pretrained, central, local.
        window: Aggregations whose values are computed together.
        evaluate_every: Aggregations from one evaluation to the next; the last one is always evaluated. 0: none is.
        on_bad_update: ``quarantine`` keeps bad updates out of the mean; ``fail`` ends the run at the first.
        fingerprint: What values are computed with (`namespace.fingerprint`).

    Attributes:
        workers: Threads that compute.
        ahead: Participations by which the clock runs ahead of the values, or a window if that is more; the results do
            not depend on it.
    """

    def __init__(
        self,
        simulation: Simulation,
        scheme: Scheme,
        pool: Pool,
        references: Sequence[str] = (),
        window: int = 1,
        evaluate_every: int = 1,
        on_bad_update: str = "quarantine",
        fingerprint: Mapping[str, str] | None = None,
    ) -> None:
        self.simulation = simulation
        self.scheme = scheme
        self.fingerprint = dict(fingerprint or {})
        self.ahead = AHEAD
        self.workers = pool.workers
        self._pool = pool
        self._references = references
        self._window = window
        self._evaluate_every = evaluate_every
        self._last_row: Row = {}
        self._scores: list[float] = []
        self._reference_scores: dict[str, float] = {}
        self._on_bad_update = on_bad_update
        self._idle_rounds = 0
        self._quarantined: Counter[str] = Counter()
        self._bad_in_a_row = 0

    def windows(self) -> Iterator[Window]:
        """Play the scheme to its end, a window of aggregations at a time.

        Raises:
            ComputationFailed: Training, or an evaluation, raised.
            RunFailed: Training has diverged, updates are bad beyond what is tolerated, or none can ever arrive.
            RunFolderError: A stored value is damaged.
            SimulationError: netfed or a plug-in broke an invariant.
        """
        sim = self.simulation
        yield from map(self._read_window, self._played_windows())
        if self._references:
            from netfed.learning.references import reference_lines

            self._reference_scores = reference_lines(
                self._references, sim.trainer, sim.graph, len(sim.population), self.scheme.participations
            )
        sim.network.check_conservation()

    @property
    def progress(self) -> Progress:
        """How far the run has come, as of the last window."""
        sim, row = self.simulation, self._last_row
        return Progress(
            version=int(row.get("version") or 0),
            versions=self.scheme.versions,
            t_s=float(row.get("t_s") or 0.0),
            metric=("accuracy", self._scores[-1] if self._scores else None),
            bits=int(row.get("bits_up") or 0) + int(row.get("bits_down") or 0),
            lost=int(row.get("lost") or 0),
            trained=sim.graph.counts("update")["trained"],
            torch_s=self._pool.cpu_s,
        )

    def summary(self) -> dict[str, Any]:
        """Return the run's results after its last window: plain data, ready for JSON.

        Raises:
            RunFailed: The last model is not finite.
        """
        sim = self.simulation
        scores: list[float | None] = [*self._scores] or [None]
        return {
            **self.account(),
            "quarantined": dict(sorted(self._quarantined.items())),
            "metric": {
                "name": "accuracy",
                "first": scores[0],
                "last": scores[-1],
                "best": max(scores, key=lambda score: score or 0.0),
            },
            "references": self._reference_scores,
            "jobs": sim.graph.counts("update"),
            "reference_jobs": sim.graph.counts("reference")["trained"],
            "torch_s": self._pool.cpu_s,
            "model_digest": self._model_digest(),
        }

    def _model_digest(self) -> str | None:
        """Return the digest of the last model; None of one without content. Raises as `summary` does."""
        sim = self.simulation
        (model,) = sim.graph.read([sim.model.weights])
        if model is None:
            return None
        from netfed.learning.tensors import require_finite, tensors_digest

        require_finite(model, f"version {sim.model.version}")
        return tensors_digest(model)

    def account(self) -> dict[str, Any]:
        """Return what was simulated up to the last window: the part of the results that needs no value."""
        sim = self.simulation
        devices_j = sim.network.ledger.totals_j()
        return {
            "scheme": self.scheme.kind,
            "rounds": sim.model.version,
            "rounds_without_updates": self._idle_rounds,
            "sim_time_s": self._last_row["t_s"],
            "bits": sim.bits(),
            "energy_j": math.fsum(devices_j.values()),
            "energy_parts_j": {**devices_j, "cloud": sim.cloud_j},
            "updates": {name: sim.tally[name] for name in ("selected", "arrived", "late", "lost", "dismissed")},
            "devices": {
                "registered": len(sim.population),
                "refused": sim.population.refused,
                "emptied": 0 if sim.network.batteries is None else sim.network.batteries.emptied(),
            },
            "losses": dict(sorted(sim.losses.items())),
        }

    def rehearse(self) -> Iterator[list[Node]]:
        """Play the scheme to its end as `windows` does, but compute nothing.

        Yields:
            What `windows` would read at the end of each window, and, at last, for the reference lines.

        Raises:
            RunFailed: No update can ever arrive.
        """
        sim = self.simulation
        for published in self._played_windows():
            self._pass(published)
            yield self._needed(published, self._evaluations(published))
        if self._references:
            from netfed.learning.references import planned

            lines = planned(self._references, sim.trainer, len(sim.population), self.scheme.participations)
            yield [node for line in lines.values() for node in line]
        sim.network.check_conservation()

    def _played_windows(self) -> Iterator[list[Published]]:
        """Yield the versions of each window, and keep nothing of them."""
        for published in self._played():
            while published:
                yield [published.pop(0) for _ in range(min(self._window, len(published)))]

    def _played(self) -> Iterator[list[Published]]:
        """Play the scheme to its end; yield the versions that it publishes, whenever the clock is far enough ahead."""
        sim, env = self.simulation, self.simulation.env
        ended: list[Event] = []
        env.process(self._protocol()).callbacks.append(ended.append)
        pause, seen = self.ahead, 0
        try:
            while not ended:
                env.step()
                if len(sim.published) == seen:
                    continue
                seen = len(sim.published)
                if seen < self._window or sim.tally["selected"] < pause:
                    continue
                if sim.model.version < self.scheme.versions:  # what happens after the last belongs to its window
                    pause, seen = sim.tally["selected"] + self.ahead, 0
                    yield self._take_published()
        except EmptySchedule as error:
            yield self._take_published()
            raise RunFailed(
                f"nothing can happen after {env.now:g} s: no client is at work, no device becomes available, "
                f"and the scheme still waits{self._spent_batteries()}"
            ) from error
        except RunFailed:
            yield self._take_published()
            raise
        if sim.network.meter is not None:
            sim.network.meter.close()
        if published := self._take_published():
            published[-1].states.extend(sim.states)
            published[-1].events.extend(sim.recorder.take())
            yield published

    def _spent_batteries(self) -> str:
        """Return what to say of batteries where nothing can happen any more."""
        sim = self.simulation
        if sim.network.batteries is None or not (spent := sim.network.batteries.spent()):
            return ""
        return (
            f"; by its battery, {spent} of {len(sim.population)} devices cannot take part any more: raise"
            " devices.battery.capacity, lower its minimum, or add charging"
        )

    def _protocol(self) -> Generator[Event, Any, None]:
        yield from self.simulation.pretrain()
        yield from self.scheme.run(self.simulation)

    def _take_published(self) -> list[Published]:
        published, self.simulation.published = self.simulation.published, []
        return published

    def _read_window(self, published: Sequence[Published]) -> Window:
        """Compute the values of some versions."""
        graph = self.simulation.graph
        evaluations = self._evaluations(published)
        graph.settle(self._needed(published, evaluations))
        quarantined = [fault for version in published for fault in self._inspect(version)]
        for version, evaluation in zip(published, evaluations, strict=True):
            if evaluation is not None:
                version.row.update(graph.read([evaluation])[0])
                self._scores.append(_finite(version.row))
        self._pass(published)
        events = [row for version in published for row in version.events]
        return Window([version.row for version in published], events, quarantined)

    def _evaluations(self, published: Sequence[Published]) -> list[Node | None]:
        """Plan the evaluation of each version that is due one."""
        return [self._evaluation(version) for version in published]

    def _needed(self, published: Sequence[Published], evaluations: Sequence[Node | None]) -> list[Node]:
        """Return the nodes of what is read of some versions."""
        models = [version.model.weights for version in published]
        memories = [version.model.memory for version in published if version.model.memory is not None]
        states = [state for version in published for state in version.states]
        return [*models, *memories, *states, *(evaluation for evaluation in evaluations if evaluation is not None)]

    def _pass(self, published: Sequence[Published]) -> None:
        """Leave versions behind."""
        self._idle_rounds += sum(version.model.version > 0 and not version.row["arrived"] for version in published)
        if published:
            self._last_row = published[-1].row

    def _inspect(self, published: Published) -> Iterator[Row]:
        """Note in the records which updates of a version were bad, and yield these.

        Raises:
            RunFailed: One was, or too many in a row were.
        """
        for inspection in published.inspections:
            faults = self.simulation.graph.peek(inspection.faults) or [None] * len(inspection.arrivals)
            for arrival, fault in zip(inspection.arrivals, faults, strict=True):
                if fault is None:
                    self._bad_in_a_row = 0
                    continue
                self._quarantined[fault["cause"]] += 1
                self._bad_in_a_row += 1
                arrival.row.update(cause=fault["cause"], detail=fault["detail"])
                published.row["quarantined"] = int(published.row["quarantined"] or 0) + 1
                update = f"the update of device {arrival.device.id} on version {arrival.model.version} is bad"
                remedy = "; lower rule.learning_rate" if fault["cause"] in ("not-finite", "huge") else ""
                if self._on_bad_update == "fail":
                    raise RunFailed(f"{update}: {fault['detail']}{remedy}, or keep it out: on_bad_update: quarantine")
                if self._bad_in_a_row == _BAD_IN_A_ROW:
                    failure = RunFailed(f"{update}, as {_BAD_IN_A_ROW - 1} before it were: {fault['detail']}{remedy}")
                    if "traceback" in fault:
                        failure.add_note(fault["traceback"])
                    raise failure
                yield {"device": arrival.device.id, "version": arrival.model.version, **fault}

    def _evaluation(self, published: Published) -> Node | None:
        version, every = published.model.version, self._evaluate_every
        if not every or (version % every and version != self.scheme.versions):
            return None
        return published.evaluate(published.model.weights)


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
