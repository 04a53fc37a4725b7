"""Whether clients can train in lanes: looked at, and tried, before a run."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from netfed.errors import ScenarioError
from netfed.learning.adapters import Adapter
from netfed.learning.cohort import lane_batch, strays, train_together
from netfed.learning.cost import step_cost
from netfed.learning.draws import JobDraws
from netfed.learning.executors import Survey
from netfed.learning.lanes import NoLanes, Stack
from netfed.learning.models.spec import Model
from netfed.learning.rules.backprop import Backprop
from netfed.learning.rules.spec import Rule
from netfed.learning.task import Classification, TaskExamples
from netfed.learning.tensors import Tensors
from netfed.streams import Streams

_WIDTHS = 2, 3, 5, 8
"""Lanes side by side in the trial."""
_FELT = 0.01
"""Learning rate at the least, of plain descent, at which a gradient that is missing or wrong is told from rounding."""


def survey(task: Classification, model: Model, adapter: Adapter, rule: Rule, streams: Streams) -> Survey:
    """Look at what devices train, and prepare to try whether it can be done in lanes.

    What cannot be looked at is refused: that it cannot be trained at all is for `Trainer` to say.

    Raises:
        ScenarioError: Model, adapter and data do not fit; the message says how.
    """
    try:
        return _look(task, model, adapter, rule, streams)
    except ScenarioError:
        raise
    except Exception as error:
        refusal = f"{type(error).__name__}: {error}"
        return Survey(lambda _: refusal, 0.0, 0)


def _look(task: Classification, model: Model, adapter: Adapter, rule: Rule, streams: Streams) -> Survey:
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


def _refusal(
    module: nn.Module, rule: Rule, task: Classification, state: Tensors, start: Tensors, device: str
) -> str | None:
    """Train lanes of the shape that they will have, in companies of several sizes, and one of them alone; say what does
    not agree. How matrices are multiplied may depend on the number of pairs: where they are vectors, it does.

    Args:
        rule: With batches of `lane_batch`, and one epoch.
        device: Where lanes train; by itself one trains on the CPU.
    """
    if type(rule) is not Backprop:  # what a subclass changes, lanes would not do
        return f"rule {type(rule).__name__} has no stacked form"
    if rule.batch_size == 1:
        return "products of vectors, in batches of one example, depend on who trains beside it"
    plain = Backprop(learning_rate=max(rule.learning_rate, _FELT), batch_size=rule.batch_size)
    shares = [_some(task, 2 * rule.batch_size - lane % (rule.batch_size // 2 + 1)) for lane in range(max(_WIDTHS))]
    stack = Stack(module, list(start), device)

    def lanes(rule: Backprop, width: int) -> list[Tensors]:
        return train_together(stack, rule, task.slopes, state, start, shares[:width], range(width))

    def alone(rule: Backprop) -> Tensors:
        end = _alone(copy.deepcopy(module), rule, task, shares[0], 0)
        return {name: end[name] - value for name, value in start.items()}

    try:
        *fewer, most = (lanes(rule, width) for width in _WIDTHS)
        stack.load(state, start, 2)
        if found := strays(stack, rule, shares[:2]):
            return f"{found[0]} is read in a way that has no stacked form"
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
        largest = float(expected.abs().max()) if expected.numel() else 0.0
        if not torch.allclose(one, expected, rtol=0.0, atol=1e-3 * largest + 1e-6):
            return f"{name} is not what it is alone"
    one, expected = (torch.cat([value.flatten().double() for value in each.values()]) for each in pairs[1])
    if not (one - expected).abs().sum() <= 0.3 * expected.abs().sum() + 1e-6:  # AdamW follows even gradients of noise
        return f"optimizer {type(rule.optimizer).__name__} is not what it is alone"
    return None


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
