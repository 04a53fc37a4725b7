"""The way down: parameters that follow the gradients of a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from netfed.learning.optimizers import Optimizer

if TYPE_CHECKING:
    from netfed.learning.optimizers import Several


class Descent:
    """One local training, step after step.

    Args:
        parameters: Changed in place.
        optimizer: Makes steps of gradients.
        learning_rate: Step size.
        proximal: Pull back to where training began: times the distance, it is added to the gradient.

    Attributes:
        parameters: As they are now.
    """

    def __init__(self, parameters: Several, optimizer: Optimizer, learning_rate: float, proximal: float) -> None:
        self.parameters = parameters
        self._optimizer = optimizer
        self._learning_rate = learning_rate
        self._proximal = proximal
        self._origin = [parameter.detach().clone() for parameter in parameters] if proximal else []
        self._state = optimizer.start(parameters)
        self._steps = 0

    def narrow(self, parameters: Several) -> None:
        """Go on with the first lanes alone.

        Args:
            parameters: Of these; as many tensors as before, shorter in the first dimension.
        """
        width = len(parameters[0])
        self.parameters = parameters
        self._origin = [tensor[:width] for tensor in self._origin]
        self._state = tuple([tensor[:width] for tensor in tensors] for tensors in self._state)

    def step(self, outputs: Tensor, slopes: Tensor | None = None) -> None:
        """Follow the gradient of a loss once.

        Args:
            outputs: The loss itself, a scalar; or what it is a function of.
            slopes: The gradient of the loss by the outputs.
        """
        gradients: Several = torch.autograd.grad(outputs, self.parameters, slopes, materialize_grads=True)
        self._steps += 1
        with torch.no_grad():
            if self._proximal:
                distances = torch._foreach_sub(self.parameters, self._origin)
                gradients = torch._foreach_add(gradients, distances, alpha=self._proximal)
            self._optimizer.step(self.parameters, gradients, self._state, self._steps, self._learning_rate)
