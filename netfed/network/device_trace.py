"""Rates of devices over time, as they were measured. Light to import: arrays come in inside methods."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from netfed.network.rate_trace import RateTrace, by_direction
from netfed.units import Fraction

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

    from netfed.network.steps import Steps
    from netfed.network.traffic import Direction
    from netfed.streams import Streams


@dataclass(frozen=True)
class DeviceTrace:
    """What the radios of some devices give over time, in one direction or in both.

    Each device is at a moment of the trace of its own, the same in both directions if these are equally long, and
    keeps the distance.

    Attributes:
        uplink: In place of the rate of the network's uplink; null: that rate.
        downlink: Likewise.
        devices: Who follows it: numbers from 0 on, and ranges of them, each by its first and last.
        share: Or how many do: a share of those devices that no trace names, drawn.
    """

    uplink: RateTrace | None = None
    downlink: RateTrace | None = None
    devices: tuple[int | tuple[int, int], ...] | None = None
    share: Fraction | None = None

    def __post_init__(self) -> None:
        if not self.rates:
            raise ValueError("uplink or downlink must be a trace")
        if (self.devices is None) == (self.share is None):
            raise ValueError("devices or share must say who follows the trace, one of them")
        if self.devices == () or not all(0 <= first <= last for first, last in self.ranges):
            raise ValueError("devices must be numbers from 0 on, or ranges [first, last] of them")
        if self.share is not None and not 0 < self.share <= 1:
            raise ValueError("share must be more than 0, and at most 1")

    @cached_property
    def rates(self) -> dict[Direction, Steps]:
        """What a radio gives, by direction.

        Raises:
            ValueError: A trace does not say what it should.
        """
        return by_direction(self.uplink, self.downlink)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The devices that it names: the first and the last of each range."""
        return [(each, each) if isinstance(each, int) else each for each in self.devices or ()]


def conflicts(traces: Sequence[DeviceTrace], count: int) -> Iterator[str]:
    """Yield what does not fit together, a line each.

    Args:
        traces: All of a population.
        count: How many devices it has.
    """
    named = sorted((first, last, index) for index, trace in enumerate(traces) for first, last in trace.ranges)
    for _, last, index in named:
        if last >= count:
            yield f"traces.{index}: there is no device {last}: they are numbered from 0 to {count - 1}"
    for (_, last, one), (first, _, other) in pairwise(named):
        if first <= last:
            yield f"traces.{max(one, other)}: device {first} is named twice, but follows one trace"
    shares = math.fsum(trace.share or 0.0 for trace in traces)
    if shares > 1 + 1e-9:
        yield f"traces: the shares add up to {shares:g}, more than 1"


def followed(traces: Sequence[DeviceTrace], count: int, streams: Streams) -> NDArray[int64]:
    """Return the number of the trace that each device follows, -1 for none. [device]

    Args:
        traces: All of a population.
        count: How many devices it has.
        streams: Addressed by device.
    """
    import numpy as np

    drawn = [index for index, trace in enumerate(traces) if trace.share is not None]
    bounds = np.cumsum([traces[index].share for index in drawn]) if drawn else np.zeros(0)
    place = np.searchsorted(bounds, streams.uniform("trace-share", np.arange(count)), side="right")
    found = np.array([*drawn, -1])[place]
    for index, trace in enumerate(traces):
        for first, last in trace.ranges:
            found[first : last + 1] = index
    return found
