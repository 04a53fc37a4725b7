from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from netfed.errors import ScenarioError
from netfed.learning.models import spec
from netfed.learning.models.conv_transformer import Attention, ConvTokenizer
from netfed.learning.models.spec import CNN, MLP, BatchNormCNN, ConvTransformer, Model, ThirdParty
from netfed.namespace import foreign_sources
from netfed.plugin import read, write

DIGIT, CHARACTER, COLOUR = (1, 8, 8), (1, 28, 28), (3, 32, 32)
MODELS = [MLP(), CNN(), BatchNormCNN(), ConvTransformer()]


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def kind(model: Model) -> str:
    return model.kind


@pytest.mark.parametrize("shape", [DIGIT, CHARACTER, COLOUR])
@pytest.mark.parametrize("model", MODELS, ids=kind)
def test_maps_a_batch_of_pictures_to_logits_and_every_parameter_has_a_gradient(
    model: Model, shape: tuple[int, int, int]
) -> None:
    module = model.build(shape, 7, 0)
    images = torch.rand(5, *shape).clone(memory_format=torch.channels_last)
    logits = module.to(memory_format=torch.channels_last)(images)
    assert logits.shape == (5, 7)
    functional.cross_entropy(logits, torch.arange(5)).backward()
    dead = [name for name, parameter in module.named_parameters() if not parameter.grad.abs().sum() > 0]
    # A bias of all keys shifts the scores of a query by one number, which softmax ignores; so too the importance's.
    assert [name for name in dead if not name.endswith(("key.bias", "importance.bias"))] == []


@pytest.mark.parametrize("model", MODELS, ids=kind)
def test_is_made_from_its_seed_alone_and_disturbs_nobody(model: Model) -> None:
    first = model.build(DIGIT, 10, 3).state_dict()
    torch.rand(3)
    before = torch.get_rng_state()
    second = model.build(DIGIT, 10, 3).state_dict()
    other = model.build(DIGIT, 10, 2**64 - 1).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("model", MODELS, ids=kind)
def test_a_picture_is_judged_alone(model: Model) -> None:
    module = model.build(DIGIT, 10, 0).eval()
    images = torch.rand(4, *DIGIT)
    torch.testing.assert_close(module(images)[:1], module(images[:1]))


@pytest.mark.parametrize("model", MODELS, ids=kind)
def test_learns(model: Model) -> None:
    torch.manual_seed(0)
    labels = torch.arange(32) % 4
    images = torch.rand(32, *DIGIT) * 0.3
    for image, label in zip(images, labels, strict=True):
        image[0, 2 * int(label)] += 1  # one bright row
    module = model.build(DIGIT, 4, 0).train()
    optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
    for _ in range(60):
        optimizer.zero_grad()
        functional.cross_entropy(module(images), labels).backward()
        optimizer.step()
    assert (module.eval()(images).argmax(dim=1) == labels).float().mean() > 0.9


def test_mlp_layers() -> None:
    assert size(MLP(hidden=(128,)).build(CHARACTER, 62, 0)) == 784 * 128 + 128 + 128 * 62 + 62
    assert size(MLP(hidden=()).build((4,), 3, 0)) == 15


def test_cnn_is_the_one_that_systems_are_timed_with() -> None:
    assert size(CNN(channels=(16, 32), hidden=64).build(CHARACTER, 62, 0)) == 109_246


def test_pooling_before_relu_is_relu_before_pooling() -> None:
    module = CNN().build(DIGIT, 10, 0)
    images = torch.randn(4, *DIGIT)
    first, pool, relu, second = list(module)[:4]
    usual = functional.max_pool2d(functional.relu(second(functional.max_pool2d(functional.relu(first(images)), 2))), 2)
    assert torch.equal(relu(pool(second(relu(pool(first(images)))))), usual)


def test_batch_norm_keeps_running_statistics() -> None:
    module = BatchNormCNN().build(DIGIT, 10, 0)
    names = [name for name, _ in module.named_buffers()]
    assert sum(name.endswith("running_var") for name in names) == 2
    assert size(module) == size(CNN().build(DIGIT, 10, 0)) + (16 + 32)  # a scale and a shift in place of each bias
    module(torch.randn(8, *DIGIT))
    assert all(buffer.abs().sum() > 0 for name, buffer in module.named_buffers() if name.endswith("running_mean"))


def test_conv_transformer_is_light() -> None:
    assert 20_000 < size(ConvTransformer().build(DIGIT, 10, 0)) < 60_000


@pytest.mark.parametrize(
    ("shape", "tokens"),
    [(DIGIT, 16), (CHARACTER, 49), (COLOUR, 64), ((1, 18, 18), 25), ((1, 5, 9), 15), ((1, 1, 1), 1)],
)
def test_tokenizer_halves_until_at_most_64_tokens_are_left(shape: tuple[int, int, int], tokens: int) -> None:
    tokenizer = ConvTokenizer(shape, 8)
    assert tokenizer.tokens == tokens
    assert tokenizer(torch.zeros(2, *shape)).shape == (2, tokens, 8)


def test_attention_is_multi_head_attention() -> None:
    torch.manual_seed(0)
    ours, theirs = Attention(12, 3), nn.MultiheadAttention(12, 3, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    tokens = torch.randn(2, 5, 12)
    torch.testing.assert_close(ours(tokens), theirs(tokens, tokens, tokens)[0])


def test_conv_transformer_drops_only_in_training() -> None:
    module = ConvTransformer(dropout=0.5).build(DIGIT, 10, 0)
    images = torch.rand(2, *DIGIT)
    assert not torch.equal(module(images), module(images))
    module.eval()
    assert torch.equal(module(images), module(images))


@pytest.mark.parametrize("model", [CNN(), BatchNormCNN(), ConvTransformer()], ids=kind)
@pytest.mark.parametrize("shape", [(64,), (1, 3, 28), (1, 0, 0)])
def test_convolutions_refuse_what_is_no_picture(model: Model, shape: tuple[int, ...]) -> None:
    if isinstance(model, ConvTransformer) and shape == (1, 3, 28):
        assert model.build(shape, 2, 0)(torch.zeros(1, *shape)).shape == (1, 2)
    else:
        with pytest.raises(ScenarioError, match=f"{model.kind} takes pictures"):
            model.build(shape, 10, 0)


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (MLP, {"hidden": [0]}),
        (CNN, {"channels": [16, -1]}),
        (CNN, {"hidden": 0}),
        (ConvTransformer, {"width": 48, "heads": 5}),
        (ConvTransformer, {"blocks": 0}),
        (ConvTransformer, {"dropout": 1.5}),
        (ThirdParty, {"name": "nobody-has-this"}),
        (ThirdParty, {"name": "small", "arguments": {"depth": [1]}}),
    ],
)
def test_sizes_out_of_range_are_refused_when_read(packages: Path, model: type[Model], given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        read(model, given)


@pytest.mark.parametrize(
    ("written", "model"),
    [
        ({"kind": "mlp", "hidden": [32, 16]}, MLP(hidden=(32, 16))),
        ({"kind": "cnn", "channels": [4, 8, 8], "hidden": 32}, CNN(channels=(4, 8, 8), hidden=32)),
        ("batchnorm-cnn", BatchNormCNN()),
        ({"kind": "conv-transformer", "dropout": 0}, ConvTransformer(dropout=0.0)),
        (
            {"kind": "module", "name": "small", "arguments": {"width": 3, "gain": 0.5, "bias": True, "act": "relu"}},
            ThirdParty("small", {"width": 3, "gain": 0.5, "bias": True, "act": "relu"}),
        ),
    ],
)
def test_is_read_from_a_scenario_and_written_back(packages: Path, written: Any, model: Model) -> None:
    @dataclass(frozen=True)
    class Holder:
        model: Model

    assert read(Holder, {"model": written}) == Holder(model)
    assert read(Holder, write(Holder(model))) == Holder(model)


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two third parties: a package of two modules and a module of its own."""
    package = tmp_path / "theirs"
    (package / "deep").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "weights.bin").write_bytes(b"1")
    (package / "__init__.pyc").write_bytes(b"")
    (package / "deep" / "__init__.py").write_text(
        "import numpy as np, random, torch\n"
        "from torch import nn\n"
        "class Small(nn.Sequential):\n"
        "    def __init__(self, classes, width: int = 3):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, classes))\n"
        "        self.register_buffer('noise', torch.tensor([np.random.normal(), random.random()]))\n"
        "def everything(**given):\n"
        "    return nn.Linear(*given['input_shape'], given['classes'], bias=given['bias'])\n"
        "def fixed():\n"
        "    return nn.Linear(2, 2)\n"
        "def wrong(classes):\n"
        "    return classes\n"
    )
    (tmp_path / "alone.py").write_text("from torch.nn import Identity\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for module in ("theirs", "theirs.deep", "alone"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    offered = [("alone", "alone:Identity")]
    offered += [(name.lower(), f"theirs.deep:{name}") for name in ("Small", "everything", "fixed", "wrong")]
    points = EntryPoints(EntryPoint(name, value, spec.ENTRY_POINTS) for name, value in offered)
    monkeypatch.setattr(spec, "entry_points", lambda group: points.select(group=group))
    return tmp_path


def test_a_third_partys_module_is_called_with_the_shapes_that_it_takes(packages: Path) -> None:
    small = ThirdParty("small", {"width": 5})
    assert size(small.build(DIGIT, 10, 0)) == 64 * 5 + 5 + 5 * 10 + 10
    assert size(ThirdParty("everything", {"bias": False}).build((6,), 4, 0)) == 24
    assert size(ThirdParty("fixed").build(DIGIT, 10, 0)) == 6


def test_a_third_partys_module_is_made_from_its_seed_alone_too(packages: Path) -> None:
    first, second, other = (ThirdParty("small").build(DIGIT, 10, seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            ThirdParty("smal"),
            r"model\.name: .*'smal' \(known: alone, everything, fixed, small, wrong\), did you mean 'small'",
        ),
        (ThirdParty("small", {"depth": 3}), r"model\.arguments: small\(classes, width: int = 3\).*'depth'"),
        (ThirdParty("wrong"), r"model\.name: wrong makes a int"),
    ],
)
def test_a_third_party_that_cannot_be_called_is_the_users_mistake(
    packages: Path, model: ThirdParty, message: str
) -> None:
    with pytest.raises(ScenarioError, match=message):
        model.build(DIGIT, 10, 0)


def test_sources_are_the_files_of_the_top_level_package(packages: Path) -> None:
    theirs = packages / "theirs"
    assert foreign_sources([ThirdParty("small").module(), CNN().module()]) == [
        theirs / "__init__.py",
        theirs / "deep" / "__init__.py",
        theirs / "weights.bin",
    ]
    assert foreign_sources([ThirdParty("alone").module()]) == [packages / "alone.py"]


def test_a_scenario_is_checked_without_torch() -> None:
    code = "import sys, netfed.learning.models.spec; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        ).returncode
        == 0
    )
