from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.errors import ScenarioError
from netfed.learning.data.datasets import Synthetic
from netfed.learning.data.partitions import Iid, Natural, Quantity, Shards
from netfed.learning.data.shares import deal
from netfed.learning.data.spec import Examples, Partition, Split
from netfed.plugin import read
from netfed.streams import Streams

WORLD = Streams(7)
CLASSES = np.arange(2000) % 10


def labelled(labels: np.ndarray, clients: np.ndarray | None = None) -> Examples:
    return Examples(np.zeros((len(labels), 1), np.float32), labels, int(labels.max()) + 1, clients)


def sizes(partition: Partition, examples: int, devices: int, streams: Streams = WORLD) -> np.ndarray:
    return np.bincount(partition.split(labelled(CLASSES[:examples]), devices, streams), minlength=devices)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_every_example_has_one_owner_and_every_device_enough(data: st.DataObject) -> None:
    devices, least = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 4))
    examples = data.draw(st.integers(devices * least, devices * least + 150))
    labels = (
        Streams(data.draw(st.integers(0, 9))).generator("labels").integers(0, data.draw(st.integers(1, 9)), examples)
    )
    beta = data.draw(st.sampled_from([0.001, 0.3, 1.0, 1e6]))
    for partition in (Shards(least), Quantity(beta, least)):
        owners = partition.split(labelled(labels), devices, Streams(data.draw(st.integers(0, 9))))
        assert owners.dtype == np.int64
        assert owners.shape == labels.shape
        counts = np.bincount(owners)
        assert len(counts) == devices
        assert counts.min() >= least


@pytest.mark.parametrize("partition", [Shards(3), Quantity(0.5, 3)])
def test_too_few_examples_are_refused(partition: Partition) -> None:
    sizes(partition, 30, 10)
    with pytest.raises(ScenarioError, match=r"29 examples are too few for 10 devices .* lower devices\.count"):
        sizes(partition, 29, 10)


def test_a_device_has_the_classes_of_its_shards() -> None:
    owners = Shards(2).split(labelled(CLASSES), 100, WORLD)  # 200 shards of 10 examples; a class is 20 of them
    assert (np.bincount(owners) == 20).all()
    classes = np.array([len(np.unique(CLASSES[owners == device])) for device in range(100)])
    assert set(classes) == {1, 2}
    assert (classes == 2).mean() > 0.8
    assert len({tuple(np.unique(CLASSES[owners == device])) for device in range(100)}) > 25


def mean_class(devices: int, streams: Streams = WORLD) -> np.ndarray:
    owners = Shards(2).split(labelled(CLASSES), devices, streams)
    return np.array([CLASSES[owners == device].mean() for device in range(50)])


def test_another_device_hardly_moves_the_shards_of_the_others() -> None:
    assert np.abs(mean_class(51) - mean_class(50)).mean() < 0.15
    assert np.abs(mean_class(50, Streams(8)) - mean_class(50)).mean() > 1


def test_quantities_are_skewed_by_beta_and_classes_are_not() -> None:
    few, many = (sizes(Quantity(beta), 2000, 20) for beta in (0.1, 1000.0))
    assert few.max() > 600
    assert np.median(few) < 20
    assert (np.abs(many - 100) < 20).all()
    owners = Quantity(0.1).split(labelled(CLASSES), 20, WORLD)
    largest = np.bincount(CLASSES[owners == few.argmax()])
    assert (np.abs(largest / largest.mean() - 1) < 0.35).all()


def test_quantities_follow_dirichlet() -> None:
    """Dirichlet(b, ..., b) over n devices has the variance (n - 1) / (n^2 (n b + 1)) in each share."""
    shares = np.array([sizes(Quantity(0.5, 1), 2000, 10, Streams(seed)) / 2000 for seed in range(300)])
    assert shares.var(axis=0).mean() == pytest.approx(9 / (100 * (10 * 0.5 + 1)), rel=0.1)
    assert shares.mean(axis=0) == pytest.approx(np.full(10, 0.1), abs=0.025)


def test_another_device_leaves_quantities_in_proportion() -> None:
    before, after = (sizes(Quantity(1.0, 1), 2000, devices) for devices in (20, 21))
    assert after[:20] / after[:20].sum() == pytest.approx(before / 2000, abs=0.003)


def clients_of(owners: np.ndarray, clients: np.ndarray) -> list[set[int]]:
    return [set(clients[owners == device].tolist()) for device in range(owners.max() + 1)]


def test_a_device_is_a_client_or_some() -> None:
    clients = np.repeat([3, 5, 8, 9, 12], [1, 20, 3, 4, 5])
    examples = labelled(CLASSES[: len(clients)], clients)
    alone = clients_of(Natural().split(examples, 5, WORLD), clients)
    assert sorted(map(tuple, alone)) == [(3,), (5,), (8,), (9,), (12,)]
    assert alone != clients_of(Natural().split(examples, 5, Streams(8)), clients)
    together = clients_of(Natural().split(examples, 2, WORLD), clients)
    assert sorted(map(len, together)) == [2, 3]
    assert together[0] | together[1] == {3, 5, 8, 9, 12}
    assert together[0] >= alone[0]
    assert together[1] >= alone[1]


def test_natural_needs_clients_and_enough_of_them() -> None:
    with pytest.raises(ScenarioError, match="needs a dataset that tells its clients"):
        Natural().split(labelled(CLASSES), 2, WORLD)
    with pytest.raises(ScenarioError, match=r"from 2 clients, too few for 3 devices: lower devices\.count to 2"):
        Natural().split(labelled(CLASSES[:9], np.array([4, 4, 6] * 3)), 3, WORLD)


def test_specs_are_read_as_users_write_them() -> None:
    assert read(Shards, {}) == Shards(2)
    assert read(Quantity, {"beta": 0.5, "min_examples": 8}) == Quantity(0.5, 8)
    assert Partition.named("natural") is Natural
    with pytest.raises(ValueError):
        read(Quantity, {"beta": 0})


@pytest.mark.parametrize("partition", [Iid(), Shards(), Quantity(0.5)])
def test_the_same_world_is_dealt_again(partition: Partition) -> None:
    data, split = Synthetic(examples=300, classes=5, side_pixels=2), Split(0.1, 0.7, 0.2)
    once, again, other = (deal(data, split, partition, None, 12, Streams(seed)) for seed in (1, 1, 2))
    assert once.shard_digests == again.shard_digests
    assert not set(once.shard_digests) & set(other.shard_digests)
