"""Local trainings that start from one model, side by side in lanes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from itertools import accumulate

import numpy as np
import torch
from torch import Generator, Tensor

from netfed.learning.lanes import Lanes, Stack
from netfed.learning.rules.backprop import Backprop
from netfed.learning.rules.spec import Rule
from netfed.learning.task import Classification, TaskExamples
from netfed.learning.tensors import Tensors

Slopes = Callable[[Tensor, Tensor], Tensor]


def train_together(
    stack: Stack,
    rule: Backprop,
    slopes: Slopes,
    base: Tensors,
    model: Tensors,
    shares: Sequence[TaskExamples],
    seeds: Sequence[int],
) -> list[Tensors]:
    """Train ``model`` on each share; return what each training adds to it, within rounding what it adds alone.

    Lanes are in order of their number of steps, so that the active ones are always the first. The longest is doubled
    where it would otherwise end alone: where `survey` finds no refusal, a lane's bits are those of any width but one.

    Args:
        stack: Computes it.
        rule: How they train, with batches of `lane_batch`; each is padded to that, and padding counts for nothing.
        slopes: Gradient of each example's loss by its outputs, from outputs and labels.
        base: Of the frozen part.
        model: Where they all start.
        shares: Each on its own examples.
        seeds: Of the randomness of each.
    """
    lanes = sorted(range(len(shares)), key=lambda lane: -_batches(shares[lane], rule))
    if len(lanes) == 1 or _batches(shares[lanes[0]], rule) > _batches(shares[lanes[1]], rule):
        lanes.insert(0, lanes[0])
    stack.load(base, model, len(lanes))
    _train(stack, rule, slopes, [shares[lane] for lane in lanes], [seeds[lane] for lane in lanes])
    deltas = dict(zip(lanes, stack.added(model), strict=True))
    return [deltas[lane] for lane in range(len(shares))]


def _batches(share: TaskExamples, rule: Backprop) -> int:
    """Steps of one epoch."""
    return -(-len(share) // rule.batch_size)


def _train(stack: Stack, rule: Backprop, slopes: Slopes, shares: Sequence[TaskExamples], seeds: Sequence[int]) -> None:
    inputs, labels, firsts = _pool(shares, stack.device)
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    lanes = Lanes(stack, generators, rule.batch_size)
    descent = rule.descent(stack.parameters)
    for sizes, examples, weights in _steps(rule, firsts, [len(share) for share in shares], generators):
        if len(sizes) < lanes.width:
            stack.narrow(len(sizes))
            descent.narrow(stack.parameters)
        lanes.sizes = sizes
        index = examples.to(stack.device)
        outputs = _outputs(stack, lanes, inputs, index)
        by_outputs = slopes(outputs.detach(), labels.index_select(0, index))
        descent.step(outputs, by_outputs.mul_(weights.to(stack.device)))


def _outputs(stack: Stack, lanes: Lanes, inputs: Tensor, index: Tensor) -> Tensor:
    """Return what the module makes of a batch of each lane.  # [lane * example, ...]

    Args:
        stack: Whose module it is.
        lanes: The active ones.
        inputs: As from `_pool`.
        index: Places of the batch among them.  # [lane * example]
    """
    batch = inputs.index_select(0, index)
    if batch.dim() == 4:
        batch = batch.movedim(-1, 1)
    with lanes:
        outputs: Tensor = stack.module(batch)
    return outputs


def _pool(shares: Sequence[TaskExamples], device: str) -> tuple[Tensor, Tensor, list[int]]:
    """Return inputs and labels that all shares are in, and where each begins; the channels of pictures come last.

    They are gathered, unless they lie in one pool already, in the layout and on the device that they are needed.
    """
    inputs, labels = shares[0].pool
    firsts = [share.first for share in shares]
    as_it_is = device == "cpu" and (inputs.dim() != 4 or inputs.shape[1] == 1)
    if not (as_it_is and all(share.pool[0] is inputs for share in shares)):
        parts = ([getattr(share, name) for share in shares] for name in ("inputs", "labels"))
        inputs, labels = (torch.cat(part).to(device) for part in parts)
        firsts = list(accumulate((len(share) for share in shares[:-1]), initial=0))
    return inputs.movedim(1, -1).contiguous() if inputs.dim() == 4 else inputs, labels, firsts


def _steps(
    rule: Backprop, firsts: Sequence[int], counts: Sequence[int], generators: Sequence[Generator]
) -> Iterator[tuple[list[int], Tensor, Tensor]]:
    """Yield, step by step, how many examples each active lane trains on, which, and with what weight.

    Each lane passes over its data in an order of its own, drawn when an epoch of it begins, as it is alone.

    Args:
        rule: Size of a batch, number of epochs.
        firsts: Where the examples of each lane begin; they lie one after the other.
        counts: How many each lane has, most batches first.
        generators: Of each lane.

    Yields:
        Sizes [lane]; indices [lane * example] and weights [lane * example, 1], padded: the weight of padding is zero.
    """
    size = rule.batch_size
    batches = -(-np.asarray(counts) // size)  # [lane], of one epoch
    rests = np.asarray(counts) - (batches - 1) * size
    starts = np.array(firsts)[:, None]
    orders = np.zeros((len(counts), int(batches[0]), size), np.int64)  # within the lane's own examples
    whole = torch.from_numpy(orders).flatten(1).unbind()
    rows = [row if count == batches[0] * size else row[:count] for row, count in zip(whole, counts, strict=True)]
    every = np.arange(len(counts))
    weigh = cache(partial(_weights, size))
    in_step = rule.epochs == 1 or batches[0] == batches[-1]
    for epoch in range(rule.epochs):
        steps = np.arange(epoch * batches[0], (epoch + 1) * batches[0])[:, None]
        widths = np.count_nonzero(batches * rule.epochs > steps, axis=1).tolist()
        places = steps % batches  # [step, lane]
        sizes = np.where(places == batches - 1, rests, size).tolist()
        beginners = [np.flatnonzero(begin).tolist() for begin in places == 0]
        chosen = np.empty((len(steps), len(counts), size), np.int64)  # places in the pool
        for step, width in enumerate(widths):
            for lane in beginners[step]:
                if lane < width:
                    torch.randperm(counts[lane], generator=generators[lane], out=rows[lane])
            if not in_step:
                np.add(orders[every[:width], places[step, :width]], starts[:width], out=chosen[step, :width])
            elif step == 0:
                np.add(orders.swapaxes(0, 1), starts, out=chosen)
            active = sizes[step][:width]
            yield active, torch.from_numpy(chosen[step, :width].reshape(-1)), weigh(tuple(active))


def _weights(size: int, sizes: Sequence[int]) -> Tensor:
    """Return what each example counts in the mean of its lane, in a batch of ``size`` of which ``sizes`` are filled."""
    filled = torch.tensor(sizes)[:, None]
    return ((torch.arange(size) < filled) / filled).view(-1, 1)


def strays(stack: Stack, rule: Backprop, shares: Sequence[TaskExamples]) -> list[str]:
    """Return the names of parameters that the module reads, if only once, where they have no gradient in lanes.

    Args:
        stack: Of as many lanes as there are shares.
        rule: With batches of `lane_batch`.
        shares: Of one batch at the least.
    """
    inputs, _, _ = _pool(shares, stack.device)
    lanes = Lanes(stack, [torch.Generator() for _ in shares], rule.batch_size)
    lanes.sizes = [rule.batch_size for _ in shares]
    index = torch.arange(len(shares) * rule.batch_size, device=stack.device)
    outputs = _outputs(stack, lanes, inputs, index)
    places = [(name, tensors[name]) for name in stack.originals for tensors in (stack.active, stack.originals)]
    found = torch.autograd.grad(outputs.sum(), [tensor for _, tensor in places], allow_unused=True)
    return [name for (name, _), gradient in zip(places, found, strict=True) if gradient is not None]


def lane_batch(task: Classification, rule: Rule) -> int:
    """Return how many examples lanes are padded to in each step: the rule's, or all of the largest share if fewer."""
    return min(rule.batch_size, task.largest)
