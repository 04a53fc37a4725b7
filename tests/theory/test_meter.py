"""What links carried is what transfers sent, in every scheme and network; and looking at it changes nothing."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.conftest import DROPOUT, LOSSY, NOTHING, Play
from tests.theory.test_cellular import CELLULAR, MOVING

TIGHT = LOSSY.replace("20 Mbit/s", "1.5 Mbit/s")
OUTAGES = TIGHT.removesuffix("}") + (
    ", background: {kind: constant, share: 0.3},"
    " outages: [{kind: random, cells: all, links: all, between: 300 ms, duration: 100 ms}]}"
)
HANDOVER = CELLULAR.replace("time_to_trigger: 100 ms", "time_to_trigger: 0 s, hysteresis: 0 dB")
NETWORKS = {
    "fixed": TIGHT.replace("fluid", "fixed"),
    "fluid": TIGHT,
    "outages": OUTAGES,
    "cellular": HANDOVER,
}
SCHEMES = {
    "fedavg": "scheme={kind: fedavg, rounds: 4, cohort: 6, over_selection: 0.3, deadline: 20 s}",
    "fedbuff": "scheme={kind: fedbuff, aggregations: 5, concurrency: 6, buffer: 2}",
    "hierarchical": "scheme={kind: hierarchical, rounds: 2, cohort: 8, edge_rounds: 2, deadline: 20 s}",
}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("network", NETWORKS)
def test_links_carry_what_transfers_send_and_nothing_else_changes(play: Play, network: str, scheme: str) -> None:
    world = [NETWORKS[network], SCHEMES[scheme], DROPOUT, "devices.count=12", "task.download=100 kB"]
    world.append("topology={kind: hexagonal, base_stations: 3, spacing: 200 m}")
    if network == "cellular":
        world += [MOVING, "task.compute=5 s"]
    blind = play(*world, "network.meter=null", text=NOTHING)
    played = play(*world, "network.meter=70 ms", text=NOTHING)
    looks = [row for row in played.events if row["kind"] == "link"]
    assert [row for row in played.events if row["kind"] != "link"] == blind.events
    assert played.rounds == blind.rounds
    assert played.summary == blind.summary
    times_s = [row["t_s"] for row in played.events]
    assert times_s == sorted(times_s)
    transfers = [row for row in played.events if row["kind"] == "transfer"]
    for direction in ("uplink", "downlink"):
        air = [row for row in looks if row["link"] == direction]
        own = [row for row in transfers if row["link"] == direction]
        wire = [row for row in transfers if row["link"] == f"backhaul-{direction}"]
        assert sum(row["bits"] for row in air) == sum(row["bits"] for row in own) > 0
        busy_s = math.fsum(row["busy"] * (row["t_s"] - row["start_s"]) for row in air)
        on_air_s = math.fsum(row["airtime_s"] for row in own)
        if network == "cellular" and direction == "uplink":  # some are on few resource blocks
            assert 0 < busy_s < on_air_s
        else:
            assert busy_s == pytest.approx(on_air_s, rel=1e-9)
        carried = sum(row["bits"] for row in looks if row["link"] == f"backhaul-{direction}")
        assert carried == sum(row["bits"] for row in (wire if scheme == "hierarchical" else own))
    for row in looks:
        lasted_s = row["t_s"] - row["start_s"]
        assert 0 <= row["busy"] * lasted_s <= (math.inf if network == "fixed" else lasted_s + 1e-4), (
            "but for whole bits"
        )
    if network == "cellular":
        assert any(row["kind"] == "handover" for row in played.events)
        assert {row["sector"] for row in looks if "sector" in row} == {0, 1, 2}


def busy(row: dict[str, Any]) -> float:
    return row["busy"]  # type: ignore[no-any-return]


def test_what_others_take_and_what_is_out_of_order_leaves_less_to_be_busy(play: Play) -> None:
    """Others take 30 % of the airtime; a flow that waits for an outage to end holds its link's backlog meanwhile."""
    played = play(OUTAGES, "network.meter=50 ms", text=NOTHING)
    air = [row for row in played.events if row["kind"] == "link" and "sector" in row]
    assert max(map(busy, air)) == pytest.approx(0.7, abs=1e-3)
    assert [row for row in air if row["busy"] == 0 and row["transfers"] and row["backlog_bits"]]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_looks_do_not_depend_on_how_far_the_clock_is_ahead(play: Play, built: Any, scheme: str) -> None:
    world = (LOSSY, SCHEMES[scheme], "devices.count=12", "network.meter=30 ms")
    once, again = play(*world), built(*world)
    again.ahead = 0
    events = [list(window.events) for window in again.windows()]
    assert [row for window in events for row in window] == once.events
    assert len(events) > 1
