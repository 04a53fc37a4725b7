"""Rows that come again: a resumed run plays from t = 0, and what was recorded is compared."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import islice

from netfed.errors import RunFolderError
from netfed.graph import canonical
from netfed.recorder import Row


class Replay:
    """One series of rows, in order: those recorded before are compared, the rest are new.

    Args:
        recorded: The rows on file, each with its place.
    """

    def __init__(self, recorded: Iterator[tuple[str, Row]]) -> None:
        self.seen = 0
        self._recorded = recorded
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The sha256 (hex) of all rows seen."""
        return self._hash.hexdigest()

    def take(self, rows: list[Row]) -> list[Row]:
        """Take the next rows; return those that were not recorded before.

        Raises:
            RunFolderError: One was recorded before, but differs.
        """
        if rows:
            self._hash.update(canonical(rows)[1:-1] + b",")
        self.seen += len(rows)
        recorded = list(islice(self._recorded, len(rows)))
        for (place, before), row in zip(recorded, rows, strict=False):
            if canonical(before) != canonical(row):
                raise RunFolderError(f"{place}: {_difference(before, row)}")
        return rows[len(recorded) :]

    def expect_end(self) -> None:
        """Raise `RunFolderError` if a row on file has not been replayed."""
        for place, _ in self._recorded:
            raise RunFolderError(f"{place}: recorded, but the replay ends before it")


def _difference(recorded: Row, replayed: Row) -> str:
    differing = (
        f"{name} was {recorded.get(name, 'absent')!r} when it was recorded, and is {replayed.get(name, 'absent')!r} now"
        for name in sorted({*recorded, *replayed})
        if canonical(recorded.get(name, "absent")) != canonical(replayed.get(name, "absent"))
    )
    return next(differing)
