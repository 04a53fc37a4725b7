"""What a training step costs a device, counted from the real model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry, shape_wrapper

aten = torch.ops.aten
Shape = Sequence[int]


@dataclass(frozen=True)
class Cost:
    """Work: floating-point operations, and bytes moved between memory and processor."""

    flops: float
    bytes: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.flops + other.flops, self.bytes + other.bytes)

    def __mul__(self, times: float) -> Cost:
        return Cost(self.flops * times, self.bytes * times)

    __rmul__ = __mul__


def step_cost(step: Callable[[], object]) -> Cost:
    """Run ``step`` once and count what it does on this thread, forward and backward.

    FLOPs are those of matrix products, convolutions, attention and recurrent layers, a multiply-add being two;
    elementwise operations (activations, normalisation, the optimiser) count only through the bytes that they move.
    Bytes are what each operation reads and writes, as if nothing stayed in a cache from one operation to the next;
    a view costs nothing. The count depends on shapes, never on values.
    """
    with _Counter() as counter:
        step()
    return Cost(float(counter.flops), float(counter.bytes))


class _Counter(TorchDispatchMode):
    """Adds up each operation's FLOPs, by PyTorch's formulas, and the bytes of the tensors that it reads and writes.

    PyTorch's own counter of FLOPs imports the compiler, which takes seconds.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0
        self.bytes = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Tell PyTorch that no code under this mode is compiled, so that it does not import the compiler either."""
        return False

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if (formula := _FORMULAS.get(func.overloadpacket)) is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=result)
        if not func.is_view and func.overloadpacket not in _MOVE_NOTHING:
            written = _written_in_place(func, args) if result is None else (result,)
            self.bytes += _bytes(args) + _bytes(written) + (_bytes(kwargs.values()) if kwargs else 0)
        return result


def _written_in_place(func: OpOverload, args: tuple[Any, ...]) -> list[Any]:
    """Return the arguments that an operation without a result (a ``_foreach_`` one, say) writes to."""
    declared = func._schema.arguments
    return [value for argument, value in zip(declared, args, strict=False) if argument.is_write]


_MOVE_NOTHING = {
    aten._unsafe_view,
    aten.empty,
    aten.empty_like,
    aten.empty_strided,
    aten.new_empty,
    aten.new_empty_strided,
}


def _bytes(values: Iterable[Any]) -> int:
    """Return the size of what tensors hold, those in lists too; elements that an expansion repeats count once."""
    size = 0
    for value in values:
        if isinstance(value, Tensor):
            sides = zip(value.shape, value.stride(), strict=True)
            size += value.element_size() * prod(side for side, stride in sides if stride or not side)
        elif isinstance(value, list | tuple):
            size += _bytes(value)
    return size


def _attention_flops(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Two products, query x key and weights x value. Shapes [batch, head, token, width]."""
    pairs = prod(query[:-1]) * key[-2]
    return 2 * pairs * (query[-1] + value[-1])


def _attention_backward_flops(_gradient: Shape, query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Five products, as the scores are computed again (Dao et al. 2022, arXiv:2205.14135, algorithm 4)."""
    pairs = prod(query[:-1]) * key[-2]
    return 2 * pairs * (3 * query[-1] + 2 * value[-1])


def _recurrent_flops(sequence: Shape, from_input: Shape, from_state: Shape, *_: Any, **__: Any) -> int:
    """Input and state through all gates at each step. Shapes [step, example, input], [gate, input], [gate, state]."""
    return 2 * sequence[0] * sequence[1] * (prod(from_input) + prod(from_state))


def _recurrent_backward_flops(*shapes: Shape, **__: Any) -> int:
    return 2 * _recurrent_flops(*shapes)


def _matrix_vector_flops(matrix: Shape, *_: Any, **__: Any) -> int:
    return 2 * prod(matrix)


def _added_matrix_vector_flops(_added: Shape, matrix: Shape, *_: Any, **__: Any) -> int:
    return 2 * prod(matrix)


_UNCOUNTED_BY_TORCH: dict[Any, Callable[..., int]] = {
    aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flops,
    aten.mkldnn_rnn_layer: _recurrent_flops,
    aten.mkldnn_rnn_layer_backward: _recurrent_backward_flops,
    aten.mv: _matrix_vector_flops,
    aten.dot: _matrix_vector_flops,
    aten.addmv: _added_matrix_vector_flops,
}

_FORMULAS: dict[Any, Callable[..., int]] = {
    **flop_registry,
    **{operation: shape_wrapper(formula) for operation, formula in _UNCOUNTED_BY_TORCH.items()},
}
