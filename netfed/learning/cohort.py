"""Local trainings that start from one model, side by side in lanes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import accumulate

import numpy as np
import torch
from torch import Generator, Tensor, nn

from netfed.learning.adapters import Adapter
from netfed.learning.cost import step_cost
from netfed.learning.draws import JobDraws
from netfed.learning.executors import Survey
from netfed.learning.lanes import Lanes, NoLanes, Stack
from netfed.learning.models.spec import Model
from netfed.learning.rules.backprop import Backprop
from netfed.learning.rules.spec import Rule
from netfed.learning.task import Classification, TaskExamples
from netfed.learning.tensors import Tensors
from netfed.streams import Streams

Slopes = Callable[[Tensor, Tensor], Tensor]

_WIDTHS = 2, 3, 5, 8
"""Lanes side by side in the trial."""


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
    """Return what the module makes of a batch of each lane, whose places among inputs are given."""
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
        chosen = np.empty((len(steps), len(counts), size), np.int64)
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


def lane_batch(task: Classification, rule: Rule) -> int:
    """Return how many examples lanes are padded to in each step: the rule's, or all of the largest share if fewer."""
    return min(rule.batch_size, task.largest)


def survey(task: Classification, model: Model, adapter: Adapter, rule: Rule, streams: Streams) -> Survey:
    """Look at what devices train, and prepare to try whether it can be done in lanes."""
    module = model.build(task.shape, task.classes, streams.seed("model"))
    adapter.attach(module, streams.seed("adapter"))
    module = module.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    _shake(module)
    state = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    own = {name for name, parameter in module.named_parameters() if parameter.requires_grad}
    own |= {name for name, _ in module.named_buffers()}
    start = {name: value for name, value in state.items() if name in own}
    trial = replace(rule, batch_size=lane_batch(task, rule), epochs=1)
    step = partial(_alone, copy.deepcopy(module), trial, task, _some(task, trial.batch_size), 0)
    return Survey(
        refuse=partial(_refusal, module, trial, task, state, start),
        step_flops=step_cost(step).flops,
        numbers=sum(value.numel() for value in start.values()),
    )


def _refusal(module: nn.Module, rule: Rule, task: Classification, state: Tensors, start: Tensors) -> str | None:
    """Train lanes of the shape that they will have, in companies of several sizes, and one of them alone; say what does
    not agree. How matrices are multiplied may depend on the number of pairs: where they are vectors, it does.

    Args:
        rule: With batches of `lane_batch`, and one epoch.
    """
    if type(rule) is not Backprop:  # what a subclass changes, lanes would not do
        return f"rule {type(rule).__name__} has no stacked form"
    if rule.batch_size == 1:
        return "products of vectors, in batches of one example, depend on who trains beside it"
    plain = Backprop(learning_rate=rule.learning_rate, batch_size=rule.batch_size)
    shares = [_some(task, 2 * rule.batch_size - lane % (rule.batch_size // 2 + 1)) for lane in range(max(_WIDTHS))]
    stack = Stack(module, list(start), "cpu")

    def lanes(rule: Backprop, width: int) -> list[Tensors]:
        return train_together(stack, rule, task.slopes, state, start, shares[:width], range(width))

    def alone(rule: Backprop) -> Tensors:
        end = _alone(copy.deepcopy(module), rule, task, shares[0], 0)
        return {name: end[name] - value for name, value in start.items()}

    try:
        *fewer, most = (lanes(rule, width) for width in _WIDTHS)
        stack.load(state, start, 2)
        if strays := _strays(stack, rule, shares[:2]):
            return f"{strays[0]} is read in a way that has no stacked form"
        pairs = (lanes(plain, 2)[0], alone(plain)), (most[0], alone(rule))
    except NoLanes as error:
        return str(error)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    for name in start:
        for some in fewer:
            if not all(torch.equal(one[name], same[name]) for one, same in zip(some, most, strict=False)):
                return f"{name} depends on who trains beside it"
        one, expected = (each[name] for each in pairs[0])
        if not torch.allclose(one, expected, rtol=0.0, atol=1e-3 * float(expected.abs().max()) + 1e-6):
            return f"{name} is not what it is alone"
    one, expected = (torch.cat([value.flatten().double() for value in each.values()]) for each in pairs[1])
    if not (one - expected).abs().sum() <= 0.3 * expected.abs().sum() + 1e-6:  # AdamW follows even gradients of noise
        return f"optimizer {type(rule.optimizer).__name__} is not what it is alone"
    return None


def _strays(stack: Stack, rule: Backprop, shares: Sequence[TaskExamples]) -> list[str]:
    """Return the names of parameters that the module also reads past the stacked forms, where they have no gradient."""
    inputs, _, _ = _pool(shares, stack.device)
    lanes = Lanes(stack, [torch.Generator() for _ in shares], rule.batch_size)
    lanes.sizes = [rule.batch_size for _ in shares]
    outputs = _outputs(stack, lanes, inputs, torch.arange(len(shares) * rule.batch_size))
    trained = {name: active for name, active in stack.active.items() if active.requires_grad}
    found = torch.autograd.grad(outputs.sum(), list(trained.values()), allow_unused=True)
    return [name for name, gradient in zip(trained, found, strict=True) if gradient is not None]


def _shake(module: nn.Module) -> None:
    """Add noise to what trains: what begins as zero would hide for many steps how a product with it is rounded."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.02)


def _some(task: Classification, count: int) -> TaskExamples:
    pool = task.pool()
    index = torch.arange(count) % len(pool)
    return TaskExamples(pool.inputs[index], pool.labels[index], "")


def _alone(module: nn.Module, rule: Rule, task: Classification, share: TaskExamples, seed: int) -> Tensors:
    generator = torch.Generator().manual_seed(seed)
    parameters: list[Tensor] = [parameter for parameter in module.parameters() if parameter.requires_grad]
    with JobDraws(generator):
        rule.fit(module, parameters, share.inputs, share.labels, task.loss, generator)
    return {name: tensor.detach() for name, tensor in module.state_dict().items()}
