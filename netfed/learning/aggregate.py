"""Aggregation: pure functions of values, summed in float64 in the order given."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from netfed.learning.tensors import Tensors


def apply_deltas(weights: Sequence[float], model: Tensors, *deltas: Tensors) -> Tensors:
    """Return the model plus the weighted sum of deltas; integer buffers are rounded to the nearest.

    Args:
        weights: One for each delta; they sum to one in a weighted mean.
        model: What the deltas are relative to.
        deltas: Of the model's names and shapes, in device order.
    """
    result = {}
    for name, value in model.items():
        total = value.double()
        for weight, delta in zip(weights, deltas, strict=True):
            total = total + weight * delta[name].double()
        result[name] = total.round_().to(value.dtype) if value.dtype == torch.int64 else total.to(value.dtype)
    return result
