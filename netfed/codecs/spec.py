"""How an update becomes bytes. A codec is pure: (tensors, state, generator) -> (bytes, state)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from netfed.codecs.frame import Frame
from netfed.plugin import Plugin

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from netfed.layout import Layout

    Tensors = dict[str, Tensor]
    State = dict[str, Tensor]


class Codec(Plugin):
    """Compresses what a device sends.

    Attributes:
        stateful: Whether ``encode`` keeps something on the device from one upload to the next (an error memory, say).
            The state is committed when the server acknowledges the upload, never before.
    """

    stateful: ClassVar[bool] = False

    @property
    def amplifies(self) -> bool:
        """Whether the squared error may be, in the mean, as large as what is encoded, squared, or larger."""
        return False

    def body_bytes(self, layout: Layout) -> int:
        """Return the length of the body, known from shapes alone."""
        raise NotImplementedError

    def encode(
        self, tensors: Tensors, layout: Layout, state: State | None, generator: Generator
    ) -> tuple[bytes, State | None]:
        """Return the body and the device's new state.

        Args:
            tensors: The update, of the layout's names and shapes; contiguous.
            layout: In the order of transmission.
            state: What the last acknowledged ``encode`` returned; None at first.
            generator: The only source of randomness.
        """
        raise NotImplementedError

    def decode(self, body: bytes, layout: Layout) -> Tensors:
        """Return what the server makes of the body, in the layout's order."""
        raise NotImplementedError

    def frame(self, layout: Layout) -> Frame:
        """Return what makes a payload of a body, and a body of a payload."""
        return Frame(self.kind, layout, self.body_bytes(layout))

    def bits(self, layout: Layout) -> int:
        """Return the length of a whole payload, header included."""
        return 8 * self.frame(layout).bytes

    def serialise(self, body: bytes, layout: Layout) -> bytes:
        """Return the payload of a body. Raises as `Frame.wrap` does."""
        return self.frame(layout).wrap(body)

    def parse(self, payload: bytes, layout: Layout) -> bytes:
        """Return the body of a payload. Raises as `Frame.unwrap` does."""
        return self.frame(layout).unwrap(payload)
