from __future__ import annotations

import torch

from netfed.learning.memory import peak_bytes
from tests.conftest import Build


def test_counts_what_is_there_at_once() -> None:
    def step() -> None:
        first = torch.zeros(1000)
        second = first + 1
        del first
        third = second.view(10, 100) * 2
        third.add_(1)
        del second, third
        torch.zeros(1500)

    assert peak_bytes(step) == 8000


def test_counts_gradients_and_what_is_kept_for_them() -> None:
    layer, inputs = torch.nn.Linear(100, 50), torch.randn(32, 100)

    def step() -> None:
        loss = layer(inputs).relu().sum()
        torch.autograd.grad(loss, list(layer.parameters()))

    gradients_bytes, activations_bytes = 4 * (100 * 50 + 50), 4 * 32 * 50
    assert gradients_bytes + activations_bytes <= peak_bytes(step) <= gradients_bytes + 5 * activations_bytes


def test_a_device_holds_the_model_and_what_training_adds(built: Build) -> None:
    plain, momentum, wide = (
        built(f"rule={{kind: backprop, learning_rate: 0.1, {rule}}}").simulation.trainer
        for rule in ("batch_size: 8", "batch_size: 8, optimizer: {kind: sgd, momentum: 0.9}", "batch_size: 256")
    )
    weights_bytes = sum(spec.bytes for spec in plain.layout.values())
    assert plain.peak_bytes() > 2 * weights_bytes
    assert momentum.peak_bytes() - plain.peak_bytes() >= weights_bytes
    assert wide.peak_bytes() > plain.peak_bytes()
