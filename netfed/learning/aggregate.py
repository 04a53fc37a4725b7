"""Aggregation: versions of the model out of updates. Sums are taken in float64, in the order given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from netfed.graph import Graph, Node
from netfed.layout import Layout
from netfed.learning.server import ServerOptimizer
from netfed.learning.tensors import TENSORS, Tensors
from netfed.plugin import plain


class Aggregator:
    """Plans versions of the model.

    Args:
        graph: Where the nodes live.
        decode: Makes an update, of the model's names and shapes, of what was sent.
        layout: Of the model.
    """

    def __init__(self, graph: Graph, decode: Callable[[Any], Tensors], layout: Layout) -> None:
        self._graph = graph
        self._decode = decode
        self._trained = [name for name, spec in layout.items() if spec.trained]

    def mean(self, sent: Sequence[Node], weights: Sequence[float]) -> Node:
        """Plan the weighted sum of updates that were sent: a mean, where the weights add up to one."""
        return self._graph.node("mean", ["sent", list(weights)], sent, partial(weighted_sum, weights, self._decode))

    def mean_of_models(self, models: Sequence[Node], weights: Sequence[float], origin: Node) -> Node:
        """Plan the weighted sum of what models have gained on the one that they come from."""
        return self._graph.node("mean", ["models", list(weights)], (origin, *models), partial(_mean_gain, weights))

    def step(self, server: ServerOptimizer, model: Node, mean: Node, memory: Node | None) -> tuple[Node, Node | None]:
        """Plan the model after a mean update, and what the server remembers then (None: nothing).

        Args:
            server: Makes a step of the update.
            model: As it is.
            mean: The update.
            memory: What the server remembers; None if it has taken no step yet.
        """
        recipe, after = [plain(server)], None
        if server.start():
            past = () if memory is None else (memory,)
            remember = partial(_remember, server, self._trained)
            after = self._graph.node("server", recipe, (mean, *past), remember, TENSORS)
        reads = (model, mean) if after is None else (model, mean, after)
        return self._graph.node("model", recipe, reads, partial(_step, server, self._trained), TENSORS), after

    def mix(self, model: Node, origin: Node, sent: Node, share: float) -> Node:
        """Plan a model that has moved towards a device's: (1 - share) of it, and share of origin plus update.

        Args:
            model: As it is.
            origin: What the device trained from.
            sent: The device's update.
            share: Of the device's model, from 0 to 1.
        """
        mixed = partial(_mix, share, self._decode)
        return self._graph.node("model", ["mix", share], (model, origin, sent), mixed, TENSORS)


def weighted_sum(weights: Sequence[float], decode: Callable[[Any], Tensors], *sent: Any) -> Tensors:
    """Return the weighted sum of updates in float64.

    Args:
        weights: One for each update.
        decode: Makes an update of what was sent.
        sent: Decoded one at a time; at least one.
    """
    totals: Tensors = {}
    for weight, update in zip(weights, map(decode, sent), strict=True):
        for name, value in update.items():
            share = weight * value.double()
            totals[name] = totals[name].add_(share) if name in totals else share
    return totals


def add(model: Tensors, increments: Tensors) -> Tensors:
    """Return a model plus increments, in the model's own types; integer buffers are rounded to the nearest."""
    return {name: _as(value, value.double() + increments[name]) for name, value in model.items()}


def _as(like: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
    return (exact.round() if like.dtype == torch.int64 else exact).to(like.dtype)


def _mean_gain(weights: Sequence[float], origin: Tensors, *models: Tensors) -> Tensors:
    before = {name: value.double() for name, value in origin.items()}
    return weighted_sum(weights, lambda model: {name: model[name].double() - before[name] for name in model}, *models)


def _remember(server: ServerOptimizer, trained: Sequence[str], mean: Tensors, past: Tensors | None = None) -> Tensors:
    memory = {}
    for name in trained:
        before = server.start() if past is None else _of(server, name, past)
        memory.update({f"{part}.{name}": value for part, value in server.remember(mean[name], before).items()})
    return memory


def _step(
    server: ServerOptimizer, trained: Sequence[str], model: Tensors, mean: Tensors, memory: Tensors | None = None
) -> Tensors:
    steps = {name: server.step(mean[name], _of(server, name, memory or {})) for name in trained}
    return add(model, mean | steps)


def _of(server: ServerOptimizer, name: str, memory: Tensors) -> Tensors:
    """Return what is remembered of one parameter."""
    return {part: memory[f"{part}.{name}"] for part in server.start()}


def _mix(share: float, decode: Callable[[Any], Tensors], model: Tensors, origin: Tensors, sent: Any) -> Tensors:
    update = decode(sent)
    return {
        name: _as(value, (1 - share) * value.double() + share * (origin[name].double() + update[name].double()))
        for name, value in model.items()
    }
