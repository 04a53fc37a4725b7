"""Aggregation: pure functions of values, summed in float64 in the order given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from netfed.learning.tensors import Tensors


def apply_deltas(weights: Sequence[float], decode: Callable[[Any], Tensors], model: Tensors, *sent: Any) -> Tensors:
    """Return the model plus the weighted sum of deltas; integer buffers are rounded to the nearest.

    Args:
        weights: One for each delta; they sum to one in a weighted mean.
        decode: Makes a delta, of the model's names and shapes, of what was sent.
        model: What the deltas are relative to.
        sent: In device order; decoded one at a time.
    """
    totals = {name: value.double() for name, value in model.items()}
    for weight, delta in zip(weights, map(decode, sent), strict=True):
        for name, total in totals.items():
            total += weight * delta[name].double()
    return {
        name: (total.round() if model[name].dtype == torch.int64 else total).to(model[name].dtype)
        for name, total in totals.items()
    }
