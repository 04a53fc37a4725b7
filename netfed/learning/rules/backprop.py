"""Gradient descent by backpropagation (Rumelhart, Hinton and Williams, Nature 1986)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from netfed.learning.optimizers import SGD, Optimizer
from netfed.learning.rules.spec import Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Generator, Tensor
    from torch.nn import Module

    from netfed.learning.descent import Descent
    from netfed.learning.optimizers import Several


@dataclass(frozen=True)
class Backprop(Rule, kind="backprop"):
    """Mini-batch gradient descent.

    Each epoch passes over the data once in a fresh order; its last batch may be smaller.

    Attributes:
        learning_rate: Step size.
        optimizer: What makes steps of gradients; its state starts afresh in each participation.
        proximal: mu of FedProx (Li et al., MLSys 2020, arXiv:1812.06127): mu / 2 times the squared distance from the
            weights that the device was sent is added to its loss.
        batch_size: Examples per step.
        epochs: Passes over the device's data per participation.
    """

    learning_rate: Annotated[float, Field(gt=0, le=100)] = 0.05
    optimizer: Optimizer = field(default_factory=SGD)
    proximal: Annotated[float, Field(ge=0, le=1000)] = 0.0
    batch_size: Annotated[int, Field(ge=1, le=65536)] = 16
    epochs: Annotated[int, Field(ge=1, le=10_000)] = 1

    def fit(
        self,
        module: Module,
        parameters: list[Tensor],
        inputs: Tensor,
        labels: Tensor,
        loss: Callable[[Tensor, Tensor], Tensor],
        generator: Generator,
    ) -> None:
        import torch

        descent = self.descent(parameters)
        for _ in range(self.epochs):
            order = torch.randperm(len(inputs), generator=generator)
            shuffled, targets = channels_last(inputs[order]), labels[order]
            for batch, target in zip(shuffled.split(self.batch_size), targets.split(self.batch_size), strict=True):
                descent.step(loss(module(batch), target))

    def descent(self, parameters: Several) -> Descent:
        """Return a training that begins with ``parameters``, which it will change in place."""
        from netfed.learning.descent import Descent

        return Descent(parameters, self.optimizer, self.learning_rate, self.proximal)


def channels_last(inputs: Tensor) -> Tensor:
    """Lay images out channels-last, which convolutions on a CPU run 1.5 times as fast on; leave the rest as it is.

    ``contiguous(memory_format=...)`` would do nothing for one channel, whose strides are ambiguous: ``clone`` does.
    """
    import torch

    return inputs.clone(memory_format=torch.channels_last) if inputs.dim() == 4 else inputs
