from __future__ import annotations

import pytest
import torch

from netfed.codecs.sign import SignSGD
from netfed.layout import Layout, TensorSpec

LAYOUT: Layout = {
    "weight": TensorSpec((2, 2), "float32", True),
    "mean": TensorSpec((3,), "float32", False),
    "bias": TensorSpec((1,), "float32", True),
}


def test_signs_have_their_tensors_mean_magnitude() -> None:
    update = {"weight": torch.tensor([[4.0, -1.0], [0.0, 3.0]]), "mean": torch.ones(3), "bias": torch.tensor([-7.0])}
    body, state = SignSGD().encode(update, LAYOUT, None, torch.Generator())
    assert len(body) == 2 * 4 + 1 + 3 * 4
    decoded = SignSGD().decode(body, LAYOUT)
    assert decoded["weight"].tolist() == [[2.0, -2.0], [2.0, 2.0]]
    assert decoded["bias"].tolist() == [-7.0]
    assert decoded["mean"].tolist() == [1.0, 1.0, 1.0]
    assert state is not None
    assert state["residual"].tolist() == [2.0, 1.0, -2.0, 1.0, 0.0]


def test_what_was_left_out_is_added_to_the_next() -> None:
    update = {"weight": torch.tensor([[0.0, 0.0], [0.0, 0.0]]), "mean": torch.ones(3), "bias": torch.tensor([0.0])}
    body, state = SignSGD().encode(update, LAYOUT, {"residual": torch.tensor([2.0, 1, -2, 1, 0])}, torch.Generator())
    assert SignSGD().decode(body, LAYOUT)["weight"].tolist() == [[1.5, 1.5], [-1.5, 1.5]]
    assert state is not None
    assert state["residual"].tolist() == [0.5, -0.5, -0.5, -0.5, 0.0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_one_bad_entry_spoils_its_tensor_in_this_upload_only(bad: float) -> None:
    update = {"weight": torch.tensor([[1.0, bad], [0.0, 1.0]]), "mean": torch.ones(3), "bias": torch.tensor([2.0])}
    body, state = SignSGD().encode(update, LAYOUT, None, torch.Generator())
    decoded = SignSGD().decode(body, LAYOUT)
    assert not decoded["weight"].isfinite().any()
    assert decoded["bias"].tolist() == [2.0]
    assert state is not None
    assert state["residual"].tolist() == [0.0, 0.0, 0.0, 0.0, 0.0]
