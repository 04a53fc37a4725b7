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

    def __init__(self, medium: Medium) -> None:
        self.medium = medium
        self.live: set[Flow] = set()
        self.delivered_bits = 0
        self.lost_bits = 0

    @property
    def sent_bits(self) -> int:
        return self.medium.carried_bits(0)

    def tally(self) -> Tally:
        in_flight = sum(self.medium.sent_bits(flow) for flow in self.live)
        return Tally(self.sent_bits, self.delivered_bits, self.lost_bits, in_flight)


class Traffic:
    """Counts the bits of every base station, each direction by itself.

    Whatever a device sends or is sent crosses its access link and the backhaul link of its base station, so the
    tallies of a base station hold for its access links, taken together, and for its backhaul link alike.

    Args:
        media: What carries the bits: a medium of one cell for each base station, by direction.
    """

    def __init__(self, media: Mapping[Direction, Sequence[Medium]]) -> None:
        self._counters = {direction: [_Counter(medium) for medium in row] for direction, row in media.items()}

    def begin(self, direction: Direction, base_station: int, flow: Flow) -> None:
        """Count a transfer as under way."""
        self._counters[direction][base_station].live.add(flow)

    def end(self, direction: Direction, base_station: int, flow: Flow, delivered: bool) -> int:
        """Count a transfer as delivered or lost, and return how many of its bits were sent."""
        counter = self._counters[direction][base_station]
        counter.live.remove(flow)
        bits = counter.medium.sent_bits(flow)
        if delivered:
            counter.delivered_bits += bits
        else:
            counter.lost_bits += bits
        return bits

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
