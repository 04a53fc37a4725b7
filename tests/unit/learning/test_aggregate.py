from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.learning.aggregate import apply_deltas

MODEL = {"weight": torch.tensor([[1.0, 2.0], [3.0, 4.0]]), "count": torch.tensor(10)}


def as_it_is(sent: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return sent


def delta(weight: float, count: int) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((2, 2), weight), "count": torch.tensor(count)}


def test_the_model_plus_the_weighted_sum() -> None:
    model = apply_deltas([0.25, 0.5], as_it_is, MODEL, delta(4.0, 4), delta(8.0, 2))
    assert model["weight"].tolist() == [[6.0, 7.0], [8.0, 9.0]]
    assert model["count"].item() == 12
    assert {name: tensor.dtype for name, tensor in model.items()} == {"weight": torch.float32, "count": torch.int64}


def test_counters_are_rounded_to_the_nearest() -> None:
    for count, expected in ((1, 10), (2, 11), (-1, 10), (-2, 9)):
        assert apply_deltas([0.3], as_it_is, MODEL, delta(0.0, count))["count"].item() == expected


def test_nothing_that_it_is_given_changes() -> None:
    kept = {name: tensor.clone() for name, tensor in MODEL.items()}
    sent = delta(4.0, 4)
    apply_deltas([1.0], as_it_is, MODEL, sent)
    assert all(torch.equal(MODEL[name], tensor) for name, tensor in kept.items())
    assert torch.equal(sent["weight"], torch.full((2, 2), 4.0))


def test_without_updates_the_model_stays_to_the_bit() -> None:
    model = {"weight": torch.randn(50), "count": torch.tensor(2**53 - 1)}
    same = apply_deltas([], as_it_is, model)
    assert all(torch.equal(same[name], tensor) for name, tensor in model.items())


def test_the_sum_is_taken_in_float64() -> None:
    """A thousand steps of half an ulp: float32 would lose each of them."""
    model = {"weight": torch.ones(1)}
    steps = [{"weight": torch.full((1,), 2.0**-24)} for _ in range(1000)]
    assert apply_deltas([1.0] * 1000, as_it_is, model, *steps)["weight"].item() == 1 + 500 * 2.0**-23


def test_updates_are_decoded_one_at_a_time() -> None:
    order: list[str] = []

    def decode(sent: str) -> dict[str, torch.Tensor]:
        order.append(sent)
        return delta(1.0, 0)

    apply_deltas([0.5, 0.5], decode, MODEL, "first", "second")
    assert order == ["first", "second"]


def test_every_update_has_a_weight() -> None:
    with pytest.raises(ValueError):
        apply_deltas([1.0], as_it_is, MODEL, delta(1.0, 1), delta(1.0, 1))


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-8, 8, width=32)), max_size=6))
@settings(max_examples=50, deadline=None)
def test_it_is_the_sum_of_exact_numbers(parts: list[tuple[float, float]]) -> None:
    from fractions import Fraction

    model = apply_deltas([weight for weight, _ in parts], as_it_is, MODEL, *(delta(value, 0) for _, value in parts))
    exact = 1 + sum((Fraction(weight) * Fraction(value) for weight, value in parts), Fraction(0))
    assert abs(Fraction(model["weight"][0, 0].item()) - exact) <= Fraction(2**-24) * max(1, abs(exact)) + Fraction(
        1, 10**14
    )
