"""How a run is played and measured, and how one ends that cannot go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from netfed import simulation
from netfed.errors import ComputationFailed, RunFailed
from netfed.learning.models.spec import Model
from netfed.learning.tensors import Tensors
from netfed.learning.trainer import Trainer
from netfed.network.spec import Availability
from netfed.scenario import loads
from netfed.schemes.fedavg import FedAvg
from netfed.schemes.spec import Scheme
from tests.conftest import FIXED, LOSSY, SMALL, Build, Play


@pytest.fixture(autouse=True)
def kinds_of_this_module_only() -> Iterator[None]:
    families = (Availability, Model, Scheme)
    before = [dict(family.kinds) for family in families]
    yield
    for family, kinds in zip(families, before, strict=True):
        family.kinds.clear()
        family.kinds.update(kinds)


def played(experiment: Any) -> list[Any]:
    return list(experiment.windows())


def results(experiment: Any) -> dict[str, Any]:
    played(experiment)
    return experiment.summary()


# Ending.


def test_a_world_without_devices_ends_and_says_so(built: Build) -> None:
    @dataclass(frozen=True)
    class Never(Availability, kind="test.never"):
        def window(self, phase: Any, now_s: float) -> Any:
            return np.full(phase.shape, np.inf), np.full(phase.shape, np.inf)

    experiment = built(devices=replace(loads(SMALL, "test.yaml").devices, availability=Never()))
    with pytest.raises(RunFailed, match=r"nothing can happen after 0 s: .*no device"):
        played(experiment)


def test_an_error_of_a_scheme_is_not_taken_for_a_world_without_devices(built: Build) -> None:
    @dataclass(frozen=True)
    class Broken(FedAvg, kind="test.broken"):
        def run(self, sim: Any) -> Any:
            yield sim.env.timeout(1.0)
            raise RuntimeError("a bug of the scheme")

    with pytest.raises(RuntimeError, match="a bug of the scheme"):
        played(built(scheme=Broken(2, 2)))


def test_losses_without_end_end_the_run(built: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "_LOST_IN_A_ROW", 50)
    experiment = built("devices.dropout={compute: 1, download: 0.2}", FIXED, "scheme.rounds=1000")
    with pytest.raises(
        RunFailed, match=r"50 participations in a row .*so far: \d+ dropout-compute, \d+ dropout-download"
    ):
        played(experiment)
    assert experiment.simulation.tally["lost"] == 50


def test_losses_are_counted_from_the_last_arrival(built: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "_LOST_IN_A_ROW", 50)
    experiment = built("devices.dropout={compute: 0.8}", FIXED, "scheme.rounds=40")
    played(experiment)
    assert experiment.simulation.tally["lost"] > 50


@pytest.mark.parametrize("sets", [(), ("evaluate_every=0",)], ids=["evaluated", "unseen"])
def test_divergence_is_named(built: Build, sets: tuple[str, ...]) -> None:
    optimizer = "{kind: sgd, momentum: 0.99, weight_decay: 1}"
    hot = f"rule={{kind: backprop, learning_rate: 100, optimizer: {optimizer}, epochs: 30}}"
    experiment = built(hot, *sets)
    with pytest.raises(RunFailed, match=r"(diverged|not finite).*lower rule\.learning_rate"):
        results(experiment)


class Fragile(nn.Module):
    """Fails once it is told to."""

    failing: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        if self.failing and self.training:
            raise ValueError("out of cheese")
        return self.linear(pictures.flatten(1))


@pytest.mark.parametrize("executor", ["serial", "{kind: threads, workers: 2}"])
def test_a_client_whose_training_raises_is_named(built: Build, monkeypatch: pytest.MonkeyPatch, executor: str) -> None:
    @dataclass(frozen=True)
    class FragileModel(Model, kind="test.fragile"):
        def network(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
            return Fragile()

    experiment = built(f"executor={executor}", "on_bad_update=fail", model=FragileModel())
    sim = experiment.simulation
    for client in sim.participants(np.arange(8)):
        sim.trainer.begin(client, sim.trainer.initial)  # counts the cost of a step
    monkeypatch.setattr(Fragile, "failing", True)
    with pytest.raises(ComputationFailed, match=r"training on device \d, draw 0: ValueError: out of cheese") as caught:
        played(experiment)
    assert isinstance(caught.value.__cause__, ValueError)


HARMS: dict[str, Callable[[Tensors], Tensors]] = {
    "not-finite": lambda delta: {name: value * float("nan") for name, value in delta.items()},
    "huge": lambda delta: {name: value * 1e12 for name, value in delta.items()},
    "misshapen": lambda delta: {name: value[None] for name, value in delta.items()},
    "failed": lambda delta: delta["no such tensor"],
}


def harm(experiment: Any, monkeypatch: pytest.MonkeyPatch, cause: str, devices: Sequence[int]) -> None:
    """Let training on some devices go wrong."""
    sim, train = experiment.simulation, Trainer.train
    harmed = {sim.trainer.data(device).digest for device in sim.participants(np.array(devices))}

    def harmful(trainer: Trainer, rule: Any, examples: Any, *rest: Any) -> Tensors:
        delta = train(trainer, rule, examples, *rest)
        return HARMS[cause](delta) if examples.digest in harmed else delta

    monkeypatch.setattr(Trainer, "train", harmful)


@pytest.mark.parametrize("codec", ["float32", "{kind: topk, fraction: 0.3}"])
@pytest.mark.parametrize("cause", HARMS)
def test_a_bad_update_is_kept_out_and_noted(
    built: Build, monkeypatch: pytest.MonkeyPatch, cause: str, codec: str
) -> None:
    experiment = built("scheme.cohort=8", f"codec={codec}", "executor=threads")
    harm(experiment, monkeypatch, cause, [3])
    windows = played(experiment)
    arrivals = [row for window in windows for row in window.events if row["kind"] == "arrival"]
    assert {(row["device"], row.get("cause")) for row in arrivals if "cause" in row} == {(3, cause)}
    assert [row["quarantined"] for window in windows for row in window.rounds] == [0, 1, 1, 1]
    assert [(bad["device"], bad["cause"]) for window in windows for bad in window.quarantined] == [(3, cause)] * 3
    summary = experiment.summary()
    assert summary["quarantined"] == {cause: 3}
    assert summary["updates"]["arrived"] == summary["jobs"]["trained"] == 24
    assert summary["metric"]["last"] > summary["metric"]["first"] + 0.2
    again = built("scheme.cohort=8", f"codec={codec}", "executor=threads")
    assert played(again) == windows, "what is found in the store tells of it too"
    assert again.summary()["jobs"]["trained"] == 0


def test_where_nothing_is_bad_nothing_is_stored_of_it(built: Build, tmp_path: Path) -> None:
    played(built("evaluate_every=0"))
    assert len([path for path in (tmp_path / "store").rglob("*") if path.is_file()]) == 4, "a model for each version"


def test_the_others_weigh_as_if_the_bad_one_had_not_been_there(
    built: Build, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    equal = "task.split={cloud: 0.2, devices: 0.5342236, test: 0.2}"  # 960 examples: 120 each
    experiment = built(equal, "scheme={kind: fedavg, rounds: 1, cohort: 8}")
    harm(experiment, monkeypatch, "not-finite", [7])
    played(experiment)
    sim = experiment.simulation
    updates = [sim.trainer.begin(device, sim.trainer.initial).delta for device in sim.participants(np.arange(7), 0)]
    before, after, *deltas = sim.graph.read([sim.trainer.initial, sim.model.weights, *updates])
    for name, value in after.items():
        mean = torch.stack([delta[name].double() for delta in deltas]).mean(0)
        torch.testing.assert_close(value, (before[name].double() + mean).float(), rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    "scheme",
    [
        "fedbuff, aggregations: 9, concurrency: 4",
        "fedasync, aggregations: 40, concurrency: 4, alpha: 0.5",
        "hierarchical, rounds: 3, cohort: 8",
        "fedavg, rounds: 4, cohort: 8, server: {kind: adam, learning_rate: 0.01}",
    ],
)
def test_every_scheme_goes_on_without_a_bad_update(built: Build, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    experiment = built(f"scheme={{kind: {scheme}}}", FIXED)
    harm(experiment, monkeypatch, "not-finite", [3])
    played(experiment)
    assert experiment.summary()["quarantined"]["not-finite"] > 0


def test_the_cloud_does_not_average_what_bad_updates_left_unchanged(
    built: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All updates of one base station are bad, and some of the other: the rest count as in one mean of them all."""
    world = ("topology={kind: hexagonal, base_stations: 2}", "task.partition={kind: dirichlet, alpha: 0.5}")
    experiment, flat = (
        built(*world, f"scheme={{kind: {scheme}, rounds: 1, cohort: 8}}") for scheme in ("hierarchical", "fedavg")
    )
    cells = experiment.simulation.population.base_station
    bad = [*np.flatnonzero(cells == cells[0]), np.flatnonzero(cells != cells[0])[0]]
    harm(experiment, monkeypatch, "not-finite", bad)
    assert len(bad) < 8
    played(experiment)
    played(flat)
    ours, theirs = (one.simulation.graph.read([one.simulation.model.weights])[0] for one in (experiment, flat))
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=0, atol=1e-7)


@pytest.mark.parametrize("adapter", ["full", "{kind: lora, rank: 2}", "bias-only"])
@pytest.mark.parametrize(
    "scheme",
    [
        "fedbuff, aggregations: 12, concurrency: 4, buffer: 2",
        "fedasync, aggregations: 24, concurrency: 4, alpha: 0.5",
        "hierarchical, rounds: 3, cohort: 8",
        "fedavg, rounds: 12, cohort: 2",
    ],
)
def test_what_is_huge_is_kept_out_where_few_meet(
    built: Build, monkeypatch: pytest.MonkeyPatch, scheme: str, adapter: str
) -> None:
    experiment = built(f"scheme={{kind: {scheme}}}", f"adapter={adapter}", FIXED)
    harm(experiment, monkeypatch, "huge", [2, 3])
    windows = played(experiment)
    arrivals = [row for window in windows for row in window.events if row["kind"] == "arrival"]
    assert {row["device"] in (2, 3) for row in arrivals} == {False, True}
    assert all(row.get("cause") == ("huge" if row["device"] in (2, 3) else None) for row in arrivals)
    assert windows[-1].rounds[-1]["loss"] < windows[0].rounds[0]["loss"]


@pytest.mark.parametrize("cause", HARMS)
def test_nothing_but_bad_updates_ends_the_run(built: Build, monkeypatch: pytest.MonkeyPatch, cause: str) -> None:
    experiment = built()
    harm(experiment, monkeypatch, cause, range(8))
    with pytest.raises(RunFailed, match=r"the update of device \d on version \d is bad, as 9 before it were") as caught:
        played(experiment)
    notes = getattr(caught.value, "__notes__", [])
    assert any("no such tensor" in note for note in notes) == (cause == "failed")


@pytest.mark.parametrize("cause", HARMS)
def test_a_bad_update_ends_the_run_if_it_shall(built: Build, monkeypatch: pytest.MonkeyPatch, cause: str) -> None:
    experiment = built("scheme.cohort=8", "on_bad_update=fail")
    harm(experiment, monkeypatch, cause, [3])
    with pytest.raises(RunFailed, match="device 3"):
        played(experiment)


# Telling.


@contextmanager
def halfway(experiment: Any) -> Iterator[Any]:
    windows = experiment.windows()
    next(windows)
    yield windows


def test_progress_is_that_of_the_last_window(built: Build) -> None:
    experiment = built(LOSSY, "scheme.rounds=4")
    with halfway(experiment) as windows:
        assert (experiment.progress.version, experiment.progress.versions) == (0, 4)
        (row,) = next(windows).rounds
        progress = experiment.progress
        assert progress.version == 1
        assert progress.t_s == row["t_s"] > 0
        assert progress.metric == ("accuracy", row["accuracy"])
        assert progress.bits == row["bits_up"] + row["bits_down"]
        assert progress.trained == row["arrived"]
        assert progress.torch_s > 0
    unseen = built("evaluate_every=0")
    played(unseen)
    assert unseen.progress.metric == ("accuracy", None)
    assert unseen.summary()["metric"] == {"name": "accuracy", "first": None, "last": None, "best": None}


@pytest.mark.parametrize(("every", "evaluated"), [(1, [0, 1, 2, 3, 4, 5]), (2, [0, 2, 4, 5]), (4, [0, 4, 5]), (0, [])])
def test_every_so_many_versions_are_evaluated_and_the_last_one(play: Play, every: int, evaluated: list[int]) -> None:
    rounds = play("scheme.rounds=5", f"evaluate_every={every}").rounds
    assert [row["version"] for row in rounds if row["accuracy"] is not None] == evaluated


@pytest.mark.parametrize(("window", "sizes"), [(1, [1, 1, 1, 1, 1, 1]), (4, [4, 2]), (100, [6])])
def test_a_window_holds_so_many_aggregations(built: Build, window: int, sizes: list[int]) -> None:
    experiment = built("scheme.rounds=5", f"executor={{kind: serial, window: {window}}}")
    assert [len(window.rounds) for window in played(experiment)] == sizes


def test_references_are_drawn_beside_the_result(play: Play) -> None:
    none = play()
    pretraining = "pretraining={kind: backprop, learning_rate: 0.1, epochs: 2}"
    lines = play(pretraining, "references=[pretrained, central, local]")
    assert none.summary["references"] == {}
    references = lines.summary["references"]
    assert references["pretrained"] == lines.rounds[0]["accuracy"]
    assert references["central"] > references["local"]
    assert lines.summary["reference_jobs"] == 1 + 8
    assert lines.summary["energy_parts_j"]["cloud"] > 0
    assert none.summary["energy_parts_j"]["cloud"] == 0
