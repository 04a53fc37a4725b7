from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.streams import Streams

ADDRESS = st.integers(0, 2**63 - 1)


def test_draws_never_change_from_one_version_to_the_next() -> None:
    """Whoever changes these values changes every world that was ever published."""
    streams = Streams(1)
    assert streams.seed("training", 3, 4) == 5327235834015022950
    assert streams.uniform("loss", [0, 1, 2], 5).tolist() == [
        0.6927959422802574,
        0.3697201415248958,
        0.5907197516822227,
    ]
    assert streams.generator("split").integers(0, 1000, 4).tolist() == [914, 737, 451, 806]


@given(seed=st.integers(0, 2**64), entity=ADDRESS, index=ADDRESS, others=st.lists(ADDRESS, max_size=5))
@settings(max_examples=100, deadline=None)
def test_a_draw_depends_on_its_address_alone(seed: int, entity: int, index: int, others: list[int]) -> None:
    alone = Streams(seed).uniform("loss", entity, index)
    streams = Streams(seed)
    streams.uniform("other", others)
    streams.normal("loss", others)
    among = streams.uniform("loss", [*others, entity], index)
    assert among[-1] == alone
    assert 0 < alone < 1
    assert streams.draw("loss", entity, index) == alone
    assert streams.seed("loss", entity, index) == Streams(seed).seed("loss", entity, index) < 2**64


def test_each_part_of_an_address_counts() -> None:
    drawn = [
        Streams(seed).uniform(name, entity, index).item()
        for seed in (0, 1)
        for name in ("a", "b")
        for entity in (0, 1)
        for index in (0, 1)
    ]
    seeds = [
        Streams(seed).seed(name, *address) for seed in (0, 1) for name in ("a", "b") for address in ((0, 1), (1, 0))
    ]
    assert len(set(drawn)) == 16
    assert len(set(seeds)) == 8
    assert Streams(0).seed("a", 1, 11) != Streams(0).seed("a", 11, 1)


def test_shapes_broadcast() -> None:
    streams = Streams(7)
    table = streams.uniform("loss", np.arange(4)[:, None], np.arange(3))
    assert table.shape == (4, 3)
    assert table[2, 1] == streams.uniform("loss", 2, 1)
    assert streams.uniform("loss", []).shape == (0,)


def test_generators_of_an_address_start_alike_and_go_on_by_themselves() -> None:
    streams = Streams(7)
    one, same, other = (streams.generator("split", address) for address in (1, 1, 2))
    first = one.random(100)
    assert (first == same.random(100)).all()
    assert (first != other.random(100)).all()


@pytest.mark.parametrize("axis", ["entity", "index"])
def test_draws_are_uniform_and_independent_of_their_neighbours(axis: str) -> None:
    """Kolmogorov-Smirnov at 1e-4 (1.95 / sqrt(n)), and correlations within five standard deviations."""
    count = np.arange(20_000)
    streams = Streams(11)
    drawn = streams.uniform("loss", count, 3) if axis == "entity" else streams.uniform("loss", 3, count)
    ranks = (np.arange(len(drawn)) + 0.5) / len(drawn)
    assert np.abs(np.sort(drawn) - ranks).max() < 1.95 / len(drawn) ** 0.5
    for lag in (1, 2, 7):
        assert abs(np.corrcoef(drawn[lag:], drawn[:-lag])[0, 1]) < 5 / len(drawn) ** 0.5
    other = streams.uniform("dropout", count, 3)
    assert abs(np.corrcoef(drawn, other)[0, 1]) < 5 / len(drawn) ** 0.5


def test_normal_draws_are_normal() -> None:
    drawn = Streams(11).normal("speed", np.arange(40_000))
    assert abs(drawn.mean()) < 5 / 40_000**0.5
    assert abs(drawn.std() - 1) < 5 / 80_000**0.5
    assert abs((np.abs(drawn) < 1.959964).mean() - 0.95) < 0.006
    assert np.isfinite(drawn).all()


def test_many_draws_at_once_are_those_of_each() -> None:
    streams, ids = Streams(11), np.arange(50_000)[::-1]
    drawn = streams.uniform("selection", ids, 4)
    assert drawn.shape == ids.shape
    for place in (0, 1, 2**15 - 1, 2**15, 49_999):
        assert drawn[place] == streams.draw("selection", int(ids[place]), 4)
    assert (streams.uniform("selection", ids, np.full(50_000, 4)) == drawn).all()
