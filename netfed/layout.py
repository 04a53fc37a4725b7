"""The shapes of what is sent: known before any value is, so that sizes and times need no training."""

from __future__ import annotations

from math import prod
from typing import NamedTuple


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
