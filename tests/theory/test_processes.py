"""One scenario, one seed, one digest: in any process, beside any load, at any width, stopped or not."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import netfed as package
from tests.commands import command, environment, netfed

pytestmark = pytest.mark.slow

SCENARIO = """\
netfed: 1
name: processes
seed: 5
task:
  dataset: digits
  split: {cloud: 0.2, devices: 0.6, test: 0.2}
  partition: {kind: dirichlet, alpha: 0.3}
model: {kind: batchnorm-cnn, channels: [4, 8], hidden: 16}
rule: {kind: backprop, learning_rate: 0.05, optimizer: {kind: sgd, momentum: 0.9}, batch_size: 8, epochs: 2}
scheme: {kind: fedavg, rounds: 4, cohort: 4, over_selection: 0.5, deadline: 200 ms}
codec: {kind: topk, fraction: 0.1}
topology: {kind: hexagonal, base_stations: 2}
devices: {count: 10, speed_spread: 0.5, dropout: {download: 0.03, compute: 0.05, upload: 0.05}}
network:
  kind: fluid
  uplink: {rate: 1 Mbit/s, spread: 0.5, latency: 5 ms, loss: 0.1}
  downlink: {rate: 10 Mbit/s, spread: 0.5, latency: 5 ms, loss: 0.05}
  backhaul: {rate: 4 Mbit/s, latency: 10 ms}
references: [local]
executor: threads
"""
TRANSFORMER = (
    "--set=model={kind: conv-transformer, width: 12, heads: 2, blocks: 1, dropout: 0.2}",
    "--set=scheme={kind: fedbuff, aggregations: 4, concurrency: 5, buffer: 3}",
    "--set=references=[]",
)
ELSEWHERE = {"PYTHONHASHSEED": "12345", "TZ": "Asia/Kathmandu", "LANG": "C", "LC_ALL": "C", "OMP_NUM_THREADS": "3"}

FIELDS: dict[str, Any] = {
    "run": str,
    "state": str,
    "scheme": str,
    "seed": int,
    "rounds": int,
    "rounds_without_updates": int,
    "quarantined": {},
    "sim_time_s": float,
    "metric": {"name": str, "first": float, "last": float, "best": float},
    "references": {"local": float},
    "bits": {"up": int, "down": int, "backhaul": int, "lost": int},
    "energy_j": float,
    "energy_parts_j": dict.fromkeys(("compute", "transmit", "receive", "idle", "cloud"), float),
    "updates": dict.fromkeys(("selected", "arrived", "late", "lost", "dismissed"), int),
    "devices": dict.fromkeys(("registered", "refused", "emptied"), int),
    "jobs": dict.fromkeys(("planned", "trained", "reused", "skipped"), int),
    "reference_jobs": int,
    "wall_s": float,
    "torch_s": float,
    "digest": str,
    "model_digest": str,
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    (folder / "processes.yaml").write_text(SCENARIO)
    return folder


@pytest.fixture(scope="module")
def undisturbed(home: Path) -> dict[str, Any]:
    """The result of the reference: one after the other, in a quiet process."""
    return netfed("run", "processes.yaml", "--json", "--set=executor=serial", cwd=home).json


def digests(result: dict[str, Any]) -> tuple[str, str]:
    return result["digest"], result["model_digest"]


def types(value: Any) -> Any:
    return {key: types(item) for key, item in value.items()} if isinstance(value, dict) else type(value)


def test_json_is_one_object_with_every_field_and_text_goes_to_stderr(home: Path) -> None:
    done = netfed("run", "processes.yaml", "--json", "--set=scheme.rounds=1", cwd=home)
    result = done.json
    losses = result.pop("losses")
    assert types(result) == FIELDS
    assert sum(losses.values()) == result["updates"]["selected"] - result["updates"]["arrived"]
    assert "accuracy" in done.err
    assert result["bits"]["backhaul"] == result["bits"]["up"] + result["bits"]["down"]
    again = netfed("resume", result["run"], "--json", cwd=home).json
    assert again == {**result, "losses": losses}
    assert netfed("show", result["run"], "--json", cwd=home).json == again


@pytest.mark.parametrize("workers", [1, 4])
def test_any_number_of_workers(home: Path, undisturbed: dict[str, Any], workers: int) -> None:
    """A serial executor's digest is that of any number of threads."""
    threads = netfed("run", "processes.yaml", "--json", "--workers", workers, cwd=home).json
    assert digests(threads) == digests(undisturbed)
    assert undisturbed["updates"]["lost"] > 0
    assert undisturbed["metric"]["last"] > undisturbed["metric"]["first"] + 0.1


def test_any_number_of_workers_in_lanes(home: Path) -> None:
    short = ("run", "processes.yaml", "--json", "--set=executor=cohort", "--set=scheme.rounds=2")
    lanes = [netfed(*short, "--workers", workers, cwd=home).json for workers in (1, 2, 4)]
    assert len({digests(result) for result in lanes}) == 1


def test_another_environment(home: Path, undisturbed: dict[str, Any], tmp_path: Path) -> None:
    env = environment(**ELSEWHERE)
    there = netfed("run", home / "processes.yaml", "--json", cwd=tmp_path, env=env, umask=0o077)
    assert digests(there.json) == digests(undisturbed)


def test_a_loaded_machine(home: Path, undisturbed: dict[str, Any]) -> None:
    with burning_cores():
        loaded = netfed("run", "processes.yaml", "--json", "--workers", 2, cwd=home)
    assert digests(loaded.json) == digests(undisturbed)


def test_dropout_in_the_model(home: Path, tmp_path: Path) -> None:
    """Four threads in another environment, and one after the other."""
    serial = netfed("run", "processes.yaml", "--json", *TRANSFORMER, "--set=executor=serial", cwd=home).json
    arguments = ("run", home / "processes.yaml", "--json", "--workers", 4, *TRANSFORMER)
    threads = netfed(*arguments, cwd=tmp_path, env=environment(**ELSEWHERE)).json
    assert digests(threads) == digests(serial)


def test_stopped_and_resumed(home: Path, tmp_path: Path) -> None:
    """Rows appear at the first commit, a second after the start: the run is much longer than that."""
    longer = ("--set=scheme.rounds=25", "--set=rule.epochs=1", "--set=executor=serial")
    undisturbed = netfed("run", "processes.yaml", "--json", *longer, cwd=home).json
    arguments = ("run", home / "processes.yaml", "--json", "--out", tmp_path, *longer)
    with subprocess.Popen(
        command(*arguments), cwd=home, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        wait_for_rounds(tmp_path, process)
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 4
    (line,) = out.splitlines()
    stopped = json.loads(line)
    assert stopped["state"] == "stopped"
    assert 0 < stopped["progress"]["version"] < 25
    resumed = netfed("resume", stopped["run"], "--json", cwd=tmp_path, env=environment(**ELSEWHERE)).json
    assert digests(resumed) == digests(undisturbed)
    assert 0 < resumed["jobs"]["trained"] < undisturbed["jobs"]["trained"]
    assert resumed["jobs"]["reused"] > 0


def test_a_shared_store_serves_another_bandwidth_and_no_other_rule(home: Path, tmp_path: Path) -> None:
    """Synchronous, no deadline, no loss: the bandwidth changes the clock alone. A changed constant changes all."""
    quiet = ("--set=network.uplink.loss=0", "--set=network.downlink.loss=0", "--set=devices.dropout={}")
    patient = (*quiet, "--set=scheme={kind: fedavg, rounds: 3, cohort: 4}", f"--store={tmp_path / 'store'}")
    slow = netfed("run", "processes.yaml", "--json", *patient, cwd=home).json
    assert slow["jobs"] == {"planned": 12, "trained": 12, "reused": 0, "skipped": 0}

    fast = netfed("run", "processes.yaml", "--json", *patient, "--set=network.uplink.rate=9 Mbit/s", cwd=home).json
    assert fast["jobs"] == {"planned": 12, "trained": 0, "reused": 12, "skipped": 0}
    assert fast["model_digest"] == slow["model_digest"]
    assert fast["sim_time_s"] < slow["sim_time_s"]

    env = environment(copied(tmp_path / "same"))
    same = netfed("run", "processes.yaml", "--json", *patient, cwd=home, env=env).json
    assert same["jobs"] == {"planned": 12, "trained": 0, "reused": 12, "skipped": 0}
    assert digests(same) == digests(slow)

    env = environment(copied(tmp_path / "changed", "alpha=-learning_rate", "alpha=-learning_rate * 1.001"))
    changed = netfed("run", "processes.yaml", "--json", *patient, cwd=home, env=env).json
    assert changed["jobs"] == {"planned": 12, "trained": 12, "reused": 0, "skipped": 0}
    assert changed["reference_jobs"] == slow["reference_jobs"] == 10
    assert changed["model_digest"] != slow["model_digest"]


def copied(folder: Path, old: str = "", new: str = "") -> Path:
    """Copy the package into a folder, with one line of an optimizer changed, and return the folder."""
    source = Path(package.__file__).parent
    shutil.copytree(source, folder / "netfed", ignore=shutil.ignore_patterns("__pycache__"))
    rule = folder / "netfed" / "learning" / "optimizers.py"
    text = rule.read_text()
    assert not old or text.count(old) == 1
    rule.write_text(text.replace(old, new) if old else text)
    return folder


def wait_for_rounds(out: Path, process: subprocess.Popen[str]) -> None:
    """Return once a run has recorded its third row."""
    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s:
        if any(file.read_bytes().count(b"\n") >= 3 for file in out.glob("processes-*/rounds.jsonl")):
            return
        assert process.poll() is None, "ended before it could be stopped"
        time.sleep(0.005)
    pytest.fail("no rounds within two minutes")


@contextmanager
def burning_cores() -> Iterator[None]:
    """Keep every core busy that this process may use."""
    burners = [
        subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"], env=environment("/nowhere"))
        for _ in os.sched_getaffinity(0)
    ]
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.wait()
