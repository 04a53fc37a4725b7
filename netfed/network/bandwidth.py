"""Radios of devices whose rates follow traces."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from simpy import Environment, Event

from netfed.network.steps import Steps
from netfed.network.traffic import Direction
from netfed.network.transfer import Transfer
from netfed.streams import Streams


class Radios:
    """Lets radios of devices follow traces while they transfer, each device from a moment of its own.

    Args:
        env: The clock.
        traces: By direction; in one that is left out rates stay as they are.
        streams: Draws the moments, addressed by device.
    """

    def __init__(self, env: Environment, traces: Mapping[Direction, Steps], streams: Streams) -> None:
        self._env = env
        self._traces = traces
        self._streams = streams

    def since_s(self, direction: Direction, device_id: int) -> float:
        """Return the moment of the trace that a device meets at time 0."""
        steps = self._traces[direction]
        return steps.period_s * self._streams.draw(f"trace-{direction}", device_id) if steps.repeat else 0.0

    def follow(self, transfer: Transfer) -> None:
        """Let a transfer that begins now follow the trace of its direction, if there is one, until it ends."""
        direction = transfer.way.direction
        if direction not in self._traces:
            return
        env, steps, since_s = self._env, self._traces[direction], self.since_s(direction, transfer.device.id)
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
