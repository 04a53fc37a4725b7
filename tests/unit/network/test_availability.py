from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfed.network.availability import Always, Windows

PHASE = st.floats(0, 1, exclude_min=True, exclude_max=True).map(lambda phase: np.array([phase]))


@given(PHASE, st.floats(1e-3, 1e6), st.floats(1e-3, 1), st.floats(0, 1e7))
def test_window_is_the_first_that_ends_after_now(phase: np.ndarray, period: float, share: float, now_s: float) -> None:
    windows = Windows(period=period, duration=share * period)
    start_s, end_s = (float(bound[0]) for bound in windows.window(phase, now_s))
    assert end_s > now_s
    if share == 1:
        assert (start_s, end_s) == (now_s, math.inf)
    else:
        rounding_s = 8 * math.ulp(max(now_s, period))
        assert end_s - period <= now_s + rounding_s
        assert end_s - start_s == pytest.approx(windows.duration, abs=rounding_s)
        index = start_s / period - phase[0]
        assert index == pytest.approx(round(index), rel=1e-9, abs=1e-9)


def test_always_is_always() -> None:
    start_s, end_s = Always().window(np.array([0.1, 0.9]), 5.0)
    assert (start_s <= 5.0).all()
    assert (end_s == math.inf).all()
