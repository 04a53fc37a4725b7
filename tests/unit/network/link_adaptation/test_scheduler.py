from __future__ import annotations

import math

import numpy as np
import pytest

from netfed.network.link_adaptation.scheduler import scheduling_gain

USERS = np.array([1, 2, 4, 10, 100, 1000])
HARMONIC = np.array([math.fsum(1 / k for k in range(1, n + 1)) for n in USERS])


def test_round_robin_gains_nothing() -> None:
    assert scheduling_gain("round-robin", USERS, 10.0).tolist() == [1.0] * len(USERS)


def test_at_low_sinr_proportional_fair_gains_the_harmonic_number() -> None:
    assert scheduling_gain("proportional-fair", USERS, 1e-6) == pytest.approx(HARMONIC, rel=1e-4)


@pytest.mark.parametrize("sinr", [0.1, 3.0, 100.0])
def test_it_gains_what_drawn_channels_gain(sinr: float) -> None:
    fading = np.random.Generator(np.random.PCG64(3)).exponential(size=(40_000, 8))
    drawn = np.log2(1 + sinr * fading.max(axis=1)).mean() / np.log2(1 + sinr * fading).mean()
    assert scheduling_gain("proportional-fair", 8, sinr) == pytest.approx(drawn, rel=0.01)


def test_it_gains_more_with_users_and_less_with_sinr_but_no_user_gets_more_than_alone() -> None:
    gains = np.array([scheduling_gain("proportional-fair", USERS, sinr) for sinr in (0.01, 1.0, 10.0, 1000.0)])
    assert gains[:, 0] == pytest.approx(1.0)
    assert (np.diff(gains, axis=1) > 0).all()
    assert (np.diff(gains[:, 1:], axis=0) < 0).all()
    assert (gains <= HARMONIC + 1e-9).all()
    assert (gains <= USERS + 1e-9).all()


def test_an_empty_cell_is_like_a_cell_of_one() -> None:
    assert scheduling_gain("proportional-fair", 0, 1.0) == pytest.approx(1.0)


def test_a_count_gains_the_same_whatever_is_asked_beside_it() -> None:
    assert scheduling_gain("proportional-fair", [5, 100_000], 2.0)[0] == scheduling_gain("proportional-fair", 5, 2.0)


def test_each_cell_gains_what_its_own_sinr_gives() -> None:
    """Ten users gain much at -3 dB, and little at 30 dB."""
    gains = scheduling_gain("proportional-fair", [10, 10, 1], [10**-0.3, 1e3, 5.0])
    assert gains == pytest.approx([2.42, 1.25, 1.0], abs=0.01)
    assert gains[2] == 1.0
