"""The time and the energy of computing on a device."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

from simpy import Environment, Event, Interrupt

from netfed.errors import Dropped, SimulationError
from netfed.network.energy import Ledger
from netfed.network.population import Device
from netfed.network.profiles import Cost, roofline_s
from netfed.recorder import Recorder


def compute(
    env: Environment, device: Device, cost: Cost | None, ledger: Ledger, recorder: Recorder
) -> Generator[Event, Any, None]:
    """Spend what a computation takes on a device (`roofline_s`), and charge what was really spent.

    Raises:
        Dropped: The device left, or the process was interrupted, on the way.
        SimulationError: The cost is missing, or not positive: time would stand still unnoticed.
    """
    if cost is None or not (0 < cost.flops < math.inf and 0 < cost.bytes < math.inf):
        raise SimulationError(f"device {device.id} was asked to compute at a cost of {cost}")
    duration_s = roofline_s(cost, device.flops_per_s, device.bytes_per_s)
    share = device.breaks_off("dropout-compute", device.dropout.compute)
    loss = None if share is None else Dropped("dropout-compute")
    start_s = env.now
    try:
        yield env.timeout(duration_s if share is None else share * duration_s)
    except Interrupt as interrupt:
        loss = Dropped(str(interrupt.cause))
    energy_j = device.compute_w * (env.now - start_s)
    ledger.charge(device.id, "compute", energy_j)
    cause = None if loss is None else loss.cause
    recorder.row("compute", device=device.id, start_s=start_s, cause=cause, energy_j=energy_j)
    if loss is not None:
        raise loss
