"""HOW a local step is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from netfed.plugin import Plugin

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Generator, Tensor
    from torch.nn import Module


@dataclass(frozen=True)
class Rule(Plugin):
    """A device's local training: a function of the model, the data and one generator, and of nothing else.

    Attributes:
        batch_size: Examples per step.
        epochs: Passes over the device's data.
    """

    batch_size: int
    epochs: int

    def fit(
        self,
        module: Module,
        parameters: list[Tensor],
        inputs: Tensor,
        labels: Tensor,
        loss: Callable[[Tensor, Tensor], Tensor],
        generator: Generator,
    ) -> None:
        """Train ``parameters`` of ``module`` in place.

        Args:
            module: In training mode. The next client may be trained on it: leave nothing there but tensors' values.
            parameters: Those of the module's parameters that the adapter trains.
            inputs: [example, ...].
            labels: [example].
            loss: Mean loss over a batch, from outputs and labels.
            generator: The only source of randomness: batch order, say.
        """
        raise NotImplementedError
