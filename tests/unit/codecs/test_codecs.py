from __future__ import annotations

import math

import pytest
import torch

from netfed.codecs.float32 import Float32
from netfed.codecs.topk import TopK
from netfed.errors import SimulationError
from netfed.layout import Layout, TensorSpec

LAYOUT: Layout = {
    "weight": TensorSpec((3, 4), "float32", True),
    "bias": TensorSpec((5,), "float32", True),
    "running_mean": TensorSpec((5,), "float32", False),
    "num_batches_tracked": TensorSpec((), "int64", False),
}


def update(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(spec.shape, generator=generator) if spec.dtype == "float32" else torch.tensor(seed + 3)
        for name, spec in LAYOUT.items()
    }


def test_float32_is_exact_and_sixteen_bytes_longer_than_its_numbers() -> None:
    codec = Float32()
    body, state = codec.encode(update(), LAYOUT, None, torch.Generator())
    payload = codec.serialise(body, LAYOUT)
    assert state is None
    assert codec.bits(LAYOUT) == 8 * len(payload) == 8 * (16 + 4 * (12 + 5 + 5) + 8)
    decoded = codec.decode(codec.parse(payload, LAYOUT), LAYOUT)
    assert list(decoded) == list(LAYOUT)
    for name, tensor in update().items():
        assert torch.equal(decoded[name], tensor)
        assert decoded[name].dtype == tensor.dtype


@pytest.mark.parametrize("fraction", [0.01, 0.1, 0.5, 1.0])
def test_topk_length_is_known_from_shapes(fraction: float) -> None:
    codec = TopK(fraction)
    body, _ = codec.encode(update(), LAYOUT, None, torch.Generator())
    k = max(1, math.ceil(17 * fraction))
    assert 8 * len(codec.serialise(body, LAYOUT)) == codec.bits(LAYOUT)
    assert len(body) == 4 * k + math.ceil(k * 5 / 8) + 4 * 5 + 8


def test_topk_sends_the_largest_and_remembers_the_rest() -> None:
    codec = TopK(0.2)
    sent = update()
    body, state = codec.encode(sent, LAYOUT, None, torch.Generator())
    decoded = codec.decode(body, LAYOUT)
    flat = torch.cat([sent["weight"].flatten(), sent["bias"]])
    got = torch.cat([decoded["weight"].flatten(), decoded["bias"]])
    assert state is not None
    assert torch.equal(got + state["residual"], flat)
    assert int((got != 0).sum()) == 4
    assert got[got != 0].abs().min() >= state["residual"].abs().max()
    assert torch.equal(decoded["running_mean"], sent["running_mean"])
    assert decoded["num_batches_tracked"] == sent["num_batches_tracked"]


def test_topk_error_feedback_loses_nothing_over_time() -> None:
    """What has been decoded, plus what is still remembered, is what was to be sent (arXiv:1809.07599, eq. 8)."""
    codec, state = TopK(0.1), None
    wanted = got = torch.zeros(17, dtype=torch.float64)
    for step in range(30):
        tensors = update(step)
        wanted = wanted + torch.cat([tensors["weight"].flatten(), tensors["bias"]]).double()
        body, state = codec.encode(tensors, LAYOUT, state, torch.Generator())
        decoded = codec.decode(body, LAYOUT)
        got = got + torch.cat([decoded["weight"].flatten(), decoded["bias"]]).double()
    assert state is not None
    assert torch.allclose(got + state["residual"].double(), wanted, atol=1e-4)
    assert (got - wanted).abs().max() < 20


def test_topk_of_all_is_float32() -> None:
    codec, plain = TopK(1.0), Float32()
    body, state = codec.encode(update(), LAYOUT, None, torch.Generator())
    assert state is not None
    assert not state["residual"].any()
    for name, tensor in plain.decode(plain.encode(update(), LAYOUT, None, torch.Generator())[0], LAYOUT).items():
        assert torch.equal(codec.decode(body, LAYOUT)[name], tensor)


def test_a_payload_of_another_model_or_codec_is_refused() -> None:
    codec = Float32()
    payload = codec.serialise(codec.encode(update(), LAYOUT, None, torch.Generator())[0], LAYOUT)
    other = {**LAYOUT, "bias": TensorSpec((6,), "float32", True)}
    for reader, layout, data in ((codec, other, payload), (TopK(1.0), LAYOUT, payload), (codec, LAYOUT, payload[:-1])):
        with pytest.raises(SimulationError):
            reader.parse(data, layout)
    with pytest.raises(SimulationError, match="announced"):
        codec.serialise(b"short", LAYOUT)
