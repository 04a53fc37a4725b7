"""Several models of one shape, computed side by side: one lane each.

What trains, and what a model keeps in buffers, is stacked with a leading lane dimension; what is frozen is there once.
Lanes lie one after the other in the batch, [lane * example, ...], so that a module's own forward pass runs as it is;
where it hands a stacked tensor to a function, `Lanes` puts that function's stacked form in its place. What is read in
another way, in a list or past PyTorch's functions, has no gradient here; `survey.survey` looks for that.

A lane's result depends neither on its neighbours nor on its place; nor on the width, of two or more, as long as each
matrix product is computed alike at any number of lanes; `survey.survey` tries that.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import repeat
from typing import Any

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.overrides import resolve_name

from netfed.learning.draws import JobDraws
from netfed.learning.tensors import Tensors


class NoLanes(Exception):
    """A module does something that has no stacked form; the message says what."""


class Stack:
    """A module whose trained parameters and buffers are there once for each lane.

    Args:
        module: Copied.
        stacked: Names of what each lane has for itself.
        device: Where it computes.

    Attributes:
        module: The copy; its forward pass runs under `Lanes`.
        device: Where it computes.
        tensors: By name, of all lanes.  # [lane, ...]
        active: What the module has in their place: those of the active lanes, by name.
        originals: What trained of the module when it was copied, by name; nothing should read it any more.
        operands: The same numbers as products take them (`Lanes.operand`), by the identity of what is active.
        parameters: Those operands that train, by which gradients are taken; changing them in place changes ``tensors``.
    """

    def __init__(self, module: nn.Module, stacked: Sequence[str], device: str) -> None:
        self.module = copy.deepcopy(module).to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.tensors: Tensors = {}
        self.active: Tensors = {}
        self.operands: dict[int, Tensor] = {}
        self.parameters: list[Tensor] = []
        self.device = device
        self._base: Tensors | None = None
        self._state = {name: tensor for name, tensor in self.module.state_dict().items() if name not in stacked}
        parameters = self.module.named_parameters()
        self.originals: Tensors = {name: parameter for name, parameter in parameters if parameter.requires_grad}
        self._slots: dict[str, list[tuple[dict[str, Any], str]]] = {}
        for name in stacked:
            self._slots[name] = list(_slots(self.module, name))

    def load(self, base: Tensors, model: Tensors, width: int) -> None:
        """Start ``width`` lanes from ``model``, over the frozen part of ``base``."""
        if base is not self._base:
            for name, tensor in self._state.items():
                if name in base:
                    tensor.copy_(base[name])
            self._base = base
        self.tensors = {name: _stacked(value.to(self.device), width) for name, value in model.items()}
        self.narrow(width)

    def added(self, model: Tensors) -> Iterator[Tensors]:
        """Yield what each lane has added to ``model``, laid out as its gradients are; ends the training."""
        stacks = [
            self.tensors[name].sub_(_stacked(value.to(self.device), 1)[0]).to(value.device).unbind()
            for name, value in model.items()
        ]
        for lane in zip(*stacks, strict=True):
            yield dict(zip(model, lane, strict=True))

    def narrow(self, width: int) -> None:
        """Leave only the first ``width`` lanes active."""
        self.active = {name: self.tensors[name][:width] for name in self._slots}
        self.operands = {id(active): _operand(active) for active in self.active.values()}
        for name, slots in self._slots.items():
            for attributes, attribute in slots:
                attributes[attribute] = self.active[name].requires_grad_(name in self.originals)
        trained = (self.active[name] for name in self._slots if name in self.originals)
        self.parameters = [self.operands[id(active)].requires_grad_() for active in trained]


def _slots(module: nn.Module, name: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield where in a module a parameter or a buffer is: tied ones are in several places."""
    tensor = module.state_dict(keep_vars=True)[name]
    for part in module.modules():
        for attributes in (part._parameters, part._buffers):
            yield from ((attributes, attribute) for attribute, value in attributes.items() if value is tensor)


def _stacked(value: Tensor, width: int) -> Tensor:
    """Repeat a tensor for each lane, laid out as its gradient will be.

    Matrices lie transposed, as batched products leave their gradients; kernels of convolutions channels-last.
    """
    if value.dim() == 2:
        return _repeated(value.mT, width).mT
    if value.dim() == 4:
        return _repeated(value.movedim(1, -1), width).movedim(-1, 2)
    return _repeated(value, width)


def _repeated(value: Tensor, width: int) -> Tensor:
    return value.contiguous().expand(width, *value.shape).clone(memory_format=torch.contiguous_format)


def _operand(stacked: Tensor) -> Tensor:
    """Return a view of a stacked tensor as products take it: matrices transposed, vectors as matrices of one row."""
    if stacked.dim() == 3:
        return stacked.mT
    return stacked.unsqueeze(1) if stacked.dim() == 2 else stacked.view_as(stacked)


class Lanes(JobDraws):
    """While entered, the module of a stack computes every active lane on its own part of the batch.

    Args:
        stack: Whose module it is.
        generators: One for each lane, for dropout: a lane draws what it would draw alone.
        batch: Examples per lane, padding included.
    """

    def __init__(self, stack: Stack, generators: Sequence[Generator], batch: int) -> None:
        super().__init__(generators[0])
        self._stack = stack
        self._generators = generators
        self._batch = batch
        self.sizes: Sequence[int] = ()
        """Of each active lane: its examples, of which the batch holds the first; the others are padding."""

    @property
    def width(self) -> int:
        """Active lanes."""
        return len(self.sizes)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        stacked = self._stack.operands.keys()
        if stacked.isdisjoint(map(id, args)) and stacked.isdisjoint(map(id, kwargs.values())):
            if func in _PRODUCTS and args and len(args[0]) == self.width * self._batch:
                return _FORMS[func](self, *args, **kwargs)
            if func in _ANOTHER_WAY_AT_THE_END:
                return _with_room_behind(func, *args, **kwargs)
            return super().__torch_function__(func, types, args, kwargs)
        if func not in _FORMS:
            raise NoLanes(f"{resolve_name(func) or func} has no stacked form")
        return _FORMS[func](self, *args, **kwargs)

    def fill(self, noise: Tensor, probability: float) -> None:
        """Draw each lane's part from its own generator, for its examples only; on the CPU, whatever the device."""
        for lane, size, generator in zip(noise.zero_().chunk(self.width), self.sizes, self._generators, strict=False):
            drawn = torch.empty_like(lane[:size], device="cpu")
            lane[:size] = drawn.bernoulli_(probability, generator=generator)

    def source(self) -> Generator:
        raise NoLanes("a draw other than dropout has no stacked form")

    def is_stacked(self, tensor: Tensor) -> bool:
        """Whether a tensor has a lane dimension."""
        return id(tensor) in self._stack.operands

    def operand(self, tensor: Tensor) -> Tensor:
        """Return a tensor as products take it: of a matrix [lane, input, output], of a vector [lane, 1, output].

        One that all lanes share is returned as it is.
        """
        return self._stack.operands.get(id(tensor), tensor)

    def own(self, tensor: Tensor) -> Tensor:
        """Return a tensor of all lanes in its own shape, such that it has a gradient; one that they share as it is."""
        operand = self._stack.operands.get(id(tensor))
        if operand is None:
            return tensor
        return operand.mT if tensor.dim() == 3 else operand.view_as(tensor)

    def each(self, tensor: Tensor | None) -> Any:
        """Return a tensor of each active lane: its own, or what all share."""
        if tensor is None or not self.is_stacked(tensor):
            return repeat(tensor, self.width)
        return self.own(tensor).unbind()

    def apart(self, folded: Tensor) -> Tensor:
        """[lane * example, ...] to [lane, example, ...]."""
        return folded.reshape(self.width, -1, *folded.shape[1:])

    def along(self, tensor: Tensor, apart: Tensor) -> Tensor:
        """Return a parameter so that it broadcasts with [lane, example, ...] along the last dimensions."""
        if not self.is_stacked(tensor):
            return tensor
        return self.own(tensor).reshape(self.width, *(1,) * (apart.dim() - tensor.dim()), *tensor.shape[1:])

    def examples(self, apart: Tensor) -> Tensor:
        """Return a mask of the examples that are not padding.  # [lane, example, 1, ...]"""
        sizes = torch.tensor(self.sizes, device=apart.device)
        mask = torch.arange(self._batch, device=apart.device) < sizes[:, None]
        return mask.reshape(*mask.shape, *(1,) * (apart.dim() - 2))


def _linear(lanes: Lanes, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    rows = x.reshape(lanes.width, -1, x.shape[-1])  # [lane, row, input]
    weights = lanes.operand(weight) if lanes.is_stacked(weight) else weight.mT.expand(lanes.width, *weight.mT.shape)
    out = torch.bmm(rows, weights) if bias is None else torch.baddbmm(lanes.operand(bias), rows, weights)
    return out.flatten(0, 1) if x.dim() == 2 else out.view(*x.shape[:-1], -1)


def _convolution(
    function: Callable[..., Tensor],
    lanes: Lanes,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *args: Any,
    **kwargs: Any,
) -> Tensor:
    """Lane by lane: on a CPU dense kernels, channels-last, beat grouped ones."""
    parts = zip(x.chunk(lanes.width), lanes.each(weight), lanes.each(bias), strict=False)
    return torch.cat([function(part, kernel, shift, *args, **kwargs) for part, kernel, shift in parts])


def _embedding(lanes: Lanes, tokens: Tensor, weight: Tensor, **options: Any) -> Tensor:
    plain = options.get("padding_idx") is None and options.get("max_norm") is None
    if not plain or options.get("scale_grad_by_freq") or options.get("sparse"):
        raise NoLanes("embedding with options has no stacked form")
    firsts = torch.arange(lanes.width, device=tokens.device) * weight.shape[1]
    apart = lanes.apart(tokens)
    rows = apart + firsts.reshape(-1, *(1,) * (apart.dim() - 1))
    return F.embedding(rows.flatten(0, 1), lanes.own(weight).flatten(0, 1))


def _layer_norm(
    lanes: Lanes,
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Tensor:
    apart = lanes.apart(F.layer_norm(x, normalized_shape, None, None, eps))
    if weight is not None:
        apart = apart * lanes.along(weight, apart)
    if bias is not None:
        apart = apart + lanes.along(bias, apart)
    return apart.flatten(0, 1)


def _batch_norm(
    lanes: Lanes,
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalise by the statistics of each lane's own examples (Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1).

    ``x``: [lane * example, channel, ...].
    """
    if not training:
        raise NoLanes("batch_norm by running statistics has no stacked form")
    apart = lanes.apart(x).movedim(2, -1)  # [lane, example, ..., channel]
    dims = tuple(range(1, apart.dim() - 1))
    mask = lanes.examples(apart)
    counts = torch.tensor(lanes.sizes, device=x.device)[:, None] * (x[0, 0].numel())  # [lane, 1]

    def mean(values: Tensor) -> Tensor:
        total = torch.where(mask, values, 0.0).sum(dims)  # [lane, channel]
        return total / counts

    means = mean(apart)
    centred = apart - means.reshape(lanes.width, *(1,) * len(dims), -1)
    variances = mean(centred.square())
    with torch.no_grad():
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(means, momentum)
            running_var.lerp_(variances * counts / (counts - 1), momentum)
    scales = (variances + eps).rsqrt()
    if weight is not None:
        scales = scales * lanes.own(weight)
    normal = centred * scales.reshape(lanes.width, *(1,) * len(dims), -1)
    if bias is not None:
        normal = normal + lanes.along(bias, normal)
    return normal.movedim(-1, 2).flatten(0, 1)


def _combine(function: Callable[..., Tensor], lanes: Lanes, one: Any, other: Any, **kwargs: Any) -> Tensor:
    """Add, multiply: a folded batch and a parameter that broadcasts along its last dimensions."""
    folded, parameter = (other, one) if lanes.is_stacked(one) else (one, other)
    if not isinstance(folded, Tensor):
        raise NoLanes(f"{resolve_name(function)} of a parameter and a number has no stacked form")
    apart = lanes.apart(lanes.own(folded))
    pair = lanes.along(parameter, apart), apart
    return function(*(pair if folded is other else pair[::-1]), **kwargs).flatten(0, 1)


def _count(_: Lanes, counter: Tensor, step: int) -> Tensor:
    return counter.add_(step)


_FORMS: dict[Any, Callable[..., Tensor]] = {
    F.linear: _linear,
    **{function: partial(_convolution, function) for function in (F.conv1d, F.conv2d, F.conv3d)},
    F.embedding: _embedding,
    F.layer_norm: _layer_norm,
    F.batch_norm: _batch_norm,
    **{function: partial(_combine, function) for function in (torch.add, torch.mul, Tensor.add, Tensor.mul)},
    Tensor.add_: _count,
}

_PRODUCTS = {F.linear, F.conv1d, F.conv2d, F.conv3d}
"""Functions that are computed lane by lane even with frozen weights: rounding may depend on the batch's length."""

_ANOTHER_WAY_AT_THE_END = {
    F.elu,
    F.gelu,
    F.mish,
    F.selu,
    F.sigmoid,
    F.silu,
    F.softplus,
    torch.selu,
    torch.sigmoid,
    Tensor.sigmoid,
}
"""Functions that compute what fills the processor's vectors by one formula, and what is left over by another."""


def _with_room_behind(function: Callable[..., Tensor], x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Apply an elementwise function so that nothing of ``x`` is left over."""
    return function(F.pad(x.flatten(), (0, 64)), *args, **kwargs)[: x.numel()].view(x.shape)
