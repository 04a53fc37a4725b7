"""Dealing a dataset: a part to the cloud, a share to each device, and pictures that nobody trained on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from netfed.errors import ScenarioError
from netfed.learning.data.hands import write
from netfed.learning.data.spec import Dataset, Examples, Hands, Partition, Split
from netfed.streams import Streams


@dataclass(frozen=True)
class Shares:
    """Who has which examples.

    Attributes:
        cloud: The cloud's part, as the dataset has it.
        train: The devices' training examples, device by device, each in its device's hand.
        train_offsets: Device d has ``train[train_offsets[d] : train_offsets[d + 1]]``.  # int64 [device + 1]
        test: Test examples, group by group: a group for each device, in its hand, or one for all if there are no hands.
        test_offsets: Group g has ``test[test_offsets[g] : test_offsets[g + 1]]``.  # int64 [group + 1]
        cloud_digest: SHA-256 of the cloud's part.
        train_digest: SHA-256 of all devices' training examples.
        test_digest: SHA-256 of the test examples and their groups.
        shard_digests: SHA-256 of each device's training examples.  # [device]
    """

    cloud: Examples
    train: Examples
    train_offsets: NDArray[np.int64]
    test: Examples
    test_offsets: NDArray[np.int64]
    cloud_digest: str
    train_digest: str
    test_digest: str
    shard_digests: tuple[str, ...]

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.cloud.classes

    def shard(self, device: int) -> Examples:
        """Return a view of one device's training examples."""
        return self.train.take(slice(*self.train_offsets[device : device + 2]))


def deal(
    dataset: Dataset,
    split: Split,
    partition: Partition,
    hands: Hands | None,
    devices: int,
    streams: Streams,
) -> Shares:
    """Deal a dataset to the cloud and the devices.

    Args:
        dataset: Where the examples come from.
        split: Which share of them goes to the cloud, the devices and the test.
        partition: How the devices' part is shared among them.
        hands: How differently the devices write. None leaves every picture as it is, and one test, the whole part,
            serves all devices.
        devices: How many devices there are.
        streams: The world's randomness.

    Raises:
        ScenarioError: A part is too small, or dataset, partition and hands do not fit.
    """
    examples = dataset.load(streams)
    cloud, ours, unseen = _parts(examples, split, streams)
    needed = 1 if hands is None else hands.tests
    if hands is not None and examples.inputs.ndim != 4:
        raise ScenarioError(f"task.hands: only pictures are written by hand, and dataset {dataset.kind} has none")
    if len(unseen) < needed:
        raise ScenarioError(f"task.split.test: {len(unseen)} examples are too few to draw {needed} different ones")

    owners = partition.split(ours, devices, streams)
    order = np.argsort(owners, kind="stable")
    train = ours.take(order)
    offsets = _offsets(np.bincount(owners, minlength=devices))

    test, test_offsets = unseen, _offsets(np.array([len(unseen)]))
    if hands is not None:
        drawn = _tests(len(unseen), hands.tests, devices, streams)
        train = _written(train, owners[order], hands, streams)
        test = _written(unseen.take(drawn.ravel()), np.repeat(np.arange(devices), hands.tests), hands, streams)
        test_offsets = _offsets(np.full(devices, hands.tests))

    return Shares(
        cloud,
        train,
        offsets,
        test,
        test_offsets,
        cloud_digest=_digest(cloud.inputs, cloud.labels),
        train_digest=_digest(train.inputs, train.labels),
        test_digest=_digest(test.inputs, test.labels, test_offsets),
        shard_digests=tuple(
            _digest(train.inputs[start:end], train.labels[start:end]) for start, end in pairwise(offsets)
        ),
    )


def _parts(examples: Examples, split: Split, streams: Streams) -> tuple[Examples, Examples, Examples]:
    """Draw the cloud's, the devices' and the test part, without replacement."""
    order = streams.generator("split").permutation(len(examples))
    shares = np.cumsum([split.cloud, split.devices, split.test])
    cloud, devices, test, _ = np.split(order, np.rint(shares * len(examples)).astype(np.int64))
    return examples.take(cloud), examples.take(devices), examples.take(test)


def _tests(unseen: int, tests: int, devices: int, streams: Streams) -> NDArray[np.int64]:
    """Draw each device's test pictures, all different.  # int64 [device, test]"""
    return np.stack([streams.generator("tests", device).permutation(unseen)[:tests] for device in range(devices)])


def _written(examples: Examples, writers: NDArray[np.int64], hands: Hands, streams: Streams) -> Examples:
    """Return each example in the hand of its writer.  # writers: int64 [example]"""
    slant, stroke, contrast = (
        spread * streams.normal(f"hands/{name}", writers)
        for name, spread in (("slant", hands.slant), ("stroke", hands.stroke), ("contrast", hands.contrast))
    )
    return replace(examples, inputs=write(examples.inputs, slant, stroke, contrast))


def _offsets(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes)])


def _digest(*arrays: NDArray[np.float32] | NDArray[np.int64]) -> str:
    sha256 = hashlib.sha256()
    for array in arrays:
        sha256.update(f"{array.dtype.str}{array.shape}".encode())
        sha256.update(np.ascontiguousarray(array).data)
    return sha256.hexdigest()
