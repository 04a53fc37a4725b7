from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netfed.learning.optimizers import SGD, AdamW
from netfed.learning.rules.backprop import Backprop, channels_last


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5)
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def examples(count: int = 41) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, 1, 6, 6, generator=generator), torch.randint(5, (count,), generator=generator)


def fit(rule: Backprop, module: nn.Module, seed: int = 7) -> nn.Module:
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    rule.fit(module.train(), parameters, *examples(), F.cross_entropy, torch.Generator().manual_seed(seed))
    return module


def plain_loop(module: nn.Module, optimizer: torch.optim.Optimizer, epochs: int) -> nn.Module:
    """What anybody would write."""
    inputs, labels = examples()
    generator = torch.Generator().manual_seed(7)
    for _ in range(epochs):
        for part in torch.randperm(41, generator=generator).split(8):
            optimizer.zero_grad()
            F.cross_entropy(module(inputs[part].clone(memory_format=torch.channels_last)), labels[part]).backward()
            optimizer.step()
    return module


@pytest.mark.parametrize("weight_decay", [0.0, 0.01])
@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_many_steps_are_torch_optim_sgd_to_the_bit(momentum: float, weight_decay: float) -> None:
    """54 steps, the last of each epoch on one example."""
    rule = Backprop(learning_rate=0.05, optimizer=SGD(momentum, weight_decay), batch_size=8, epochs=9)
    ours, theirs = fit(rule, network()), network().train()
    plain_loop(theirs, torch.optim.SGD(theirs.parameters(), 0.05, momentum, weight_decay=weight_decay), epochs=9)
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name
    assert not torch.equal(ours[4].weight, network()[4].weight)
    assert ours.state_dict()["1.num_batches_tracked"] == 54


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(("betas", "eps"), [((0.9, 0.999), 1e-8), ((0.5, 0.8), 1e-3)])
def test_many_steps_are_torch_optim_adamw_to_the_bit(
    betas: tuple[float, float], eps: float, weight_decay: float
) -> None:
    rule = Backprop(learning_rate=0.01, optimizer=AdamW(betas, eps, weight_decay), batch_size=8, epochs=9)
    ours, theirs = fit(rule, network()), network().train()
    plain_loop(theirs, torch.optim.AdamW(theirs.parameters(), 0.01, betas, eps, weight_decay), epochs=9)
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], tensor), name
    assert not torch.equal(ours[4].weight, network()[4].weight)


def test_the_proximal_term_is_that_of_the_loss() -> None:
    """FedProx's objective written out: the loss plus mu / 2 times the squared distance from the start."""
    module, start = network().train(), network()
    inputs, labels = examples()
    generator = torch.Generator().manual_seed(7)
    for part in torch.randperm(41, generator=generator).split(8):
        loss = F.cross_entropy(module(inputs[part].clone(memory_format=torch.channels_last)), labels[part])
        pairs = zip(module.parameters(), start.parameters(), strict=True)
        loss = loss + 3.0 / 2 * sum((now - then.detach()).square().sum() for now, then in pairs)
        gradients = torch.autograd.grad(loss, list(module.parameters()))
        with torch.no_grad():
            for parameter, gradient in zip(module.parameters(), gradients, strict=True):
                parameter -= 0.05 * gradient
    near, free = (fit(Backprop(proximal=proximal, batch_size=8), network()) for proximal in (3.0, 0.0))
    for ours, expected in zip(near.parameters(), module.parameters(), strict=True):
        assert torch.allclose(ours, expected, atol=1e-6)
    distances = [(fitted[4].weight - start[4].weight).norm() for fitted in (near, free)]
    assert distances[0] < distances[1]


CHANGES = {
    "learning_rate": 0.06,
    "optimizer": SGD(0.9, 0.02),
    "proximal": 0.1,
    "batch_size": 9,
    "epochs": 3,
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_key_makes_a_difference(change: str) -> None:
    base = Backprop(learning_rate=0.05, optimizer=SGD(0.9, 0.01), batch_size=8, epochs=2)
    before, after = (fit(rule, network()) for rule in (base, replace(base, **{change: CHANGES[change]})))
    assert not torch.equal(before[4].weight, after[4].weight)


def test_another_seed_is_another_order() -> None:
    rule = Backprop(batch_size=8)
    first, again, other = fit(rule, network()), fit(rule, network()), fit(rule, network(), seed=8)
    assert torch.equal(first[4].weight, again[4].weight)
    assert not torch.equal(first[4].weight, other[4].weight)


def test_the_momentum_of_one_participation_is_not_that_of_the_next() -> None:
    rule, module = Backprop(optimizer=SGD(0.9), batch_size=8), network()
    fit(rule, module)
    middle = copy.deepcopy(module)
    assert torch.equal(fit(rule, module)[4].weight, fit(rule, middle)[4].weight)


def test_frozen_parameters_stay_and_a_parameter_without_gradient_does_too() -> None:
    module = network()
    module[0].requires_grad_(False)
    module.register_parameter("idle", nn.Parameter(torch.ones(2)))
    fit(Backprop(), module)
    assert torch.equal(module[0].weight, network()[0].weight)
    assert module.idle.tolist() == [1.0, 1.0]
    assert not torch.equal(module[4].weight, network()[4].weight)


def test_images_are_laid_out_channels_last_also_of_one_channel() -> None:
    for channels in (1, 3):
        laid_out = channels_last(torch.zeros(2, channels, 4, 5))
        assert laid_out.stride() == (channels * 20, 1, channels * 5, channels)
    flat = torch.zeros(2, 7)
    assert channels_last(flat) is flat
