"""The time and the energy of computing on a device."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from simpy import Event, Interrupt

from netfed.errors import Dropped, SimulationError
from netfed.network.heat import FULL_SPEED
from netfed.network.population import Device
from netfed.network.profiles import Cost, roofline_s

if TYPE_CHECKING:
    from netfed.network.network import Network

_DROPOUT = "dropout-compute"


def compute(network: Network, device: Device, cost: Cost | None) -> Generator[Event, Any, None]:
    """Spend what a computation takes on a device (`roofline_s`), and charge what was really spent.

    Raises:
        Dropped: The device left, its battery is empty, or the process was interrupted, on the way.
        SimulationError: The cost is missing, or not positive: time would stand still unnoticed.
    """
    if cost is None or not (0 < cost.flops < math.inf and 0 < cost.bytes < math.inf):
        raise SimulationError(f"device {device.id} was asked to compute at a cost of {cost}")
    env, power_w = network.env, device.compute_w
    pace = FULL_SPEED if network.heat is None else network.heat.pace(device.id)
    duration_s = pace.duration_s(roofline_s(cost, device.flops_per_s, device.bytes_per_s))
    share = device.breaks_off(_DROPOUT, device.dropout.compute)
    loss = None if share is None else Dropped(_DROPOUT)
    start_s = env.now
    if network.batteries is not None:
        network.batteries.begin(device.id, lambda: power_w * pace.work_s(env.now - start_s))
    try:
        yield env.timeout(duration_s if share is None else share * duration_s)
    except Interrupt as interrupt:
        loss = Dropped(str(interrupt.cause))
    energy_j = power_w * pace.work_s(env.now - start_s)
    if network.heat is not None:
        network.heat.end(device.id, pace, start_s)
    network.ledger.charge(device.id, "compute", energy_j)
    if network.batteries is not None:
        network.batteries.end(device.id, energy_j)
    cause = None if loss is None else loss.cause
    network.recorder.row("compute", device=device.id, start_s=start_s, cause=cause, energy_j=energy_j)
    if loss is not None:
        raise loss
