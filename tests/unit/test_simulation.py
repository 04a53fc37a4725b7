"""The verbs that a client and a scheme have."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfed.client import Arrival
from netfed.codecs.coder import Payload
from netfed.errors import SimulationError
from netfed.simulation import _least
from tests.conftest import FIXED, Build, Play


def selected(sim: Any, count: int, index: int) -> list[int]:
    return sim.env.run(sim.env.process(sim.select(count, index))).tolist()


def test_selection_is_a_draw_of_each_device_at_each_index(built: Build) -> None:
    sim = built().simulation
    chosen = [selected(sim, 3, index) for index in range(20)]
    assert chosen[0] == selected(sim, 3, 0)
    assert all(ids == sorted(set(ids)) and len(ids) == 3 for ids in chosen)
    assert {device for ids in chosen for device in ids} == set(range(8))
    assert selected(sim, 100, 0) == list(range(8))
    for few, more in ((selected(sim, 2, index), chosen[index]) for index in range(20)):
        assert set(few) < set(more), "the luckiest stay the luckiest however many are asked"


@given(
    draws=st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5]), min_size=1, max_size=12),
    count=st.integers(1, 14),
)
def test_the_least_draws_are_those_of_a_stable_sort_in_order_of_place(draws: list[float], count: int) -> None:
    assert _least(np.array(draws), count).tolist() == sorted(np.argsort(draws, kind="stable")[:count].tolist())


def test_who_is_busy_is_not_selected_and_a_client_that_ends_frees_the_one_who_waits(built: Build) -> None:
    from netfed.inbox import Inbox

    sim = built(FIXED).simulation
    sim.env.run(sim.env.timeout(0.0))
    inbox = Inbox(sim.env)
    busy = [sim.start(device, inbox) for device in sim.participants(np.arange(8))]
    waiting = [sim.env.process(sim.select(1, index)) for index in (0, 1)]
    sim.env.run(sim.env.all_of(waiting))
    assert sim.env.now > 0
    assert any(not client.is_alive for client in busy)
    assert [waiter.value.tolist() for waiter in waiting].count([]) == 0


def test_a_device_that_leaves_its_window_in_mid_work_is_lost_as_unavailable(play: Play) -> None:
    windows = "devices.availability={kind: windows, period: 200 ms, duration: 100 ms}"
    result = play(FIXED, windows, "scheme.cohort=8")
    lost = {row["cause"] for row in result.events if row["kind"] == "lost"}
    assert lost == {"unavailable"}
    assert result.summary["updates"]["arrived"] > 0


def test_the_draw_index_counts_a_devices_beginnings_unless_it_is_given(built: Build) -> None:
    from netfed.inbox import Inbox

    sim = built().simulation
    (first,) = sim.participants(np.array([3]))
    sim.start(first, Inbox(sim.env))
    sim.env.run()
    assert first.draw == 0
    assert [device.draw for device in sim.participants(np.array([3, 4]))] == [1, 0]
    assert [device.draw for device in sim.participants(np.array([3, 4]), 7)] == [7, 7]


def test_a_payload_without_content_cannot_be_aggregated(built: Build) -> None:
    sim = built().simulation
    (device,) = sim.participants(np.array([3]))
    with pytest.raises(SimulationError, match="device 3 sent a payload without content"):
        sim.advance([Arrival(device, sim.model, 10, Payload(8))], [1.0])
