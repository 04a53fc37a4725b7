"""Stochastic gradient descent by backpropagation (Rumelhart, Hinton and Williams, Nature 1986)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from netfed.learning.rules.spec import Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Generator, Tensor
    from torch.nn import Module


@dataclass(frozen=True)
class Backprop(Rule, kind="backprop"):
    """SGD with heavy-ball momentum (Polyak 1964) and L2 weight decay: ``torch.optim.SGD``'s arithmetic, bit for bit.

    Each epoch passes over the data once in a fresh order; the last batch may be smaller.

    Attributes:
        learning_rate: Step size.
        momentum: Of the local optimiser; its buffer starts afresh in each participation.
        weight_decay: Added to the gradient times the parameter.
        batch_size: Examples per step.
        epochs: Passes over the device's data per participation.
    """

    learning_rate: Annotated[float, Field(gt=0, le=100)] = 0.05
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 0.0
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

        velocity: list[Tensor] | None = None
        for _ in range(self.epochs):
            order = torch.randperm(len(inputs), generator=generator)
            shuffled, targets = channels_last(inputs[order]), labels[order]
            for batch, target in zip(shuffled.split(self.batch_size), targets.split(self.batch_size), strict=True):
                gradients = torch.autograd.grad(loss(module(batch), target), parameters, materialize_grads=True)
                with torch.no_grad():
                    if self.weight_decay:
                        gradients = torch._foreach_add(gradients, parameters, alpha=self.weight_decay)
                    if self.momentum:
                        if velocity is None:
                            velocity = [gradient.clone() for gradient in gradients]
                        else:
                            torch._foreach_mul_(velocity, self.momentum)
                            torch._foreach_add_(velocity, gradients)
                        gradients = tuple(velocity)
                    torch._foreach_add_(parameters, gradients, alpha=-self.learning_rate)


def channels_last(inputs: Tensor) -> Tensor:
    """Lay images out channels-last, which convolutions on a CPU run 1.5 times as fast on; leave the rest as it is.

    ``contiguous(memory_format=...)`` would do nothing for one channel, whose strides are ambiguous: ``clone`` does.
    """
    import torch

    return inputs.clone(memory_format=torch.channels_last) if inputs.dim() == 4 else inputs
