from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfed.errors import SimulationError
from netfed.network.mobility.records import Records

STEPS = st.lists(st.tuples(st.booleans(), st.lists(st.integers(0, 19), min_size=1, max_size=6)), max_size=12)


@given(STEPS)
def test_a_device_has_a_record_of_its_own_until_it_is_released(steps: list[tuple[bool, list[int]]]) -> None:
    records = Records(20, np.dtype([("owner", np.int64)]))
    held: set[int] = set()
    for released, ids in steps:
        if released:
            records.release(np.array(ids))
            held -= set(ids)
        else:
            rows, new = records.claim(np.array(ids))
            assert new.tolist() == [device not in held for device in ids]
            records.table["owner"][rows] = ids
            held |= set(ids)
        rows = records.rows(np.array(sorted(held), np.int64))
        assert records.table["owner"][rows].tolist() == sorted(held)
        for device in set(range(20)) - held:
            with pytest.raises(SimulationError, match=f"device {device} has no record"):
                records.rows(np.array([device]))


def test_released_rows_are_used_again() -> None:
    records = Records(1_000_000, np.dtype([("owner", np.int64)]))
    for first in range(0, 10_000, 100):
        ids = np.arange(first, first + 100)
        records.claim(ids)
        records.release(ids)
    assert len(records.table) == 100


def test_devices_are_those_that_there_are() -> None:
    with pytest.raises(IndexError):
        Records(3, np.dtype([("owner", np.int64)])).claim(np.array([3]))
