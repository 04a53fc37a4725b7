"""Aggregation: versions of the model out of updates. Sums are taken in float64, in the order given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch

from netfed.graph import SCALARS, Graph, Node, Scalars
from netfed.layout import Layout
from netfed.learning.quarantine import Faults, Judge, unpack
from netfed.learning.server import ServerOptimizer
from netfed.learning.tensors import TENSORS, Tensors
from netfed.plugin import plain

_FAULTS = Scalars(durable=True)


class Mean(NamedTuple):
    """The weighted sum of updates: a mean, where the weights add up to one.

    Attributes:
        update: Of what is trained, the weighted sum; of buffers, the weighted mean of what devices hold. Empty if no
            update was good.
        faults: What is wrong with each update (`quarantine`).
    """

    update: Tensors
    faults: Faults


@dataclass(frozen=True)
class Average:
    """A mean that is planned.

    Attributes:
        mean: Its node.
        faults: Node of what is wrong with each update that it was to be made of; None if nothing is. Stored, for good,
            before any model is made of the mean, so that a run resumed from that model knows it too.
    """

    mean: Node
    faults: Node


class Learned(Protocol):
    """A model that somebody else than the cloud has moved by means of updates.

    Attributes:
        weights: Its node.
        examples: That each update was trained on, for each mean.
        faults: Nodes of what is wrong with the updates, one for each mean.
    """

    @property
    def weights(self) -> Node: ...

    @property
    def examples(self) -> list[list[int]]: ...

    @property
    def faults(self) -> list[Node]: ...


class Aggregator:
    """Plans versions of the model.

    What is trained is moved by the updates' sum. Buffers (BatchNorm's running statistics) take the mean of what devices
    hold: differences from versions of different age do not add up to a variance.

    Args:
        graph: Where the nodes live.
        decode: Makes an update, of the model's names and shapes, of what was sent.
        layout: Of the model.
    """

    def __init__(self, graph: Graph, decode: Callable[[Any], Tensors], layout: Layout) -> None:
        self._graph = graph
        self._decode = decode
        self._layout = layout
        self._judge = Judge(layout)
        self._trained = [name for name, spec in layout.items() if spec.trained]

    def mean(self, sent: Sequence[Node], origins: Sequence[Node], weights: Sequence[float]) -> Average:
        """Plan the mean of updates that were sent; bad ones are kept out, and the others weigh the more.

        Args:
            sent: One node for each update.
            origins: The model that each was trained from.
            weights: One for each.
        """
        starts: dict[Node, int] = {}
        positions = [starts.setdefault(origin, len(starts)) for origin in origins]
        compute = partial(_mean, self._decode, self._layout, self._judge, weights, positions)
        mean = self._graph.node("mean", ["sent", list(weights), positions], (*starts, *sent), compute)
        return Average(mean, self._graph.node("faults", (), (mean,), _faults, _FAULTS))

    def mean_of_models(self, models: Sequence[Learned], origin: Node) -> Average:
        """Plan the mean of what models have gained on the one that they come from.

        Each weighs as many examples as it has learned from: those of bad updates are none.
        """
        amounts = [
            self._graph.node("learned", model.examples, model.faults, partial(_learned, model.examples), SCALARS)
            for model in models
        ]
        reads = (origin, *(model.weights for model in models), *amounts)
        mean = self._graph.node("mean", ["models"], reads, partial(_mean_gain, self._layout))
        return Average(mean, self._graph.node("faults", (), (mean,), _faults, _FAULTS))

    def add(self, model: Node, update: Node) -> Node:
        """Plan the model plus an update that need not be sent."""
        return self._graph.node("model", ["add"], (model, update), add, TENSORS)

    def step(
        self, server: ServerOptimizer, model: Node, average: Average, memory: Node | None
    ) -> tuple[Node, Node | None]:
        """Plan the model after a mean update, and what the server remembers then (None: nothing).

        Args:
            server: Makes a step of the update.
            model: As it is.
            average: The update.
            memory: What the server remembers; None if it has taken no step yet.
        """
        recipe, after = [plain(server)], None
        reads: tuple[Node, ...] = (average.mean, average.faults)
        if server.start():
            past = () if memory is None else (memory,)
            remember = partial(_remember, server, self._layout)
            after = self._graph.node("server", recipe, (*reads, *past), remember, TENSORS)
            reads = (*reads, after)
        return self._graph.node("model", recipe, (model, *reads), partial(_step, server, self._trained), TENSORS), after

    def mix(self, model: Node, origin: Node, average: Average, share: float) -> Node:
        """Plan a model that has moved towards a device's: (1 - share) of it, and share of origin plus update.

        Args:
            model: As it is.
            origin: What the device trained from.
            average: The device's update, by itself.
            share: Of the device's model, from 0 to 1.
        """
        reads = (model, origin, average.mean, average.faults)
        return self._graph.node("model", ["mix", share], reads, partial(_mix, share, self._trained), TENSORS)


class Sum(NamedTuple):
    """A weighted sum of updates.

    Attributes:
        update: float64, in the order given.
        norms: Of each of the updates.
    """

    update: Tensors
    norms: list[float]


def weighted_sum(weights: Sequence[float], updates: Sequence[Tensors]) -> Sum:
    """Return the weighted sum of updates in float64, taken in the order given.

    Args:
        weights: One for each update.
        updates: Of the same names and shapes; at least one.
    """
    names, sizes = list(updates[0]), [value.numel() for value in updates[0].values()]
    total, share = (torch.empty(sum(sizes), dtype=torch.float64) for _ in range(2))
    parts = [_parts(whole, updates[0].values()) for whole in (total, share)]
    numbers = total.numpy(), share.numpy()
    squares = []
    for place, (weight, update) in enumerate(zip(weights, updates, strict=True)):
        later = place > 0
        torch._foreach_copy_(parts[later], [update[name] for name in names])
        squares.append(torch.dot(share, share) if later else torch.dot(total, total))
        np.multiply(numbers[later], weight, out=numbers[later])
        if later:
            np.add(*numbers, out=numbers[0])
    summed = (part.clone(memory_format=torch.contiguous_format) for part in parts[0])
    return Sum(dict(zip(names, summed, strict=True)), torch.stack(squares).sqrt().tolist())


def _parts(whole: torch.Tensor, like: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Divide a vector into tensors of these shapes that lie as these do: they are copied to in one pass."""
    parts, start = [], 0
    for tensor in like:
        strides = torch.empty_like(tensor, device="meta").stride()
        parts.append(whole.as_strided(tensor.shape, strides, start))
        start += tensor.numel()
    return parts


def add(model: Tensors, increments: Tensors) -> Tensors:
    """Return a model plus increments, in the model's own types; integer buffers are rounded to the nearest."""
    return {name: _as(value, value.double() + increments[name]) for name, value in model.items()}


def _as(like: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
    return (exact.round() if like.dtype == torch.int64 else exact).to(like.dtype)


def _mean(
    decode: Callable[[Any], Tensors],
    layout: Layout,
    judge: Judge,
    weights: Sequence[float],
    positions: Sequence[int],
    *values: Any,
) -> Mean:
    starts, sent = values[: -len(weights)], values[-len(weights) :]
    origins = [starts[position] for position in positions]
    updates, faults = unpack(sent, decode)

    def total() -> Sum:
        scale = sum(weights) / sum(weights[place] for place in updates) if faults else 1.0
        kept, begun = [scale * weights[place] for place in updates], [origins[place] for place in updates]
        return _weighted(kept, [*updates.values()], begun, layout)

    mean = total() if updates else Sum({}, [])
    if bad := judge.faults(updates, mean.norms, origins):
        faults |= bad
        updates = {place: update for place, update in updates.items() if place not in bad}
        mean = total() if updates else Sum({}, [])
    return Mean(mean.update, [faults.get(place) for place in range(len(sent))])


def _learned(examples: Sequence[Sequence[int]], *faults: Faults | None) -> int:
    """Return on how many examples the updates of some means were trained that are not bad."""
    return sum(
        count
        for counts, bad in zip(examples, faults, strict=True)
        for count, fault in zip(counts, bad or [None] * len(counts), strict=True)
        if fault is None
    )


def _mean_gain(layout: Layout, origin: Tensors, *values: Any) -> Mean:
    models, amounts = values[: len(values) // 2], values[len(values) // 2 :]
    moved = [place for place, amount in enumerate(amounts) if amount]
    if not moved:
        return Mean({}, [])
    before = {name: origin[name].double() for name in layout}
    gains = [{name: models[place][name].double() - before[name] for name in layout} for place in moved]
    weights = [amounts[place] / sum(amounts) for place in moved]
    return Mean(_weighted(weights, gains, [before] * len(gains), layout).update, [])


def _weighted(weights: Sequence[float], updates: Sequence[Tensors], starts: Sequence[Tensors], layout: Layout) -> Sum:
    """Return the weighted sum of what is trained, and the weighted mean of the buffers after the updates.

    The norms are of what is trained.
    """
    trained = [name for name, spec in layout.items() if spec.trained]
    buffers = [name for name, spec in layout.items() if not spec.trained]
    moved = weighted_sum(weights, [{name: update[name] for name in trained} for update in updates])
    if not buffers:
        return moved
    held = [
        {name: start[name].double() + update[name] for name in buffers}
        for start, update in zip(starts, updates, strict=True)
    ]
    total = sum(weights)
    means = weighted_sum([weight / total for weight in weights], held)
    return Sum(moved.update | means.update, moved.norms)


def _faults(mean: Mean) -> Faults | None:
    return mean.faults if any(mean.faults) else None


def _remember(
    server: ServerOptimizer, layout: Layout, mean: Mean, _: Faults | None, past: Tensors | None = None
) -> Tensors:
    trained = [name for name, spec in layout.items() if spec.trained]
    if past is None:
        start = server.start()
        past = {
            f"{part}.{name}": torch.full(layout[name].shape, start[part], dtype=torch.float64)
            for name in trained
            for part in start
        }
    if not mean.update:
        return past
    remembered = {name: server.remember(mean.update[name], _of(server, name, past)) for name in trained}
    return {f"{part}.{name}": value for name, parts in remembered.items() for part, value in parts.items()}


def _step(
    server: ServerOptimizer,
    trained: Sequence[str],
    model: Tensors,
    mean: Mean,
    _: Faults | None,
    memory: Tensors | None = None,
) -> Tensors:
    if not mean.update:
        return model
    steps = {name: server.step(mean.update[name], _of(server, name, memory or {})) for name in trained}
    return {
        name: _as(value, value.double() + steps[name] if name in steps else mean.update[name])
        for name, value in model.items()
    }


def _of(server: ServerOptimizer, name: str, memory: Tensors) -> Tensors:
    """Return what is remembered of one parameter."""
    return {part: memory[f"{part}.{name}"] for part in server.start()}


def _mix(
    share: float, trained: Sequence[str], model: Tensors, origin: Tensors, mean: Mean, _: Faults | None
) -> Tensors:
    if not mean.update:
        return model
    mixed = {}
    for name, value in model.items():
        theirs = origin[name].double() + mean.update[name] if name in trained else mean.update[name]
        mixed[name] = _as(value, (1 - share) * value.double() + share * theirs)
    return mixed
