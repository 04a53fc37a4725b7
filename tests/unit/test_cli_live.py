"""Verbs that look at runs, and at those that another process plays."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

import netfed as package
from netfed.manifest import seal, unseal
from netfed.progress import Progress
from netfed.runfolder import RunFolder
from tests.unit.conftest import Netfed


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def create(name: str = "toy", out: str = "runs") -> RunFolder:
    return RunFolder.create(
        Path(out), name, scheme="fedavg", seed=7, scenario_digest="d", source="", resolved="name: toy\n"
    )


def commit(folder: RunFolder, version: int) -> None:
    folder.record([{"t_s": 60.0 * version, "kind": "round", "version": version, "accuracy": version / 10}], [])
    progress = Progress(version, 5, 60.0 * version, ("accuracy", version / 10), 8_000_000 * version, 0, 0, 0.0)
    folder.commit(asdict(progress))


def between_looks(monkeypatch: pytest.MonkeyPatch, steps: Iterator[None]) -> None:
    """While a command waits, the next of ``steps`` happens."""
    monkeypatch.setattr("time.sleep", lambda seconds: next(steps))


def test_ls_lists_runs_of_all_states_the_latest_last(netfed: Netfed, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("netfed.runfolder._now", lambda: f"2026-01-01T00:00:{next(clock):02}Z")
    with create("broken") as broken, create("begun") as begun, create("stopped") as stopped:
        (broken.path / "status.json").write_text("{}")
        for version in range(3):
            commit(stopped, version)
        stopped.report("stopped")
        done = netfed("ls")
        listed = netfed("ls", "runs", "--json").json["runs"]
    assert [line.split() for line in done.out.splitlines()] == [
        ["run", "state", "scheme", "seed", "round", "metric", "simulated", "sent"],
        [broken.path.name, "damaged", *"------"],
        [begun.path.name, "running", "fedavg", "7", *"----"],
        [stopped.path.name, "stopped", "fedavg", "7", "2/5", "accuracy", "0.200", "2", "min", "00", "s", "2", "MB"],
    ]
    assert done.err == ""
    assert [(run["run"], run["state"], run["seed"]) for run in listed] == [
        (str(broken.path), "damaged", None),
        (str(begun.path), "running", 7),
        (str(stopped.path), "stopped", 7),
    ]
    assert listed[2]["progress"]["metric"] == ["accuracy", 0.2]
    assert "status.json: damaged" in listed[0]["error"]


def test_ls_says_where_there_are_no_runs(netfed: Netfed) -> None:
    Path("empty/.draft.tmp").mkdir(parents=True)
    Path("empty/.draft.tmp/manifest.json").touch()
    Path("empty/file").touch()
    assert netfed("ls", "empty") == (0, "", "empty: holds no runs\n")
    assert netfed("ls", "empty", "--json").json == {"runs": []}
    assert netfed("ls").code == 2


def test_watch_follows_a_run_to_its_end(netfed: Netfed, monkeypatch: pytest.MonkeyPatch) -> None:
    def play(run: RunFolder) -> Iterator[None]:
        for version in range(6):
            commit(run, version)
            yield
        run.report("stopped")
        yield

    monkeypatch.setattr("netfed.display._PLAIN_EVERY_S", 0.0)
    with create() as run:
        between_looks(monkeypatch, play(run))
        done = netfed("watch", run.path)
    assert [line.split(" ")[0] for line in done.err.splitlines() if "accuracy" in line] == [
        f"{version}/5" for version in range(6)
    ]
    assert done.code == 4
    assert f"to go on: netfed resume {run.path}" in done.err
    assert "stopped" in done.out
    assert netfed("watch", run.path, "--json").json["state"] == "stopped"


@pytest.mark.parametrize(("state", "code"), [("failed", 3), ("stopped", 4)])
def test_the_code_of_watch_tells_how_the_run_ended(netfed: Netfed, state: str, code: int) -> None:
    with create() as run:
        commit(run, 0)
        run.report(state)
    assert netfed("watch", run.path).code == code


def test_leaving_a_watch_leaves_the_run_running(netfed: Netfed, monkeypatch: pytest.MonkeyPatch) -> None:
    with create() as run:
        between_looks(monkeypatch, interrupt())
        done = netfed("watch", run.path)
        assert done.code == 130
        assert f"to stop it: netfed stop {run.path}" in done.err
        assert netfed("ls", "--json").json["runs"][0]["state"] == "running"


def interrupt() -> Iterator[None]:
    raise KeyboardInterrupt
    yield


PLAY = """
import signal, sys, threading
from pathlib import Path
from netfed.runfolder import RunFolder
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
with RunFolder.create(Path("runs"), "toy", scheme="", seed=1, scenario_digest="", source="", resolved="") as folder:
    print(folder.path, flush=True)
    stop.wait(30)
    folder.report("stopped")
"""


def test_stop_asks_the_process_of_a_run_and_waits_for_its_end(netfed: Netfed) -> None:
    path = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", PLAY], stdout=subprocess.PIPE, text=True, env=path) as player:
        assert player.stdout
        run = player.stdout.readline().strip()
        done = netfed("stop", run, "--json")
        assert done.json == {"run": run, "state": "stopped", "asked": True}
        assert done.code == 0
        assert f"process {player.pid} was asked to stop" in done.err
        assert done.err.splitlines()[-2:] == [f"{run}: stopped", f"to go on: netfed resume {run}"]
    assert player.returncode == 0
    again = netfed("stop", run, "--json")
    assert again.json == {"run": run, "state": "stopped", "asked": False}
    assert f"{run}: is not running: stopped" in again.err


def test_stop_signals_no_process_but_the_one_recorded(netfed: Netfed, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    between_looks(monkeypatch, iter(()))
    with create() as run:
        status = unseal(run.path / "status.json")
        (run.path / "status.json").write_bytes(seal({**status, "pid_start": -1}))
        assert "is not running: killed" in netfed("stop", run.path).err
        (run.path / "status.json").write_bytes(seal({**status, "host": "elsewhere"}))
        done = netfed("stop", run.path)
        assert done.code == 2
        assert "runs on another computer; stop it there: elsewhere" in done.err
    assert signal.SIGTERM not in [number for _, number in sent]


def test_a_stop_need_not_be_waited_for(netfed: Netfed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "kill", lambda pid, number: None)
    with create() as run:
        between_looks(monkeypatch, interrupt())
        done = netfed("stop", run.path)
    assert done.code == 130
    assert f"it will stop; to wait for that: netfed watch {run.path}" in done.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [(errno.EPERM, 2, "is another user's"), (errno.ESRCH, 0, "running: killed")],
)
def test_a_process_that_cannot_be_asked(
    netfed: Netfed, monkeypatch: pytest.MonkeyPatch, error: int, code: int, said: str
) -> None:
    def kill(pid: int, number: int) -> None:
        if number or error == errno.ESRCH:
            raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "kill", kill)
    with create() as run:
        done = netfed("stop", run.path)
    assert (done.code, said in done.err) == (code, True)
