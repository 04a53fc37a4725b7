"""Half the bits for each number: IEEE 754 binary16, and bfloat16 (Kalamkar et al., 2019, arXiv:1905.12322)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from netfed.codecs.entries import buffer_bytes, encode_buffers, flatten, restore, sizes
from netfed.codecs.spec import Codec

if TYPE_CHECKING:
    from torch import Generator

    from netfed.codecs.spec import State, Tensors
    from netfed.layout import Layout


class _SixteenBits(Codec):
    """Little-endian 16-bit floats, rounded to nearest, ties to even; then the buffers as they are.

    A finite number beyond the largest of the format is sent as the largest (it saturates); what is not finite stays so.
    """

    format: ClassVar[str]

    def body_bytes(self, layout: Layout) -> int:
        return 2 * sum(sizes(layout)) + buffer_bytes(layout)

    def encode(
        self, tensors: Tensors, layout: Layout, state: State | None, generator: Generator
    ) -> tuple[bytes, State | None]:
        import torch

        dtype = getattr(torch, self.format)
        entries, largest = flatten(tensors, layout), torch.finfo(dtype).max
        saturated = entries.clamp(-largest, largest).where(entries.isfinite(), entries)
        numbers = saturated.to(dtype).view(torch.int16).numpy().astype("<i2", copy=False)
        return numbers.tobytes() + encode_buffers(tensors, layout, generator), None

    def decode(self, body: bytes, layout: Layout) -> Tensors:
        import numpy as np
        import torch

        numbers = np.frombuffer(body, "<i2", sum(sizes(layout))).astype(np.int16)
        entries = torch.from_numpy(numbers).view(getattr(torch, self.format)).float()
        return restore(entries, body, layout)


@dataclass(frozen=True)
class Float16(_SixteenBits, kind="float16"):
    """IEEE 754 binary16: 11 significant bits, magnitudes from 6e-8 to 65,504."""

    format: ClassVar[str] = "float16"


@dataclass(frozen=True)
class BFloat16(_SixteenBits, kind="bfloat16"):
    """bfloat16 (Kalamkar et al., 2019, arXiv:1905.12322): 8 significant bits, and the range of a 32-bit float."""

    format: ClassVar[str] = "bfloat16"
