from __future__ import annotations

import math

import pytest
from simpy import Environment

from netfed.network.cell import Cell
from netfed.network.dedicated import Dedicated
from netfed.network.medium import Finish, Flow
from netfed.network.rate_class import RateClass, fine
from netfed.network.virtual_time import VirtualClock


def flow(radio_bps: float, limit_bps: float = math.inf, allocation: float = 1.0) -> Flow:
    env = Environment()
    return Flow(Dedicated(env, math.inf), 0, 1000, radio_bps, 1.0, limit_bps, allocation, Finish(env))


def piece(cell: Cell) -> tuple[float, float, float, float]:
    cell.find_ends()
    return cell.slope, cell.intercept_bps, cell.low_bps, cell.high_bps


def classes(cell: Cell) -> dict[Flow, RateClass | None]:
    return cell._clocks


@pytest.mark.parametrize("capped", [0, 1])
def test_rates_depend_on_who_is_there_not_on_who_was(capped: int) -> None:
    busy, fresh = Cell(VirtualClock()), Cell(VirtualClock())
    for cell in (busy, fresh):
        for radio_bps in (1e6 / 3, 7e6):
            cell.join(flow(radio_bps), 1000, fine(0.7), 0.0)
    for _ in range(capped):
        for cell in (busy, fresh):
            cell.classify(0.0)
            cell.find_ends()
            cell.hold()
    guests = [(flow(1e10 / (3 + index % 9)), fine(0.1 * (1 + index % 7))) for index in range(300)]
    for guest, weight in guests:
        busy.join(guest, 1000, weight, 0.0)
    assert piece(busy) != piece(fresh)
    for guest, weight in guests:
        busy.leave(guest, weight, 0.0)
    assert piece(busy) == piece(fresh)


def test_flows_of_one_radio_rate_are_one_rate_class_once_some_can_be_held() -> None:
    cell = Cell(VirtualClock())
    flows = [flow(radio_bps) for radio_bps in (2e6, 1e6, 2e6)]
    for one in flows:
        cell.join(one, 1000, fine(1.0), 0.0)
    assert [classes(cell)[one] for one in flows] == [None] * 3
    cell.classify(0.0)
    first, second, third = (classes(cell)[one] for one in flows)
    assert first is third
    assert first is not second
    assert first is not None
    assert second is not None
    assert first.weight == 2 * second.weight


def test_the_last_to_leave_takes_the_rate_classes_along() -> None:
    cell = Cell(VirtualClock())
    first, second = flow(1e6), flow(2e6)
    cell.join(first, 1000, fine(1.0), 0.0)
    cell.classify(0.0)
    cell.join(second, 1000, fine(1.0), 0.0)
    cell.leave(first, fine(1.0), 0.0)
    assert classes(cell)[second] is not None
    cell.leave(second, fine(1.0), 0.0)
    cell.join(first, 1000, fine(1.0), 0.0)
    assert classes(cell)[first] is None


def test_a_flow_goes_on_in_its_rate_class_with_the_bits_that_it_has_left() -> None:
    cell = Cell(VirtualClock())
    slow, fast = flow(1e6), flow(4e6)
    for one in (slow, fast):
        cell.join(one, 1_000_000, fine(1.0), 0.0)
    cell.drive(math.inf, 0.0)
    cell.classify(0.5)
    cell.drive(math.inf, 0.5)
    for one, left_bits, rate_bps in ((slow, 750_000, 0.5e6), (fast, 0, 2e6)):
        assert cell.left_bits(one, fine(1.0), 0.5) == pytest.approx(left_bits, abs=1e-6)
        assert cell.rate_bps(one, fine(1.0)) == pytest.approx(rate_bps)


def test_a_tier_that_is_empty_serves_the_next_limit() -> None:
    """Limits that follow the radio are others at each look: no trace of the old ones is left."""
    cell = Cell(VirtualClock())
    cell.join(flow(3e6, limit_bps=1e6), 1000, fine(1.0), 0.0)
    for index in range(100):
        guest = flow(1e6 + index, allocation=0.5)
        cell.join(guest, 1000, fine(1.0), 0.0)
        rate_class = classes(cell)[guest]
        assert rate_class is not None
        assert (rate_class.carrier_bps, rate_class.tier.limit_bps) == (2e6 + 2 * index, (1e6 + index) / fine(1.0))
        cell.leave(guest, fine(1.0), 0.0)
    assert len(cell.limited) == 2


def test_pieces_meet_where_a_rate_class_is_capped() -> None:
    """What the cell sends at a border is the same by the piece below and by the piece above."""
    cell = Cell(VirtualClock())
    for radio_bps in (1e6, 10e6, 100e6):
        cell.join(flow(radio_bps), 1000, fine(1.0), 0.0)
    cell.classify(0.0)
    cell.find_ends()
    assert cell.high_bps == math.inf
    while (border_bps := cell.low_bps) > 0:
        above_bps = cell.slope * border_bps + cell.intercept_bps
        cell.hold()
        assert cell.high_bps == pytest.approx(border_bps, rel=1e-12)
        assert cell.slope * border_bps + cell.intercept_bps == pytest.approx(above_bps, rel=1e-12)
    assert cell.intercept_bps == 0.0
    for _ in range(3):
        cell.release()
    assert cell.slope == 0.0
    assert cell.intercept_bps == pytest.approx(37e6, rel=1e-12)
