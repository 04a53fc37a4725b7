"""A light convolutional transformer.

In the spirit of the Compact Convolutional Transformer (Hassani et al. 2021, arXiv:2104.05704): convolutions make the
tokens, so that no class token and little data are needed, and the tokens are pooled by attention at the end.
Query, key, value, output and MLP maps are linear layers of their own, for adapters to wrap.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

MAX_TOKENS = 64


class ConvTransformer(nn.Module):
    """Tokenise, encode, pool: [batch, *input_shape] to logits [batch, classes].

    Args:
        input_shape: (channels, height, width).
        classes: Number of logits.
        width: Size of a token; a multiple of ``heads``.
        heads: Attention heads.
        blocks: Encoder blocks.
        dropout: Probability of dropping an element of a block's branch, while training.
    """

    def __init__(
        self, input_shape: tuple[int, int, int], classes: int, width: int, heads: int, blocks: int, dropout: float
    ) -> None:
        super().__init__()
        self.tokenizer = ConvTokenizer(input_shape, width)
        self.position = nn.Parameter(torch.empty(self.tokenizer.tokens, width))
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.importance = nn.Linear(width, 1)
        self.head = nn.Linear(width, classes)
        nn.init.trunc_normal_(self.position, std=0.2)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.norm(self.blocks(self.tokenizer(images) + self.position))  # [batch, token, width]
        weights = self.importance(tokens).softmax(dim=1)  # [batch, token, 1]
        logits: Tensor = self.head((weights * tokens).sum(dim=1))
        return logits


class ConvTokenizer(nn.Module):
    """3x3 convolutions that halve the image until at most 64 tokens are left: [batch, *input_shape] to
    [batch, token, width]."""

    def __init__(self, input_shape: tuple[int, int, int], width: int) -> None:
        super().__init__()
        inputs, *size = input_shape
        stages: list[nn.Module] = []
        while not stages or prod(size) > MAX_TOKENS:
            stages += [
                nn.Conv2d(inputs, width, kernel_size=3, padding=1, bias=False),
                nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
                nn.ReLU(),
            ]
            inputs, size = width, [(side + 1) // 2 for side in size]
        self.stages = nn.Sequential(*stages)
        self.tokens = prod(size)

    def forward(self, images: Tensor) -> Tensor:
        pixels: Tensor = self.stages(images)  # [batch, width, row, column]
        return pixels.flatten(start_dim=2).transpose(1, 2)


class Block(nn.Module):
    """Pre-norm encoder block (Xiong et al. 2020, arXiv:2002.04745): [batch, token, width] to the same."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens + self.dropout(self.attention(self.norm_attention(tokens)))
        mixed: Tensor = self.dropout(self.mlp(self.norm_mlp(tokens)))
        return tokens + mixed


class Attention(nn.Module):
    """Multi-head self-attention (Vaswani et al. 2017, arXiv:1706.03762): [batch, token, width] to the same.

    The weights themselves are not dropped out, as only then does PyTorch's fused kernel apply on a CPU: with 16 tokens
    it makes the attention of a training step two to three times as fast.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            project(tokens).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [batch, head, token, width / heads]
            for project in (self.query, self.key, self.value)
        )
        attended = scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(start_dim=2)
        out: Tensor = self.out(attended)
        return out
