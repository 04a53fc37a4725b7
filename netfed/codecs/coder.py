"""Plans payloads: sizes from shapes now, bytes when somebody reads them.

Of what is sent as it is (`Float32`) nobody reads the bytes: the receiver has the tensors themselves.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from netfed.codecs.downlink import Downlink
from netfed.codecs.float32 import Float32
from netfed.codecs.spec import Codec
from netfed.errors import ComputationFailed, MisshapenError
from netfed.graph import Form, Graph, Node, digest
from netfed.layout import Layout, mismatch
from netfed.plugin import plain
from netfed.streams import Streams

if TYPE_CHECKING:
    from netfed.codecs.spec import State, Tensors

_FIRST, _WHOLE = -2, -1
"""What a payload adds a model to, where it is not the number of another one: nothing, and whatever the receiver has."""


class Sender(Protocol):
    """A device in one of its participations."""

    @property
    def id(self) -> int: ...

    @property
    def draw(self) -> int: ...


class Receiver(Protocol):
    """Who is sent models: a device, or a base station.

    Attributes:
        held: Number of the model that it holds; -1: none, and it lacks the frozen part too.
    """

    held: int


class Payload(NamedTuple):
    """What travels over a link.

    Attributes:
        bits: Its length, header included.
        sent: Node of the bytes, or of the update if it is sent as it is; None for a model, whose node is known.
        state: Node of the sender's state once the receiver has acknowledged it; None if the codec keeps none.
        content: What is in a model's payload: two with the same content are equal, bit by bit; None: nobody else's.
    """

    bits: int
    sent: Node | None = None
    state: Node | None = None
    content: Hashable = None


class Sent(NamedTuple):
    """The value of a payload's node: the bytes, and the sender's state once they are acknowledged."""

    payload: bytes
    state: State | None


class Coder:
    """Both ends of the links: what devices encode, with the state of each, and what the server decodes.

    Args:
        graph: Where the nodes live.
        codec: Of uploads.
        downlink: How models go down.
        layout: Of what is trained and sent.
        frozen: Of what a device is sent once, before its first training.
        form: How tensors are stored: devices' states are, and what is published.
        streams: Seeds of codecs that draw.
    """

    def __init__(
        self,
        graph: Graph,
        codec: Codec,
        downlink: Downlink,
        layout: Layout,
        frozen: Layout,
        form: Form,
        streams: Streams,
    ) -> None:
        self._graph = graph
        self._codec = codec
        self._downlink = downlink
        self._layout = layout
        self._form = form
        self._streams = streams
        self._states: dict[int, Node] = {}
        self._as_it_is = codec == Float32()
        self._recipe = digest(plain(codec))
        self._frame = codec.frame(layout)
        self._update_bits = codec.bits(layout)
        self._model_bits = Float32().bits(layout)
        self._frozen_bits = Float32().bits(frozen) if frozen else 0
        self._difference_bits = downlink.codec.bits(layout)
        self._numbers: dict[str, int] = {}
        self._before: dict[int, int] = {}

    def publish(self, model: Node, before: Node) -> Node:
        """Plan what devices are sent of a model: it itself, or what they were sent before plus the coded difference."""
        published = model
        if self._downlink.codec != Float32():
            seed = self._streams.seed("downlink", int(before.key, 16))
            recipe = [plain(self._downlink.codec), seed]
            published = self._graph.node("published", recipe, (before, model), partial(self._follow, seed), self._form)
        if published.key != before.key:
            self._before[self._number(published)] = self._number(before)
        return published

    def encode_model(self, model: Node, receiver: Receiver) -> Payload:
        """Return the payload that brings a receiver up to date, from what it holds to a model as published."""
        number = self._number(model)
        if receiver.held < 0 and self._frozen_bits:
            return Payload(self._model_bits + self._frozen_bits, content=(number, _FIRST))
        if receiver.held < 0 or not self._downlink.cache:
            return Payload(self._model_bits, content=(number, _WHOLE))
        bits = self._missing_bits(number, receiver.held)
        return Payload(bits, content=(number, _WHOLE if bits == self._model_bits else receiver.held))

    def delivered(self, receiver: Receiver, model: Node) -> None:
        """Note that a model has reached its receiver, which holds it from now on."""
        receiver.held = self._number(model)

    def _number(self, model: Node) -> int:
        """Return the number by which receivers know a model that they are sent."""
        return self._numbers.setdefault(model.key, len(self._numbers))

    def _missing_bits(self, number: int, held: int) -> int:
        """Return the length of the differences from one model to another, or of a whole one if it is shorter."""
        bits = 0
        while number != held:
            bits += self._difference_bits
            if bits >= self._model_bits or number not in self._before:
                return self._model_bits
            number = self._before[number]
        return bits or Float32().bits({})

    def encode(self, delta: Node, device: Sender) -> Payload:
        """Plan a device's upload: encoded from its state as last acknowledged."""
        if self._as_it_is:
            return Payload(self._update_bits, delta)
        state = self._states.get(device.id)
        seed = self._streams.seed("codec", device.id, device.draw)
        recipe = [self._recipe, seed]
        reads = (delta,) if state is None else (delta, state)
        label = f"encoding on device {device.id}, draw {device.draw}"
        sent = self._graph.node("payload", recipe, reads, partial(self._send, seed), label=label, fallible=True)
        next_state = None
        if self._codec.stateful:
            next_state = self._graph.node("state", (), (sent, *reads[1:]), _state_of, self._form)
        return Payload(self._update_bits, sent, next_state)

    def acknowledge(self, device: Sender, payload: Payload) -> None:
        """Commit a device's state: the server has its upload."""
        if payload.state is not None:
            self._states[device.id] = payload.state

    def decode(self, sent: Sent | Tensors) -> Tensors:
        """Return what the server makes of the value of ``Payload.sent``.

        Raises:
            MisshapenError: It is an update, and not of this model's names and shapes.
            SimulationError: It is not a payload of this codec for this model.
        """
        if not isinstance(sent, Sent):
            self._require_shapes(sent)
            return sent
        return self._codec.decode(self._frame.unwrap(sent.payload), self._layout)

    def _follow(self, seed: int, before: Tensors, model: Tensors) -> Tensors:
        """Return what devices hold of a model after the coded difference to what they held before."""
        import torch

        codec, generator = self._downlink.codec, torch.Generator().manual_seed(seed)
        trained = {name for name, spec in self._layout.items() if spec.trained}
        difference = {name: value - before[name] if name in trained else value for name, value in model.items()}
        body, _ = codec.encode(difference, self._layout, None, generator)
        received = codec.decode(codec.parse(codec.serialise(body, self._layout), self._layout), self._layout)
        return {name: before[name] + value if name in trained else value for name, value in received.items()}

    def _send(self, seed: int, delta: Tensors, state: State | None = None) -> Sent:
        import torch

        self._require_shapes(delta)
        generator = torch.Generator().manual_seed(seed)
        delta = {name: value.contiguous() for name, value in delta.items()}
        body, next_state = self._codec.encode(delta, self._layout, state or None, generator)
        return Sent(self._frame.wrap(body), next_state)

    def _require_shapes(self, update: Tensors) -> None:
        if wrong := mismatch(update, self._layout):
            raise MisshapenError(wrong)


def _state_of(sent: Sent | ComputationFailed, before: State | None = None) -> State:
    """Return a device's state after an upload: that before, if there was nothing to upload."""
    if isinstance(sent, ComputationFailed):
        return before or {}
    assert sent.state is not None
    return sent.state
