from __future__ import annotations

import math

import pytest

from netfed.errors import SimulationError
from netfed.network.energy import PARTS, Ledger


def test_charges_add_up_by_device_and_part() -> None:
    ledger = Ledger(3)
    ledger.charge(0, "compute", 1.0)
    ledger.charge(0, "compute", 2.0)
    ledger.charge(2, "idle", 0.5)
    assert ledger.joules.tolist() == [[3.0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0.5]]
    assert ledger.totals_j() == {"compute": 3.0, "transmit": 0.0, "receive": 0.0, "idle": 0.5}
    assert tuple(ledger.totals_j()) == PARTS


@pytest.mark.parametrize("joules", [-1.0, math.nan, math.inf])
def test_refuses_what_is_no_energy(joules: float) -> None:
    with pytest.raises(SimulationError, match="device 1 was charged"):
        Ledger(2).charge(1, "idle", joules)
