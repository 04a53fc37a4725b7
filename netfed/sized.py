"""Trainer, coder and aggregator of a task of which nothing is learned: sizes and times, and no values.

They have the interface of those in `learning` and `codecs`, as far as clients and schemes need it, and import neither.
All that would have a value is one and the same node, whose value is None.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from netfed.codecs.coder import Payload, Receiver, Sender
from netfed.graph import Node
from netfed.layout import Layout
from netfed.network.profiles import Cost
from netfed.task import Nothing, Work


def _settled() -> Node:
    node = Node("nothing", (), (), tuple, None, "nothing", fallible=False)
    node.value, node.compute = None, None
    return node


NOTHING = _settled()
"""Stands for every model, update and mean."""


class Amount(NamedTuple):
    """Work (`profiles.Cost`)."""

    flops: float
    bytes: float


class Update(NamedTuple):
    """A device's training; see `learning.trainer.Update`."""

    delta: Node
    cost: Cost
    examples: int


class Average(NamedTuple):
    """A mean; see `learning.aggregate.Average`."""

    mean: Node
    faults: Node


class Client(Protocol):
    """Who trains: a device."""

    @property
    def flops_per_s(self) -> float: ...

    @property
    def bytes_per_s(self) -> float: ...


class Trainer:
    """Training that takes time and changes nothing.

    Args:
        task: Says how much.

    Attributes:
        initial: Version 0.
        layout: Of what is trained: no tensors.
        frozen: Of what is not: none either.
        data_bits: Size of all examples.
    """

    def __init__(self, task: Nothing) -> None:
        self._compute = task.compute
        self.initial = NOTHING
        self.layout: Layout = {}
        self.frozen: Layout = {}
        self.data_bits = 0

    def begin(self, device: Client, model: Node) -> Update:
        """Return a device's training; every device counts alike."""
        compute = self._compute
        if isinstance(compute, Work):
            return Update(NOTHING, compute, 1)
        return Update(NOTHING, Amount(compute * device.flops_per_s, compute * device.bytes_per_s), 1)

    def pretraining_cost(self) -> Cost:
        """Return no work: the cloud does not pre-train."""
        return Amount(0.0, 0.0)

    def peak_bytes(self) -> int:
        """Return no memory: there is no learner."""
        return 0

    def evaluation(self, model: Node) -> None:
        """Return None: there is nothing to evaluate."""


class Coder:
    """Payloads of given sizes. A model is sent whole each time, whatever its receiver holds.

    Args:
        task: Has the sizes.
    """

    def __init__(self, task: Nothing) -> None:
        self._sizes = _bits(task.download), _bits(task.download + task.frozen)
        self._version = 0
        self._update = Payload(_bits(task.upload), NOTHING)
        self._encode_version()

    def encode_model(self, model: Node, receiver: Receiver) -> Payload:
        """Return the payload that brings a receiver up to date."""
        return self._first_model if receiver.held < 0 else self._model

    def delivered(self, receiver: Receiver, model: Node) -> None:
        """Note that a model has reached its receiver, and all that it is sent but once."""
        receiver.held = 0

    def encode(self, delta: Node, device: Sender) -> Payload:
        """Return a device's upload."""
        return self._update

    def acknowledge(self, device: Sender, payload: Payload) -> None:
        """Do nothing: devices keep no state."""

    def publish(self, model: Node, before: Node) -> Node:
        """Return what devices are sent of a model: it itself."""
        self._version += 1
        self._encode_version()
        return model

    def _encode_version(self) -> None:
        self._model, self._first_model = (Payload(bits, content=(self._version, bits)) for bits in self._sizes)


class Aggregator:
    """Versions that differ by their number alone."""

    def mean(self, sent: Sequence[Node], origins: Sequence[Node], weights: Sequence[float]) -> Average:
        """Return the mean of updates."""
        return Average(NOTHING, NOTHING)

    def mean_of_models(self, models: Sequence[object], origin: Node) -> Average:
        """Return the mean gain of models."""
        return Average(NOTHING, NOTHING)

    def step(self, server: object, model: Node, average: Average, memory: Node | None) -> tuple[Node, None]:
        """Return the model after a mean update, and that the server remembers nothing."""
        return model, None

    def mix(self, model: Node, origin: Node, average: Average, share: float) -> Node:
        """Return a model that has moved towards a device's."""
        return model


def _bits(size_bytes: float) -> int:
    return 8 * math.ceil(size_bytes)
