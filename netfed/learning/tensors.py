"""Named tensors: how they are stored and how they are told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from safetensors.numpy import save
from safetensors.torch import load
from torch import Tensor

from netfed.errors import RunFailed, ScenarioError
from netfed.layout import Layout, TensorSpec

Tensors = dict[str, Tensor]


class Safetensors:
    """Tensors in the safetensors format: no code runs when it is read."""

    durable = False

    def dump(self, value: Tensors) -> bytes:
        data: bytes = save({name: tensor.contiguous().numpy() for name, tensor in value.items()})
        return data

    def load(self, data: bytes) -> Tensors:
        tensors: Tensors = load(data)
        return tensors


TENSORS = Safetensors()


def layout_of(tensors: Tensors, trained: Iterable[str]) -> Layout:
    """Describe tensors in their own order.

    Raises:
        ScenarioError: A tensor is neither float32 nor int64.
    """
    names = set(trained)
    layout = {}
    for name, tensor in tensors.items():
        dtype = str(tensor.dtype).removeprefix("torch.")
        if dtype not in ("float32", "int64"):
            raise ScenarioError(
                f"model: {name} is {dtype}, but a model's parameters and buffers must be float32 or int64"
            )
        layout[name] = TensorSpec(tuple(tensor.shape), dtype, name in names)
    return layout


def require_finite(tensors: Tensors, what: str) -> None:
    """Refuse tensors with a number that is not finite.

    Raises:
        RunFailed: Names ``what`` and the tensor.
    """
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise RunFailed(f"diverged: {what} has numbers that are not finite, in {name}; lower rule.learning_rate")


def tensors_digest(tensors: Tensors) -> str:
    """Return the sha256 (hex) of names, shapes and bytes, in order of name."""
    sha = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        sha.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        sha.update(tensor.detach().numpy().tobytes())
    return sha.hexdigest()
