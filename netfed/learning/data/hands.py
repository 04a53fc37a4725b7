"""A device's own handwriting: slant, stroke width and pen pressure, as transformations of pictures.

Slant and thickness are among the measures of Castro et al., "Morpho-MNIST: Quantitative Assessment and Diagnostics for
Representation Learning", JMLR 20(178), 2019; the transformations here are cheaper ones, on the grey levels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Pictures = NDArray[np.float32]


def write(inputs: Pictures, slant: ArrayLike, stroke: ArrayLike, contrast: ArrayLike) -> Pictures:
    """Return the pictures as another hand would have written them; zeros for all three return them bit for bit.

    Args:
        inputs: Ink in [0, 1] on paper 0.  # float32 [example, channel, row, column]
        slant: Tangent of the angle to the vertical; positive leans to the right.  # [example], or one for all
        stroke: 1 thickens each stroke by a pixel on each side, -1 thins it so; clipped to [-1, 1].  # the same
        contrast: Natural logarithm of the pen's pressure, which multiplies the ink.  # the same

    Returns:
        Ink in [0, 1].  # float32 [example, channel, row, column]
    """
    return _pressed(_stroked(_slanted(inputs, _column(slant)), _column(stroke)), _column(contrast))


def _column(value: ArrayLike) -> Pictures:
    """Shape values so that they broadcast against pictures."""
    return np.asarray(value, np.float32).reshape(-1, 1, 1, 1)


def _slanted(inputs: Pictures, slant: Pictures) -> Pictures:
    """Shift each row in proportion to its height over the centre, with linear interpolation between two columns."""
    rows, columns = inputs.shape[2:]
    height = (rows - 1) / 2 - np.arange(rows, dtype=np.float32)  # [row]
    source = np.arange(columns, dtype=np.float32) - slant * height[:, None]  # [example, 1, row, column]
    left = np.floor(source)
    fraction = source - left
    index = np.broadcast_to(left.astype(np.int64) + 1, inputs.shape)
    paper = np.pad(inputs, ((0, 0), (0, 0), (0, 0), (1, 1)))

    def ink(column: NDArray[np.int64]) -> Pictures:
        return np.take_along_axis(paper, column.clip(0, columns + 1), axis=3)

    slanted: Pictures = (1 - fraction) * ink(index) + fraction * ink(index + 1)
    return slanted


def _stroked(inputs: Pictures, stroke: Pictures) -> Pictures:
    """Blend each picture with its grey dilation (thicker) or erosion (thinner) over 3 x 3 pixels."""
    share = np.clip(stroke, -1, 1)
    paper = np.pad(inputs, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(paper, (3, 3), axis=(2, 3))
    target = np.where(share > 0, windows.max(axis=(4, 5)), windows.min(axis=(4, 5)))
    stroked: Pictures = (1 - np.abs(share)) * inputs + np.abs(share) * target
    return stroked


def _pressed(inputs: Pictures, contrast: Pictures) -> Pictures:
    """Multiply the ink by the pen's pressure; more than full black is full black."""
    return np.clip(np.exp(contrast) * inputs, 0, 1)
