"""Radios of devices whose rates follow traces."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from simpy import Environment, Event

from netfed.network.steps import Steps
from netfed.network.traffic import Direction
from netfed.network.transfer import Transfer
from netfed.streams import Streams


class Radios:
    """Lets radios of devices follow traces while they transfer, each device from a moment of its own.

    Args:
        env: The clock.
        traces: Of all devices, by direction; in one that is left out rates stay as they are.
        streams: Draws the moments, addressed by device.
        own: Of some devices, each by direction, in place of those of all.
        followed: The number of its own that each device follows, -1 for none; None: no device has any. [device]
    """

    def __init__(
        self,
        env: Environment,
        traces: Mapping[Direction, Steps],
        streams: Streams,
        own: Sequence[Mapping[Direction, Steps]] = (),
        followed: NDArray[np.int64] | None = None,
    ) -> None:
        self._env = env
        self._traces = traces
        self._streams = streams
        self._own = own
        self._followed = followed

    def since_s(self, direction: Direction, device_id: int) -> float:
        """Return the moment of its trace that a device meets at time 0."""
        own = self._own_of(device_id)
        steps, name = (own[direction], "trace") if direction in own else (self._traces[direction], f"trace-{direction}")
        if steps.begins_s is not None:
            return steps.begins_s
        return steps.period_s * self._streams.draw(name, device_id)

    def follow(self, transfer: Transfer) -> None:
        """Let a transfer that begins now follow the trace of its direction, if there is one, until it ends."""
        direction, device_id = transfer.way.direction, transfer.device.id
        steps = self._own_of(device_id).get(direction) or self._traces.get(direction)
        if steps is None:
            return
        env, since_s = self._env, self.since_s(direction, device_id)
        rates = steps.rates(env.now + since_s)
        _, rate_bps = next(rates)
        transfer.retune(rate_bps)

        def later() -> Generator[Event, Any, None]:
            for moment_s, rate_bps in rates:
                yield env.timeout(max(0.0, moment_s - since_s - env.now))
                if transfer.flow.left_bits is not None:
                    return
                transfer.retune(rate_bps)

        env.process(later())

    def _own_of(self, device_id: int) -> Mapping[Direction, Steps]:
        number = -1 if self._followed is None else self._followed.item(device_id)
        return {} if number < 0 else self._own[number]
