"""``kill -9`` at any moment, and on each side of every rename: resuming gives the undisturbed digest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import SMALL

SCHEMES = {
    "fedavg": "{kind: fedavg, rounds: 4, cohort: 4, over_selection: 0.5, deadline: 80 ms}",
    "fedbuff": "{kind: fedbuff, aggregations: 4, concurrency: 5, buffer: 3}",
    "hierarchical": "{kind: hierarchical, rounds: 4, cohort: 4, server: {kind: adam, learning_rate: 0.05}}",
}
WINDOW = {"fedavg": 4, "fedbuff": 3, "hierarchical": 4}
CODECS = {"dense": "float32", "top-k": "{kind: topk, fraction: 0.1}"}
NETWORK = (
    "{kind: fluid, uplink: {rate: 1 Mbit/s, spread: 0.5, loss: 0.1}, downlink: {rate: 10 Mbit/s, loss: 0.05},"
    " backhaul: {rate: 4 Mbit/s}}"
)
BOTH, ONE = ("before", "after"), ("before",)
CASES = [
    ("fedavg", "dense", "serial", 20, BOTH),
    ("fedavg", "top-k", "serial", 5, ONE),
    ("fedavg", "top-k", "cohort", 5, ONE),
    ("fedbuff", "dense", "serial", 5, ONE),
    ("fedbuff", "top-k", "serial", 20, BOTH),
    ("hierarchical", "top-k", "serial", 5, ONE),
]
"""Scheme, codec, executor; at how many moments kills strike, and on which sides of each rename. What is renamed, and
when, is the same whoever aggregates, and however clients train, so that both sides are tried where there is no state,
and where there is."""


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "codec", "executor", "moments", "sides"), CASES)
def test_killed_and_resumed(
    tmp_path: Path, scheme: str, codec: str, executor: str, moments: int, sides: tuple[str, ...]
) -> None:
    text = SMALL.replace("executor: serial", f"executor: {executor}")
    text = text.replace("{kind: fedavg, rounds: 3, cohort: 4}", SCHEMES[scheme]).replace("ideal", NETWORK)
    file = tmp_path / "killed.yaml"
    file.write_text(f"{text}codec: {CODECS[codec]}\n")
    harness = Path(__file__).with_name("harness.py")
    command = [sys.executable, str(harness), str(file), str(tmp_path / "runs"), str(moments), *sides]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONHASHSEED": "7"}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcome = json.loads(done.stdout)
    whole, attempts = outcome["whole"], outcome["attempts"]
    renames = sum(attempt["name"].startswith("before") for attempt in attempts) - 1
    assert renames >= 15
    resumable = [attempt for attempt in attempts if attempt["folder"]]
    assert len(resumable) > len(sides) * renames
    for attempt in resumable:
        assert attempt["resumed"] == 0, (attempt, done.stderr[-3000:])
        assert attempt["digest"] == whole["digest"], attempt
        assert attempt["model_digest"] == whole["model_digest"], attempt
        assert attempt["trained"] <= outcome["undisturbed"] + WINDOW[scheme], attempt
        assert sum(attempt["jobs"][how] for how in ("trained", "reused", "skipped")) == attempt["jobs"]["planned"]
    assert any(0 < attempt["before"] < outcome["undisturbed"] for attempt in resumable), "no kill struck in mid-run"
    unborn = [attempt["name"] for attempt in attempts if not attempt["folder"] and attempt["status"] == -9]
    assert all(name.startswith("moment") or int(name.rpartition("-")[2]) <= 6 for name in unborn), (
        "the folder comes late"
    )
