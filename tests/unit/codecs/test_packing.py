from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.codecs.packing import pack, packed_bytes, unpack


@given(st.data(), st.integers(1, 64))
@settings(max_examples=200, deadline=None)
def test_numbers_survive(data: st.DataObject, width: int) -> None:
    numbers = np.array(data.draw(st.lists(st.integers(0, 2**width - 1), max_size=50)), np.uint64)
    packed = pack(numbers, width)
    assert len(packed) == packed_bytes(len(numbers), width) == math.ceil(len(numbers) * width / 8)
    assert unpack(packed, len(numbers), width).tolist() == numbers.tolist()


@pytest.mark.parametrize(
    ("numbers", "width", "packed"),
    [
        ([1, 0, 1, 1], 1, "10110000"),
        ([5, 2, 7], 3, "10101011 10000000"),
        ([255, 1], 8, "11111111 00000001"),
        ([257], 9, "10000000 10000000"),
        ([0x0102, 0x0304], 16, "00000001 00000010 00000011 00000100"),
    ],
)
def test_the_highest_bit_comes_first_and_nothing_lies_between(numbers: list[int], width: int, packed: str) -> None:
    assert pack(np.array(numbers), width) == bytes(int(byte, 2) for byte in packed.split())


def test_what_follows_is_not_read() -> None:
    assert unpack(pack(np.array([3, 1]), 2) + b"more", 2, 2).tolist() == [3, 1]


def test_booleans_are_bits() -> None:
    assert pack(np.array([True, False, True]), 1) == b"\xa0"
