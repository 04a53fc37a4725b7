"""What a scenario says about its data: which dataset, who gets which part, and how each device writes.

Kinds of datasets and partitions are modules beside this one. They import numpy and the rest inside methods, so that a
scenario can be checked without.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

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
        inputs: Pictures in [0, 1], or rows of features.  # float32 [example, channel, row, column], [example, feature]
        labels: Class of each example, below ``classes``.  # int64 [example]
        classes: Number of classes of the task, whether or not each occurs here.
        clients: Who each example is from, if the dataset knows.  # int64 [example]
    """

    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    classes: int
    clients: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: NDArray[np.int64] | slice) -> Examples:
        """Return some of the examples: a view for a slice, a copy for indices."""
        clients = None if self.clients is None else self.clients[index]
        return Examples(self.inputs[index], self.labels[index], self.classes, clients)


class Dataset(Plugin):
    """Where the examples come from."""

    @property
    def tells_clients(self) -> bool:
        """Whether its examples have ``clients``."""
        return False

    def load(self, streams: Streams) -> Examples:
        """Return all the examples, in an order of the dataset's own."""
        raise NotImplementedError


class Partition(Plugin):
    """How the devices' part of a dataset is shared among them."""

    def split(self, examples: Examples, devices: int, streams: Streams) -> NDArray[np.int64]:
        """Return the one device that gets each example; every device gets some.

        Args:
            examples: The devices' part.
            devices: How many devices share the examples.
            streams: The world's randomness.

        Returns:
            Ids from 0 to devices - 1.  # int64 [example]

        Raises:
            ScenarioError: There are too few examples for so many devices.
        """
        raise NotImplementedError


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
