"""What a user writes about the states of radios. Light to import."""

from __future__ import annotations

import math
from dataclasses import dataclass

from netfed.units import Seconds, Watts


@dataclass(frozen=True)
class Rrc:
    """A cellular radio is connected before it transfers, and stays so for a while afterwards (3GPP TS 38.331).

    A transfer that finds the radio idle waits until it has been promoted. The radio is idle again when its tail is
    over: when the inactivity timer of the cell has expired. Huang et al., "A close examination of performance and power
    characteristics of 4G LTE networks", MobiSys 2012, have measured both, and found that the tail is what radios spend
    most on. The figures here are chosen, of the size of theirs.

    Attributes:
        promotion: From idle to connected.
        promotion_power: Meanwhile.
        tail: From the end of a transfer until the radio is idle.
        tail_power: Meanwhile, on top of what else the device draws.
    """

    promotion: Seconds = 0.26
    promotion_power: Watts = 1.2
    tail: Seconds = 11.5
    tail_power: Watts = 1.0

    def __post_init__(self) -> None:
        for name in ("promotion", "promotion_power", "tail", "tail_power"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be 0 or more")
