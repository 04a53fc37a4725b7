from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netfed.learning import task as module
from netfed.learning.data.datasets import Digits
from netfed.learning.data.partitions import Dirichlet
from netfed.learning.data.shares import deal
from netfed.learning.data.spec import Hands, Split
from netfed.learning.task import Classification
from netfed.streams import Streams


def dealt(hands: Hands | None = None, devices: int = 5) -> Classification:
    shares = deal(Digits(), Split(0.2, 0.5, 0.3), Dirichlet(alpha=0.5), hands, devices, Streams(1))
    return Classification(shares)


class Guess(nn.Module):
    """Right for the classes below ``known``, wrong for the others; drops what it knows while it trains."""

    def __init__(self, task: Classification, known: int) -> None:
        super().__init__()
        self.labels = {
            tuple(inputs.flatten().tolist()): int(label)
            for inputs, label in zip(task.tests.inputs, task.tests.labels, strict=True)
        }
        self.known = known
        self.drop = nn.Dropout(1.0)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        labels = torch.tensor([self.labels[tuple(each.flatten().tolist())] for each in inputs])
        guesses = torch.where(labels < self.known, labels, (labels + 1) % 10)
        return self.drop(F.one_hot(guesses, 10) * 4.0)


def test_shares_are_everybodys_examples_in_order() -> None:
    task = dealt()
    assert task.devices == 5
    assert (task.classes, task.shape) == (10, (1, 8, 8))
    shares = [task.share(device) for device in range(5)]
    assert torch.equal(torch.cat([share.inputs for share in shares]), task.pool().inputs)
    assert torch.equal(torch.cat([share.labels for share in shares]), task.pool().labels)
    assert len({share.digest for share in shares} | {task.pool().digest, task.cloud.digest, task.tests.digest}) == 8
    assert task.share(2).inputs.data_ptr() == shares[2].inputs.data_ptr(), "a view, not a copy"
    assert len(task.cloud) == 359


def test_one_test_for_all_where_everybody_writes_alike() -> None:
    task = dealt()
    guess = Guess(task, known=6)
    truth = (task.tests.labels < 6).double().mean().item()
    assert task.evaluate(guess)["accuracy"] == pytest.approx(truth, abs=1e-12)
    assert task.evaluate(guess, device=3) == task.evaluate(guess)
    right, wrong = (
        F.cross_entropy(torch.tensor([[4.0] + 9 * [0.0]]), torch.tensor([label])).item() for label in (0, 1)
    )
    assert task.evaluate(guess)["loss"] == pytest.approx(truth * right + (1 - truth) * wrong, rel=1e-6)


def test_each_device_is_tested_in_its_own_hand() -> None:
    task = dealt(Hands(slant=0.3, tests=20))
    guess = Guess(task, known=6)
    groups = [task.evaluate(guess, device)["accuracy"] for device in range(5)]
    labels = task.tests.labels.view(5, 20)
    assert groups == pytest.approx([(each < 6).double().mean().item() for each in labels], abs=1e-12)
    assert len(set(groups)) > 1
    assert task.evaluate(guess)["accuracy"] == pytest.approx(sum(groups) / 5, abs=1e-12)


def test_the_mean_is_over_groups_however_large_each_is(monkeypatch: pytest.MonkeyPatch) -> None:
    task = dealt(Hands(tests=20))
    monkeypatch.setattr(task, "_groups", [0, 90, 95, 100])
    guess = Guess(task, known=5)
    right = (task.tests.labels < 5).double()
    means = [right[start:end].mean().item() for start, end in pairwise((0, 90, 95, 100))]
    assert task.evaluate(guess)["accuracy"] == pytest.approx(sum(means) / 3, abs=1e-12)


def test_batches_of_an_evaluation_make_no_difference_and_it_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    task = dealt(Hands(tests=20))
    guess = Guess(task, known=5).train()
    whole = task.evaluate(guess)
    assert whole["accuracy"] > 0, "dropout must be off"
    assert not guess.training
    monkeypatch.setattr(module, "_EVALUATION_BATCH", 7)
    assert task.evaluate(guess) == pytest.approx(whole, rel=1e-12)


@pytest.mark.parametrize("spread", [0.0, 1.0, 100.0])
def test_slopes_are_the_gradients_of_the_loss(spread: float) -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = spread * torch.randn(30, 10, generator=generator, dtype=torch.float64)
    labels = torch.randint(10, (30,), generator=generator)
    slopes = dealt().slopes(outputs, labels)
    free = outputs.clone().requires_grad_()
    (expected,) = torch.autograd.grad(30 * dealt().loss(free, labels), free)
    assert torch.allclose(slopes, expected, rtol=0, atol=1e-14)


def test_the_loss_is_the_mean_cross_entropy() -> None:
    outputs, labels = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1])
    expected = (-torch.log_softmax(outputs, 1)[[0, 1], labels]).mean()
    assert torch.allclose(dealt().loss(outputs, labels), expected)
