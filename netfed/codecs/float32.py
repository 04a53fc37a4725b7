"""No compression: every number as it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netfed.codecs.spec import Codec

if TYPE_CHECKING:
    from torch import Generator

    from netfed.codecs.spec import State, Tensors
    from netfed.layout import Layout


@dataclass(frozen=True)
class Float32(Codec, kind="float32"):
    """32-bit floats (64-bit integers for counters), little-endian, tensor after tensor."""

    def body_bytes(self, layout: Layout) -> int:
        return sum(spec.bytes for spec in layout.values())

    def encode(
        self, tensors: Tensors, layout: Layout, state: State | None, generator: Generator
    ) -> tuple[bytes, State | None]:
        return b"".join(tensors[name].numpy().tobytes() for name in layout), None

    def decode(self, body: bytes, layout: Layout) -> Tensors:
        import torch

        buffer = bytearray(body)
        tensors, offset = {}, 0
        for name, spec in layout.items():
            dtype = getattr(torch, spec.dtype)
            tensor = (
                torch.frombuffer(buffer, dtype=dtype, count=spec.numel, offset=offset)
                if spec.numel
                else (torch.empty(0, dtype=dtype))
            )
            tensors[name] = tensor.view(spec.shape)
            offset += spec.bytes
        return tensors
