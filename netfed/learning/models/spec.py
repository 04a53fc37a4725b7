"""What a scenario says about its model: which network, and how large.

torch is imported inside methods, so that a scenario can be checked without it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, Field

from netfed.errors import ScenarioError
from netfed.plugin import Plugin
from netfed.spelling import did_you_mean
from netfed.units import Fraction

if TYPE_CHECKING:
    from torch.nn import Module

Width = Annotated[int, Field(ge=1, le=65536)]
Scalar = str | int | float | bool

ENTRY_POINTS = "netfed.models"
"""The entry-point group in which an installed package names its models."""


class Model(Plugin):
    """A network, untrained."""

    def build(self, input_shape: tuple[int, ...], classes: int, seed: int) -> Module:
        """Return the network, initialised from ``seed`` alone.

        Builds in the process's generators, which it gives back as they were: call it before any thread trains.

        Args:
            input_shape: One example, without the batch.
            classes: Number of logits; the network maps [batch, *input_shape] to [batch, classes].
            seed: Non-negative, below 2**64.

        Raises:
            ScenarioError: The network cannot take such inputs, or does not exist.
        """
        from netfed.learning.draws import seeded

        with seeded(seed):
            return self.network(input_shape, classes)

    def network(self, input_shape: tuple[int, ...], classes: int) -> Module:
        """Return the network, initialised from torch's default generator (NumPy's and Python's are seeded too)."""
        raise NotImplementedError

    def module(self) -> str:
        """Return the module that the network comes from: values in the store depend on its package."""
        return type(self).__module__


@dataclass(frozen=True)
class MLP(Model, kind="mlp"):
    """Multi-layer perceptron.

    Attributes:
        hidden: Width of each hidden layer.
    """

    hidden: tuple[Width, ...] = (64,)

    def network(self, input_shape: tuple[int, ...], classes: int) -> Module:
        from netfed.learning.models import mlp

        return mlp.MLP(input_shape, classes, self.hidden)


@dataclass(frozen=True)
class CNN(Model, kind="cnn"):
    """3x3 convolution blocks, each of which halves the image, and two linear layers.

    Attributes:
        channels: Output channels of each block.
        hidden: Width of the hidden linear layer.
    """

    channels: tuple[Width, ...] = (16, 32)
    hidden: Width = 64

    def network(self, input_shape: tuple[int, ...], classes: int) -> Module:
        from netfed.learning.models import cnn

        shape = _image(self, input_shape, smallest=2 ** len(self.channels))
        return cnn.CNN(shape, classes, self.channels, self.hidden, batch_norm=False)


@dataclass(frozen=True)
class BatchNormCNN(Model, kind="batchnorm-cnn"):
    """The same with batch normalisation, whose running statistics are sent with the weights.

    Attributes:
        channels: Output channels of each block.
        hidden: Width of the hidden linear layer.
    """

    channels: tuple[Width, ...] = (16, 32)
    hidden: Width = 64

    def network(self, input_shape: tuple[int, ...], classes: int) -> Module:
        from netfed.learning.models import cnn

        shape = _image(self, input_shape, smallest=2 ** len(self.channels))
        return cnn.CNN(shape, classes, self.channels, self.hidden, batch_norm=True)


@dataclass(frozen=True)
class ConvTransformer(Model, kind="conv-transformer"):
    """A light convolutional transformer (after Hassani et al. 2021, arXiv:2104.05704).

    Attributes:
        width: Size of a token.
        heads: Attention heads; they share ``width`` equally.
        blocks: Encoder blocks.
        dropout: Probability of dropping an element of a block's branch in training.
    """

    width: Width = 48
    heads: Annotated[int, Field(ge=1, le=64)] = 3
    blocks: Annotated[int, Field(ge=1, le=64)] = 2
    dropout: Fraction = 0.1

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} cannot be shared by {self.heads} heads")

    def network(self, input_shape: tuple[int, ...], classes: int) -> Module:
        from netfed.learning.models import conv_transformer

        shape = _image(self, input_shape, smallest=1)
        return conv_transformer.ConvTransformer(shape, classes, self.width, self.heads, self.blocks, self.dropout)


def _image(model: Model, input_shape: tuple[int, ...], smallest: int) -> tuple[int, int, int]:
    if len(input_shape) != 3 or min(input_shape[1:]) < smallest:
        raise ScenarioError(
            f"model: {model.kind} takes pictures (channels, height, width) of at least {smallest} x {smallest} pixels; "
            f"this dataset's examples are {input_shape}"
        )
    channels, height, width = input_shape
    return channels, height, width


def _installed(name: str) -> str:
    names = sorted(entry_points(group=ENTRY_POINTS).names)
    if name not in names:
        raise ValueError(
            f"no installed package offers the model {name!r} (known: {', '.join(names) or 'none'})"
            f"{did_you_mean(name, names)}"
        )
    return name


@dataclass(frozen=True)
class ThirdParty(Model, kind="module"):
    """Any ``torch.nn.Module`` of an installed package.

    The package names it in its entry-point group ``netfed.models``: a class, or a function that returns the module.
    It is called with ``arguments``, and with ``input_shape`` and ``classes`` if it has parameters of these names.

    Attributes:
        name: The entry point.
        arguments: Keyword arguments.
    """

    name: Annotated[str, AfterValidator(_installed)]
    arguments: dict[str, Scalar] = field(default_factory=dict)

    def network(self, input_shape: tuple[int, ...], classes: int) -> Module:
        from torch import nn

        factory: Callable[..., Any] = self._entry_point().load()
        signature = inspect.signature(factory)
        shapes = {"input_shape": input_shape, "classes": classes}
        arguments = {name: value for name, value in shapes.items() if _accepts(signature, name)} | self.arguments
        try:
            signature.bind(**arguments)
        except TypeError as error:
            raise ScenarioError(f"model.arguments: {self.name}{signature}: {error}") from None
        module = factory(**arguments)
        if not isinstance(module, nn.Module):
            raise ScenarioError(f"model.name: {self.name} makes a {type(module).__name__}, not a torch.nn.Module")
        return module

    def module(self) -> str:
        """Return the module that the entry point lies in."""
        return self._entry_point().module

    def _entry_point(self) -> EntryPoint:
        try:
            return entry_points(group=ENTRY_POINTS)[_installed(self.name)]
        except ValueError as error:
            raise ScenarioError(f"model.name: {error}") from None


def _accepts(signature: inspect.Signature, name: str) -> bool:
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    return name in signature.parameters or inspect.Parameter.VAR_KEYWORD in kinds
