"""A small convolutional network, with or without batch normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import nn


class CNN(nn.Sequential):
    """3x3 convolution blocks that halve the image, then two linear layers: [batch, *input_shape] to [batch, classes].

    The network of LEAF's FEMNIST (Caldas et al. 2018, arXiv:1812.01097) made small: on 1 x 28 x 28 with 62 classes,
    channels (16, 32) and 64 hidden units it has 109,246 parameters. Pooling comes before ReLU, which commutes with it:
    a quarter of the elements are left to rectify.

    Args:
        input_shape: (channels, height, width); height and width must survive the halvings.
        classes: Number of logits.
        channels: Output channels of each block.
        hidden: Width of the hidden linear layer.
        batch_norm: Normalise after each convolution (Ioffe and Szegedy 2015, arXiv:1502.03167): adds buffers.
    """

    def __init__(
        self, input_shape: tuple[int, int, int], classes: int, channels: Sequence[int], hidden: int, *, batch_norm: bool
    ) -> None:
        depth, height, width = input_shape
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((depth, *channels)):
            layers.append(nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm2d(outputs))
            layers += [nn.MaxPool2d(2), nn.ReLU()]
        shrink = 2 ** len(channels)
        features = (depth, *channels)[-1] * (height // shrink) * (width // shrink)
        super().__init__(*layers, nn.Flatten(), nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, classes))
