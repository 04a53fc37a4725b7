"""How an update becomes bytes. A codec is pure: (tensors, state, generator) -> (bytes, state)."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, ClassVar

from netfed.errors import SimulationError
from netfed.plugin import Plugin

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from netfed.layout import Layout

    Tensors = dict[str, Tensor]
    State = dict[str, Tensor]

_HEADER = struct.Struct("<2sBxIQ")
"""Magic, format version, padding, CRC-32 of kind and layout, bytes of the body: 16 bytes."""
_MAGIC = b"NF"
_FORMAT = 1


class Codec(Plugin):
    """Compresses what a device sends.

    Attributes:
        stateful: Whether ``encode`` keeps something on the device from one upload to the next (an error memory, say).
            The state is committed when the server acknowledges the upload, never before.
    """

    stateful: ClassVar[bool] = False

    def body_bytes(self, layout: Layout) -> int:
        """Return the length of the body, known from shapes alone."""
        raise NotImplementedError

    def encode(
        self, tensors: Tensors, layout: Layout, state: State | None, generator: Generator
    ) -> tuple[bytes, State | None]:
        """Return the body and the device's new state.

        Args:
            tensors: The update, of the layout's names and shapes.
            layout: In the order of transmission.
            state: What the last acknowledged ``encode`` returned; None at first.
            generator: The only source of randomness.
        """
        raise NotImplementedError

    def decode(self, body: bytes, layout: Layout) -> Tensors:
        """Return what the server makes of the body, in the layout's order."""
        raise NotImplementedError

    def bits(self, layout: Layout) -> int:
        """Return the length of a whole payload, header included."""
        return 8 * (_HEADER.size + self.body_bytes(layout))

    def serialise(self, body: bytes, layout: Layout) -> bytes:
        """Put the header before a body.

        Raises:
            SimulationError: The body is not as long as ``body_bytes`` said.
        """
        if len(body) != self.body_bytes(layout):
            raise SimulationError(
                f"codec {self.kind}: a body of {len(body)} bytes, announced were {self.body_bytes(layout)}"
            )
        return _HEADER.pack(_MAGIC, _FORMAT, self._fingerprint(layout), len(body)) + body

    def parse(self, payload: bytes, layout: Layout) -> bytes:
        """Take the header off a payload.

        Raises:
            SimulationError: It is not a payload of this codec for this layout.
        """
        if payload[: _HEADER.size] != _HEADER.pack(
            _MAGIC, _FORMAT, self._fingerprint(layout), len(payload) - _HEADER.size
        ):
            raise SimulationError(f"codec {self.kind}: not a payload of this codec for this model")
        return payload[_HEADER.size :]

    def _fingerprint(self, layout: Layout) -> int:
        return zlib.crc32(repr((self.kind, layout)).encode())
