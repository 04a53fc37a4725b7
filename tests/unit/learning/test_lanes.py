"""Who may train in lanes: what is found out beforehand, and what is said to whom it does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netfed.errors import ScenarioError
from netfed.learning.adapters import Adapter, Full, Head, LoRA
from netfed.learning.cohort import survey
from netfed.learning.data.datasets import Digits
from netfed.learning.data.partitions import Iid
from netfed.learning.data.shares import deal
from netfed.learning.data.spec import Split
from netfed.learning.executors import MOST_FLOPS, MOST_NUMBERS, Auto, Cohort, Serial, Survey, Threads
from netfed.learning.models.spec import CNN, MLP, BatchNormCNN, ConvTransformer, Model
from netfed.learning.rules.backprop import Backprop
from netfed.learning.rules.spec import Rule
from netfed.learning.task import Classification
from netfed.streams import Streams
from tests.conftest import Play


@dataclass(frozen=True)
class Made(Model, kind="test.made"):
    """Whatever a test puts into ``forward``, over a linear layer and a parameter."""

    forward: ClassVar[Callable[[nn.Module, Tensor], Tensor]]

    def network(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        class Module(nn.Module):
            forward = Made.forward

            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(64, 10)
                self.shift = nn.Parameter(torch.zeros(10))

        return Module()


@pytest.fixture(scope="module", autouse=True)
def unregister() -> Iterator[None]:
    yield
    del Model.kinds["test.made"]


@pytest.fixture(scope="module")
def task() -> Classification:
    return Classification(deal(Digits(), Split(0.1, 0.2, 0.3), Iid(), None, 5, Streams(1)))


def look(task: Classification, model: Model, adapter: Adapter | None = None, rule: Rule | None = None) -> Survey:
    return survey(task, model, adapter or Full(), rule or Backprop(batch_size=10), Streams(1))


@pytest.mark.parametrize("adapter", [Full(), LoRA(2), Head()], ids=lambda adapter: adapter.kind)
@pytest.mark.parametrize(
    "model", [MLP((8,)), CNN((2,), 4), BatchNormCNN((2,), 4), ConvTransformer(6, 2, 1)], ids=lambda model: model.kind
)
def test_every_built_in_model_can_be_trained_in_lanes(task: Classification, model: Model, adapter: Adapter) -> None:
    assert look(task, model, adapter).refusal is None


def test_work_and_size_are_counted(task: Classification) -> None:
    found = look(task, MLP((8,)))
    assert found.step_flops == 10 * (2 * (64 * 8 + 8 * 10) * 3 - 2 * 64 * 8)
    assert found.numbers == 64 * 8 + 8 + 8 * 10 + 10
    assert look(task, MLP((8,)), LoRA(2)).numbers == 2 * (64 + 8 + 8 + 10)
    buffers = 2 + 2 + 1
    assert look(task, BatchNormCNN((2,), 4), Head()).numbers == 4 * 10 + 10 + buffers


@pytest.mark.parametrize(
    ("forward", "refusal"),
    [
        (
            lambda self, x: x.flatten(1) @ self.layer.weight.T + self.shift,
            r"torch\.Tensor\.T\.__get__ has no stacked form",
        ),
        (lambda self, x: self.layer(x.flatten(1)) + torch.cat([self.shift]), "RuntimeError: The size"),
        (lambda self, x: self.layer((x - x.mean(0)).flatten(1)) + self.shift, "depends on who trains beside it"),
        (lambda self, x: self.layer(x.flatten(1) + torch.randn_like(x.flatten(1))) + self.shift, "other than dropout"),
        (lambda self, x: (self.layer(x.flatten(1)).T + self.shift[:, None]).T, "getitem.* has no stacked form"),
        (lambda self, x: F.linear(x.flatten(1).T, torch.eye(len(x))).T @ self.layer.weight.mT, "has no stacked form"),
    ],
    ids=["matmul", "inside a list", "across examples", "noise", "indexed", "transposed"],
)
def test_what_has_no_stacked_form_is_refused(
    task: Classification, forward: Callable[[nn.Module, Tensor], Tensor], refusal: str
) -> None:
    Made.forward = forward
    found = look(task, Made()).refusal
    assert found is not None
    assert re.search(refusal, found), found


def test_a_rule_without_a_stacked_form_is_refused(task: Classification) -> None:
    @dataclass(frozen=True)
    class Still(Rule, kind="test.still"):
        batch_size: int = 4
        epochs: int = 1

        def fit(self, *_: object) -> None:
            pass

    try:
        assert look(task, MLP((8,)), rule=Still()).refusal == "rule test.still has no stacked form"
    finally:
        del Rule.kinds["test.still"]


SMALL = Survey(None, MOST_FLOPS, MOST_NUMBERS)


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (SMALL, Cohort(3)),
        (Survey("it draws", 1.0, 1), Threads(3)),
        (Survey(None, MOST_FLOPS + 1, 1), Threads(3)),
        (Survey(None, 1.0, MOST_NUMBERS + 1), Threads(3)),
    ],
)
def test_auto_decides_by_what_is_counted(found: Survey, chosen: Cohort | Threads) -> None:
    assert Auto(3).serving(lambda: found) == chosen
    assert Auto(3, lazy=False, window=4).serving(lambda: found).lazy is False
    assert Auto(3, lazy=False, window=4).serving(lambda: found).window == 4


def test_who_has_chosen_is_not_overruled_but_told() -> None:
    def nobody_looks() -> Survey:
        raise AssertionError

    assert Serial().serving(nobody_looks) == Serial()
    assert Threads(2).serving(nobody_looks) == Threads(2)
    assert Cohort(2).serving(lambda: SMALL) == Cohort(2)
    with pytest.raises(ScenarioError, match="executor: clients cannot train in lanes: it draws; choose threads"):
        Cohort().serving(lambda: Survey("it draws", 1.0, 1))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_the_users_mistake() -> None:
    with pytest.raises(ScenarioError, match=r"executor\.device: PyTorch finds no CUDA device here"):
        Cohort(device="cuda").serving(lambda: SMALL)


def test_the_choice_is_in_the_fingerprint(play: Play) -> None:
    small, large = (play("executor=auto", f"model={{kind: mlp, hidden: [{width}]}}") for width in (8, 4000))
    chosen = [played.experiment.fingerprint["executor"] for played in (small, large)]
    assert chosen == ["clients in lanes", "one client at a time"]
