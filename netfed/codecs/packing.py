"""Unsigned integers of any width in bits, without gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def packed_bytes(count: int, width: int) -> int:
    """Return the length of ``count`` packed integers."""
    return (count * width + 7) // 8


def pack(numbers: NDArray[np.integer], width: int) -> bytes:
    """Write non-negative integers with ``width`` bits each, most significant bit first; zeros fill the last byte.

    Args:
        numbers: Each below 2 ** ``width``.  # integers or booleans [number]
        width: 1 to 64.
    """
    import numpy as np

    words = numbers.astype(_word(width))
    bits = np.unpackbits(words.view(np.uint8)).reshape(len(words), 8 * words.itemsize)
    return np.packbits(bits[:, -width:]).tobytes()


def unpack(data: bytes, count: int, width: int) -> NDArray[np.unsignedinteger]:
    """Return what `pack` has written.  # big-endian unsigned integers [count]"""
    import numpy as np

    word = _word(width)
    bits = np.zeros((count, 8 * word.itemsize), np.uint8)
    bits[:, -width:] = np.unpackbits(np.frombuffer(data, np.uint8), count=count * width).reshape(count, width)
    return np.packbits(bits).view(word)


def _word(width: int) -> np.dtype[np.unsignedinteger]:
    """Return the smallest big-endian type that holds ``width`` bits."""
    import numpy as np

    return np.dtype(next(f">u{size}" for size in (1, 2, 4, 8) if width <= 8 * size))
