"""What a client trains beside others is, to the bit, what it trains in any company; and nearly what it is alone."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netfed.errors import ScenarioError
from netfed.learning.adapters import Adapter, BiasOnly, Full, Head, LoRA
from netfed.learning.cohort import train_together
from netfed.learning.draws import JobDraws
from netfed.learning.lanes import Stack
from netfed.learning.models.spec import CNN, MLP, BatchNormCNN, ConvTransformer
from netfed.learning.optimizers import SGD, AdamW
from netfed.learning.rules.backprop import Backprop
from netfed.learning.task import TaskExamples
from tests.conftest import Play

pytestmark = pytest.mark.usefixtures("one_blas_thread")

CLIENTS = 32
HEAVY = Backprop(learning_rate=0.05, optimizer=SGD(0.9, 0.1), proximal=0.1, batch_size=8, epochs=2)
ADAMW = Backprop(learning_rate=0.001, optimizer=AdamW(weight_decay=0.5), batch_size=8, epochs=2)


class Tokens(nn.Module):
    """What the built-in models lack: an embedding, a convolution in one dimension, products and curved functions."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 5)
        self.scale = nn.Parameter(torch.ones(64, 5))
        self.convolution = nn.Conv1d(5, 7, 3, padding=1)
        self.gate = nn.Linear(7, 7)
        self.norm = nn.LayerNorm(7)
        self.head = nn.Linear(7, 10, bias=False)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.embedding(pictures.flatten(1).mul(10.99).long()) * self.scale
        x = self.convolution(x.transpose(1, 2)).transpose(1, 2)
        x = self.norm(F.silu(x) * self.gate(x).sigmoid() + F.gelu(x, approximate="tanh"))
        logits: Tensor = self.head(x.mean(1))
        return logits


def network(name: str) -> nn.Module:
    models = {
        "mlp": MLP((15,)),
        "cnn": CNN((3, 5), 9),
        "narrow": MLP((1,)),
        "batchnorm-cnn": BatchNormCNN((3, 5), 9),
        "conv-transformer": ConvTransformer(width=15, heads=3, blocks=2, dropout=0.2),
    }
    torch.manual_seed(0)
    return models[name].build((1, 8, 8), 10, 0) if name in models else Tokens()


class Together:
    """Clients with unequal shares, all starting from one model."""

    def __init__(self, name: str, adapter: Adapter, rule: Backprop) -> None:
        self.rule = rule
        self.module = network(name)
        adapter.attach(self.module, 0)
        self.module = self.module.to(memory_format=torch.channels_last).train()
        self.base = {key: tensor.detach().clone() for key, tensor in self.module.state_dict().items()}
        own = {key for key, parameter in self.module.named_parameters() if parameter.requires_grad}
        own |= {key for key, _ in self.module.named_buffers()}
        self.start = {key: tensor for key, tensor in self.base.items() if key in own}
        self.stack = Stack(self.module, list(self.start), "cpu")
        generator = torch.Generator().manual_seed(1)
        self.shares = []
        for client in range(CLIENTS):
            count = 13 + 3 * (client % 5)  # batches of 8, and a last one of 2 to 8
            inputs = torch.rand(count, 1, 8, 8, generator=generator)
            self.shares.append(TaskExamples(inputs, torch.randint(10, (count,), generator=generator), ""))

    def train(self, clients: Sequence[int]) -> list[dict[str, Tensor]]:
        shares = [self.shares[client] for client in clients]
        return train_together(self.stack, self.rule, slopes, self.base, self.start, shares, clients)

    def alone(self, client: int) -> dict[str, Tensor]:
        module, generator = copy.deepcopy(self.module), torch.Generator().manual_seed(client)
        parameters: list[Tensor] = [parameter for parameter in module.parameters() if parameter.requires_grad]
        share = self.shares[client]
        with JobDraws(generator):
            self.rule.fit(module, parameters, share.inputs, share.labels, F.cross_entropy, generator)
        return {key: module.state_dict()[key].detach() - value for key, value in self.start.items()}


def slopes(outputs: Tensor, labels: Tensor) -> Tensor:
    """The gradient of cross-entropy, as autograd finds it."""
    free = outputs.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(F.cross_entropy(free, labels, reduction="sum"), free)
    return gradient


CASES = [
    ("mlp", Full(), HEAVY, 1e-6),
    ("mlp", Full(), ADAMW, 1e-6),
    ("mlp", LoRA(2), HEAVY, 1e-6),
    ("narrow", LoRA(3), Backprop(learning_rate=0.05, batch_size=3, epochs=2), 1e-6),
    ("cnn", Full(), HEAVY, 2e-5),
    ("batchnorm-cnn", Full(), HEAVY, 2e-5),
    ("batchnorm-cnn", BiasOnly(), ADAMW, 2e-5),
    ("batchnorm-cnn", Head(), ADAMW, 2e-5),
    ("conv-transformer", Full(), HEAVY, 2e-5),
    ("conv-transformer", LoRA(3), ADAMW, 2e-5),
    ("tokens", Full(), HEAVY, 2e-5),
]
NAMES = [f"{name}-{adapter.kind}-{rule.optimizer.kind}" for name, adapter, rule, _ in CASES]


@cache
def trained(case: int) -> tuple[Together, list[dict[str, Tensor]]]:
    together = Together(*CASES[case][:3])
    return together, together.train(range(CLIENTS))


@pytest.mark.parametrize("case", range(len(CASES)), ids=NAMES)
def test_a_lane_depends_neither_on_neighbours_nor_on_place_nor_on_width(case: int) -> None:
    together, everybody = trained(case)
    for width in (1, 2, 3, 7, 16, 31):
        clients = [(5 * place + width) % CLIENTS for place in range(width)]
        for client, delta in zip(clients, together.train(clients), strict=True):
            for key, tensor in delta.items():
                assert torch.equal(tensor, everybody[client][key]), (width, client, key)


@pytest.mark.parametrize("case", range(len(CASES)), ids=NAMES)
def test_a_lane_is_nearly_what_it_is_alone(case: int) -> None:
    together, everybody = trained(case)
    for client in range(0, CLIENTS, 6):
        for key, expected in together.alone(client).items():
            difference = (everybody[client][key].double() - expected.double()).abs().max()
            assert difference <= CASES[case][3], (client, key, float(difference))
            assert expected.any() or key.endswith("key.bias"), f"{key} has not moved: nothing was compared"


SHIFTS = ("key.bias", "importance.bias")
"""What a softmax is deaf to: it moves all scores alike, and its gradient is zero but for rounding."""


def test_where_a_gradient_is_nothing_but_rounding_outputs_agree_all_the_same() -> None:
    """AdamW divides by a gradient's size: such a parameter walks where rounding leads it."""
    together = Together("conv-transformer", Full(), ADAMW)
    for client, beside in enumerate(together.train(range(6))):
        alone, outputs = together.alone(client), []
        for delta in (beside, alone):
            module = copy.deepcopy(together.module).eval()
            module.load_state_dict({key: value + delta[key] for key, value in together.base.items()})
            with torch.no_grad():
                outputs.append(module(together.shares[client].inputs))
        torch.testing.assert_close(outputs[0], outputs[1], rtol=0, atol=1e-5)
        for key, expected in alone.items():
            difference = float((beside[key].double() - expected.double()).abs().max())
            assert difference <= (0.01 if key.endswith(SHIFTS) else 1e-4), (client, key, difference)


@pytest.mark.parametrize("rule", [HEAVY, ADAMW], ids=["sgd", "adamw"])
def test_a_lane_that_has_run_out_of_batches_does_not_move(rule: Backprop) -> None:
    """Momentum, decay and statistics would carry it on, for thirty more batches."""
    together = Together("batchnorm-cnn", Full(), rule)
    generator = torch.Generator().manual_seed(2)
    together.shares[0] = TaskExamples(
        torch.rand(240, 1, 8, 8, generator=generator), torch.randint(10, (240,), generator=generator), ""
    )
    beside_a_long_one, (alone,) = together.train([3, 0, 4])[0], together.train([3])
    assert all(torch.equal(tensor, alone[key]) for key, tensor in beside_a_long_one.items())
    assert beside_a_long_one["1.num_batches_tracked"] == 6


@pytest.mark.parametrize("model", ["{kind: mlp, hidden: [16]}", "{kind: batchnorm-cnn, channels: [4], hidden: 8}"])
def test_workers_width_and_a_resumed_store_change_no_bit(play: Play, tmp_path: Path, model: str) -> None:
    sets = f"model={model}", "task.partition={kind: dirichlet, alpha: 0.5}", "codec={kind: topk, fraction: 0.2}"
    first = play(*sets, "executor=cohort", workers=1, store=tmp_path / "store")
    assert first.summary["jobs"]["trained"] == 12
    for executor, workers in (("cohort", 2), ("cohort", 4), ("{kind: cohort, width: 3}", 1)):
        assert play(*sets, f"executor={executor}", workers=workers).results == first.results
    for entry in sorted(path for path in (tmp_path / "store").rglob("*") if path.is_file())[::2]:
        entry.unlink()
    again = play(*sets, "executor=cohort", workers=3, store=tmp_path / "store")
    assert again.results == first.results


SMALL_RECIPES = {
    "last batch of one": ("rule.batch_size=4", "adapter={kind: lora, rank: 3}"),
    "batches of two": ("rule.batch_size=2", "adapter={kind: lora, rank: 1}"),
    "shares below the batch": ("rule.batch_size=60000", "adapter=head"),
}


@pytest.mark.parametrize("sets", SMALL_RECIPES.values(), ids=SMALL_RECIPES)
def test_small_matrices_do_not_depend_on_the_number_of_workers(play: Play, sets: tuple[str, ...]) -> None:
    """Seven of twenty devices: stacks of seven; of four and three; of two, two, two and one."""
    world = "devices.count=20", "scheme={kind: fedavg, rounds: 3, cohort: 7}", "executor=cohort"
    one, *more = (play(*world, *sets, workers=workers).model for workers in (1, 2, 4))
    assert all(torch.equal(value, other[name]) for other in more for name, value in one.items())


def test_batches_of_one_example_get_threads_or_a_word(play: Play) -> None:
    world = "devices.count=20", "scheme={kind: fedavg, rounds: 2, cohort: 7}", "rule.batch_size=1"
    low_rank = (*world, "adapter={kind: lora, rank: 3}")
    assert play(*low_rank, "executor=auto").results == play(*low_rank, "executor=threads").results
    with pytest.raises(ScenarioError, match="batches of one example"):
        play(*low_rank, "executor=cohort")


DOWN = "downlink.codec={kind: topk, fraction: 0.2}"
FORESEEN = {
    "fedavg": ("scheme={kind: fedavg, rounds: 6, cohort: 4}", DOWN),
    "fedbuff": ("scheme={kind: fedbuff, aggregations: 6, concurrency: 6, buffer: 4}", DOWN),
    "local": ("scheme={kind: local, rounds: 6, devices: 6}",),
}


@pytest.mark.parametrize("sets", FORESEEN.values(), ids=FORESEEN)
def test_neither_window_nor_laziness_nor_a_resumed_store_changes_a_lane(
    play: Play, tmp_path: Path, sets: tuple[str, ...]
) -> None:
    """What a training reads is computed in one go with it, or is at hand: in lanes its bits must not tell."""
    store = tmp_path / "store"
    first = play(*sets, "executor=cohort", store=store).model
    for executor in ("{kind: cohort, window: 5}", "{kind: cohort, lazy: false}"):
        model = play(*sets, f"executor={executor}").model
        assert all(torch.equal(value, model[name]) for name, value in first.items()), executor
    for offset in (0, 1):
        for entry in sorted(path for path in store.rglob("*") if path.is_file())[offset::2]:
            entry.unlink()
        model = play(*sets, "executor=cohort", store=store).model
        assert all(torch.equal(value, model[name]) for name, value in first.items()), offset


def test_lanes_and_threads_agree_but_keep_apart_stores(play: Play, tmp_path: Path) -> None:
    lanes, threads = (play(f"executor={executor}", store=tmp_path / "store") for executor in ("cohort", "threads"))
    assert threads.summary["jobs"]["reused"] == 0
    for key, value in lanes.model.items():
        assert torch.allclose(value, threads.model[key], rtol=0.0, atol=1e-6)
    assert [row["accuracy"] for row in lanes.rounds] == [row["accuracy"] for row in threads.rounds]
    assert play("executor=auto", store=tmp_path / "store").summary["jobs"] == {
        "planned": 12,
        "trained": 0,
        "reused": 12,
        "skipped": 0,
    }
