"""The shapes of what is sent: known before any value is, so that sizes and times need no training."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import prod
from typing import Any, NamedTuple


class TensorSpec(NamedTuple):
    """One tensor of a model: its shape, ``float32`` or ``int64``, and whether training changes it by gradients.

    Tensors that are not trained are buffers (BatchNorm's running statistics): sent with the rest, never compressed.
    """

    shape: tuple[int, ...]
    dtype: str
    trained: bool

    @property
    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size uncompressed."""
        return self.numel * (4 if self.dtype == "float32" else 8)


Layout = dict[str, TensorSpec]
"""By name, in the order of transmission."""


def mismatch(tensors: Mapping[str, Any], layout: Layout) -> str:
    """Return how tensors differ from a layout, in words; nothing if they do not."""
    if tensors.keys() != layout.keys():
        return f"it has {', '.join(tensors) or 'nothing'}, not {', '.join(layout)}"
    for name, spec in layout.items():
        shape, dtype = tensors[name].shape, _name(tensors[name].dtype)
        if shape != spec.shape or dtype != spec.dtype:
            return f"{name} is {dtype} {list(shape)}, not {spec.dtype} {list(spec.shape)}"
    return ""


@cache
def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")
