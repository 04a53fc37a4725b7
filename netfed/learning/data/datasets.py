"""Datasets that come with netfed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from netfed.learning.data.spec import Count, Dataset, Examples, Spread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from netfed.streams import Streams


@dataclass(frozen=True)
class Digits(Dataset, kind="digits"):
    """1,797 handwritten digits of 8 x 8 pixels, as shipped with scikit-learn.

    The test part of Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
    1998, doi:10.24432/C50P49. Real handwriting of 13 people, but who wrote which digit was not kept.
    """

    def load(self, _streams: Streams) -> Examples:
        """Return inputs of shape [1797, 1, 8, 8]; the 16 grey levels above zero are scaled to [0, 1]."""
        import numpy as np

        table = _digits()
        images, labels = table[:, :-1], table[:, -1]
        return Examples((images / 16).astype(np.float32).reshape(-1, 1, 8, 8), labels.astype(np.int64), classes=10)


@cache
def _digits() -> NDArray[np.float64]:
    """Read scikit-learn's file without importing scikit-learn, which takes as long as PyTorch. [example, 64 + label]"""
    from importlib.metadata import distribution

    import numpy as np

    file = distribution("scikit-learn").locate_file("sklearn/datasets/data/digits.csv.gz")
    return np.loadtxt(str(file), delimiter=",")


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
