from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfed.schemes.staleness import Constant, Hinge, Polynomial, Staleness

KINDS: list[Staleness] = [Constant(), Polynomial(), Polynomial(2.0), Hinge(slope=10.0, tolerance=4)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@given(staleness=st.integers(0, 1000))
def test_a_fresh_update_counts_whole_and_none_more_than_a_fresher_one(kind: Staleness, staleness: int) -> None:
    assert kind.factor(0) == 1
    assert 0 < kind.factor(staleness + 1) <= kind.factor(staleness)


def test_factors() -> None:
    assert Constant().factor(7) == 1
    assert Polynomial(0.5).factor(3) == 0.5
    assert Polynomial(0.0).factor(3) == 1
    assert [Hinge(2.0, 1).factor(staleness) for staleness in (1, 2, 3)] == [1, 1 / 3, 1 / 5]
