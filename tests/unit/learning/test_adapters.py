from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from netfed.errors import ScenarioError
from netfed.learning.adapters import Adapter, BiasOnly, Full, Head, LoRA
from netfed.learning.models.spec import CNN, MLP, BatchNormCNN, ConvTransformer, Model


def network() -> nn.Module:
    torch.manual_seed(0)
    body = nn.ModuleDict({"first": nn.Linear(6, 8), "second": nn.Linear(8, 8, bias=False)})
    return nn.Sequential(body["first"], nn.Tanh(), body["second"], nn.LayerNorm(8), nn.Linear(8, 3))


def attached(adapter: Adapter, module: nn.Module | None = None, seed: int = 5) -> nn.Module:
    module = network() if module is None else module
    adapter.attach(module, seed)
    return module


def trained(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


def test_full_trains_everything_but_what_the_model_has_frozen() -> None:
    module = network()
    module[0].weight.requires_grad_(False)
    assert trained(attached(Full(), module)) == set(dict(network().named_parameters())) - {"0.weight"}
    with pytest.raises(ScenarioError, match="Sequential has no parameter that trains"):
        Full().attach(network().requires_grad_(False), 0)


def test_lora_adapts_every_linear_layer_and_keeps_the_names_of_the_rest() -> None:
    module = attached(LoRA(rank=2))
    assert trained(module) == {f"{layer}.lora_{side}" for layer in (0, 2, 4) for side in "ab"}
    assert set(module.state_dict()) >= set(network().state_dict())
    shapes = {
        name: tuple(module.get_parameter(name).shape) for name in ("0.lora_a", "0.lora_b", "4.lora_a", "4.lora_b")
    }
    assert shapes == {"0.lora_a": (2, 6), "0.lora_b": (8, 2), "4.lora_a": (2, 8), "4.lora_b": (3, 2)}
    assert module[2].bias is None


@pytest.mark.parametrize(
    ("targets", "adapted"), [(("*",), {0, 2, 4}), (("0",), {0}), (("2", "4"), {2, 4}), (("[02]",), {0, 2})]
)
def test_targets_choose_layers_by_name(targets: tuple[str, ...], adapted: set[int]) -> None:
    assert {int(name[0]) for name in trained(attached(LoRA(targets=targets)))} == adapted


def test_what_trains_fully_is_not_adapted_as_well() -> None:
    module = attached(LoRA(rank=1, train_fully=("4", "3")))
    assert trained(module) == {
        "0.lora_a",
        "0.lora_b",
        "2.lora_a",
        "2.lora_b",
        "3.weight",
        "3.bias",
        "4.weight",
        "4.bias",
    }
    assert isinstance(module[4], nn.Linear)


@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        (LoRA(targets=("head", "tail*")), r"adapter\.targets: no linear layer of Sequential matches head, tail\*"),
        (LoRA(train_fully=("head",)), r"adapter\.train_fully: no module is named 'head'"),
        (LoRA(train_fully=("*",)), "no linear layer"),
    ],
)
def test_names_that_match_nothing_are_refused(adapter: LoRA, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        adapter.attach(network(), 0)


@pytest.mark.parametrize(("alpha", "scale"), [(None, 1.0), (8.0, 2.0), (1.0, 0.25)])
def test_the_output_is_that_of_the_layer_plus_the_scaled_product(alpha: float | None, scale: float) -> None:
    module, inputs = attached(LoRA(rank=4, alpha=alpha)), torch.randn(5, 6)
    assert torch.equal(module(inputs), network()(inputs))
    layer = module[0]
    nn.init.normal_(layer.lora_b)
    expected = inputs @ (layer.weight + scale * layer.lora_b @ layer.lora_a).T + layer.bias
    assert torch.allclose(layer(inputs), expected, atol=1e-5)


def test_a_starts_gaussian_from_the_seed_alone_and_b_at_zero() -> None:
    wide = nn.Sequential(nn.Linear(400, 300))
    first, again, other = (attached(LoRA(rank=64), copy.deepcopy(wide), seed)[0] for seed in (5, 5, 6))
    assert torch.equal(first.lora_a, again.lora_a)
    assert not torch.equal(first.lora_a, other.lora_a)
    assert abs(first.lora_a.detach().std().item() * 400**0.5 - 1) < 0.02
    assert not first.lora_b.any()


HEADS = {
    MLP((8,)): {"3.weight", "3.bias"},
    CNN((2,), 4): {"6.weight", "6.bias"},
    BatchNormCNN((2,), 4): {"7.weight", "7.bias"},
    ConvTransformer(width=6, heads=2, blocks=1): {"head.weight", "head.bias"},
}


@pytest.mark.parametrize("model", HEADS, ids=lambda model: model.kind)
def test_the_head_of_every_built_in_model_is_its_last_layer(model: Model) -> None:
    assert trained(attached(Head(), model.build((1, 8, 8), 10, 0))) == HEADS[model]


def test_a_head_may_be_several_modules_by_name() -> None:
    assert trained(attached(Head(("3", "4")))) == {"3.weight", "3.bias", "4.weight", "4.bias"}
    with pytest.raises(ScenarioError, match=r"adapter\.modules: no module is named 'head'"):
        attached(Head(("head",)))
    with pytest.raises(ScenarioError, match=r"Conv2d has no linear layer for a head; name one in adapter\.modules"):
        attached(Head(), nn.Conv2d(1, 1, 1))


@pytest.mark.parametrize("model", HEADS, ids=lambda model: model.kind)
def test_bias_only_trains_biases_and_if_asked_to_norms_and_a_head(model: Model) -> None:
    module = model.build((1, 8, 8), 10, 0)
    biases = {name for name, _ in module.named_parameters() if name.endswith(".bias")}
    assert trained(attached(BiasOnly(), copy.deepcopy(module))) == biases
    norms = {
        f"{name}.weight" for name, part in module.named_modules() if isinstance(part, nn.BatchNorm2d | nn.LayerNorm)
    }
    assert trained(attached(BiasOnly(norms=True), copy.deepcopy(module))) == biases | norms
    head = next(iter(HEADS[model])).partition(".")[0]
    assert trained(attached(BiasOnly(train_fully=(head,)), module)) == biases | HEADS[model]


def test_a_module_without_biases_is_refused_by_bias_only() -> None:
    with pytest.raises(ScenarioError, match="adapter: Linear has no biases"):
        attached(BiasOnly(), nn.Linear(2, 2, bias=False))
