from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netfed.learning.server import Adam, Mean, Momentum, ServerOptimizer, Yogi


def steps(server: ServerOptimizer, means: Sequence[float]) -> list[float]:
    """The steps that a server makes of mean updates, one after the other."""
    memory, made = server.start(), []
    for mean in means:
        update = torch.tensor([mean], dtype=torch.float64)
        memory = server.remember(update, memory)
        made.append(server.step(update, memory).item())
    return made


def test_the_mean_is_its_own_step() -> None:
    assert Mean().start() == {}
    assert steps(Mean(), [1.5, -2.0]) == [1.5, -2.0]


def test_velocity_adds_up() -> None:
    assert steps(Momentum(momentum=0.5), [1.0, 1.0, 0.0, -1.0]) == [1.0, 1.5, 0.75, -0.625]
    assert steps(Momentum(momentum=0.5, learning_rate=0.5), [1.0, 1.0]) == [0.5, 0.75]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=5))
def test_without_momentum_the_mean_is_the_step_to_the_bit(means: list[float]) -> None:
    assert steps(Momentum(momentum=0.0), means) == means


@pytest.mark.parametrize("kind", [Adam, Yogi])
def test_adaptive_steps_are_those_of_the_paper(kind: type[Adam] | type[Yogi]) -> None:
    """Algorithm 2 of arXiv:2003.00295, written out for one number."""
    rate, tau, beta1, beta2 = 0.1, 1e-2, 0.8, 0.95
    means = [0.5, -0.25, 0.0, 4.0, 0.01]
    m, v, expected = 0.0, tau**2, []
    for delta in means:
        m = beta1 * m + (1 - beta1) * delta
        if kind is Adam:
            v = beta2 * v + (1 - beta2) * delta**2
        else:
            v = v - (1 - beta2) * delta**2 * math.copysign(1.0, v - delta**2)
        expected.append(rate * m / (math.sqrt(v) + tau))
    assert steps(kind(rate, (beta1, beta2), tau), means) == pytest.approx(expected, rel=1e-12)


def test_yogi_forgets_a_large_update_more_slowly_than_adam() -> None:
    means = [10.0] + [0.01] * 20
    slow, fast = (steps(kind(0.1, (0.0, 0.9)), means)[-1] for kind in (Yogi, Adam))
    assert 0 < slow < fast / 2


def test_elements_do_not_meet() -> None:
    server = Adam(0.1)
    both = torch.tensor([1.0, -3.0], dtype=torch.float64)
    together = server.step(both, server.remember(both, server.start()))
    assert together.tolist() == steps(server, [1.0]) + steps(server, [-3.0])
