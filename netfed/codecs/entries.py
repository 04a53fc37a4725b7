"""The trained entries of a model as one vector, for codecs that compress these and send the buffers as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netfed.codecs.float32 import Float32

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from netfed.codecs.spec import Tensors
    from netfed.layout import Layout


def sizes(layout: Layout) -> list[int]:
    """Return the number of entries of each trained tensor."""
    return [spec.numel for spec in layout.values() if spec.trained]


def flatten(tensors: Tensors, layout: Layout) -> Tensor:
    """Return the trained entries, tensor after tensor.  # float32 [entry]"""
    import torch

    return torch.cat([tensors[name].flatten() for name, spec in layout.items() if spec.trained] or [torch.empty(0)])


def buffer_bytes(layout: Layout) -> int:
    """Return the length of the buffers as they are, which end each body."""
    return Float32().body_bytes(_buffers(layout))


def encode_buffers(tensors: Tensors, layout: Layout, generator: Generator) -> bytes:
    """Return the buffers as they are."""
    return Float32().encode(tensors, _buffers(layout), None, generator)[0]


def restore(vector: Tensor, body: bytes, layout: Layout) -> Tensors:
    """Return all tensors: the trained ones out of a vector, the buffers from the end of a body.

    Args:
        vector: The trained entries.  # float32 [entry]
        body: Ends with the buffers.
        layout: Names, shapes and order of the tensors.
    """
    tensors = Float32().decode(body[len(body) - buffer_bytes(layout) :], _buffers(layout))
    trained = {name: spec for name, spec in layout.items() if spec.trained}
    for (name, spec), part in zip(trained.items(), vector.split(sizes(layout)), strict=True):
        tensors[name] = part.view(spec.shape)
    return {name: tensors[name] for name in layout}


def _buffers(layout: Layout) -> Layout:
    return {name: spec for name, spec in layout.items() if not spec.trained}
