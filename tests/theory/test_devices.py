"""Whole runs with devices that go flat, get hot, have too little memory, or are eligible now and then."""

from __future__ import annotations

import pytest

from netfed.errors import RunFailed, ScenarioError
from tests.conftest import DROPOUT, FIXED, LOSSY, Build, Play

DAILY = (
    "devices.availability={kind: eligible, charging: {kind: diurnal, curve: [0.9, 0.1, 0.5], day: 2 s},"
    " idle: {kind: windows, period: 2 s, duration: 1.5 s}}"
)
BUFFERED = "scheme={kind: fedbuff, aggregations: 6, concurrency: 4, buffer: 2}"
ALL = (
    "devices.radio={promotion: 10 ms, tail: 100 ms}",
    "devices.thermal={onset: 1 us, sustained: 0.5, time_constant: 1 s}",
    "devices.battery={capacity: 20 J, background: 10 mW, charging: {power: 2 W, period: 3 s, duration: 1 s}}",
    DAILY,
)


def test_a_run_that_ends_because_batteries_are_flat_says_so(play: Play) -> None:
    flat = "devices.battery={capacity: 30 mJ, minimum: 0.5}"
    with pytest.raises(
        RunFailed, match=r"nothing can happen .*; by its battery, 8 of 8 devices cannot take part any more"
    ):
        play(FIXED, flat, "scheme={kind: fedavg, rounds: 100, cohort: 4, deadline: 10 s}")


def test_a_run_tells_how_many_batteries_were_empty(play: Play) -> None:
    summary = play(FIXED, "devices.battery={capacity: 10 kJ}").summary
    assert summary["devices"] == {"registered": 8, "refused": 0, "emptied": 0}
    weak = "devices.battery={capacity: 1 J, initial: [0.0, 1.0], minimum: 0.01}"
    played = play(FIXED, weak, "scheme={kind: fedavg, rounds: 2, cohort: 8, deadline: 5 s}")
    dropped = {row["device"] for row in played.events if row["kind"] == "lost" and row["cause"] == "battery"}
    assert played.summary["devices"]["emptied"] == len(dropped) > 0


def test_who_cannot_hold_the_learner_is_never_selected(built: Build, play: Play) -> None:
    need_bytes = built(FIXED).simulation.trainer.peak_bytes()
    with pytest.raises(ScenarioError, match=r"^devices: training needs .* MB, and no device has more than .* MB; "):
        built(FIXED, f"devices.memory={need_bytes - 1} B")
    assert play(FIXED, f"devices.memory={need_bytes} B").summary["devices"]["refused"] == 0


def test_small_devices_stay_out(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from netfed.network import population
    from netfed.network.profiles import PROFILES

    small = {**PROFILES, "iot-board": replace(PROFILES["iot-board"], memory_bytes=1000.0)}
    monkeypatch.setattr(population, "PROFILES", small)
    played = play(FIXED, "devices.profile={phone: 0.5, iot-board: 0.5}", "devices.count=40", "scheme.cohort=30")
    names = [played.sim.population.profiles[index].memory_bytes for index in played.sim.population.profile]
    refused = {device for device, memory_bytes in enumerate(names) if memory_bytes == 1000.0}
    assert played.summary["devices"]["refused"] == len(refused) > 5
    assert not refused & {row["device"] for row in played.events if row["kind"] == "compute"}


def test_all_of_it_at_once_adds_up(play: Play) -> None:
    played = play(LOSSY, DROPOUT, *ALL, BUFFERED)
    summary = played.summary
    assert summary["energy_parts_j"]["tail"] > 0
    parts = {name: joules for name, joules in summary["energy_parts_j"].items() if name != "cloud"}
    assert summary["energy_j"] == pytest.approx(sum(parts.values()))
    rows_j = sum(row.get("energy_j", 0.0) for row in played.events)
    assert rows_j == pytest.approx(played.sim.network.ledger.joules.sum())
    assert played.results == play(LOSSY, DROPOUT, *ALL, BUFFERED).results


def test_the_same_devices_whatever_the_scheme(built: Build) -> None:
    sims = [
        built(LOSSY, *ALL, f"scheme={scheme}").simulation
        for scheme in (
            "{kind: fedavg, rounds: 2, cohort: 3}",
            "{kind: fedasync, aggregations: 5, concurrency: 2, alpha: 0.5}",
        )
    ]
    for now_s in (0.0, 1.0, 7.7):
        first, second = (sim.population.available(now_s).tolist() for sim in sims)
        assert first == second
