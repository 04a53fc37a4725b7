"""A dry run tells what the run then does: all that is simulated to the last digit, the rest about."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from netfed.display import prospect
from netfed.forecast import Forecast, forecast
from netfed.scenario import loads
from tests import commands
from tests.commands import command, environment
from tests.commands import netfed as run_netfed
from tests.conftest import DROPOUT, LOSSY, SMALL, Build, Play
from tests.unit.conftest import Netfed

PRETRAINED = "pretraining={kind: backprop, learning_rate: 0.1, epochs: 2}"
SIMULATED = (
    "scheme",
    "rounds",
    "rounds_without_updates",
    "sim_time_s",
    "bits",
    "energy_j",
    "energy_parts_j",
    "updates",
    "losses",
)
SCHEMES = {
    "fedavg": "scheme={kind: fedavg, rounds: 6, cohort: 4, over_selection: 0.5, deadline: 90 ms}",
    "fedbuff": "scheme={kind: fedbuff, aggregations: 6, concurrency: 5, buffer: 3}",
    "fedasync": "scheme={kind: fedasync, aggregations: 6, concurrency: 3, alpha: 0.5}",
    "hierarchical": "scheme={kind: hierarchical, rounds: 3, cohort: 6, edge_rounds: 2}",
    "central": "scheme={kind: central, rounds: 3, devices: 5}",
    "local": "scheme={kind: local, rounds: 3, devices: 5}",
}
MOST_LATE = "scheme={kind: fedavg, rounds: 8, cohort: 4, deadline: 55 ms}"


def foreseen(*sets: str, store: Path | None = None) -> Forecast:
    return forecast(loads(SMALL, "test.yaml", sets=sets), store, workers=1)


@pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES)
def test_what_is_simulated_is_foreseen_exactly(play: Play, scheme: str) -> None:
    sets = scheme, LOSSY, DROPOUT, "codec={kind: topk, fraction: 0.1}"
    summary, told = play(*sets).summary, asdict(foreseen(*sets))
    assert {name: told[name] for name in SIMULATED} == {name: summary[name] for name in SIMULATED}
    assert told["trainings"] == {"pretrained": 0, "update": summary["jobs"]["trained"], "reference": 0}
    assert told["updates"]["lost"] > 0


@pytest.mark.parametrize("scheme", ["fedavg", "fedbuff", "hierarchical"])
def test_what_goes_down_once_for_many_is_foreseen_so(play: Play, scheme: str) -> None:
    one = "topology={kind: hexagonal, base_stations: 1}"
    sets = SCHEMES[scheme], LOSSY, DROPOUT, one, "network.delivery=multicast"
    summary, told = play(*sets).summary, asdict(foreseen(*sets))
    assert {name: told[name] for name in SIMULATED} == {name: summary[name] for name in SIMULATED}
    assert told["bits"]["down"] < asdict(foreseen(*sets[:-1]))["bits"]["down"]


def test_rounds_to_which_nothing_came_are_foreseen(play: Play) -> None:
    sets = MOST_LATE, LOSSY, "devices.speed_spread=2"
    summary, told = play(*sets).summary, foreseen(*sets)
    assert 0 < told.rounds_without_updates == summary["rounds_without_updates"] < told.rounds


def test_pretraining_and_reference_lines_are_foreseen(play: Play) -> None:
    sets = PRETRAINED, "references=[pretrained, central, local]", "evaluate_every=2"
    summary, told = play(*sets).summary, foreseen(*sets)
    assert told.trainings == {"pretrained": 1, "update": 12, "reference": summary["reference_jobs"]}
    assert told.sim_time_s == summary["sim_time_s"]
    assert told.energy_parts_j["cloud"] == summary["energy_parts_j"]["cloud"] > 0


def test_executors_that_waste_work_are_foreseen_as_if_they_did_not(play: Play) -> None:
    sets = SCHEMES["fedavg"], LOSSY
    assert foreseen(*sets, "executor={kind: serial, lazy: false}").trainings == foreseen(*sets).trainings


def test_what_a_store_has_is_spared_and_the_store_is_only_read(play: Play, tmp_path: Path) -> None:
    store = tmp_path / "shared"
    sets = PRETRAINED, "codec={kind: topk, fraction: 0.1}"
    play(*sets, store=store)
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    told, longer, other = (foreseen(*sets, more, store=store) for more in ("seed=3", "scheme.rounds=5", "seed=4"))
    assert (told.reused, sum(told.trainings.values())) == (13, 0)
    assert (longer.reused, longer.trainings["update"]) == (13, 8)
    assert (other.reused, other.trainings) == (0, {"pretrained": 1, "update": 12, "reference": 0})
    assert told.wall_s < other.wall_s
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before
    assert foreseen(*sets, store=tmp_path / "nowhere").reused == 0
    assert not (tmp_path / "nowhere").exists()


def test_to_rehearse_computes_nothing(built: Build, tmp_path: Path) -> None:
    experiment = built(LOSSY, "references=[local]")
    *windows, lines = experiment.rehearse()
    assert len(windows) == 4
    assert [node.kind for node in lines] == ["reference"] * 8
    for kind in ("update", "reference", "model", "evaluation"):
        counts = experiment.simulation.graph.counts(kind)
        assert (counts["trained"], counts["reused"]) == (0, 0)
        assert counts["planned"] > 0
    assert [path for path in (tmp_path / "store").rglob("*") if path.is_file()] == []


def test_sizes_are_those_of_tensors() -> None:
    told = foreseen(PRETRAINED, "adapter={kind: head}")
    assert told.model_bytes == 4 * (16 * 10 + 10)
    assert told.frozen_bytes == 4 * (64 * 16 + 16)
    assert told.data_bytes == 1797 * (64 * 4 + 8)
    assert told.values_bytes == (4 + 4) * told.model_bytes
    coded = foreseen(PRETRAINED, "adapter={kind: head}", "codec=float16")
    assert coded.values_bytes == (3 * 4 + 4) * told.model_bytes
    assert told.memory_bytes > 50e6


LARGE = "model={kind: mlp, hidden: [2000, 2000]}", "scheme={kind: fedavg, rounds: 1, cohort: 8}"


MEASURE = """\
import json, os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(json.dumps({"status": status, "held": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)}))
"""
"""Runs a command in a process that holds little itself: a child is charged what its parent held."""


@pytest.mark.parametrize("sets", [(), LARGE], ids=["small", "large"])
def test_the_memory_is_about_right(tmp_path: Path, sets: tuple[str, ...]) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    play = ["run", "small.yaml", "--json", *(word for assignment in sets for word in ("--set", assignment))]
    told = run_netfed(*play, "--dry-run", cwd=tmp_path).json["memory_bytes"]
    measure = [sys.executable, "-c", MEASURE, *command(*play)]
    found = json.loads(subprocess.check_output(measure, cwd=tmp_path, env=environment()))
    assert found["status"] == 0
    assert 0.6 < told / found["held"] < 1.7


def test_what_another_process_holds_is_not_foreseen(tmp_path: Path) -> None:
    """Where a large one starts this one: a notebook, say."""
    (tmp_path / "small.yaml").write_text(SMALL)
    dry_run = command("run", "small.yaml", "--dry-run", "--json")
    ask = f"import subprocess; ballast = b'x' * 1_000_000_000; subprocess.run({dry_run})"
    told = json.loads(subprocess.check_output([sys.executable, "-c", ask], cwd=tmp_path, env=environment()))
    assert told["memory_bytes"] < 8e8


@pytest.mark.benchmark
def test_the_time_to_compute_is_about_right(play: Play) -> None:
    sets = "rule.epochs=30", "scheme.rounds=10", PRETRAINED, "pretraining.epochs=30"
    start_s = time.perf_counter()
    play(*sets)
    took_s = time.perf_counter() - start_s
    assert took_s / 4 < foreseen(*sets).wall_s < 4 * took_s


PLAIN = """\
netfed: 1
name: plain
seed: 2
task: {kind: none, download: 1 MB, upload: 1 MB, compute: 200 ms}
scheme: {kind: fedavg, rounds: 100, cohort: 100}
topology: {kind: hexagonal, base_stations: 7}
devices: {count: 1000, profile: phone}
network:
  kind: fluid
  uplink: {rate: 20 Mbit/s, spread: 0.5}
  downlink: {rate: 50 Mbit/s, spread: 0.5}
  backhaul: {rate: 1 Gbit/s}
"""


@pytest.mark.benchmark
@pytest.mark.parametrize("arguments", [("million", "--short"), ("plain.yaml",)], ids=["million", "plain"])
def test_so_is_that_of_the_network_alone(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """Each in a process of its own, which has loaded nothing before: the best of three."""
    (tmp_path / "plain.yaml").write_text(PLAIN)
    told_s, took_s = (
        min(commands.netfed("run", *arguments, *more, "--json", cwd=tmp_path).json["wall_s"] for _ in range(3))
        for more in (["--dry-run"], [])
    )
    print(f"\nforeseen {told_s:.2f} s, took {took_s:.2f} s")
    assert took_s / 2 < told_s < 2 * took_s


def test_where_nothing_is_computed_the_time_is_that_of_the_events_and_of_their_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("time.perf_counter", lambda: 5.0)
    short, long = (forecast(loads(PLAIN, "plain.yaml", sets=[f"scheme.rounds={rounds}"])) for rounds in (1, 5))
    assert (short.updates["selected"], long.updates["selected"]) == (100, 500)
    assert short.wall_s == pytest.approx(0.142)
    assert long.wall_s == pytest.approx(0.150)


def test_the_command_leaves_nothing_behind(netfed: Netfed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SMALL)
    text = netfed("run", "small.yaml", "--dry-run")
    assert text.code == 0
    assert text.out.splitlines()[0] == "small · fedavg · seed 3 · dry run: nothing was trained"
    assert "about" in text.out
    done = netfed("run", "small.yaml", "--dry-run", "--json", "--seed", 5, "--set", "scheme.rounds=2", "--store", "s")
    assert (done.code, done.json["seed"], done.json["rounds"]) == (0, 5, 2)
    assert done.json["updates"]["arrived"] == 8
    assert "dry run" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_mistakes_are_told_as_ever(netfed: Netfed, tmp_path: Path) -> None:
    file = tmp_path / "small.yaml"
    file.write_text(SMALL.replace("{count: 8}", "{count: 2000}"))
    assert netfed("run", file, "--dry-run", "--set", "scheme.cohort=0").code == 2
    done = netfed("run", file, "--dry-run")
    assert done.code == 2
    assert "Traceback" not in done.err


def test_in_words() -> None:
    fields: dict[str, Any] = {
        "name": "toy",
        "scheme": "fedavg",
        "seed": 1,
        "rounds": 30,
        "rounds_without_updates": 2,
        "sim_time_s": 75.0,
        "bits": {"up": 8_000_000, "down": 16_000_000, "backhaul": 24_000_000, "lost": 0},
        "energy_j": 12.0,
        "energy_parts_j": {"compute": 10.0, "transmit": 2.0, "cloud": 5.0},
        "updates": {"selected": 60, "arrived": 50, "late": 10, "lost": 0, "dismissed": 0},
        "devices": {"registered": 60, "refused": 0, "emptied": 0},
        "losses": {"late": 10},
        "trainings": {"pretrained": 1, "update": 40, "reference": 0},
        "reused": 10,
        "wall_s": 8.0,
        "memory_bytes": 400_000_000,
        "model_bytes": 10_000,
        "frozen_bytes": 0,
        "data_bytes": 1_000_000,
        "values_bytes": 200_000,
    }
    assert prospect(Forecast(**fields)).splitlines() == [
        "toy · fedavg · seed 1 · dry run: nothing was trained",
        "",
        "time         1 min 15 s simulated in 30 rounds, of which 2 brought no update;",
        "             about 8 s to compute here",
        "sent         1 MB up, 2 MB down, 3 MB backhaul",
        "energy       12 J: 10 J compute, 2 J transmit",
        "cloud        5 J",
        "updates      60 selected: 50 arrived, 10 late",
        "trainings    41 to do: 40 for updates, 1 before version 0; 10 more are spared by",
        "             the store",
        "memory       about 400 MB: 1 MB data, 200 kB values at once, 10 kB model",
    ]
