"""One record for each device that has one: memory for the few that are active, four bytes for the others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from netfed.errors import SimulationError

Ids = NDArray[np.int64]


class Records:
    """A table of records, and which device has which.

    Args:
        devices: How many devices there are.
        record: Type of a record.

    Attributes:
        table: The records. [row]
    """

    def __init__(self, devices: int, record: np.dtype[np.void]) -> None:
        self.table: NDArray[np.void] = np.zeros(0, record)
        self._row = np.full(devices, -1, np.int32)
        self._free: NDArray[np.int32] = np.zeros(0, np.int32)

    def rows(self, ids: Ids) -> NDArray[np.int32]:
        """Return the rows of devices that have one. [device]

        Raises:
            SimulationError: One has none.
        """
        rows = self._row[ids]
        if (rows < 0).any():
            raise SimulationError(f"device {np.asarray(ids)[rows < 0][0]} has no record: it is not active")
        return rows

    def claim(self, ids: Ids) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Return the rows of devices, and whose are new: what these say is yet to be written. [device] each"""
        rows = self._row[ids]
        new = rows < 0
        if new.any():
            newcomers = np.unique(ids[new])
            self._make_room(len(newcomers))
            taken, self._free = np.split(self._free, [len(newcomers)])
            self._row[newcomers] = taken
            rows = self._row[ids]
        return rows, new

    def release(self, ids: Ids) -> None:
        """Forget devices: their rows are free for others."""
        rows = np.unique(self._row[ids])
        self._free = np.concatenate((rows[rows >= 0], self._free))
        self._row[ids] = -1

    def _make_room(self, wanted: int) -> None:
        size = len(self.table)
        missing = wanted - len(self._free)
        if missing > 0:
            added = max(missing, size // 2)
            self.table = np.concatenate((self.table, np.zeros(added, self.table.dtype)))
            self._free = np.concatenate((self._free, np.arange(size, size + added, dtype=np.int32)))
