"""Radios that are promoted before a transfer and stay connected after it."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any

from simpy import Event, Interrupt

from netfed.errors import Dropped
from netfed.network.rrc import Rrc

if TYPE_CHECKING:
    from netfed.network.network import Network
    from netfed.network.population import Device


class Connections:
    """The state of every device's radio.

    A tail draws from the end of a transfer on. It is over when its time is, when the device transfers again, or when
    its battery is empty, and is charged then. Totals have those that are under way as far as they have come.

    Args:
        network: Whose devices these are.
        rrc: What all radios have.
    """

    def __init__(self, network: Network, rrc: Rrc) -> None:
        self._network = network
        self._rrc = rrc
        network.ledger.accruing["tail"] = self.accrued_j
        self._tails: dict[int, tuple[float, Event]] = {}  # those under way: since when, and their end

    def connect(self, device: Device) -> Generator[Event, Any, None]:
        """End the tail of the last transfer; if there is none, spend the time and the energy of a promotion.

        Raises:
            Dropped: The battery is empty, or the process was interrupted, on the way.
        """
        network, rrc = self._network, self._rrc
        if device.id in self._tails:
            self._end_tail(device.id)
            return
        if rrc.promotion == 0:
            return
        start_s, loss = network.env.now, None
        if network.batteries is not None:
            network.batteries.begin(device.id, lambda: rrc.promotion_power * (network.env.now - start_s))
        try:
            yield network.env.timeout(rrc.promotion)
        except Interrupt as interrupt:
            loss = Dropped(str(interrupt.cause))
        energy_j = rrc.promotion_power * (network.env.now - start_s)
        network.ledger.charge(device.id, "tail", energy_j)
        if network.batteries is not None:
            network.batteries.end(device.id, energy_j)
        cause = None if loss is None else loss.cause
        network.recorder.row("promotion", device=device.id, start_s=start_s, cause=cause, energy_j=energy_j)
        if loss is not None:
            raise loss

    def release(self, device_id: int) -> None:
        """Let a device's tail begin, now that a transfer has ended."""
        batteries, rrc = self._network.batteries, self._rrc
        if device_id in self._tails:
            self._end_tail(device_id)
        over = self._network.env.timeout(rrc.tail)
        over.callbacks.append(partial(self._expire, device_id))
        self._tails[device_id] = self._network.env.now, over
        if batteries is not None:
            drawn_j, stop = partial(self._tail_j, device_id), partial(self._end_tail, device_id)
            batteries.begin_tail(device_id, drawn_j, stop, rrc.tail_power * rrc.tail)

    def accrued_j(self) -> float:
        """Return what tails have come to that are not charged yet."""
        return sum(self._tail_j(device_id) for device_id in self._tails)

    def _tail_j(self, device_id: int) -> float:
        """Return what a tail under way has drawn so far."""
        since_s, _ = self._tails[device_id]
        return self._rrc.tail_power * (self._network.env.now - since_s)

    def _expire(self, device_id: int, over: Event) -> None:
        if device_id in self._tails and self._tails[device_id][1] is over:
            self._end_tail(device_id)

    def _end_tail(self, device_id: int) -> None:
        """Let a radio be idle, or busy again."""
        network, energy_j = self._network, self._tail_j(device_id)
        since_s, _ = self._tails.pop(device_id)
        if network.batteries is not None:
            network.batteries.end_tail(device_id, energy_j)
        if energy_j > 0:
            network.ledger.charge(device_id, "tail", energy_j)
            network.recorder.row("tail", device=device_id, start_s=since_s, energy_j=energy_j)
