from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from netfed.learning.cost import Cost, step_cost
from netfed.learning.models.spec import BatchNormCNN, ConvTransformer

FLOAT_BYTES = 4


def cost(function: Callable[[], object]) -> Cost:
    def step() -> None:
        function()

    return step_cost(step)


def training_step(module: nn.Module, inputs: Tensor) -> Callable[[], None]:
    def step() -> None:
        outputs = module(inputs)
        (outputs[0] if isinstance(outputs, tuple) else outputs).sum().backward()

    return step


def leaf(*shape: int) -> Tensor:
    return torch.randn(*shape, requires_grad=True)


def test_costs_add_and_scale() -> None:
    assert Cost(1, 2) + 3 * Cost(10, 20) * 2 == Cost(61, 122)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_one_product_forward_and_two_backward(bias: bool) -> None:
    linear, inputs = nn.Linear(7, 11, bias=bias), leaf(5, 7)
    product = 2 * 5 * 7 * 11
    assert cost(lambda: linear(inputs)).flops == product
    assert step_cost(training_step(linear, inputs)).flops == 3 * product
    assert step_cost(training_step(linear, inputs.detach())).flops == 2 * product  # no gradient of the inputs


def test_bytes_of_a_linear_map_are_those_of_its_operands_and_result() -> None:
    linear, inputs = nn.Linear(7, 11), torch.randn(5, 7)
    assert cost(lambda: linear(inputs)).bytes == FLOAT_BYTES * (5 * 7 + 7 * 11 + 11 + 5 * 11)


def test_convolution_is_one_product_per_output_pixel_forward_and_two_backward() -> None:
    convolution, inputs = nn.Conv2d(3, 8, kernel_size=3, padding=1), leaf(2, 3, 10, 12)
    product = 2 * 2 * 8 * (10 * 12) * (3 * 3 * 3)
    assert cost(lambda: convolution(inputs)).flops == product
    assert step_cost(training_step(convolution, inputs)).flops == 3 * product
    assert cost(lambda: convolution(inputs)).bytes == FLOAT_BYTES * (2 * 3 * 120 + 8 * 27 + 8 + 2 * 8 * 120)


@pytest.mark.parametrize("sources", [6, 9])
def test_attention_is_two_products_forward_and_five_backward(sources: int) -> None:
    query, key, value = leaf(2, 3, 6, 8), leaf(2, 3, sources, 8), leaf(2, 3, sources, 8)
    product = 2 * (2 * 3) * 6 * sources * 8

    def attend() -> Tensor:
        return functional.scaled_dot_product_attention(query, key, value)

    assert cost(attend).flops == 2 * product
    assert cost(lambda: attend().sum().backward()).flops == (2 + 5) * product


def test_fused_lstm_is_its_gates_products() -> None:
    lstm, inputs = nn.LSTM(5, 6), leaf(7, 2, 5)
    gates = 2 * (7 * 2) * (4 * 6) * (5 + 6)
    assert cost(lambda: lstm(inputs)).flops == gates
    assert step_cost(training_step(lstm, inputs)).flops == 3 * gates


@pytest.mark.parametrize(
    ("operation", "flops"),
    [
        (lambda: torch.mv(torch.ones(3, 4), torch.ones(4)), 24),
        (lambda: torch.addmv(torch.ones(3), torch.ones(3, 4), torch.ones(4)), 24),
        (lambda: torch.dot(torch.ones(4), torch.ones(4)), 8),
    ],
)
def test_products_with_a_vector_count(operation: Callable[[], Tensor], flops: int) -> None:
    assert cost(operation).flops == flops


def test_elementwise_addition_reads_two_and_writes_one() -> None:
    first, second = torch.ones(6, 7), torch.ones(6, 7)
    assert cost(lambda: first + second) == Cost(0, 3 * 6 * 7 * FLOAT_BYTES)
    assert cost(lambda: first.add_(second)) == Cost(0, 3 * 6 * 7 * FLOAT_BYTES)
    assert cost(lambda: torch._foreach_add_([first, first], [second, second])).bytes >= 2 * 2 * 6 * 7 * FLOAT_BYTES


def test_an_expanded_tensor_is_read_once() -> None:
    row, matrix, nothing = torch.ones(7), torch.ones(6, 7), torch.ones(1).expand(0)
    assert cost(lambda: matrix + row.expand(6, 7)).bytes == (7 + 2 * 42) * FLOAT_BYTES
    assert cost(lambda: nothing.neg()).bytes == 0


def test_views_and_allocations_are_free() -> None:
    x = torch.ones(6, 8)
    free = [
        lambda: x.view(8, 6),
        lambda: x.t(),
        lambda: x[1:, ::2],
        lambda: x.expand(3, 6, 8),
        lambda: x.unflatten(1, (2, 4)).permute(2, 0, 1),
        lambda: x.split(2),
        lambda: x.detach(),
        lambda: torch.empty(9),
        lambda: torch.empty_like(x),
        lambda: x.new_empty(3),
        lambda: x.shape,
    ]
    assert [cost(view) for view in free] == [Cost(0, 0)] * len(free)


@pytest.mark.parametrize("model", [BatchNormCNN(), ConvTransformer()])
def test_a_models_count_depends_on_shapes_alone(model: BatchNormCNN | ConvTransformer) -> None:
    counts = {
        step_cost(training_step(model.build((1, 8, 8), 10, seed), scale * torch.randn(batch, 1, 8, 8)))
        for seed, scale, batch in ((0, 1.0, 16), (1, 0.0, 16), (2, 1e6, 16))
    }
    assert len(counts) == 1
    assert next(iter(counts)).flops > 1e6
    half = step_cost(training_step(model.build((1, 8, 8), 10, 0), torch.randn(8, 1, 8, 8)))
    assert 2 * half.flops == next(iter(counts)).flops


def test_counting_changes_no_result() -> None:
    model, inputs = BatchNormCNN().build((1, 8, 8), 10, 0), torch.randn(4, 1, 8, 8)
    twin = BatchNormCNN().build((1, 8, 8), 10, 0)
    training_step(twin, inputs)()
    step_cost(training_step(model, inputs))
    for counted, plain in zip(model.parameters(), twin.parameters(), strict=True):
        assert counted.grad is not None
        assert plain.grad is not None
        assert torch.equal(counted.grad, plain.grad)
