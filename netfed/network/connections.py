"""Radios that are promoted before a transfer and stay connected after it, in closed form in between."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from simpy import Event, Interrupt

from netfed.errors import Dropped
from netfed.network.rrc import Rrc

if TYPE_CHECKING:
    from netfed.network.network import Network
    from netfed.network.population import Device


class Connections:
    """The state of every device's radio.

    A tail is charged, to the device's account and to its battery, when the device transfers again: then it is known how
    long it was. Totals have those that nobody has charged yet as far as they have come.

    Args:
        network: Whose devices these are.
        rrc: What all radios have.
    """

    def __init__(self, network: Network, rrc: Rrc) -> None:
        self._network = network
        self._rrc = rrc
        network.ledger.accruing["tail"] = self.accrued_j
        self._released_s = np.full(len(network.population), -np.inf)  # the last transfer whose tail is not charged yet

    def connect(self, device: Device) -> Generator[Event, Any, None]:
        """Charge the tail of the last transfer; if that is over, spend the time and the energy of a promotion.

        Raises:
            Dropped: The battery is empty, or the process was interrupted, on the way.
        """
        network, rrc = self._network, self._rrc
        start_s = network.env.now
        rested_s = start_s - self._released_s.item(device.id)
        self._charge_tail(device.id, rested_s)
        if rested_s <= rrc.tail or rrc.promotion == 0:
            return
        loss = None
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
        self._released_s[device_id] = self._network.env.now

    def accrued_j(self) -> float:
        """Return what tails have come to that are not charged yet."""
        tails_s = np.minimum(self._network.env.now - self._released_s, self._rrc.tail)
        return self._rrc.tail_power * float(tails_s.sum(where=self._released_s > -np.inf))

    def _charge_tail(self, device_id: int, rested_s: float) -> None:
        network, released_s = self._network, self._released_s.item(device_id)
        self._released_s[device_id] = -np.inf
        energy_j = 0.0 if rested_s == np.inf else self._rrc.tail_power * min(rested_s, self._rrc.tail)
        if energy_j > 0 and network.batteries is not None:
            energy_j = network.batteries.take(device_id, energy_j)
        if energy_j > 0:
            network.ledger.charge(device_id, "tail", energy_j)
            network.recorder.row("tail", device=device_id, start_s=released_s, energy_j=energy_j)
