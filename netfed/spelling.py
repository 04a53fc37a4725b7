"""The suggestion at the end of an error line."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """Return ``", did you mean 'x'?"`` for the nearest known word, or nothing when none is near.

    Words that differ in capitals alone are nearest, and all of them are named: ``mJ`` and ``MJ`` are far apart.

    Args:
        word: What the user wrote.
        known: What could have been meant.
        likeness: How near is near, from 0 to 1 (the ratio of `difflib.SequenceMatcher`).
    """
    import difflib

    word, known = word[:100], list(known)
    if alike := [other for other in known if other.lower() == word.lower()]:
        return f", did you mean {' or '.join(map(repr, alike))}?"
    nearest = difflib.get_close_matches(word, known, n=1, cutoff=likeness)
    return f", did you mean {nearest[0]!r}?" if nearest else ""
