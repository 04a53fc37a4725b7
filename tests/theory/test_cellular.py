"""A cellular world is the same for every scheme and codec, comes out twice alike, and keeps its books."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from netfed.chains import chains
from netfed.critical_path import critical_paths
from tests.conftest import NOTHING, Play

CELLULAR = (
    "network={kind: cellular, propagation: umi, carrier: fr1-3500mhz, backhaul: {rate: 40 Mbit/s, latency: 5 ms},"
    " buildings: {indoor: 0.5}, background: {kind: constant, share: 0.2}, refresh: 200 ms,"
    " handover: {time_to_trigger: 100 ms}}"
)
MOVING = "devices.mobility={kind: random-waypoint, speed: [20 m/s, 60 m/s]}"
TOWN = ("topology={kind: hexagonal, base_stations: 3, spacing: 200 m}", "devices.count=30", MOVING)
SCHEMES = {
    "fedavg": "scheme={kind: fedavg, rounds: 3, cohort: 8}",
    "fedbuff": "scheme={kind: fedbuff, aggregations: 4, concurrency: 6, buffer: 4}",
    "hierarchical": "scheme={kind: hierarchical, rounds: 2, cohort: 12, edge_rounds: 2}",
}


def world_of(sim: Any) -> str:
    """All that chance and motion decide, told for moments long after the run."""
    radio, population = sim.network.radio_access, sim.population
    ids = np.arange(len(population))
    told = [
        population.position_m,
        population.speed,
        population.phase,
        *(radio.air.trajectories.positions_m(ids, at_s) for at_s in (0.0, 7.5, 1000.0)),
        *(radio.air.gain_db(ids, at_s) for at_s in (0.0, 7.5, 1000.0)),
    ]
    return hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in told)).hexdigest()


def test_schemes_and_codecs_meet_the_same_world(play: Play) -> None:
    worlds = {
        world_of(play(CELLULAR, *TOWN, scheme, codec).sim)
        for scheme in SCHEMES.values()
        for codec in ("codec=float32", "codec={kind: topk, fraction: 0.1}")
    }
    assert len(worlds) == 1
    assert world_of(play(CELLULAR, *TOWN, "seed=4").sim) not in worlds


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_a_run_comes_out_twice_alike_however_far_the_clock_is_ahead(play: Play, built: Any, scheme: str) -> None:
    once, again = play(CELLULAR, *TOWN, scheme), built(CELLULAR, *TOWN, scheme)
    again.ahead = 0
    windows = list(again.windows())
    assert [row for window in windows for row in window.events] == once.events
    assert again.summary()["model_digest"] == once.summary["model_digest"]


def test_half_trained_clients_change_cells(play: Play) -> None:
    """They compute for so long that they leave their cells; their updates go up elsewhere."""
    played = play(CELLULAR, *TOWN, SCHEMES["fedavg"], "task.compute=20 s", text=NOTHING)
    handovers = [row for row in played.events if row["kind"] == "handover"]
    assert len(handovers) > 10
    cells: dict[tuple[int, str], int] = {}
    moved = 0
    for row in played.events:
        if row["kind"] == "transfer":
            cells[row["device"], row["link"]] = row["cell"]
            moved += row["link"] == "uplink" and row["cell"] != cells[row["device"], "downlink"]
    assert moved > 3
    assert played.summary["updates"]["arrived"] + played.summary["updates"]["lost"] == 24
    played.sim.network.check_conservation()


def test_fewer_handovers_go_back_and_forth_the_greater_the_hysteresis(play: Play) -> None:
    counts = []
    for hysteresis in (0, 2, 5):
        world = CELLULAR.replace("time_to_trigger: 100 ms", f"time_to_trigger: 0 s, hysteresis: {hysteresis} dB")
        rows = play(world, *TOWN, SCHEMES["fedavg"], "task.compute=20 s", text=NOTHING).events
        served: dict[int, list[int]] = {}
        for row in rows:
            if row["kind"] == "handover":
                served.setdefault(row["device"], [row["source_cell"]]).append(row["target_cell"])
        counts.append(sum(a == c for cells in served.values() for a, c in zip(cells, cells[2:], strict=False)))
    assert counts[0] > counts[1] > counts[2]


def test_a_round_of_base_stations_waits_for_no_devices_that_have_only_changed_cells(play: Play) -> None:
    """Devices leave their cells while they compute, and go on working for the base station that began with them."""
    scheme = "scheme={kind: hierarchical, rounds: 3, cohort: 12, edge_rounds: 2}"
    played = play(CELLULAR, *TOWN, scheme, "task.compute=8 s", text=NOTHING)
    rows = [row for row in played.events if row["kind"] in ("transfer", "compute", "lost")]
    assert sum(row.get("edge") is not None for row in rows) > 10
    assert all(row.get("edge") != row["cell"] for row in rows if row["kind"] == "transfer")
    versions, ends_s = [row["version"] for row in played.rounds], [row["t_s"] for row in played.rounds]
    parts = [this.parts for this in critical_paths(chains(rows), versions, ends_s)]
    assert all("waiting for devices" not in each for each in parts)
