"""What stands before a body, so that the receiver can tell what it has."""

from __future__ import annotations

import struct
import zlib

from netfed.errors import SimulationError
from netfed.layout import Layout

_HEADER = struct.Struct("<2sBxIQ")
"""Magic, format version, padding, CRC-32 of kind and layout, bytes of the body: 16 bytes."""
_MAGIC = b"NF"
_FORMAT = 1


class Frame:
    """The header of one codec's payloads of one layout.

    Args:
        kind: Of the codec.
        layout: Of what is encoded.
        body_bytes: Length of a body.

    Attributes:
        bytes: Length of a payload, header included.
    """

    def __init__(self, kind: str, layout: Layout, body_bytes: int) -> None:
        fingerprint = zlib.crc32(repr((kind, layout)).encode())
        self._header = _HEADER.pack(_MAGIC, _FORMAT, fingerprint, body_bytes)
        self._kind = kind
        self.bytes = len(self._header) + body_bytes

    def wrap(self, body: bytes) -> bytes:
        """Put the header before a body.

        Raises:
            SimulationError: The body is not as long as was announced.
        """
        payload = self._header + body
        if len(payload) != self.bytes:
            announced = self.bytes - len(self._header)
            raise SimulationError(f"codec {self._kind}: a body of {len(body)} bytes, announced were {announced}")
        return payload

    def unwrap(self, payload: bytes) -> bytes:
        """Take the header off a payload.

        Raises:
            SimulationError: It is not a payload of this codec for this layout.
        """
        if len(payload) != self.bytes or not payload.startswith(self._header):
            raise SimulationError(f"codec {self._kind}: not a payload of this codec for this model")
        return payload[len(self._header) :]
