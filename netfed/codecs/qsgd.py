"""Stochastic quantisation (Alistarh, Grubic, Li, Tomioka and Vojnovic, "QSGD", NeurIPS 2017, arXiv:1610.02132)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from netfed.codecs.entries import buffer_bytes, encode_buffers, flatten, restore, sizes
from netfed.codecs.float32 import Float32
from netfed.codecs.packing import pack, packed_bytes, unpack
from netfed.codecs.spec import Codec

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from netfed.codecs.spec import State, Tensors
    from netfed.layout import Layout


@dataclass(frozen=True)
class QSGD(Codec, kind="qsgd"):
    """Rounds each entry at random to one of few levels of its bucket's norm, so that its mean is the entry itself.

    A bucket is a run of entries of the whole update. Within it an entry v becomes norm * sign(v) * level / s: of the
    two levels around s |v| / norm one is drawn, the nearer the likelier (section 3.1). The norm is Euclidean, s =
    2 ** (bits - 1) - 1. The expected squared error of a bucket of d entries is at most min(d / s**2, sqrt(d) / s)
    times its squared norm (lemma 3.1).

    A body is one 32-bit norm for each bucket, then a sign and a level for each entry in ``bits`` bits packed without
    gaps (not the paper's Elias code, whose length depends on the values), then the buffers as they are.

    Attributes:
        entry_bits: For each entry, its sign included: 2 to 16; or 32, which sends the floats themselves, as `Float32`.
        bucket: Entries that share a norm.
    """

    entry_bits: Annotated[int, Field(ge=2, le=32)] = 8
    bucket: Annotated[int, Field(ge=1)] = 512

    def __post_init__(self) -> None:
        if 16 < self.entry_bits < 32:
            raise ValueError(f"entry_bits is {self.entry_bits}: write 2 to 16, or 32 for the floats themselves")

    @property
    def amplifies(self) -> bool:
        return self.entry_bits < 32 and min(self.bucket / self._levels**2, self.bucket**0.5 / self._levels) >= 1

    def body_bytes(self, layout: Layout) -> int:
        if self.entry_bits == 32:
            return Float32().body_bytes(layout)
        entries = sum(sizes(layout))
        return 4 * self._buckets(entries) + packed_bytes(entries, self.entry_bits) + buffer_bytes(layout)

    def encode(
        self, tensors: Tensors, layout: Layout, state: State | None, generator: Generator
    ) -> tuple[bytes, State | None]:
        import torch

        if self.entry_bits == 32:
            return Float32().encode(tensors, layout, state, generator)
        entries = flatten(tensors, layout)
        norms = self._norms(entries)
        # 0 / 0 and inf / inf are level 0, which a norm of 0 makes 0 again, and one that is not finite, not a number
        place = (entries.abs() / self._of_each(norms, len(entries))).nan_to_num(0.0) * self._levels
        lower = place.floor()
        level = lower + (torch.rand(len(entries), generator=generator) < place - lower)
        codes = level.int() | (entries < 0).int() << self.entry_bits - 1
        body = norms.numpy().astype("<f4", copy=False).tobytes() + pack(codes.numpy(), self.entry_bits)
        return body + encode_buffers(tensors, layout, generator), None

    def decode(self, body: bytes, layout: Layout) -> Tensors:
        import numpy as np
        import torch

        if self.entry_bits == 32:
            return Float32().decode(body, layout)
        entries = sum(sizes(layout))
        buckets = self._buckets(entries)
        norms = torch.from_numpy(np.frombuffer(body, "<f4", buckets).astype(np.float32))
        codes = torch.from_numpy(unpack(body[4 * buckets :], entries, self.entry_bits).astype(np.int32))
        magnitudes = (codes & self._levels) / self._levels * self._of_each(norms, entries)
        return restore(magnitudes.where(codes <= self._levels, -magnitudes), body, layout)

    @property
    def _levels(self) -> int:
        """The highest level: s in the paper."""
        return (1 << self.entry_bits - 1) - 1

    def _buckets(self, entries: int) -> int:
        return -(-entries // self.bucket)

    def _norms(self, entries: Tensor) -> Tensor:
        """Return the norm of each bucket, no less than any of its entries.  # float32 [bucket]"""
        import numpy as np
        import torch

        squares = np.square(entries.numpy(), dtype=np.float64)
        sums = np.add.reduceat(squares, np.arange(0, len(squares), self.bucket))
        return torch.from_numpy(np.sqrt(sums).astype(np.float32))

    def _of_each(self, norms: Tensor, entries: int) -> Tensor:
        """Return the norm of each entry's bucket.  # float32 [entry]"""
        return norms.repeat_interleave(min(self.bucket, entries))[:entries]
