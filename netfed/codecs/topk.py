"""Top-k sparsification with error feedback (Stich, Cordonnier and Jaggi, NeurIPS 2018, arXiv:1809.07599, alg. 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from netfed.codecs.float32 import Float32
from netfed.codecs.spec import Codec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
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
        return 4 * k + (k * width + 7) // 8 + Float32().body_bytes(_buffers(layout))

    def encode(
        self, tensors: Tensors, layout: Layout, state: State | None, generator: Generator
    ) -> tuple[bytes, State | None]:
        import torch

        update = torch.cat([tensors[name].flatten() for name, spec in layout.items() if spec.trained])
        if state is not None:
            update = update + state["residual"]
        k, width = self._k_and_width(layout)
        positions = update.abs().topk(k, sorted=False).indices.sort().values
        values = update[positions]
        residual = update.index_fill(0, positions, 0.0)
        buffers, _ = Float32().encode(tensors, _buffers(layout), None, generator)
        body = values.numpy().tobytes() + _pack(positions.numpy(), width) + buffers
        return body, {"residual": residual}

    def decode(self, body: bytes, layout: Layout) -> Tensors:
        import torch

        k, width = self._k_and_width(layout)
        end = 4 * k + (k * width + 7) // 8
        values = torch.frombuffer(bytearray(body[: 4 * k]), dtype=torch.float32)
        positions = torch.from_numpy(_unpack(body[4 * k : end], k, width))
        trained = {name: spec for name, spec in layout.items() if spec.trained}
        sizes = [spec.numel for spec in trained.values()]
        update = torch.zeros(sum(sizes)).index_copy_(0, positions, values)
        tensors = Float32().decode(body[end:], _buffers(layout))
        for (name, spec), part in zip(trained.items(), update.split(sizes), strict=True):
            tensors[name] = part.view(spec.shape)
        return {name: tensors[name] for name in layout}

    def _k_and_width(self, layout: Layout) -> tuple[int, int]:
        entries = sum(spec.numel for spec in layout.values() if spec.trained)
        return max(1, math.ceil(round(self.fraction * entries, 6))), max(1, (entries - 1).bit_length())


def _buffers(layout: Layout) -> Layout:
    return {name: spec for name, spec in layout.items() if not spec.trained}


def _pack(positions: NDArray[np.int64], width: int) -> bytes:
    """Write non-negative integers with ``width`` bits each, most significant bit first."""
    import numpy as np

    shifts = np.arange(width - 1, -1, -1)
    return np.packbits((positions[:, None] >> shifts & 1).astype(np.uint8)).tobytes()


def _unpack(data: bytes, count: int, width: int) -> NDArray[np.int64]:
    import numpy as np

    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=count * width).reshape(count, width).astype(np.int64)
    return np.asarray(bits @ (1 << np.arange(width - 1, -1, -1, dtype=np.int64)))
