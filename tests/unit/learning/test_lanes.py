"""Who may train in lanes: what is found out beforehand, and what is said to whom it does not fit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from netfed.errors import ScenarioError
from netfed.learning.adapters import Adapter, Full, Head, LoRA
from netfed.learning.cohort import lane_batch, strays, train_together
from netfed.learning.data.datasets import Digits
from netfed.learning.data.partitions import Iid
from netfed.learning.data.shares import deal
from netfed.learning.data.spec import Split
from netfed.learning.executors import FEWEST_TOGETHER, MOST_FLOPS, MOST_NUMBERS, Auto, Cohort, Serial, Survey, Threads
from netfed.learning.lanes import _FORMS, Lanes, Stack
from netfed.learning.models.spec import CNN, MLP, BatchNormCNN, ConvTransformer, Model
from netfed.learning.optimizers import SGD, AdamW
from netfed.learning.rules.backprop import Backprop
from netfed.learning.rules.spec import Rule
from netfed.learning.survey import survey
from netfed.learning.task import Classification, TaskExamples
from netfed.learning.trainer import LocalTraining
from netfed.streams import Streams
from tests.conftest import Build, Play


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
                self.kept = [self.shift]

        return Module()


@dataclass(frozen=True)
class Whole(Model, kind="test.whole"):
    """A module of a test's own."""

    module: ClassVar[type[nn.Module]]

    def network(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
        return Whole.module()


class Tied(nn.Module):
    """Two layers of one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = nn.Linear(64, 16), nn.Linear(16, 16), nn.Linear(16, 16)
        self.third.weight = self.second.weight
        self.last = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(self.third(self.second(self.first(x.flatten(1)))))
        return logits


class Fixed(nn.Module):
    """A layer whose weight and bias are buffers, before one that trains."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(16, 64, generator=torch.Generator().manual_seed(0)) / 8)
        self.register_buffer("bias", torch.linspace(-1, 1, 16))
        self.last = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.last(F.linear(x.flatten(1), self.weight, self.bias).relu())
        return logits


class Scaled(nn.Module):
    """A normalisation whose weight is the product of two parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(64, 16), nn.Linear(16, 10)
        self.gamma, self.scale, self.beta = (nn.Parameter(torch.full((16,), value)) for value in (1.0, 0.5, 0.1))

    def forward(self, x: Tensor) -> Tensor:
        normal = F.batch_norm(self.first(x.flatten(1)), None, None, self.gamma * self.scale, self.beta, True)
        logits: Tensor = self.last(normal)
        return logits


class Added(torch.autograd.Function):
    """A row added to every example, as somebody may write it by hand."""

    @staticmethod
    def forward(context: Any, batch: Tensor, row: Tensor) -> Tensor:
        return batch + row

    @staticmethod
    def backward(context: Any, *slopes: Tensor) -> tuple[Tensor, Tensor]:
        return slopes[0], slopes[0].sum(0)


@pytest.fixture(scope="module", autouse=True)
def unregister() -> Iterator[None]:
    yield
    del Model.kinds["test.made"], Model.kinds["test.whole"]


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
    assert look(task, model, adapter).refuse("cpu") is None


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of two devices, but for copies and scalars."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.dim()]
        if func.overloadpacket not in (torch.ops.aten.copy_, torch.ops.aten._to_copy):
            assert len({tensor.device for tensor in tensors}) <= 1, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("adapter", [Full(), LoRA(2), Head()], ids=lambda adapter: adapter.kind)
@pytest.mark.parametrize(
    "model", [MLP((8,)), CNN((2,), 4), BatchNormCNN((2,), 4), ConvTransformer(6, 2, 1)], ids=lambda model: model.kind
)
def test_lanes_train_wholly_on_their_device(
    task: Classification, model: Model, adapter: Adapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an accelerator: tensors of the device ``meta`` have no numbers, but a place."""
    monkeypatch.setattr(Stack, "added", lambda stack, model: iter([{}] * len(next(iter(stack.tensors.values())))))
    module = model.build(task.shape, task.classes, 0)
    adapter.attach(module, 0)
    own = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    own |= {name for name, _ in module.named_buffers()}
    base = module.state_dict()
    stack = Stack(module, [name for name in base if name in own], "meta")
    rule = Backprop(batch_size=4, epochs=2, optimizer=SGD(momentum=0.9), proximal=0.1)
    shares = [TaskExamples(torch.rand(count, 1, 8, 8), torch.zeros(count, dtype=torch.int64), "") for count in (9, 5)]
    with OneDevice():
        train_together(stack, rule, task.slopes, base, {name: base[name] for name in own}, shares, range(2))
        assert strays(stack, rule, shares) == []
    assert {tensor.device.type for tensor in stack.parameters} == {"meta"}


def test_work_and_size_are_counted(task: Classification) -> None:
    found = look(task, MLP((8,)))
    assert found.step_flops == 10 * (2 * (64 * 8 + 8 * 10) * 3 - 2 * 64 * 8)
    assert found.numbers == 64 * 8 + 8 + 8 * 10 + 10
    assert look(task, MLP((8,)), LoRA(2)).numbers == 2 * (64 + 8 + 8 + 10)
    buffers = 2 + 2 + 1
    assert look(task, BatchNormCNN((2,), 4), Head()).numbers == 4 * 10 + 10 + buffers


@pytest.mark.parametrize("module", [Tied, Fixed, Scaled])
def test_whatever_has_stacked_forms_can_be_trained_in_lanes(task: Classification, module: type[nn.Module]) -> None:
    """And comes out as it does alone: that is what is tried."""
    Whole.module = module
    assert look(task, Whole(), rule=Backprop(batch_size=10, learning_rate=0.1)).refuse("cpu") is None


@pytest.mark.parametrize(
    ("forward", "refusal"),
    [
        (
            lambda self, x: self.layer(x.flatten(1)) * (1 + 1e-6 * torch.stack([self.shift, self.shift]).mean()),
            "shift is read in a way that has no stacked form",
        ),
        (
            lambda self, x: self.layer(x.flatten(1)) + 1e-6 * self.kept[0].mean(),
            "shift is read in a way that has no stacked form",
        ),
        (
            lambda self, x: self.layer(x.flatten(1)) + 1e-6 * self.kept[0].mean() + self.shift,
            "shift is read in a way that has no stacked form",
        ),
        (
            lambda self, x: self.layer(x.flatten(1)) + 1e-6 * Added.apply(x.flatten(1)[:, :10], self.shift),
            "RuntimeError: Function AddedBackward returned an invalid gradient",
        ),
    ],
    ids=["in a list", "kept", "kept and read", "past PyTorch's functions"],
)
def test_a_parameter_without_gradient_in_lanes_is_found_however_little_it_does(
    task: Classification, forward: Callable[[nn.Module, Tensor], Tensor], refusal: str
) -> None:
    """With so small a factor its movement is lost in the rounding of what the trial compares."""
    Made.forward = forward
    found = look(task, Made(), rule=Backprop(batch_size=10, optimizer=AdamW(), learning_rate=1e-6)).refuse("cpu")
    assert found is not None
    assert found.startswith(refusal), found


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
    found = look(task, Made()).refuse("cpu")
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
        assert look(task, MLP((8,)), rule=Still()).refuse("cpu") == "rule Still has no stacked form"
    finally:
        del Rule.kinds["test.still"]


@dataclass(frozen=True)
class Uphill(Backprop):
    """What a third party may make of the built-in rule."""

    def fit(self, module: nn.Module, parameters: list[Tensor], *_: object) -> None:
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(1.0)


def test_a_rule_that_changes_backprop_is_not_taken_for_it(task: Classification, built: Build) -> None:
    assert look(task, MLP((8,)), rule=Uphill(batch_size=10)).refuse("cpu") == "rule Uphill has no stacked form"
    experiment = built("executor=auto", rule=Uphill(batch_size=10))
    assert experiment.fingerprint["executor"] == "one client at a time"
    training = LocalTraining(experiment.simulation.trainer, Uphill(), task.share(0), 0)
    assert training.lane_key is None
    assert replace(training, rule=Backprop()).lane_key == Backprop()


@dataclass(frozen=True)
class Normed(SGD):
    """Steps whose length is that of the parameters together: in a stack, of everybody's."""

    def step(self, parameters: Any, gradients: Any, state: Any, count: int, learning_rate: float) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.sub_(learning_rate * gradient / gradient.norm())


@dataclass(frozen=True)
class ByShape(SGD):
    """Moves matrices, and nothing else: in a stack, no tensor of the model below is one."""

    def step(self, parameters: Any, gradients: Any, state: Any, count: int, learning_rate: float) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if parameter.dim() == 2:
                parameter.sub_(learning_rate * gradient)


def test_the_optimizer_takes_part_in_the_trial(task: Classification) -> None:
    normed, by_shape = (Backprop(batch_size=10, optimizer=optimizer) for optimizer in (Normed(), ByShape()))
    assert "depends on who trains beside it" in str(look(task, MLP((8,)), rule=normed).refuse("cpu"))

    def forward(self: Any, x: Tensor) -> Tensor:
        return F.linear(x.flatten(1), self.layer.weight)

    Made.forward = forward
    assert look(task, Made(), rule=by_shape).refuse("cpu") == "optimizer ByShape is not what it is alone"


def test_what_has_no_gradient_but_noise_does_not_count(task: Classification) -> None:
    """Attention does not depend on the bias of its keys: AdamW moves it all the same."""
    assert look(task, ConvTransformer(6, 2, 1), rule=Backprop(batch_size=10, optimizer=AdamW())).refuse("cpu") is None


def test_the_trial_has_the_shapes_of_the_run(task: Classification) -> None:
    def forward(self: Any, x: Tensor) -> Any:
        return self.layer((x - x.mean(0) if len(x) > 100 else x).flatten(1)) + self.shift

    Made.forward = forward
    assert look(task, Made(), rule=Backprop(batch_size=12)).refuse("cpu") is None
    assert "depends on who" in str(look(task, Made(), rule=Backprop(batch_size=40)).refuse("cpu"))


def test_batches_of_one_example_are_refused(task: Classification) -> None:
    for adapter in (Full(), LoRA(3), Head()):
        refusal = look(task, MLP((16,)), adapter, Backprop(batch_size=1)).refuse("cpu")
        assert refusal is not None
        assert "batches of one example" in refusal


def test_a_batch_is_no_larger_than_the_largest_share(task: Classification) -> None:
    largest = max(len(task.share(device)) for device in range(task.devices))
    assert lane_batch(task, Backprop(batch_size=10)) == 10
    assert lane_batch(task, Backprop(batch_size=60_000)) == largest
    step = 2 * largest * (64 * 8 + 8 * 10) * 3 - 2 * largest * 64 * 8
    assert look(task, MLP((8,)), rule=Backprop(batch_size=60_000)).step_flops == step


SMALL = Survey(lambda _: None, MOST_FLOPS, MOST_NUMBERS)


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (SMALL, Cohort(3)),
        (Survey(lambda _: "it draws", 1.0, 1), Threads(3)),
        (Survey(lambda _: None, MOST_FLOPS + 1, 1), Threads(3)),
        (Survey(lambda _: None, 1.0, MOST_NUMBERS + 1), Threads(3)),
    ],
)
def test_auto_decides_by_what_is_counted(found: Survey, chosen: Cohort | Threads) -> None:
    assert Auto(3).serving(4, lambda: found) == chosen
    assert Auto(3).serving(3, lambda: found) == Threads(3)
    assert Auto(3, lazy=False, window=4).serving(4, lambda: found).lazy is False
    assert Auto(3, lazy=False, window=4).serving(4, lambda: found).window == 4


def test_who_has_chosen_is_not_overruled_but_told() -> None:
    def nobody_looks() -> Any:
        raise AssertionError

    assert Serial().serving(4, nobody_looks) == Serial()
    assert Threads(2).serving(4, nobody_looks) == Threads(2)
    assert Cohort(2).serving(1, lambda: SMALL) == Cohort(2)
    assert Auto(2).serving(3, nobody_looks) == Threads(2)
    with pytest.raises(ScenarioError, match="executor: clients cannot train in lanes: it draws; choose threads"):
        Cohort().serving(4, lambda: Survey(lambda _: "it draws", 1.0, 1))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_the_users_mistake() -> None:
    with pytest.raises(ScenarioError, match=r"executor\.device: PyTorch finds no CUDA device here"):
        Cohort(device="cuda").serving(4, lambda: SMALL)


def test_gradients_that_are_wrong_are_seen_whatever_the_rate(
    task: Classification, monkeypatch: pytest.MonkeyPatch
) -> None:
    def halved(lanes: Lanes, batch: Tensor, shift: Tensor) -> Tensor:
        return add(lanes, batch, shift) * 0.5 + add(lanes, batch, shift).detach() * 0.5

    add = _FORMS[Tensor.add]
    monkeypatch.setitem(_FORMS, Tensor.add, halved)
    Made.forward = lambda self, x: self.layer(x.flatten(1)) + self.shift
    refusal = look(task, Made(), rule=Backprop(batch_size=10, learning_rate=1e-6)).refuse("cpu")
    assert refusal == "shift is not what it is alone"


def test_what_has_no_numbers_is_no_obstacle(task: Classification) -> None:
    class Empty(Tied):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("cache", torch.empty(0))

    Whole.module = Empty
    assert look(task, Whole()).refuse("cpu") is None


def test_what_cannot_be_looked_at_is_refused(task: Classification) -> None:
    class Lazy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.LazyLinear(10)

        def forward(self, x: Tensor) -> Tensor:
            logits: Tensor = self.layer(x.flatten(1))
            return logits

    Whole.module = Lazy
    assert str(look(task, Whole()).refuse("cpu")).startswith("ValueError: ")


def test_the_trial_is_on_the_device_that_it_is_asked_for(task: Classification) -> None:
    assert "meta tensor" in str(look(task, MLP((8,))).refuse("meta"))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_lanes_are_tried_where_they_will_train(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in ("deterministic", "allow_tf32"):
        monkeypatch.setattr(torch.backends.cudnn, name, getattr(torch.backends.cudnn, name))
    Cohort(device=device).serving(4, lambda: Survey(tried.append, 1.0, 1))  # type: ignore[arg-type]
    assert tried == [device]
    assert torch.backends.cudnn.deterministic == (device == "cuda")
    assert torch.backends.cudnn.allow_tf32 == (device == "cpu")


def test_the_choice_is_in_the_fingerprint(play: Play) -> None:
    small, large = (play("executor=auto", f"model={{kind: mlp, hidden: [{width}]}}") for width in (8, 4000))
    chosen = [played.experiment.fingerprint["executor"] for played in (small, large)]
    assert chosen == ["clients in lanes", "one client at a time"]


def test_lanes_are_padded_to_the_largest_share_at_most(play: Play) -> None:
    rows = []

    def forward(self: Any, x: Tensor) -> Tensor:
        rows.append(len(x))
        logits: Tensor = self.layer(x.flatten(1)) + self.shift
        return logits

    Made.forward = forward
    played = play("model=test.made", "rule.batch_size=50000", "executor=cohort", "evaluate_every=0", workers=1)
    task = played.sim.trainer._task
    assert max(rows) <= 8 * max(len(task.share(device)) for device in range(task.devices))


def test_what_lanes_are_padded_to_is_in_the_key(built: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = set()
    for size in (8, 8, 7):
        monkeypatch.setattr("netfed.learning.trainer.lane_batch", lambda *_, size=size: size)
        sim = built().simulation
        keys.add(sim.trainer.begin(SimpleNamespace(id=0, draw=0), sim.model.weights).delta.key)
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("scheme", "together"),
    [
        ("{kind: fedavg, rounds: 2, cohort: 4}", 4),
        ("{kind: hierarchical, rounds: 2, cohort: 5, edge_rounds: 3}", 5),
        ("{kind: fedbuff, aggregations: 3, concurrency: 8, buffer: 3}", 3),
        ("{kind: fedbuff, aggregations: 3, concurrency: 4, buffer: 10}", 4),
        ("{kind: fedasync, aggregations: 3, concurrency: 8, alpha: 0.5}", 1),
        ("{kind: local, rounds: 2, devices: 8}", 1),
        ("{kind: central, rounds: 2, devices: 8}", 1),
    ],
)
def test_lanes_are_for_schemes_whose_clients_start_from_one_version(built: Build, scheme: str, together: int) -> None:
    experiment = built(f"scheme={scheme}", "executor=auto")
    assert experiment.scheme.together == together
    assert (experiment.fingerprint["executor"] == "clients in lanes") == (together >= FEWEST_TOGETHER)


def test_training_on_gathered_examples_takes_no_lane(play: Play) -> None:
    """Nothing else starts from its model: it would be computed twice."""
    scheme = "scheme={kind: central, rounds: 2, devices: 4}"
    lanes, threads = (play(scheme, "references=[central]", f"executor={kind}") for kind in ("cohort", "threads"))
    assert all(torch.equal(value, threads.model[name]) for name, value in lanes.model.items())
