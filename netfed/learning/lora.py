"""A linear layer with a low-rank adapter beside it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LoRALinear(nn.Module):
    """W x + b + scale * B (A x) (Hu et al., arXiv:2106.09685, eq. 3), under the names that the plain layer had.

    Args:
        linear: The layer; its weight and bias are taken over as they are.
        rank: Rows of A, columns of B.
        scale: Multiplies the product.
        generator: Draws A with a standard deviation of 1 / sqrt(inputs); B is zero.
    """

    def __init__(self, linear: nn.Linear, rank: int, scale: float, generator: torch.Generator) -> None:
        super().__init__()
        self.weight = linear.weight  # [outputs, inputs]
        self.bias = linear.bias  # [outputs] or None
        outputs, inputs = linear.weight.shape
        self.lora_a = nn.Parameter(torch.randn(rank, inputs, generator=generator) * inputs**-0.5)
        self.lora_b = nn.Parameter(torch.zeros(outputs, rank))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] to [..., outputs]."""
        low_rank = F.linear(F.linear(x, self.lora_a), self.lora_b)
        return F.linear(x, self.weight, self.bias).add(low_rank, alpha=self.scale)
