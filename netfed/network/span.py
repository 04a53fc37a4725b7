"""Stretches of the way between the cloud and the devices, and what their transfers have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from netfed.network.energy import Part
from netfed.network.medium import Medium
from netfed.network.spec import Dropout, LinkClass
from netfed.network.traffic import Direction, Traffic


class Way:
    """What all payloads of one direction of one base station have in common.

    Args:
        direction: Of the payloads.
        base_station: Its index.
        medium: What carries the bits.
        cells: Those of the medium that are the base station's.
        traffic: Counts the bits.
        route: The links of the stretch, as one.
        dropout: How often devices leave.
    """

    def __init__(
        self,
        direction: Direction,
        base_station: int,
        medium: Medium,
        cells: range,
        traffic: Traffic,
        route: LinkClass,
        dropout: Dropout,
    ) -> None:
        self.direction = direction
        self.base_station = base_station
        self.medium = medium
        self.cells = cells
        self.traffic = traffic
        self.rate_bps = route.rate
        self.limit_bps = math.inf if route.limit is None else route.limit
        self.latency_s = route.latency
        self.loss = route.loss
        self.loss_cause = f"loss-{direction}"
        self.part: Part
        if direction == "uplink":
            self.part, self.dropout, self.dropout_cause = "transmit", dropout.upload, "dropout-upload"
        else:
            self.part, self.dropout, self.dropout_cause = "receive", dropout.download, "dropout-download"


class Span:
    """One stretch, from every base station.

    Args:
        media: What carries the bits, and which of its cells are the base station's. [base station], by direction
        routes: The links of the stretch, as one. [base station], by direction
        dropout: How often devices leave.

    Attributes:
        media: What carries the bits. [base station], by direction
        traffic: Bits, by direction and base station.
        ways: [base station], by direction
    """

    def __init__(
        self,
        media: Mapping[Direction, Sequence[tuple[Medium, range]]],
        routes: Mapping[Direction, Sequence[LinkClass]],
        dropout: Dropout,
    ) -> None:
        self.media = {direction: [medium for medium, _ in row] for direction, row in media.items()}
        self.traffic = Traffic(media)
        self.ways = {
            direction: [
                Way(direction, index, medium, cells, self.traffic, route, dropout)
                for index, ((medium, cells), route) in enumerate(zip(row, routes[direction], strict=True))
            ]
            for direction, row in media.items()
        }
