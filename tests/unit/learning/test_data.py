from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

from netfed.errors import ScenarioError
from netfed.learning.data.datasets import Digits, Synthetic
from netfed.learning.data.hands import write
from netfed.learning.data.partitions import Dirichlet, Iid
from netfed.learning.data.shares import Shares, deal
from netfed.learning.data.spec import Dataset, Examples, Hands, Partition, Split
from netfed.plugin import read
from netfed.streams import Streams

WORLD = Streams(7)
THIRDS = Split(cloud=0.35, devices=0.5, test=0.15)
HANDS = Hands(slant=0.3, stroke=0.3, contrast=0.4)


def digests(shares: Shares) -> tuple[str, ...]:
    return shares.cloud_digest, shares.train_digest, shares.test_digest, *shares.shard_digests


def share_out(
    dataset: Dataset | None = None,
    split: Split = THIRDS,
    partition: Partition | None = None,
    hands: Hands | None = HANDS,
    devices: int = 20,
    streams: Streams = WORLD,
) -> Shares:
    return deal(dataset or Digits(), split, partition or Dirichlet(0.5), hands, devices, streams)


class Numbered(Dataset):
    """120 one-pixel pictures; the ink tells which is which."""

    def load(self, streams: Streams) -> Examples:
        ink = np.arange(120, dtype=np.float32) / 120
        return Examples(ink.reshape(-1, 1, 1, 1), np.arange(120, dtype=np.int64) % 3, 3)


def numbers(examples: Examples) -> list[int]:
    return np.rint(examples.inputs.ravel() * 120).astype(int).tolist()


def labelled(labels: np.ndarray, clients: np.ndarray | None = None) -> Examples:
    return Examples(np.zeros((len(labels), 1, 1, 1), np.float32), labels, int(labels.max()) + 1, clients)


def bar(column: int, side: int = 9) -> np.ndarray:
    picture = np.zeros((1, 1, side, side), np.float32)
    picture[..., column] = 1
    return picture


def test_digits_are_scikit_learns() -> None:
    digits = Digits().load(WORLD)
    images, labels = load_digits(return_X_y=True)
    assert np.array_equal(digits.inputs.reshape(1797, 64) * 16, images)
    assert np.array_equal(digits.labels, labels)
    assert digits.inputs.shape == (1797, 1, 8, 8)
    assert digits.inputs.dtype == np.float32
    assert digits.labels.dtype == np.int64
    assert (digits.inputs.min(), digits.inputs.max()) == (0, 1)
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert (digits.inputs[0, 0, 0] * 16).tolist() == [0, 0, 5, 13, 9, 1, 0, 0]


def test_synthetic_classes_can_be_told_apart() -> None:
    examples = Synthetic(examples=301, classes=5, channels=2, side_pixels=12).load(WORLD)
    assert examples.inputs.shape == (301, 2, 12, 12)
    assert examples.inputs.dtype == np.float32
    assert 0 <= examples.inputs.min() < 0.3 < 0.7 < examples.inputs.max() <= 1
    assert np.ptp(np.bincount(examples.labels)) == 1
    flat = examples.inputs.reshape(301, -1)
    means = np.stack([flat[:150][examples.labels[:150] == label].mean(0) for label in range(5)])
    nearest = np.square(flat[150:, None] - means).sum(2).argmin(1)
    assert (nearest == examples.labels[150:]).mean() > 0.9


def test_synthetic_depends_on_the_seed_alone() -> None:
    spec = Synthetic(examples=50, side_pixels=4)
    once, again, other = (spec.load(Streams(seed)).inputs for seed in (1, 1, 2))
    assert_array_equal(once, again)
    assert not np.array_equal(once, other)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(1, 40), st.integers(0, 99))
def test_iid_sizes_are_equal_up_to_one(examples: int, devices: int, seed: int) -> None:
    labels = np.zeros(examples, np.int64)
    if examples < devices:
        with pytest.raises(ScenarioError, match=f"{examples} examples are too few for {devices} devices"):
            Iid().split(labelled(labels), devices, Streams(seed))
    else:
        owners = Iid().split(labelled(labels), devices, Streams(seed))
        sizes = np.bincount(owners, minlength=devices)
        assert owners.shape == (examples,)
        assert len(sizes) == devices
        assert np.ptp(sizes) <= 1


def test_iid_is_shuffled() -> None:
    labels = np.arange(1000) % 10
    owners = Iid().split(labelled(labels), 10, WORLD)
    assert len(np.unique(labels[owners == 0])) > 5


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_dirichlet_gives_each_example_to_one_device_and_each_device_enough(data: st.DataObject) -> None:
    devices = data.draw(st.integers(1, 40))
    min_examples = data.draw(st.integers(1, 4))
    examples = data.draw(st.integers(devices * min_examples, devices * min_examples + 200))
    classes = data.draw(st.integers(1, 12))
    alpha = data.draw(st.sampled_from([0.001, 0.1, 1.0, 1e6]))
    labels = data.draw(
        st.integers(0, 99).map(lambda seed: Streams(seed).generator("labels").integers(0, classes, examples))
    )
    owners = Dirichlet(alpha, min_examples).split(labelled(labels), devices, Streams(data.draw(st.integers(0, 99))))
    assert owners.shape == labels.shape
    sizes = np.bincount(owners)
    assert len(sizes) == devices
    assert sizes.min() >= min_examples


def mixes(alpha: float, devices: int, labels: np.ndarray, seed: int = 7) -> np.ndarray:
    """[device, class]"""
    owners = Dirichlet(alpha).split(labelled(labels), devices, Streams(seed))
    counts = np.zeros((devices, labels.max() + 1))
    np.add.at(counts, (owners, labels), 1)
    return counts / counts.sum(1, keepdims=True)


def test_dirichlet_skews_the_more_the_smaller_alpha() -> None:
    """The expected sum of squares of Dirichlet(alpha, ..., alpha) over C classes is (alpha + 1) / (C alpha + 1)."""
    labels = np.arange(40_000) % 10
    for alpha in (0.1, 0.5, 10.0):
        concentration = np.square(mixes(alpha, 200, labels)).sum(1).mean()
        assert concentration == pytest.approx((alpha + 1) / (10 * alpha + 1), rel=0.1)


def test_dirichlet_mixes_do_not_depend_on_who_else_takes_part() -> None:
    labels = np.arange(100_000) % 4
    few, many = mixes(0.5, 50, labels), mixes(0.5, 100, labels)
    # A device's favourite class stays, unless it nearly tied: only the competition for each class differs.
    assert (few.argmax(1) == many[:50].argmax(1)).mean() > 0.8
    assert (few.argmax(1) == mixes(0.5, 50, labels, seed=8).argmax(1)).mean() < 0.5


def test_dirichlet_cuts_to_the_nearest_example() -> None:
    assert np.bincount(Dirichlet(1.0).split(labelled(np.zeros(99, np.int64)), 3, WORLD)).tolist() == [33, 33, 33]


def test_dirichlet_shares_a_class_for_which_nobody_asks() -> None:
    owners = Dirichlet(0.001).split(labelled(np.arange(12_000) % 12), 2, WORLD)
    assert np.bincount(owners).min() > 4000


def test_dirichlet_tops_up_from_the_largest() -> None:
    labels = np.repeat([0, 1], [90, 10])  # who asks for the rare class gets little
    bare, topped_up = (np.bincount(Dirichlet(0.05, least).split(labelled(labels), 10, WORLD)) for least in (1, 3))
    assert bare.min() < 3 <= topped_up.min()
    assert (topped_up[bare <= 3] == 3).all()
    assert (topped_up <= np.maximum(bare, 3)).all()
    assert topped_up.max() <= bare.max()


def test_dirichlet_refuses_too_few_examples() -> None:
    with pytest.raises(ScenarioError, match=r"task\.partition: 19 examples are too few for 10 devices with at least 2"):
        Dirichlet(0.5).split(labelled(np.zeros(19, np.int64)), 10, WORLD)


def test_split_is_at_most_everything() -> None:
    assert Split(0.35, 0.5, 0.15) == THIRDS
    with pytest.raises(ValueError, match=r"cloud \+ devices \+ test = 1\.1 is more than 1"):
        Split(0.4, 0.5, 0.2)


def test_specs_are_read_as_users_write_them() -> None:
    assert read(Split, {"cloud": 0, "devices": 0.8, "test": 0.2}) == Split(0, 0.8, 0.2)
    assert read(Hands, {"slant": 0.3}) == Hands(slant=0.3)
    assert read(Dirichlet, {"alpha": 0.5}) == Dirichlet(alpha=0.5, min_examples=2)
    assert Dataset.named("digits") is Digits
    assert Partition.named("iid") is Iid
    for spec, wrong in (
        (Dirichlet, {"alpha": 0}),
        (Hands, {"stroke": -1}),
        (Split, {"cloud": 1, "devices": 1, "test": 0}),
    ):
        with pytest.raises(ValueError):
            read(spec, wrong)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.integers(1, 12), st.integers(1, 12))
def test_a_hand_of_zeros_changes_no_bit(seed: int, rows: int, columns: int) -> None:
    inputs = Streams(seed).generator("ink").random((3, 2, rows, columns), np.float32)
    written = write(inputs, np.zeros(3), 0.0, np.zeros(3))
    assert written.dtype == np.float32
    assert written.tobytes() == inputs.tobytes()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.tuples(*[st.floats(-3, 3)] * 3))
def test_a_hand_writes_ink_on_paper_and_each_picture_for_itself(seed: int, hand: tuple[float, float, float]) -> None:
    inputs = Streams(seed).generator("ink").random((4, 1, 8, 8), np.float32)
    together = write(inputs, *(np.array([0, value, 0, -value]) for value in hand))
    assert together.shape == inputs.shape
    assert together.min() >= 0
    assert together.max() <= 1
    assert_array_equal(together[1:2], write(inputs[1:2], *hand))
    assert_array_equal(together[2], inputs[2])


def test_slant_leans_to_the_right_about_the_centre() -> None:
    leaning = write(bar(4), slant=0.5, stroke=0, contrast=0)[0, 0]
    centre_of_ink = leaning @ np.arange(9) / leaning.sum(1)
    assert_allclose(centre_of_ink, 4 + 0.5 * np.arange(4, -5, -1))
    assert_allclose(leaning.sum(1), 1)


def test_slant_moves_ink_off_the_paper_but_not_round_it() -> None:
    for edge, slant in ((0, 3), (0, -3), (8, 3), (8, -3)):
        assert write(bar(edge), slant, stroke=0, contrast=0)[0, 0, :2].sum() == 0
    assert write(bar(8), slant=30, stroke=0, contrast=0)[0, 0, 4].tolist() == bar(8)[0, 0, 4].tolist()


def test_stroke_widens_or_thins_by_a_pixel() -> None:
    assert_array_equal(write(bar(4), 0, 1, 0), bar(3) + bar(4) + bar(5))
    assert_array_equal(write(0.25 * bar(4), 0, 5, 0), 0.25 * (bar(3) + bar(4) + bar(5)))
    assert_array_equal(write(bar(4), 0, 0.25, 0), 0.25 * bar(3) + bar(4) + 0.25 * bar(5))
    assert_array_equal(write(bar(4), 0, -0.5, 0), 0.5 * bar(4))
    thick = bar(3) + bar(4) + bar(5)
    assert_array_equal(write(thick, 0, -1, 0)[0, 0, 1:-1], bar(4)[0, 0, 1:-1])


def test_contrast_multiplies_the_ink() -> None:
    grey = np.array([0, 0.25, 0.75, 1], np.float32).reshape(1, 1, 1, 4)
    assert_allclose(write(grey, 0, 0, np.log(2)).ravel(), [0, 0.5, 1, 1], rtol=1e-6)
    assert_allclose(write(grey, 0, 0, -np.log(2)).ravel(), [0, 0.125, 0.375, 0.5], rtol=1e-6)


@pytest.mark.parametrize("partition", [Iid(), Dirichlet(0.3, 1)])
def test_nobody_shares_an_example(partition: Partition) -> None:
    shares = share_out(Numbered(), Split(0.3, 0.4, 0.3), partition, hands=None, devices=7)
    cloud, train, test = numbers(shares.cloud), numbers(shares.train), numbers(shares.test)
    assert (len(cloud), len(train), len(test)) == (36, 48, 36)
    assert sorted(cloud + train + test) == list(range(120))
    assert [number for device in range(7) for number in numbers(shares.shard(device))] == train
    for part in (shares.cloud, shares.train, shares.test):
        assert part.labels.tolist() == [number % 3 for number in numbers(part)]


def test_what_is_left_over_is_not_used() -> None:
    shares = share_out(Numbered(), Split(0, 0.25, 0.5), Iid(), hands=None, devices=3)
    assert (len(shares.cloud), len(shares.train), len(shares.test)) == (0, 30, 60)


def test_without_hands_one_test_serves_all() -> None:
    shares = share_out(hands=None)
    assert shares.test_offsets.tolist() == [0, len(shares.test)]
    assert len(shares.test) == 270


def test_with_hands_each_device_has_different_pictures_to_be_tested_on() -> None:
    shares = share_out(Numbered(), Split(0, 0.5, 0.5), Iid(), Hands(tests=20), devices=5)
    unseen = set(range(120)) - set(numbers(shares.train))
    assert shares.test_offsets.tolist() == [0, 20, 40, 60, 80, 100]
    groups = [numbers(shares.test)[start : start + 20] for start in range(0, 100, 20)]
    assert all(len(set(group)) == 20 and set(group) <= unseen for group in groups)
    assert len(set(map(tuple, groups))) == 5


def test_tests_are_drawn_from_the_whole_test_part() -> None:
    shares = share_out(Numbered(), Split(0, 0.5, 0.5), Iid(), Hands(tests=60), devices=1)
    assert sorted(numbers(shares.train) + numbers(shares.test)) == list(range(120))


def test_each_device_writes_in_one_hand() -> None:
    plain, written = share_out(hands=Hands()), share_out(hands=Hands(contrast=0.5))
    assert_array_equal(written.cloud.inputs, plain.cloud.inputs)
    for before, after, offsets in (
        (plain.train, written.train, plain.train_offsets),
        (plain.test, written.test, plain.test_offsets),
    ):
        faint = (before.inputs > 0) & (after.inputs < 1)
        pressure = np.divide(after.inputs, before.inputs, out=np.ones_like(after.inputs), where=faint)
        writers = np.repeat(np.arange(20), np.diff(offsets))
        expected = np.exp(0.5 * WORLD.normal("hands/contrast", np.arange(20)))
        for device in range(20):
            mine = writers == device
            assert_allclose(pressure[mine][faint[mine]], expected[device], rtol=1e-5)
    assert np.ptp(expected) > 0.5


@pytest.mark.parametrize("key", ["slant", "stroke", "contrast"])
def test_hands_differ_in_each_of_their_factors(key: str) -> None:
    plain, written = share_out(hands=Hands()), share_out(hands=Hands(**{key: 0.3}))
    changed = [not np.array_equal(plain.shard(d).inputs, written.shard(d).inputs) for d in range(20)]
    assert all(changed)


def test_the_same_world_is_dealt_again() -> None:
    once, again = share_out(), share_out(streams=Streams(7))
    assert digests(once) == digests(again)
    assert once.shard_digests == again.shard_digests
    assert once.train.inputs.tobytes() == again.train.inputs.tobytes()
    assert all(a != b for a, b in zip(digests(once), digests(share_out(streams=Streams(8))), strict=True))


def test_digests_tell_bytes_apart() -> None:
    shares, bolder = share_out(hands=Hands(contrast=0.1)), share_out(hands=Hands(contrast=0.2))
    assert len(set(shares.shard_digests)) == 20
    assert not set(shares.shard_digests) & set(bolder.shard_digests)
    assert shares.cloud_digest == bolder.cloud_digest
    assert shares.train_digest != bolder.train_digest
    assert shares.test_digest != bolder.test_digest
    fewer_tests = share_out(hands=Hands(contrast=0.1, tests=9))
    assert fewer_tests.shard_digests == shares.shard_digests
    assert fewer_tests.train_digest == shares.train_digest
    assert fewer_tests.test_digest != shares.test_digest


def test_a_test_part_that_is_too_small_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"task\.split\.test: 0 examples are too few to draw 1"):
        share_out(split=Split(0.5, 0.5, 0), hands=None)
    with pytest.raises(ScenarioError, match=r"task\.split\.test: 18 examples are too few to draw 40"):
        share_out(split=Split(0.4, 0.5, 0.01), hands=Hands(tests=40))


def test_specs_import_nothing_heavy() -> None:
    code = "import sys, netfed.scenario; sys.exit(bool({'numpy', 'sklearn', 'pyarrow', 'torch'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
