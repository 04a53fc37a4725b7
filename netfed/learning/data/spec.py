"""What a scenario says about its data: which dataset, who gets which part, and how each device writes.

numpy and scikit-learn are imported inside methods, so that a scenario can be checked without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from netfed.errors import ScenarioError
from netfed.plugin import Plugin
from netfed.units import Fraction

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from netfed.streams import Streams

Count = Annotated[int, Field(ge=1, le=10_000_000)]
Spread = Annotated[float, Field(ge=0, le=100)]


@dataclass(frozen=True)
class Examples:
    """Labelled examples.

    Attributes:
        inputs: Pictures in [0, 1].  # float32 [example, channel, row, column]
        labels: Class of each example, below ``classes``.  # int64 [example]
        classes: Number of classes of the task, whether or not each occurs here.
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: int

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64] | slice) -> Examples:
        """Return some of the examples: a view for a slice, a copy for indices."""
        return Examples(self.inputs[index], self.labels[index], self.classes)


class Dataset(Plugin):
    """Where the examples come from."""

    def load(self, streams: Streams) -> Examples:
        """Return all the examples, in an order of the dataset's own."""
        raise NotImplementedError


@dataclass(frozen=True)
class Digits(Dataset, kind="digits"):
    """1,797 handwritten digits of 8 x 8 pixels, as shipped with scikit-learn.

    The test part of Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
    1998, doi:10.24432/C50P49. Real handwriting of 13 people, but who wrote which digit was not kept.
    """

    def load(self, _streams: Streams) -> Examples:
        """Return inputs of shape [1797, 1, 8, 8]; the 16 grey levels above zero are scaled to [0, 1]."""
        import numpy as np
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        return Examples((images / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels.astype(np.int64), classes=10)


@dataclass(frozen=True)
class Synthetic(Dataset, kind="synthetic"):
    """Not real data: a random picture for each class, plus Gaussian noise; for tests and for measuring speed.

    By default it has the shape of FEMNIST (Caldas et al., "LEAF", 2018, arXiv:1812.01097): 28 x 28 pixels, 62 classes.

    Attributes:
        examples: How many, over all parts and devices; classes are equally frequent up to one.
        classes: Number of classes.
        channels: Channels of each picture.
        side_pixels: Height and width of each picture.
        noise: Standard deviation of a pixel within a class, over that between the classes.
    """

    examples: Count = 20_000
    classes: Count = 62
    channels: Count = 1
    side_pixels: Count = 28
    noise: Spread = 4.0

    def load(self, streams: Streams) -> Examples:
        """Return inputs around 0.5, clipped to [0, 1], of shape [examples, channels, side_pixels, side_pixels]."""
        import numpy as np

        shape = (self.channels, self.side_pixels, self.side_pixels)
        prototypes = streams.generator("synthetic/prototypes").standard_normal((self.classes, *shape), np.float32)
        labels = np.arange(self.examples, dtype=np.int64) % self.classes
        inputs = streams.generator("synthetic/noise").standard_normal((self.examples, *shape), np.float32)
        inputs *= np.float32(self.noise)
        inputs += prototypes[labels]
        inputs *= np.float32(0.25 / (1 + self.noise))
        inputs += np.float32(0.5)
        return Examples(np.clip(inputs, 0, 1, out=inputs), labels, self.classes)


class Partition(Plugin):
    """How the devices' part of a dataset is shared among them."""

    def split(self, labels: NDArray[np.int64], devices: int, streams: Streams) -> NDArray[np.int64]:
        """Return the one device that gets each example.  # int64 [example], from 0 to devices - 1

        Args:
            labels: Class of each example.  # int64 [example]
            devices: How many devices share the examples.
            streams: The world's randomness.

        Raises:
            ScenarioError: There are too few examples for so many devices.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Iid(Partition, kind="iid"):
    """Every device gets a uniformly random share; sizes are equal up to one."""

    def split(self, labels: NDArray[np.int64], devices: int, streams: Streams) -> NDArray[np.int64]:
        import numpy as np

        _require(len(labels), devices, 1)
        return streams.generator("partition/order").permutation(len(labels)).astype(np.int64) % devices


@dataclass(frozen=True)
class Dirichlet(Partition, kind="dirichlet"):
    """Label skew: each device has its own mix of classes, drawn from Dirichlet(alpha, ..., alpha).

    As in Hsu, Qi and Brown, "Measuring the Effects of Non-Identical Data Distribution for Federated Visual
    Classification", 2019, arXiv:1909.06335, a device's mix is one draw, here addressed by its id alone. They sample
    each device's examples from its mix until the classes run out. Here nothing is left over and no device comes last:
    the examples of each class, in random order, are cut among the devices in proportion to what their mixes ask of
    that class (to the nearest example). A device's size therefore varies a little around the mean. Devices left with
    fewer than ``min_examples`` are then topped up with random examples of the largest ones.

    Attributes:
        alpha: Concentration: 0.1 gives one or two classes a device, 100 is close to no skew.
        min_examples: What every device has at least.
    """

    alpha: Annotated[float, Field(ge=0.001, le=1_000_000)]
    min_examples: Count = 2

    def split(self, labels: NDArray[np.int64], devices: int, streams: Streams) -> NDArray[np.int64]:
        import numpy as np

        _require(len(labels), devices, self.min_examples)
        classes = int(labels.max()) + 1
        # The rows of one generator come in the order of the ids, so that a mix does not depend on how many follow.
        mixes = streams.generator("partition/mix").dirichlet(np.full(classes, self.alpha), devices)  # [device, class]
        mixes += 1e-9  # a class for which nobody asks is shared evenly
        owners = np.empty(len(labels), np.int64)
        for label in range(classes):
            members = streams.generator("partition/order", label).permutation(np.flatnonzero(labels == label))
            asked = np.cumsum(mixes[:, label])
            owners[members] = np.searchsorted(asked, asked[-1] * (np.arange(len(members)) + 0.5) / len(members))
        return _topped_up(owners, devices, self.min_examples, streams.generator("partition/spare"))


def _require(examples: int, devices: int, min_examples: int) -> None:
    if examples < devices * min_examples:
        raise ScenarioError(
            f"task.partition: {examples} examples are too few for {devices} devices with at least {min_examples} each"
        )


def _topped_up(
    owners: NDArray[np.int64], devices: int, min_examples: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Give each device at least ``min_examples``, at the cost of the largest ones."""
    import numpy as np

    sizes = np.bincount(owners, minlength=devices)
    missing = np.maximum(min_examples - sizes, 0)  # [device]
    by_owner = np.lexsort((generator.permutation(len(owners)), owners))
    place = np.empty_like(owners)  # [example], in its device's share, counted from 0
    place[by_owner] = np.arange(len(owners)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    spare = np.argsort(-place, kind="stable")[: missing.sum()]
    topped_up = owners.copy()
    topped_up[spare] = np.repeat(np.arange(devices), missing)
    return topped_up


@dataclass(frozen=True)
class Split:
    """Which share of the dataset goes where; the draw is uniform, and what is left over is not used.

    Attributes:
        cloud: For pre-training, before any device takes part.
        devices: Shared among the devices, to train on.
        test: Never trained on by anyone.
    """

    cloud: Fraction
    devices: Fraction
    test: Fraction

    def __post_init__(self) -> None:
        if self.cloud + self.devices + self.test > 1 + 1e-9:
            raise ValueError(f"cloud + devices + test = {self.cloud + self.devices + self.test:g} is more than 1")


@dataclass(frozen=True)
class Hands:
    """How differently the devices write: each writes all of its pictures, training and test, in a hand of its own.

    The first three are each the standard deviation, over the devices, of a normal draw with mean 0; see `hands.write`.

    Attributes:
        slant: Of the tangent of the angle to the vertical.
        stroke: Of the thickness: 1 is a pixel more on each side, -1 a pixel less.
        contrast: Of the natural logarithm of the pen's pressure.
        tests: How many pictures of the test part each device writes, to be tested on.
    """

    slant: Spread = 0.0
    stroke: Spread = 0.0
    contrast: Spread = 0.0
    tests: Count = 40
