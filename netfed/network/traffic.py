"""What became of the bits: sent, delivered, lost, or still in flight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from netfed.errors import SimulationError
from netfed.network.medium import Flow, Medium

Direction = Literal["uplink", "downlink"]


class Tally(NamedTuple):
    """Bits, whole ones.

    Attributes:
        sent: Have left the sender.
        delivered: Of transfers that arrived whole.
        lost: Of transfers that did not.
        in_flight: Of transfers under way.
    """

    sent: int
    delivered: int
    lost: int
    in_flight: int


class _Counter:
    """The transfers of one direction of one base station. Media count what is sent; links, what becomes of it."""

    def __init__(self, medium: Medium, cells: range) -> None:
        self.medium = medium
        self.cells = cells
        self.live: dict[Flow, int] = {}  # and how many bits had left before it came
        self.moved_on_bits = 0  # have left here, of transfers that are under way elsewhere
        self.delivered_bits = 0
        self.lost_bits = 0

    @property
    def sent_bits(self) -> int:
        return sum(self.medium.carried_bits(cell) for cell in self.cells)

    def tally(self) -> Tally:
        in_flight = sum(flow.sent_bits - before_bits for flow, before_bits in self.live.items())
        return Tally(self.sent_bits, self.delivered_bits, self.lost_bits, in_flight + self.moved_on_bits)

    def end(self, bits: int, delivered: bool) -> None:
        if delivered:
            self.delivered_bits += bits
        else:
            self.lost_bits += bits


class Traffic:
    """Counts the bits of every base station, each direction by itself.

    Whatever a device sends or is sent crosses its access link and the backhaul link of its base station, so the
    tallies of a base station hold for its access links, taken together, and for its backhaul link alike. Of a transfer
    that changes base stations each counts the bits that left under it.

    Args:
        media: What carries the bits of each base station, and which of its cells are the base station's, by direction.
    """

    def __init__(self, media: Mapping[Direction, Sequence[tuple[Medium, range]]]) -> None:
        self._counters = {direction: [_Counter(*carrier) for carrier in row] for direction, row in media.items()}
        self._trails: dict[Flow, list[tuple[_Counter, int]]] = {}  # of those that have moved, what left where

    def begin(self, direction: Direction, base_station: int, flow: Flow) -> None:
        """Count a transfer as under way."""
        self._counters[direction][base_station].live[flow] = 0

    def move(self, direction: Direction, source: int, target: int, flow: Flow) -> None:
        """Count a transfer as under way at another base station, now that its flow has been taken over."""
        left, entered = self._counters[direction][source], self._counters[direction][target]
        bits = flow.earlier_bits - left.live.pop(flow)
        left.moved_on_bits += bits
        self._trails.setdefault(flow, []).append((left, bits))
        entered.live[flow] = flow.earlier_bits

    def end(self, direction: Direction, base_station: int, flow: Flow, delivered: bool) -> int:
        """Count a transfer as delivered or lost, and return how many of its bits were sent."""
        counter = self._counters[direction][base_station]
        sent_bits = flow.sent_bits
        counter.end(sent_bits - counter.live.pop(flow), delivered)
        for left, bits in self._trails.pop(flow, ()):
            left.moved_on_bits -= bits
            left.end(bits, delivered)
        return sent_bits

    def tally(self, direction: Direction, base_station: int) -> Tally:
        """Return the bits of one direction of one base station."""
        return self._counters[direction][base_station].tally()

    def total(self, direction: Direction) -> Tally:
        """Return the bits of one direction of all base stations."""
        return Tally(*map(sum, zip(*(counter.tally() for counter in self._counters[direction]), strict=True)))

    def totals(self) -> dict[str, int]:
        """Return the bits sent, and those of them lost, up and down."""
        up, down = self._counters["uplink"], self._counters["downlink"]
        return {
            "up": sum(counter.sent_bits for counter in up),
            "down": sum(counter.sent_bits for counter in down),
            "lost_up": sum(counter.lost_bits for counter in up),
            "lost_down": sum(counter.lost_bits for counter in down),
        }

    def check(self) -> None:
        """Make sure that no bit has vanished or appeared.

        Raises:
            SimulationError: What was sent is not what was delivered, lost, and in flight.
        """
        for direction, counters in self._counters.items():
            for base_station, counter in enumerate(counters):
                tally = counter.tally()
                if tally.sent != tally.delivered + tally.lost + tally.in_flight:
                    raise SimulationError(f"{direction} of base station {base_station} does not add up: {tally}")
