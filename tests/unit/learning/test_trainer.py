from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from netfed.errors import ScenarioError
from netfed.graph import Graph, Node, Store
from netfed.learning.adapters import Adapter, Full, Head, LoRA
from netfed.learning.cost import Cost
from netfed.learning.data.datasets import Digits
from netfed.learning.data.partitions import Iid
from netfed.learning.data.shares import deal
from netfed.learning.data.spec import Hands, Split
from netfed.learning.models.spec import MLP, BatchNormCNN, ConvTransformer, Model
from netfed.learning.optimizers import SGD
from netfed.learning.rules.backprop import Backprop
from netfed.learning.task import Classification
from netfed.learning.trainer import Trainer
from netfed.streams import Streams

pytestmark = pytest.mark.usefixtures("one_blas_thread")

RULE = Backprop(learning_rate=0.1, optimizer=SGD(momentum=0.9), batch_size=16, epochs=2)
PERCEPTRON, FULL = MLP((8,)), Full()
TRANSFORMER = ConvTransformer(width=6, heads=2, blocks=1, dropout=0.3)
FEW = Split(0.1, 0.2, 0.3)


@dataclass(frozen=True)
class Client:
    id: int
    draw: int = 0


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return Graph(Store(tmp_path, "n"), lambda calls: [call() for call in calls])


def trainer(
    graph: Graph,
    model: Model = PERCEPTRON,
    adapter: Adapter = FULL,
    rule: Backprop = RULE,
    pretraining: Backprop | None = None,
    seed: int = 1,
    hands: Hands | None = None,
) -> Trainer:
    shares = deal(Digits(), FEW, Iid(), hands, 5, Streams(seed))
    return Trainer(graph, Classification(shares), model, adapter, rule, pretraining, Streams(seed))


def value(graph: Graph, node: Node) -> dict[str, Any]:
    return graph.read([node])[0]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(tensor, other[name]) for name, tensor in one.items())


class NeverZeroes(Backprop, kind="test.gradients"):
    """Gradients add up over its steps, and are left where they are."""

    def fit(self, module, parameters, inputs, labels, loss, generator):
        for batch, wanted in zip(inputs.split(16), labels.split(16), strict=True):
            loss(module(batch), wanted).backward()
            with torch.no_grad():
                for parameter in parameters:
                    parameter.sub_(0.1 * parameter.grad)


def test_no_gradient_is_left_to_the_next_who_trains_on_this_thread(graph: Graph) -> None:
    rule = NeverZeroes(batch_size=16)
    first, second = trainer(graph, rule=rule), trainer(graph, rule=rule)
    for device in range(3):
        value(graph, first.begin(Client(device), first.initial).delta)
    last, alone = (value(graph, one.begin(Client(3), one.initial).delta) for one in (first, second))
    assert same(last, alone)


def test_layouts_tell_what_is_sent_from_what_is_sent_once(graph: Graph) -> None:
    full = trainer(graph)
    assert list(full.layout) == list(value(graph, full.initial)) == list(value(graph, full.base))
    assert full.frozen == {}
    lora = trainer(graph, adapter=LoRA(rank=2))
    assert all(".lora_" in name for name in lora.layout)
    assert set(lora.frozen) == set(full.layout)
    assert set(value(graph, lora.initial)) == set(lora.layout)
    norms = trainer(graph, BatchNormCNN((2,), 4)).layout
    buffers = {name: spec for name, spec in norms.items() if not spec.trained}
    assert {spec.dtype for spec in buffers.values()} == {"float32", "int64"}
    assert list(norms)[-len(buffers) :] == list(buffers), "buffers come last"


def test_a_tied_parameter_is_sent_once(graph: Graph) -> None:
    @dataclass(frozen=True)
    class Tied(Model, kind="test.tied"):
        def network(self, input_shape: tuple[int, ...], classes: int) -> nn.Module:
            layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.Linear(16, 16), nn.Linear(16, 16))
            layers[3].weight = layers[2].weight
            return layers.append(nn.Linear(16, classes))

    try:
        full, head = trainer(graph, Tied()), trainer(graph, Tied(), Head())
    finally:
        del Model.kinds["test.tied"]
    assert set(full.layout) == {"1.weight", "1.bias", "2.weight", "2.bias", "3.bias", "4.weight", "4.bias"}
    assert full.frozen == {}
    assert set(head.frozen) == {"1.weight", "1.bias", "2.weight", "2.bias", "3.bias"}


def test_an_update_is_what_training_adds(graph: Graph) -> None:
    lora = trainer(graph, adapter=LoRA(rank=2))
    base, model = value(graph, lora.base), value(graph, lora.initial)
    delta = value(graph, lora.begin(Client(0), lora.initial).delta)
    assert set(delta) == set(lora.layout)
    assert all(tensor.any() for name, tensor in delta.items() if name.endswith("lora_b"))
    assert same(value(graph, lora.base), base)
    assert same(value(graph, lora.initial), model)


@pytest.mark.parametrize("model", [MLP((8,)), TRANSFORMER, BatchNormCNN((2,), 4)], ids=lambda model: model.kind)
def test_an_update_does_not_depend_on_what_was_trained_before(graph: Graph, tmp_path: Path, model: Model) -> None:
    fresh = Graph(Store(tmp_path / "other", "n"), lambda calls: [call() for call in calls])
    first, second = trainer(graph, model), trainer(fresh, model)
    jobs = [Client(0), Client(1), Client(0, 1), Client(2)]
    forwards = [value(graph, first.begin(job, first.initial).delta) for job in jobs]
    torch.manual_seed(99)
    backwards = [value(fresh, second.begin(job, second.initial).delta) for job in reversed(jobs)][::-1]
    assert all(map(same, forwards, backwards))
    assert len({tuple(next(iter(delta.values())).flatten().tolist()) for delta in forwards}) == 4


def test_a_key_holds_all_that_an_update_depends_on(graph: Graph) -> None:
    one = trainer(graph)
    key = one.begin(Client(0), one.initial).delta.key
    assert trainer(graph).begin(Client(0), one.initial).delta.key == key
    others = [
        one.begin(Client(1), one.initial),
        one.begin(Client(0, 1), one.initial),
        one.begin(Client(0), one.base),
        trainer(graph, rule=replace(RULE, learning_rate=0.2)).begin(Client(0), one.initial),
        trainer(graph, adapter=LoRA()).begin(Client(0), one.initial),
        trainer(graph, model=MLP((9,))).begin(Client(0), one.initial),
        trainer(graph, seed=2).begin(Client(0), one.initial),
        trainer(graph, pretraining=RULE).begin(Client(0), one.initial),
    ]
    assert len({key, *(update.delta.key for update in others)}) == 9


def test_the_cost_of_an_update_is_that_of_its_batches(graph: Graph) -> None:
    """71 examples: four batches of 16 and one of 7, twice."""
    one = trainer(graph)
    update = one.begin(Client(4), one.initial)
    assert update.examples == 71
    per_example = 2 * (64 * 8 + 8 * 10) * 3 - 2 * 64 * 8  # forward, both gradients; none for the pictures
    assert update.cost.flops == 2 * 71 * per_example
    step, rest = one.cost(16), one.cost(7)
    assert update.cost.flops == pytest.approx(4 * step.flops + rest.flops)
    assert update.cost.bytes == pytest.approx(4 * step.bytes + rest.bytes)
    assert one.cost(3).flops == 2 * 3 * per_example, "less than a batch"
    assert rest.bytes < step.bytes


def test_counting_the_cost_trains_nothing(graph: Graph) -> None:
    one = trainer(graph, TRANSFORMER)
    before = value(graph, one.initial)
    state = torch.get_rng_state()
    one.cost(71)
    assert torch.equal(torch.get_rng_state(), state)
    assert same(value(graph, one.initial), before)
    assert graph.counts("update")["planned"] == 0


def test_pretraining_is_a_value_of_its_own_with_a_cost(graph: Graph) -> None:
    plain, pretrained = (
        trainer(graph, adapter=LoRA()),
        trainer(graph, adapter=LoRA(), pretraining=replace(RULE, epochs=20)),
    )
    assert plain.pretraining_cost() == Cost(0.0, 0.0)
    full = trainer(graph)
    assert pretrained.pretraining_cost().flops == pytest.approx(10 * full.cost(180).flops), (
        "the whole model on the cloud's part"
    )
    assert not same(value(graph, plain.base), value(graph, pretrained.base))
    assert value(graph, pretrained.evaluation(pretrained.initial))["accuracy"] > 0.5
    assert value(graph, plain.evaluation(plain.initial))["accuracy"] < 0.3


def test_pretraining_goes_on_where_full_training_starts(graph: Graph) -> None:
    full = trainer(graph, pretraining=RULE)
    assert same(value(graph, full.initial), value(graph, full.base))


def test_the_central_reference_learns_from_everybody(graph: Graph) -> None:
    one = trainer(graph)
    scores = [value(graph, one.central(epochs))["accuracy"] for epochs in (1, 20)]
    assert 0.2 < scores[0] < scores[1]
    assert scores[1] > 0.7
    assert graph.counts("reference")["trained"] == 2
    assert graph.counts("update")["planned"] == 0


def test_the_local_reference_learns_alone_and_is_tested_in_its_own_hand(graph: Graph) -> None:
    one = trainer(graph, hands=Hands(slant=0.3, tests=30))
    scores = [value(graph, one.local(device, 20)) for device in (0, 1)]
    assert scores[0] != scores[1]
    assert all(score["accuracy"] > 0.25 for score in scores)
    keys = {one.local(device, epochs).key for device in (0, 1) for epochs in (1, 2)}
    assert len(keys) == 4


def test_a_rule_that_passes_over_the_data_more_often_trains_longer(graph: Graph) -> None:
    one, twice = (trainer(graph, rule=replace(RULE, epochs=epochs)) for epochs in (1, 2))
    assert (one.epochs, twice.epochs) == (1, 2)
    assert twice.cost(71).flops == 2 * one.cost(71).flops


def test_what_cannot_be_sent_is_refused(graph: Graph) -> None:
    class HalfState(torch.nn.Linear):
        def __init__(self) -> None:
            super().__init__(64, 10)
            self.register_buffer("table", torch.zeros(2, dtype=torch.float16))

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return super().forward(pictures.flatten(1))

    @dataclass(frozen=True)
    class Half(Model, kind="test.half"):
        def network(self, input_shape: tuple[int, ...], classes: int) -> torch.nn.Module:
            return HalfState()

    try:
        with pytest.raises(ScenarioError, match=r"table is float16, but .* must be float32 or int64"):
            trainer(graph, Half())
    finally:
        del Model.kinds["test.half"]
