from __future__ import annotations

import random

import pytest

from netfed.network.link_adaptation.harq import mean_submissions, mean_transmissions, residual_loss
from netfed.network.link_adaptation.thresholds import BLER_TARGET


def test_a_block_that_is_never_repeated_is_sent_once() -> None:
    assert mean_transmissions(1) == 1.0
    assert residual_loss(1) == BLER_TARGET == 0.1


def test_four_transmissions_at_a_tenth() -> None:
    assert mean_transmissions(4) == pytest.approx(1.111)
    assert residual_loss(4) == pytest.approx(1e-4)


@pytest.mark.parametrize("limit", [1, 2, 4, 16])
@pytest.mark.parametrize("bler", [0.0, 0.1, 0.5])
def test_what_arrives_of_what_is_sent_is_what_is_not_lost(limit: int, bler: float) -> None:
    assert (1 - residual_loss(limit, bler)) / mean_transmissions(limit, bler) == pytest.approx(1 - bler)


@pytest.mark.parametrize("limit", [1, 2, 4, 16])
@pytest.mark.parametrize("bler", [0.0, 0.1, 0.5])
def test_a_block_takes_as_many_transmissions_whoever_sends_it_again(limit: int, bler: float) -> None:
    assert mean_submissions(limit, bler) == pytest.approx(1 / (1 - bler**limit))
    assert mean_transmissions(limit, bler) * mean_submissions(limit, bler) == pytest.approx(1 / (1 - bler))


def test_blocks_submitted_until_they_are_there_agree() -> None:
    draw = random.Random(7)
    sent = submitted = 0
    for _ in range(20_000):
        arrived = False
        while not arrived:
            submitted += 1
            for _ in range(2):
                sent += 1
                if arrived := draw.random() >= 0.3:
                    break
    assert submitted / 20_000 == pytest.approx(mean_submissions(2, 0.3), rel=0.01)
    assert sent / submitted == pytest.approx(mean_transmissions(2, 0.3), rel=0.01)


def test_blocks_sent_one_by_one_agree() -> None:
    draw = random.Random(4)
    sent = lost = 0
    for _ in range(20_000):
        for transmission in range(1, 4):
            sent += 1
            if draw.random() >= 0.3:
                break
            lost += transmission == 3
    assert sent / 20_000 == pytest.approx(mean_transmissions(3, 0.3), rel=0.02)
    assert lost / 20_000 == pytest.approx(residual_loss(3, 0.3), rel=0.15)
