"""Multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

from torch import nn


class MLP(nn.Sequential):
    """Flatten, then linear layers with ReLU between them: [batch, *input_shape] to logits [batch, classes].

    Args:
        input_shape: One example, without the batch.
        classes: Number of logits.
        hidden: Width of each hidden layer; none leaves multinomial logistic regression.
    """

    def __init__(self, input_shape: tuple[int, ...], classes: int, hidden: Sequence[int]) -> None:
        layers: list[nn.Module] = [nn.Flatten()]
        for inputs, outputs in pairwise((prod(input_shape), *hidden)):
            layers += [nn.Linear(inputs, outputs), nn.ReLU()]
        super().__init__(*layers, nn.Linear((prod(input_shape), *hidden)[-1], classes))
