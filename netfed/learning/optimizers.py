"""How gradients become steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from netfed.plugin import Plugin

if TYPE_CHECKING:
    from torch import Tensor

    Several = list[Tensor] | tuple[Tensor, ...]
    State = tuple[list[Tensor], ...]

Decay = Annotated[float, Field(ge=0, le=1)]


class Optimizer(Plugin):
    """A device's local optimiser; its state starts afresh in each participation."""

    def start(self, parameters: Several) -> State:
        """Return the state before the first step: lists of tensors, each as long as ``parameters`` and shaped alike."""
        raise NotImplementedError

    def step(self, parameters: Several, gradients: Several, state: State, count: int, learning_rate: float) -> None:
        """Change parameters and state in place, element by element.

        Args:
            parameters: Before the step.
            gradients: Of the loss, one for each parameter; left as they are.
            state: After the step before.
            count: Of this step, from 1.
            learning_rate: Step size.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Optimizer, kind="sgd"):
    """Gradient descent with heavy-ball momentum (Polyak 1964) and L2 weight decay, as ``torch.optim.SGD`` computes it.

    Attributes:
        momentum: Share of the last step's velocity that is kept.
        weight_decay: Added to the gradient times the parameter.
    """

    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    weight_decay: Decay = 0.0

    def start(self, parameters: Several) -> State:
        import torch

        return ([torch.zeros_like(parameter) for parameter in parameters],) if self.momentum else ()

    def step(self, parameters: Several, gradients: Several, state: State, count: int, learning_rate: float) -> None:
        import torch

        if self.weight_decay:
            gradients = torch._foreach_add(gradients, parameters, alpha=self.weight_decay)
        if self.momentum:
            (velocity,) = state
            torch._foreach_mul_(velocity, self.momentum)
            torch._foreach_add_(velocity, gradients)
            gradients = velocity
        torch._foreach_add_(parameters, gradients, alpha=-learning_rate)


@dataclass(frozen=True)
class AdamW(Optimizer, kind="adamw"):
    """Adam (Kingma and Ba, ICLR 2015, arXiv:1412.6980) with decoupled weight decay (Loshchilov and Hutter, ICLR 2019,
    arXiv:1711.05101, algorithm 2), as ``torch.optim.AdamW`` computes it.

    Attributes:
        betas: Decay of the means of gradients and of squared gradients.
        eps: Added to the root of the latter.
        weight_decay: Share of each parameter, times the learning rate, that a step takes away.
    """

    betas: tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(ge=0, lt=1)]] = (0.9, 0.999)
    eps: Annotated[float, Field(gt=0, le=1)] = 1e-8
    weight_decay: Decay = 0.01

    def start(self, parameters: Several) -> State:
        import torch

        means, squares = ([torch.zeros_like(parameter) for parameter in parameters] for _ in range(2))
        return means, squares

    def step(self, parameters: Several, gradients: Several, state: State, count: int, learning_rate: float) -> None:
        import torch

        means, squares = state
        for_mean, for_squares = self.betas
        if self.weight_decay:
            torch._foreach_mul_(parameters, 1 - learning_rate * self.weight_decay)
        torch._foreach_lerp_(means, gradients, 1 - for_mean)
        torch._foreach_mul_(squares, for_squares)
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - for_squares)
        roots = torch._foreach_sqrt(squares)
        torch._foreach_div_(roots, (1 - for_squares**count) ** 0.5)
        torch._foreach_add_(roots, self.eps)
        torch._foreach_addcdiv_(parameters, means, roots, -learning_rate / (1 - for_mean**count))
