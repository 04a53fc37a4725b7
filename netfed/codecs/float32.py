"""No compression: every number as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netfed.codecs.spec import Codec

if TYPE_CHECKING:
    from torch import Generator

    from netfed.codecs.spec import State, Tensors
    from netfed.layout import Layout

_SENT_AS = {"float32": "<f4", "int64": "<i8"}


@dataclass(frozen=True)
class Float32(Codec, kind="float32"):
    """32-bit floats (64-bit integers for counters), little-endian, tensor after tensor."""

    def body_bytes(self, layout: Layout) -> int:
        return sum(spec.bytes for spec in layout.values())

    def encode(
        self, tensors: Tensors, layout: Layout, state: State | None, generator: Generator
    ) -> tuple[bytes, State | None]:
        import numpy as np

        return b"".join(
            np.ascontiguousarray(tensors[name].numpy(), _SENT_AS[spec.dtype]).data for name, spec in layout.items()
        ), None

    def decode(self, body: bytes, layout: Layout) -> Tensors:
        import numpy as np
        import torch

        buffer = bytearray(body)
        tensors, offset = {}, 0
        for name, spec in layout.items():
            numbers = np.ndarray(spec.shape, _SENT_AS[spec.dtype], buffer, offset)
            tensors[name] = torch.from_numpy(numbers.astype(spec.dtype, copy=False))
            offset += numbers.nbytes
        return tensors
