from __future__ import annotations

import pytest
import torch

from netfed.errors import ComputationFailed, MisshapenError
from netfed.layout import TensorSpec
from netfed.learning.aggregate import Mean, _mean
from netfed.learning.quarantine import HUGE, ORDINARY, Judge

LAYOUT = {"weight": TensorSpec((2, 2), "float32", True), "count": TensorSpec((), "int64", False)}


def update(size: float) -> dict[str, torch.Tensor]:
    return {"weight": torch.full((2, 2), size), "count": torch.tensor(0)}


def as_it_is(sent):
    return sent


def failure(cause: Exception) -> ComputationFailed:
    failed = ComputationFailed(f"training on device 3: {cause}")
    failed.__cause__ = cause
    return failed


def mean(*sent, start: float = 1000.0) -> Mean:
    """The plain mean of what was trained from a weight that is ``start`` everywhere; devices hold a count of 0."""
    origin = {"weight": torch.full((2, 2), start), "count": torch.tensor(0)}
    return _mean(as_it_is, LAYOUT, Judge(LAYOUT), [1 / len(sent)] * len(sent), [0] * len(sent), origin, *sent)


def causes(*sent, start: float = 1000.0) -> list[str | None]:
    return [fault and fault["cause"] for fault in mean(*sent, start=start).faults]


def test_good_updates_enter_the_mean() -> None:
    total, faults = mean(update(1.0), update(-2.0))
    assert faults == [None, None]
    assert torch.equal(total["weight"], torch.full((2, 2), -0.5, dtype=torch.float64))


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_one_number_that_is_not_finite_is_enough(number: float) -> None:
    bad = update(1.0)
    bad["weight"][1, 0] = number
    total, faults = mean(update(1.0), bad)
    assert faults == [None, {"cause": "not-finite", "detail": "there are numbers that are not finite in weight"}]
    assert torch.equal(total["weight"], torch.ones(2, 2, dtype=torch.float64))


def test_float32s_largest_number_is_finite() -> None:
    largest = torch.finfo(torch.float32).max
    assert causes(update(largest), start=largest) == [None]
    assert causes(update(1.0), update(1.0), update(1e30)) == [None, None, "huge"]


def test_what_is_huge_is_so_beside_the_median_of_the_sound_ones() -> None:
    assert causes(update(1.0), update(1.0), update(HUGE)) == [None, None, None]
    assert causes(update(1.0), update(1.0), update(1.01 * HUGE)) == [None, None, "huge"]
    assert causes(update(1.0), update(1.0), update(float("nan")), update(1000.0)) == [None, None, "not-finite", "huge"]
    assert causes(update(0.0), update(0.0), update(1.0)) == [None, None, None], "no scale to tell by"


@pytest.mark.parametrize("count", [1, 2, 5])
def test_what_is_huge_is_so_beside_what_it_was_trained_from_however_many_there_are(count: int) -> None:
    for start in (3.0, 1e4, -1e4):
        scale = abs(start)
        assert causes(*[update(0.99 * HUGE * scale)] * count, start=start) == [None] * count
        assert causes(*[update(1.01 * HUGE * scale)] * count, start=start) == ["huge"] * count
    detail = "its norm is 2e+03, 500 times that of what it was trained from"
    assert mean(update(1000.0), start=2.0).faults == [{"cause": "huge", "detail": detail}]


def test_what_starts_at_zero_may_become_something() -> None:
    """As biases and the second factor of a low-rank adapter do."""
    assert causes(update(0.99 * HUGE * ORDINARY), start=0.0) == [None]
    assert causes(update(1.01 * HUGE * ORDINARY), start=0.0) == ["huge"]


def test_a_failure_keeps_its_traceback() -> None:
    total, faults = mean(failure(ValueError("out of cheese")), failure(MisshapenError("too long")))
    assert total == {}
    assert faults[0]["cause"] == "failed"
    assert "ValueError: out of cheese" in faults[0]["traceback"]
    assert faults[1] == {"cause": "misshapen", "detail": "too long"}


def test_what_is_left_is_judged_but_once() -> None:
    """Without the largest the median is lower, and the next one would be the largest."""
    assert causes(*map(update, (1.0, 1.0, 3.0, 250.0, 400.0))) == [None] * 4 + ["huge"]


def test_how_long_a_device_trained_makes_nothing_huge() -> None:
    """BatchNorm counts its steps in a buffer: it tells neither for nor against an update."""
    long = update(1.0) | {"count": torch.tensor(10_000)}
    assert causes(update(1.0), update(1.0), long) == [None, None, None]
    far = update(1000.0) | {"count": torch.tensor(10_000)}
    assert causes(update(1.0) | {"count": torch.tensor(10_000)}, update(1.0), far) == [None, None, "huge"]
