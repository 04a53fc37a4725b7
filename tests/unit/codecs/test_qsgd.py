from __future__ import annotations

import pytest
import torch

from netfed.codecs.float32 import Float32
from netfed.codecs.qsgd import QSGD
from netfed.layout import Layout, TensorSpec
from netfed.plugin import read


def layout(*sizes: int) -> Layout:
    return {str(i): TensorSpec((size,), "float32", True) for i, size in enumerate(sizes)}


def coded(codec: QSGD, *tensors: list[float], seed: int = 0) -> list[float]:
    shape = layout(*map(len, tensors))
    update = {str(i): torch.tensor(tensor) for i, tensor in enumerate(tensors)}
    body, state = codec.encode(update, shape, None, torch.Generator().manual_seed(seed))
    assert state is None
    return torch.cat(list(codec.decode(body, shape).values())).tolist()


def test_a_body_has_a_norm_for_each_bucket_and_codes_without_gaps() -> None:
    shape = {**layout(10, 5), "mean": TensorSpec((2,), "float32", False)}
    assert QSGD(entry_bits=3, bucket=4).body_bytes(shape) == 4 * 4 + 6 + 8
    assert QSGD(entry_bits=3, bucket=5).body_bytes(shape) == 4 * 3 + 6 + 8
    assert QSGD(entry_bits=3, bucket=99).body_bytes(shape) == 4 * 1 + 6 + 8


def test_entries_on_a_level_are_exact() -> None:
    for entry_bits in range(2, 17):
        assert coded(QSGD(entry_bits), [-2.5, 0.0]) == [-2.5, 0.0]
    assert coded(QSGD(entry_bits=3), [0.0, 0.0, 0.0]) == [0.0, 0.0, 0.0]


def test_entries_fall_on_one_of_the_two_levels_around_them() -> None:
    update = [3.0, -4.0]  # norm 5, levels 5/3 apart
    seen = {tuple(round(3 * entry / 5) for entry in coded(QSGD(entry_bits=3), update, seed=seed)) for seed in range(60)}
    assert seen == {(1, -2), (2, -2), (1, -3), (2, -3)}


def test_a_bucket_runs_on_over_tensors_and_has_a_norm_of_its_own() -> None:
    got = coded(QSGD(entry_bits=2, bucket=2), [8.0], [0.0, 0.5, 0.0], [4.0])
    assert got == [8.0, 0.0, 0.5, 0.0, 4.0]


def test_randomness_is_the_generators() -> None:
    update = torch.linspace(-1, 1, 50).tolist()
    assert coded(QSGD(4), update, seed=1) == coded(QSGD(4), update, seed=1) != coded(QSGD(4), update, seed=2)


def test_tiny_and_large_entries_keep_their_size() -> None:
    assert coded(QSGD(8), [1e-45]) == coded(Float32(), [1e-45])  # the smallest number above zero
    assert coded(QSGD(8), [1e-30, 0.0]) == coded(Float32(), [1e-30, 0.0])  # its square is below the smallest
    assert coded(QSGD(8), [1e30, 0.0]) == coded(Float32(), [1e30, 0.0])  # its square is above the largest


def test_one_bad_entry_spoils_its_bucket_only() -> None:
    got = torch.tensor(coded(QSGD(4, bucket=2), [1.0, 0.0, float("inf"), 1.0, 0.0, 2.0]))
    assert got.isfinite().tolist() == [True, True, False, False, True, True]


def test_full_precision_sends_the_floats_themselves() -> None:
    shape = {**layout(7, 3), "count": TensorSpec((), "int64", False)}
    update = {"0": torch.randn(7), "1": torch.tensor([0.0, -0.0, 1e-42]), "count": torch.tensor(7)}
    full, plain = (codec.encode(update, shape, None, torch.Generator()) for codec in (QSGD(32), Float32()))
    assert full == plain
    assert QSGD(32).bits(shape) == Float32().bits(shape)


def test_precision_is_2_to_16_bits_or_full() -> None:
    assert read(QSGD, {"entry_bits": 4, "bucket": 128}) == QSGD(4, 128)
    for entry_bits in (1, 17, 31, 33):
        with pytest.raises(ValueError, match="entry_bits"):
            read(QSGD, {"entry_bits": entry_bits})
