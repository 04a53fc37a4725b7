"""Sending a payload between a base station and the cloud, no device taking part."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from simpy import Event

from netfed.errors import TransferLost

if TYPE_CHECKING:
    from netfed.network.link import Payload
    from netfed.network.network import Network
    from netfed.network.span import Way


class Trunk:
    """One direction of the backhaul of one base station.

    Args:
        network: What it is a part of.
        way: The backhaul.
    """

    def __init__(self, network: Network, way: Way) -> None:
        self._network = network
        self._way = way

    def send(self, payload: Payload, draw: int) -> Generator[Event, Any, None]:
        """Move a payload: its bits, then, a latency after the last of them, it is there.

        Args:
            payload: What travels.
            draw: Addresses the randomness of this transfer, together with the base station.

        Raises:
            TransferLost: The connection broke.
        """
        network, way = self._network, self._way
        link = f"backhaul-{way.direction}"
        bits, loss = payload.bits, None
        if self._uniform(f"loss-{link}", draw) < way.loss:
            bits, loss = math.floor(self._uniform(f"loss-{link}/share", draw) * bits), TransferLost(f"loss-{link}")
        start_s = network.env.now
        flow = way.medium.start(bits, way.rate_bps, way.cells.start)
        flow.lag_s = way.latency_s if loss is None else 0.0
        way.traffic.begin(way.direction, way.base_station, flow)
        yield flow.finished
        network.recorder.row(
            "transfer",
            cell=way.base_station,
            link=link,
            start_s=start_s,
            bits=way.traffic.end(way.direction, way.base_station, flow, delivered=loss is None),
            payload_bits=payload.bits,
            delivered=loss is None,
            cause=None if loss is None else loss.cause,
            latency_s=network.env.now - flow.ended_s,
        )
        if loss is not None:
            raise loss

    def _uniform(self, stream: str, draw: int) -> float:
        return self._network.population.streams.draw(stream, self._way.base_station, draw)
