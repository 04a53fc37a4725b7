"""What happened in a run tells which of its keys nothing met."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netfed.scenario import loads
from netfed.unmet import KINDS, Happened, unmet
from tests.conftest import NOTHING, Play

FLUID = (
    "network={{kind: fluid, uplink: {{rate: 1 Mbit/s}}, downlink: {{rate: 1 Mbit/s}}, backhaul: {{rate: 1 Gbit/s}}{}}}"
)
CELLULAR = "network={{kind: cellular, propagation: umi, carrier: fr1-3500mhz, backhaul: {{rate: 1 Gbit/s}}{}}}"
TWO = "topology={kind: hexagonal, base_stations: 2}"


def transfer(link: str, start_s: float, t_s: float, cell: int = 0) -> dict[str, Any]:
    return {"kind": "transfer", "device": 1, "cell": cell, "link": link, "start_s": start_s, "t_s": t_s}


def compute(start_s: float, t_s: float, device: int = 1) -> dict[str, Any]:
    return {"kind": "compute", "device": device, "start_s": start_s, "t_s": t_s}


def named(*sets: str, rows: list[dict[str, Any]] | None = None, **summary: Any) -> list[str]:
    by_kind: dict[str, list[dict[str, Any]]] = {kind: [] for kind in KINDS}
    for row in rows or []:
        by_kind[row["kind"]].append(row)
    told = {"devices": {"refused": 0}, "energy_parts_j": {"tail": 0.0}, **summary}
    return [key for key, _ in unmet(loads(NOTHING, "s.yaml", sets=[TWO, *sets]), Happened(by_kind, 100.0, told))]


def outage(start_s: int, more: str = "cells: [1]") -> str:
    return FLUID.format(f", outages: [{{kind: scheduled, start: {start_s} s, duration: 5 s, every: 50 s, {more}}}]")


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (transfer("uplink", 15.0, 20.0, 1), False),
        (transfer("uplink", 15.0, 20.5, 1), True),
        (transfer("uplink", 25.0, 69.0, 1), False),
        (transfer("uplink", 25.0, 71.0, 1), True),
        (transfer("downlink", 74.0, 80.0, 1), True),
        (transfer("downlink", 0.0, 100.0, 0), False),
    ],
)
def test_an_outage_is_met_by_what_is_under_way_in_its_cell(row: dict[str, Any], met: bool) -> None:
    assert named(outage(20), rows=[transfer("uplink", 0.0, 1.0, 1), row]) == ([] if met else ["network.outages.0"])


def test_outages_of_links_and_of_cells_that_interfere_count_if_they_are_before_the_end() -> None:
    assert named(outage(99, "links: all")) == []
    assert named(outage(101, "links: all")) == ["network.outages.0"]
    cellular = CELLULAR.format(", outages: [{kind: scheduled, start: %d s, duration: 1 s, cells: [1]}]")
    assert named(cellular % 99) == []
    assert named(cellular % 100) == ["network.outages.0"]


def test_outages_at_random_are_the_ones_that_the_run_had(play: Play) -> None:
    random = FLUID.format(", outages: [{kind: random, between: %s, duration: 1 s, cells: all}]")
    rows = [transfer("uplink", 0.0, 100.0, cell) for cell in (0, 1)]
    assert named(random % "10 s", rows=rows) == []
    assert named(random % "1000 h", rows=rows) == ["network.outages.0"]


def test_heat_is_met_by_who_computes_for_too_long_without_a_rest() -> None:
    thermal = "devices.thermal={onset: 10 s, sustained: 0.5, time_constant: 10 s}"
    assert named(thermal, rows=[compute(0.0, 9.0), compute(0.0, 9.0, 2)]) == ["devices.thermal"]
    assert named(thermal, rows=[compute(0.0, 9.0), compute(100.0, 109.0)]) == ["devices.thermal"]
    assert named(thermal, rows=[compute(0.0, 9.0), compute(10.0, 19.0)]) == []
    assert named(thermal, rows=[compute(0.0, 10.5)]) == []


def test_heat_is_told_as_the_run_had_it(play: Play) -> None:
    thermal = "devices.thermal={onset: %s, sustained: 0.5, time_constant: 1 s}"
    plain = ("task.compute=2 s", "devices.speed_spread=0", "scheme.rounds=1")
    for onset, slower in (("1 s", True), ("3 s", False)):
        played = play(thermal % onset, *plain, text=NOTHING)
        rows = [row for row in played.events if row["kind"] == "compute"]
        assert (max(row["t_s"] - row["start_s"] for row in rows) > 2.0 + 1e-6) == slower
        assert ("devices.thermal" in named(thermal % onset, *plain, rows=rows)) == (not slower)


def test_memory_and_radios_are_told_by_the_summary() -> None:
    memory, radio = "devices.memory=1 GB", "devices.radio={promotion: 0 s}"
    assert named(memory, radio) == ["devices.memory", "devices.radio"]
    assert named(memory, radio, devices={"refused": 1}, energy_parts_j={"tail": 0.1}) == []
    assert named(radio, rows=[{"kind": "promotion"}]) == []


def test_handovers_are_met_by_who_changes_cells() -> None:
    handover = CELLULAR.format(
        ", handover: {hysteresis: 1 dB, interruption: 10 ms, time_to_trigger: 40 ms, failure: {after: 2 s}}"
    )
    of_a3 = ["network.handover.hysteresis", "network.handover.interruption"]
    assert named(handover) == [*of_a3, "network.handover.failure"]
    assert named(handover, rows=[{"kind": "handover"}]) == ["network.handover.failure"]
    assert named(handover, rows=[{"kind": "handover", "cause": "radio-link-failure"}]) == of_a3
    assert named(CELLULAR.format("")) == []


def test_a_scheduler_is_met_by_two_at_the_same_time() -> None:
    fair = CELLULAR.format(", scheduler: proportional-fair")
    one = transfer("uplink", 0.0, 5.0)
    assert named(fair, rows=[one, transfer("uplink", 5.0, 9.0), transfer("downlink", 1.0, 2.0)]) == [
        "network.scheduler"
    ]
    assert named(fair, rows=[one, transfer("uplink", 4.0, 9.0)]) == []


def test_what_is_about_some_cells_is_met_in_them(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("t_s,rate_bps\n0,1e6\n1,2e6\n")
    trace = f"{{kind: csv, path: {tmp_path / 'trace.csv'}}}"
    network = FLUID.format(
        f", traces: [{{cells: [1], uplink: {trace}}}, {{cells: [0], downlink: {trace}}}]"
        ", background: [{kind: constant, share: 0.1, cells: [1]}, {kind: constant, share: 0.1, direction: downlink}]"
    )
    assert named(network, rows=[transfer("uplink", 0.0, 1.0, 0)]) == [
        "network.traces.0",
        "network.traces.1",
        "network.background.0",
        "network.background.1",
    ]
    assert named(network, rows=[transfer("uplink", 0.0, 1.0, 1), transfer("downlink", 0.0, 1.0, 0)]) == []
    both = FLUID.format(", background: {kind: constant, share: 0.1, cells: [1]}")
    assert named(both, rows=[transfer("uplink", 0.0, 1.0, 0)]) == ["network.background"]
    assert named(f"devices.uplink={trace}", rows=[transfer("downlink", 0.0, 1.0)]) == ["devices.uplink"]


@pytest.mark.parametrize("start_s", [0.0, 0.3, 1.0, 2.0, 60.0])
def test_an_outage_that_nothing_met_changed_nothing(play: Play, start_s: float) -> None:
    outages = FLUID.format(
        f", outages: [{{kind: scheduled, start: {start_s} s, duration: 100 ms, every: 2 s, cells: [1]}}]"
    )
    sets = (TWO, "task.compute=2 s", "scheme.rounds=2")
    with_it, without = (play(network, *sets, text=NOTHING) for network in (outages, FLUID.format("")))
    rows = [row for row in with_it.events if row["kind"] in KINDS]
    unmet_by_it = named(outages, *sets[1:], rows=rows) == ["network.outages.0"]
    assert unmet_by_it <= ([*with_it.events] == [*without.events])
