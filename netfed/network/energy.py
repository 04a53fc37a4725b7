"""Joules, by device and by what they were spent on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from netfed.errors import SimulationError

Part = Literal["compute", "transmit", "receive", "idle", "tail"]
PARTS: tuple[Part, ...] = ("compute", "transmit", "receive", "idle")
"""Those that every device has; ``tail`` is for radios that take time to connect and to be idle again (`Rrc`)."""


class Ledger:
    """What every device has spent on the task: on computing, on its radio, and on waiting for its turn on the radio.

    Args:
        devices: How many there are.
        parts: What they spend on.

    Attributes:
        joules: [device, part], parts in the order above.
        accruing: By part, returns what has been spent and is on no account yet.
    """

    def __init__(self, devices: int, parts: tuple[Part, ...] = PARTS) -> None:
        self._columns = {part: column for column, part in enumerate(parts)}
        self.joules = np.zeros((devices, len(parts)))
        self.accruing: dict[Part, Callable[[], float]] = {}

    def charge(self, device_id: int, part: Part, joules: float) -> None:
        """Add to a device's account.

        Raises:
            SimulationError: Energy is negative or not finite.
        """
        if not 0 <= joules < np.inf:
            raise SimulationError(f"device {device_id} was charged {joules} J for {part}")
        self.joules[device_id, self._columns[part]] += joules

    def totals_j(self) -> dict[str, float]:
        """Return joules by part, over all devices."""
        totals_j: dict[str, float] = dict(zip(self._columns, self.joules.sum(axis=0).tolist(), strict=True))
        for part, accrued_j in self.accruing.items():
            totals_j[part] += accrued_j()
        return totals_j
