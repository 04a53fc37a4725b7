"""Devices whose transfers have weights share airtime in proportion to them, in every kind of network that shares."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import pytest

from tests.conftest import NOTHING, Play
from tests.theory.test_flows import Transfer, reference_play

TWO = """\
netfed: 1
name: two
task: {kind: none, download: 400 kB, upload: 100 kB, compute: 1 s}
scheme: {kind: fedavg, rounds: 1, cohort: 2}
devices: {count: 2, weight: {1: 0.5, 4: 0.5}}
topology: {kind: hexagonal, base_stations: 1}
network:
  kind: fluid
  uplink: {rate: 1 Mbit/s}
  downlink: {rate: 10 Mbit/s}
  backhaul: {rate: 1 Gbit/s}
"""
ALONE_S = {"downlink": 0.32, "uplink": 0.8}
SEED = "seed=0"  # one device of each weight
CROWD = (
    "devices={count: 24, speed_spread: 0.5, weight: {0.5: 0.2, 1: 0.5, 4: 0.2, 10: 0.1}}",
    "topology={kind: hexagonal, base_stations: 2}",
    "network={kind: fluid, uplink: {rate: 1 Mbit/s, spread: 0.5, latency: 5 ms},"
    " downlink: {rate: 10 Mbit/s, spread: 0.5, latency: 5 ms}, backhaul: {rate: %s, latency: 10 ms}}",
)
SCHEMES = {
    "fedavg": "scheme={kind: fedavg, rounds: 3, cohort: 16}",
    "fedbuff": "scheme={kind: fedbuff, aggregations: 8, concurrency: 16, buffer: 2}",
    "hierarchical": "scheme={kind: hierarchical, rounds: 2, cohort: 16, edge_rounds: 2}",
}


def transfers(played: Any) -> list[dict[str, Any]]:
    return [row for row in played.events if row["kind"] == "transfer" and "device" in row]


@pytest.mark.parametrize(
    "scheme", ["{kind: fedavg, rounds: 1, cohort: 2}", "{kind: hierarchical, rounds: 1, cohort: 2, edge_rounds: 1}"]
)
def test_two_devices_in_one_cell_end_when_the_closed_form_says(play: Play, scheme: str) -> None:
    """Of a payload that takes T alone: the heavy one's takes 5/4 T, and the light one's 2 T, for nothing is wasted."""
    played = play(SEED, f"scheme={scheme}", text=TWO)
    heavy = played.sim.population.weight.argmax()
    assert sorted(played.sim.population.weight) == [1.0, 4.0]
    down_s = {row["device"]: row["t_s"] - row["start_s"] for row in transfers(played) if row["link"] == "downlink"}
    assert down_s == pytest.approx({heavy: 1.25 * ALONE_S["downlink"], 1 - heavy: 2 * ALONE_S["downlink"]}, rel=1e-12)
    # The heavy one begins to send 0.75 T of the downlink earlier: by then it has as much less to share.
    up = {row["device"]: row for row in transfers(played) if row["link"] == "uplink"}
    head_s = 0.75 * ALONE_S["downlink"]
    both_s = 1.25 * (ALONE_S["uplink"] - head_s)
    assert up[heavy]["t_s"] - up[heavy]["start_s"] == pytest.approx(head_s + both_s, rel=1e-12)
    assert up[1 - heavy]["t_s"] - up[heavy]["start_s"] == pytest.approx(2 * ALONE_S["uplink"], rel=1e-12)


@pytest.mark.parametrize("backhaul", ["1 Gbit/s", "3 Mbit/s"])
@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_a_scenario_agrees_with_brute_force(play: Play, scheme: str, backhaul: str) -> None:
    """The reference of `test_flows` ends every transfer of a run when the run does, given when each began."""
    *world, network = CROWD
    played = play(*world, network % backhaul, scheme, text=NOTHING)
    population = played.sim.population
    assert {*population.weight.tolist()} == {0.5, 1.0, 4.0, 10.0}
    wire_bps = 3e6 if backhaul == "3 Mbit/s" and "hierarchical" not in scheme else math.inf
    carried: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in transfers(played):
        carried[row["cell"], row["link"]].append(row)
    assert len(carried) == 4
    waited_s = 0.0
    for (_, link), rows in carried.items():
        rates_bps = population.rate_up_bps if link == "uplink" else population.rate_down_bps
        begun = [
            Transfer(
                row["start_s"],
                0,
                row["payload_bits"],
                rates_bps[row["device"]],
                population.weight[row["device"]],
                math.inf if row["delivered"] else row["t_s"] - row["start_s"],  # the run ended before it did
            )
            for row in rows
        ]
        for row, end in zip(rows, reference_play(begun, wire_bps), strict=True):
            assert row["t_s"] - row["latency_s"] == pytest.approx(end.t_s, rel=1e-9)
            waited_s = max(waited_s, row["t_s"] - row["latency_s"] - row["start_s"] - row["airtime_s"])
    assert waited_s > 0.1


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_weights_that_are_all_the_same_change_nothing(play: Play, scheme: str) -> None:
    *_, network = CROWD
    world = ("devices={count: 24, speed_spread: 0.5}", network % "3 Mbit/s", scheme)
    plain, heavy = play(*world, text=NOTHING), play(*world, "devices.weight=4", text=NOTHING)
    assert plain.sim.population.weight is None
    assert len(heavy.events) == len(plain.events) > 40
    for one, other in zip(plain.events, heavy.events, strict=True):
        assert one["kind"] == other["kind"]
        assert one.get("device") == other.get("device")
        assert one["t_s"] == pytest.approx(other["t_s"], rel=1e-9)


def test_networks_that_share_nothing_do_not_feel_weights(play: Play) -> None:
    *_, network = CROWD
    fixed = (network % "3 Mbit/s").replace("fluid", "fixed")
    assert play(fixed, "devices.weight={1: 0.5, 9: 0.5}", text=NOTHING).events == play(fixed, text=NOTHING).events


def test_cellular_devices_share_by_weight(play: Play) -> None:
    """Two devices of one cell, each with a radio rate of its own: shares of airtime are by weight, of bits are not."""
    network = (
        "network={kind: cellular, propagation: umi, carrier: fr1-3500mhz, antenna: omni,"
        " backhaul: {rate: 10 Gbit/s}, latency: 0 s, refresh: 1000 s}"
    )
    town = "topology={kind: hexagonal, base_stations: 1, spacing: 100 m}"
    played = play(SEED, network, town, "task.download=30 MB", text=TWO)
    population = played.sim.population
    heavy = population.weight.argmax()
    alone_s = 240e6 / population.rate_down_bps
    down = {row["device"]: row for row in transfers(played) if row["link"] == "downlink"}
    heavy_s = 1.25 * alone_s[heavy]
    light_s = heavy_s + (alone_s[1 - heavy] - heavy_s / 5)
    assert alone_s[heavy] < 4 * alone_s[1 - heavy]
    assert down[heavy]["t_s"] == pytest.approx(heavy_s, rel=1e-9)
    assert down[1 - heavy]["t_s"] == pytest.approx(light_s, rel=1e-9)
