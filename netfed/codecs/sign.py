"""Scaled signs with error feedback (Karimireddy, Rebjock, Stich and Jaggi, ICML 2019, arXiv:1901.09847, alg. 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from netfed.codecs.entries import buffer_bytes, encode_buffers, restore, sizes
from netfed.codecs.feedback import owed, wanted
from netfed.codecs.packing import pack, packed_bytes, unpack
from netfed.codecs.spec import Codec

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from netfed.codecs.spec import State, Tensors
    from netfed.layout import Layout


@dataclass(frozen=True)
class SignSGD(Codec, kind="signsgd"):
    """Sends each entry's sign, and for each tensor the mean magnitude; remembers the error for the next upload.

    A body is one 32-bit mean magnitude for each trained tensor, then one bit for each entry (1: not negative) packed
    without gaps, then the buffers as they are.
    """

    stateful: ClassVar[bool] = True

    def body_bytes(self, layout: Layout) -> int:
        return 4 * len(sizes(layout)) + packed_bytes(sum(sizes(layout)), 1) + buffer_bytes(layout)

    def encode(
        self, tensors: Tensors, layout: Layout, state: State | None, generator: Generator
    ) -> tuple[bytes, State | None]:
        import torch

        entries = wanted(tensors, layout, state)
        scales = torch.tensor([part.abs().sum() / max(1, len(part)) for part in entries.split(sizes(layout))])
        positive = entries >= 0
        body = scales.numpy().astype("<f4", copy=False).tobytes() + pack(positive.numpy(), 1)
        return body + encode_buffers(tensors, layout, generator), owed(entries - _signed(scales, positive, layout))

    def decode(self, body: bytes, layout: Layout) -> Tensors:
        import numpy as np
        import torch

        tensors, entries = len(sizes(layout)), sum(sizes(layout))
        scales = np.frombuffer(body, "<f4", tensors).astype(np.float32)
        positive = unpack(body[4 * tensors :], entries, 1).astype(bool)
        return restore(_signed(torch.from_numpy(scales), torch.from_numpy(positive), layout), body, layout)


def _signed(scales: Tensor, positive: Tensor, layout: Layout) -> Tensor:
    """Return each tensor's scale with each entry's sign.  # scales [tensor], positive [entry], returns [entry]"""
    import torch

    magnitudes = scales.repeat_interleave(torch.tensor(sizes(layout), dtype=torch.int64))
    return magnitudes.where(positive, -magnitudes)
