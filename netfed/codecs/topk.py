"""Top-k sparsification with error feedback (Stich, Cordonnier and Jaggi, NeurIPS 2018, arXiv:1809.07599, alg. 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from netfed.codecs.entries import buffer_bytes, encode_buffers, restore, sizes
from netfed.codecs.feedback import owed, wanted
from netfed.codecs.packing import pack, packed_bytes, unpack
from netfed.codecs.spec import Codec

if TYPE_CHECKING:
    from torch import Generator

    from netfed.codecs.spec import State, Tensors
    from netfed.layout import Layout


@dataclass(frozen=True)
class TopK(Codec, kind="topk"):
    """Sends the k entries of largest magnitude of the whole update and remembers the rest for the next upload.

    A body is k values of 32 bits, then k positions of ceil(log2(entries)) bits packed without gaps, then the buffers as
    they are. Positions are sent even where all entries are: the format does not change with k.

    Attributes:
        fraction: k over the number of trained entries; at least one is sent.
    """

    fraction: Annotated[float, Field(gt=0, le=1)]
    stateful: ClassVar[bool] = True

    def body_bytes(self, layout: Layout) -> int:
        k, width = self._k_and_width(layout)
        return 4 * k + packed_bytes(k, width) + buffer_bytes(layout)

    def encode(
        self, tensors: Tensors, layout: Layout, state: State | None, generator: Generator
    ) -> tuple[bytes, State | None]:
        import torch

        entries = wanted(tensors, layout, state)
        k, width = self._k_and_width(layout)
        indices = entries.abs().topk(k, sorted=False).indices
        largest = torch.zeros(len(entries), dtype=torch.bool).index_fill(0, indices, True)
        positions = largest.nonzero().flatten()
        body = entries[positions].numpy().astype("<f4", copy=False).tobytes() + pack(positions.numpy(), width)
        return body + encode_buffers(tensors, layout, generator), owed(entries.masked_fill(largest, 0.0))

    def decode(self, body: bytes, layout: Layout) -> Tensors:
        import numpy as np
        import torch

        k, width = self._k_and_width(layout)
        values = np.frombuffer(body, "<f4", k).astype(np.float32)
        positions = unpack(body[4 * k : 4 * k + packed_bytes(k, width)], k, width).astype(np.int64)
        entries = torch.zeros(sum(sizes(layout)))
        entries[torch.from_numpy(positions)] = torch.from_numpy(values)
        return restore(entries, body, layout)

    def _k_and_width(self, layout: Layout) -> tuple[int, int]:
        entries = sum(sizes(layout))
        k = max(1, math.ceil(round(self.fraction * entries, 6)))
        return min(k, entries), max(1, (entries - 1).bit_length())
