"""Joules, by device and by what they were spent on."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from netfed.errors import SimulationError

Part = Literal["compute", "transmit", "receive", "idle"]
PARTS: tuple[Part, ...] = get_args(Part)
_COLUMN = {part: column for column, part in enumerate(PARTS)}


class Ledger:
    """What every device has spent on the task: on computing, on its radio, and on waiting for its turn on the radio.

    Args:
        devices: How many there are.

    Attributes:
        joules: [device, part], parts in the order of `PARTS`.
    """

    def __init__(self, devices: int) -> None:
        self.joules = np.zeros((devices, len(PARTS)))

    def charge(self, device_id: int, part: Part, joules: float) -> None:
        """Add to a device's account.

        Raises:
            SimulationError: Energy is negative or not finite.
        """
        if not 0 <= joules < np.inf:
            raise SimulationError(f"device {device_id} was charged {joules} J for {part}")
        self.joules[device_id, _COLUMN[part]] += joules

    def totals_j(self) -> dict[str, float]:
        """Return joules by part, over all devices."""
        return dict(zip(PARTS, self.joules.sum(axis=0).tolist(), strict=True))
