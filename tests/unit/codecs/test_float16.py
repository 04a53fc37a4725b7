from __future__ import annotations

import math

import pytest
import torch

from netfed.codecs.float16 import BFloat16, Float16
from netfed.codecs.spec import Codec
from netfed.layout import Layout, TensorSpec


def sent(codec: Codec, *numbers: float) -> list[float]:
    layout: Layout = {"weight": TensorSpec((len(numbers),), "float32", True)}
    body, state = codec.encode({"weight": torch.tensor(numbers)}, layout, None, torch.Generator())
    assert state is None
    assert len(body) == 2 * len(numbers)
    return codec.decode(body, layout)["weight"].tolist()


@pytest.mark.parametrize(("codec", "step"), [(Float16(), 2**-10), (BFloat16(), 2**-7)])
def test_numbers_are_rounded_to_nearest_even(codec: Codec, step: float) -> None:
    exact = [0.0, 1.0, -2.5, 1 + step, 2.0**-14]
    assert sent(codec, *exact) == exact
    assert sent(codec, 1 + 0.49 * step, 1 + 0.51 * step) == [1.0, 1 + step]
    assert sent(codec, 1 + 0.5 * step, 1 + 1.5 * step) == [1.0, 1 + 2 * step]


@pytest.mark.parametrize(("codec", "largest"), [(Float16(), 65504.0), (BFloat16(), (2 - 2**-7) * 2.0**127)])
def test_what_is_too_large_saturates_and_what_is_not_finite_stays_so(codec: Codec, largest: float) -> None:
    float32_max = torch.finfo(torch.float32).max
    assert sent(codec, largest, float32_max, -float32_max, math.inf, -math.inf) == [
        largest,
        largest,
        -largest,
        math.inf,
        -math.inf,
    ]
    assert math.isnan(sent(codec, math.nan)[0])


def test_formats_differ_in_range() -> None:
    assert sent(Float16(), 1e-9, 70_000.0) == [0.0, 65504.0]
    assert sent(BFloat16(), 1e-9, 70_000.0) == pytest.approx([1e-9, 70_000], rel=2**-8)


def test_bytes_are_little_endian_on_every_machine() -> None:
    layout: Layout = {"weight": TensorSpec((2,), "float32", True)}
    update = {"weight": torch.tensor([1.0, -2.0])}
    assert Float16().encode(update, layout, None, torch.Generator())[0].hex(" ", 2) == "003c 00c0"
    assert BFloat16().encode(update, layout, None, torch.Generator())[0].hex(" ", 2) == "803f 00c0"
