"""How a run is played and measured, and how one ends that cannot go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from netfed import simulation
from netfed.errors import ComputationFailed, RunFailed
from netfed.learning.models.spec import Model
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
    with pytest.raises(RunFailed, match=r"diverged.*lower rule\.learning_rate"):
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

    experiment = built(f"executor={executor}", model=FragileModel())
    sim = experiment.simulation
    for client in sim.participants(np.arange(8)):
        sim.trainer.begin(client, sim.trainer.initial)  # counts the cost of a step
    monkeypatch.setattr(Fragile, "failing", True)
    with pytest.raises(ComputationFailed, match=r"training on device \d, draw 0: ValueError: out of cheese") as caught:
        played(experiment)
    assert isinstance(caught.value.__cause__, ValueError)


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
