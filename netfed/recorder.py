"""Flat rows stamped with simulated time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from operator import itemgetter

Scalar = str | int | float | bool | None
Row = dict[str, Scalar]


class Recorder:
    """Collects rows until somebody takes them; knows no one else.

    Args:
        now: Returns the simulated time in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._rows: list[Row] = []

    def row(self, kind: str, **fields: Scalar) -> Row:
        """Append one row and return it; ``t_s`` and ``kind`` come first. Until it is taken, fields may be added."""
        row: Row = {"t_s": self._now(), "kind": kind, **fields}
        self._rows.append(row)
        return row

    def insert(self, rows: Sequence[Row]) -> None:
        """Put rows of one earlier moment where they belong in time: after what was recorded at it."""
        if rows:
            place = bisect_right(self._rows, rows[0]["t_s"], key=itemgetter("t_s"))
            self._rows[place:place] = rows

    def take(self) -> list[Row]:
        """Return the rows since the last call, in the order they were recorded."""
        rows, self._rows = self._rows, []
        return rows
