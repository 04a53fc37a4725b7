"""What a user writes about changing cells. Light to import."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from netfed.units import Decibels, Seconds

SHORTEST_S = 0.001
"""The shortest time between looks at the radio. TS 38.331, clause 6.3.2, has a time to trigger of 0, 40 ms, or more."""


@dataclass(frozen=True)
class RadioLinkFailure:
    """When a device loses its cell, and how it comes back (TS 38.331, clauses 5.3.10 and 5.3.7).

    Thresholds of -8 and -6 dB stand for the 10 and 2 % block errors of a hypothetical PDCCH by which TS 38.133, clause
    8.1, defines Qout and Qin; they, and the times, are estimates.

    Attributes:
        out_of_sync: SINR of the serving cell below which the link begins to fail (Qout).
        in_sync: SINR above which it has recovered (Qin).
        after: How long it fails until it is lost: N310 indications, then timer T310.
        reestablishment: Until the device is back, at the cell that was the strongest when its link was lost.
    """

    out_of_sync: Decibels = -8.0
    in_sync: Decibels = -6.0
    after: Seconds = 1.0
    reestablishment: Seconds = 0.2

    def __post_init__(self) -> None:
        if not self.out_of_sync <= self.in_sync:
            raise ValueError("in_sync must be no less than out_of_sync")


@dataclass(frozen=True)
class Handover:
    """When a device changes its cell: event A3, "neighbour becomes offset better" (TS 38.331, clause 5.5.4.4).

    A neighbour's RSRP must exceed the serving cell's by more than ``offset + hysteresis`` for the time to trigger. The
    report starts the handover at once, so that the event's leaving condition plays no part; the strongest of the cells
    that are reported is the target.

    RSRP is sampled, and the condition looked at, with the samples alone, as a device does (clause 5.5.4.1: for all
    measurements taken during the time to trigger). A handover is at the first sample that lies the time to trigger or
    more after the first of an unbroken row of samples that meet the condition. If ``d`` is the time between samples, it
    is therefore late, against a condition watched without a break, by less than ``d`` if the time to trigger is a
    multiple of ``d`` (`interval_s` finds such a ``d``), and by less than ``2 d`` if not.

    The defaults of hysteresis and time to trigger are those of ns-3's A3 RSRP algorithm; the interruption is an
    estimate.

    Attributes:
        offset: By how much a neighbour must be better (a3-Offset).
        hysteresis: By how much more (Hys).
        time_to_trigger: For how long.
        interruption: During which the device neither sends nor receives while it changes.
        transfers: What becomes of a transfer under way: ``carry`` its remaining bits over, or ``lose`` it. A radio-link
            failure loses it always.
        filter_coefficient: The ``k`` of layer-3 filtering (clause 5.5.3.2): it smooths RSRP, in dB, with the weight
            2**(-k / 4) for a new sample if there is one each 200 ms, and as fast with more or fewer of them. 0: no
            filter.
        failure: When the link is lost; null: where no modulation and coding scheme works on it, and only there.
    """

    offset: Decibels = 0.0
    hysteresis: Decibels = 3.0
    time_to_trigger: Seconds = 0.256
    interruption: Seconds = 0.05
    transfers: Literal["carry", "lose"] = "carry"
    filter_coefficient: Annotated[int, Field(ge=0, le=19)] = 0
    failure: RadioLinkFailure | None = field(default_factory=RadioLinkFailure)

    def __post_init__(self) -> None:
        if not 0 <= self.hysteresis <= 15:
            raise ValueError("hysteresis must be from 0 to 15 dB")
        if self.time_to_trigger != 0 and not SHORTEST_S <= self.time_to_trigger < math.inf:
            raise ValueError("time_to_trigger must be 0, or 1 ms or more: samples are no further apart, and cost time")
        if not -15 <= self.offset <= 15:
            raise ValueError("offset must be from -15 to 15 dB")
        if self.offset + self.hysteresis < 0:
            raise ValueError("offset + hysteresis must be 0 dB or more, or devices would change cells for ever")

    def interval_s(self, most_s: float) -> float:
        """Return the longest time between samples, at most ``most_s``, of which the time to trigger is a multiple."""
        if self.time_to_trigger == 0:
            return most_s
        return self.time_to_trigger / max(1, math.ceil(self.time_to_trigger / most_s))
