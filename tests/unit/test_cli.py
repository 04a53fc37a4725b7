"""The command line: what goes where, what each exit code means, and what becomes of a run that does not end well.

The simulation is a stand-in: training is not what is tested here.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import pytest

import netfed as package
from netfed.errors import RunFailed, ScenarioError
from netfed.graph import SCALARS, Store
from netfed.manifest import seal, unseal
from netfed.results import load
from netfed.run import begin, play
from netfed.runfolder import RunFolder
from netfed.scenario import loads
from tests.unit.conftest import Done, Netfed

SCENARIO = """\
netfed: 1
name: toy
seed: 3
task:
  dataset: {kind: digits}
  split: {cloud: 0.35, devices: 0.5, test: 0.15}
  partition: {kind: iid}
model: {kind: mlp}
rule: {kind: backprop, learning_rate: 0.05, batch_size: 16, epochs: 1}
scheme: {kind: fedavg, rounds: 6, cohort: 2}
devices: {count: 10, profile: phone}
network: {kind: ideal}
short: {scheme: {rounds: 2}}
"""


@dataclass(frozen=True)
class Progress:
    version: int
    versions: int
    t_s: float
    metric: tuple[str, float]
    bits: int
    lost: int
    trained: int
    torch_s: float


class Window(NamedTuple):
    rounds: list[dict[str, Any]]
    events: list[dict[str, Any]]
    quarantined: list[dict[str, Any]]


class StandIn:
    """Plays as many windows as the scenario has rounds; ``at`` is called before each."""

    at: Callable[[int], None]
    factor = 1.0
    quarantined: ClassVar[list[dict[str, Any]]] = []
    built: list[StandIn]

    def __init__(self, scenario: Any, store: Path, workers: int | None) -> None:
        self.fingerprint = {"torch": "2.13.0", "executor": "threads"}
        self.workers = workers
        self._seed, self._rounds = scenario.seed, scenario.scheme.rounds
        self._store = Store(store, "0" * 64)
        self._version = 0
        self.built.append(self)

    def windows(self) -> Iterator[Window]:
        for version in range(self._rounds + 1):
            StandIn.at(version)
            self._version = version
            accuracy = self.factor * (1.0 - 1.0 / (version + self._seed))
            self._store.save(f"{version:02}", SCALARS, accuracy)
            row = {"t_s": 60.0 * version, "kind": "round", "version": version, "accuracy": accuracy}
            events = [{"t_s": i / 100, "kind": "transfer", "device": i, "bits": 8.0} for i in range(200)]
            yield Window([row], events, self.quarantined)

    @property
    def progress(self) -> Progress:
        return Progress(
            self._version, self._rounds, 60.0 * self._version, ("accuracy", 0.5), 8000, 1, self._version, 0.1
        )

    def summary(self) -> dict[str, Any]:
        return {
            "scheme": "fedavg",
            "rounds": self._rounds,
            "sim_time_s": 60.0 * self._rounds,
            "metric": {"name": "accuracy", "first": 0.5, "last": float("nan"), "best": 0.75},
            "references": {"central": 0.9},
            "bits": {"up": 8000, "down": 8000, "backhaul": 16000, "lost": 800},
            "energy_j": 3.5,
            "updates": {"selected": 12, "arrived": 11, "late": 0, "lost": 1, "dismissed": 0},
            "losses": {"loss-uplink": 1},
            "jobs": {"planned": 12, "trained": 11, "reused": 0, "skipped": 1},
            "reference_jobs": 1,
            "torch_s": 0.25,
            "model_digest": "e" * 64,
        }


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[StandIn]:
    monkeypatch.setattr("netfed.build.build", StandIn)
    monkeypatch.setattr("netfed.run.COMMIT_EVERY_S", 0.0)
    monkeypatch.setattr(StandIn, "at", staticmethod(lambda version: None), raising=False)
    monkeypatch.setattr(StandIn, "built", [], raising=False)
    monkeypatch.chdir(tmp_path)
    Path("toy.yaml").write_text(SCENARIO)
    return StandIn


def the_run() -> Path:
    (path,) = Path("runs").iterdir()
    return path


def stop_at(version: int, number: int = signal.SIGTERM) -> Callable[[int], None]:
    return lambda now: os.kill(os.getpid(), number) if now == version else None


def fail_at(version: int, error: Exception) -> Callable[[int], None]:
    def at(now: int) -> None:
        if now == version:
            raise error

    return at


def test_run_shows_a_summary_and_the_next_commands(netfed: Netfed) -> None:
    done = netfed("run", "toy.yaml")
    path = the_run()
    assert done.code == 0
    assert done.err.splitlines()[0] == f"netfed 0.1.0: toy.yaml -> {path}"
    assert f"netfed show {path}" in done.err
    assert "central" in done.out
    assert netfed("show", path).out == done.out
    assert (path / "scenario.yaml").read_text() == SCENARIO
    assert gc.get_freeze_count() == 0
    assert path.name.startswith("toy-")


def test_run_as_json_is_one_object_with_every_field(netfed: Netfed) -> None:
    done = netfed("run", "toy.yaml", "--json", "--workers", 2)
    assert list(done.json) == [
        "run", "state", "scheme", "seed", "rounds", "sim_time_s", "metric", "references", "bits", "energy_j", "updates",
        "losses", "model_digest", "jobs", "reference_jobs", "torch_s", "wall_s", "digest",
    ]  # fmt: skip
    assert done.json["run"] == str(the_run())
    assert done.json["state"] == "finished"
    assert done.json["seed"] == 3
    assert done.json["metric"]["last"] is None
    assert 0 < done.json["wall_s"] < 10
    assert "central" in done.err
    assert StandIn.built[0].workers == 2
    assert netfed("show", the_run(), "--json").json == done.json


def test_overrides_reach_the_run_and_are_kept_for_its_resumption(netfed: Netfed) -> None:
    done = netfed("run", "toy.yaml", "--json", "--short", "--seed", 9, "--set", "name=renamed", "--out", "else/where")
    assert done.json["rounds"] == 2
    assert done.json["seed"] == 9
    (path,) = Path("else/where").iterdir()
    assert path.name.startswith("renamed-")
    assert "seed: 9" in (path / "resolved.yaml").read_text()


def test_runs_with_the_same_question_have_the_same_digest_and_folders_of_their_own(netfed: Netfed) -> None:
    first, again, other = (netfed("run", "toy.yaml", "--json", "--seed", seed).json for seed in (1, 1, 2))
    assert first["digest"] == again["digest"] != other["digest"]
    assert len(list(Path("runs").iterdir())) == 3


def test_a_shared_store_lies_elsewhere_and_the_run_remembers_where(netfed: Netfed) -> None:
    netfed("run", "toy.yaml", "--store", "values")
    assert len(list(Path("values").rglob("0*"))) == 8
    assert not (the_run() / "store").exists()
    assert load(the_run()).manifest.store == str(Path("values").absolute())
    assert netfed("verify", the_run(), "--rerun", "--json").json["rerun"]["compared"] == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("version", [0, 3, 6])
def test_a_stopped_run_goes_on_to_the_same_result(
    netfed: Netfed, stand_in: type[StandIn], number: int, version: int
) -> None:
    undisturbed = netfed("run", "toy.yaml", "--json", "--out", "undisturbed").json
    stand_in.at = staticmethod(stop_at(version, number))  # type: ignore[assignment]
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    stopped = netfed("run", "toy.yaml", "--json")
    assert (stopped.code, stopped.json["state"]) == (4, "stopped")
    assert stopped.json["progress"]["version"] == version
    assert f"netfed resume {the_run()}" in stopped.err
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
    stand_in.at = staticmethod(lambda now: None)  # type: ignore[assignment]
    resumed = netfed("resume", the_run(), "--json")
    assert (resumed.code, resumed.json["state"]) == (0, "finished")
    assert resumed.json["digest"] == undisturbed["digest"]
    again = netfed("resume", the_run(), "--json")
    assert again.json == resumed.json
    assert f"nothing is left to do in {the_run()}" in again.err


def test_told_to_stop_twice_it_ends_at_once_and_loses_nothing(netfed: Netfed) -> None:
    undisturbed = netfed("run", "toy.yaml", "--json", "--out", "undisturbed").json
    script = """
    import importlib.util, os, signal, sys
    spec = importlib.util.spec_from_file_location("toy", sys.argv[1])
    toy = importlib.util.module_from_spec(spec)
    sys.modules["toy"] = toy
    spec.loader.exec_module(toy)
    import netfed.build
    netfed.build.build = toy.StandIn
    toy.StandIn.built = []
    toy.StandIn.at = lambda now: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2) if now == 3]
    from netfed.cli import main
    main(["run", "toy.yaml"])
    """
    done = elsewhere(sys.executable, "-c", textwrap.dedent(script), __file__)
    assert done.returncode == -signal.SIGINT
    assert "stopping at the end of this round" in done.stderr
    assert done.stderr.splitlines()[-1] == f"stopped; to go on: netfed resume {the_run()}"
    assert "Traceback" not in done.stderr
    assert netfed("show", the_run(), "--json").json["state"] == "killed"
    assert netfed("resume", the_run(), "--json").json["digest"] == undisturbed["digest"]


def test_stopped_during_the_replay_it_keeps_what_it_had(netfed: Netfed, stand_in: type[StandIn]) -> None:
    for version in (4, 2):
        stand_in.at = staticmethod(stop_at(version))  # type: ignore[assignment]
        done = netfed("run", "toy.yaml") if version == 4 else netfed("resume", the_run())
        assert done.code == 4
    assert load(the_run()).rounds["version"] == [0, 1, 2, 3, 4]
    assert load(the_run()).status["progress"]["version"] == 4


def test_a_failed_run_says_why_without_a_traceback(netfed: Netfed, stand_in: type[StandIn]) -> None:
    stand_in.at = staticmethod(fail_at(2, RunFailed("no device is left")))  # type: ignore[assignment]
    done = netfed("run", "toy.yaml")
    assert done.code == 3
    assert done.err.splitlines()[-1] == "the run failed: no device is left"
    assert "Traceback" not in done.err
    assert "Traceback" in (the_run() / "log.txt").read_text()
    assert json.loads((the_run() / "errors.jsonl").read_text())["message"] == "no device is left"
    assert "no device is left" in netfed("show", the_run()).out
    assert netfed("show", the_run(), "--json").json["state"] == "failed"
    stand_in.at = staticmethod(lambda now: None)  # type: ignore[assignment]
    assert netfed("resume", the_run()).code == 0


def test_a_failed_run_keeps_every_row_until_then(
    netfed: Netfed, stand_in: type[StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netfed.run.COMMIT_EVERY_S", 1e9)
    stand_in.at = staticmethod(fail_at(4, RunFailed("no device is left")))  # type: ignore[assignment]
    netfed("run", "toy.yaml")
    assert load(the_run()).manifest.files["rounds.jsonl"].rows == 4
    assert 0 < len(load(the_run()).events()) < 800
    assert netfed("show", the_run(), "--json").json["progress"]["version"] == 3


def test_what_is_quarantined_is_noted_once_and_what_it_raised_is_shown(
    netfed: Netfed, stand_in: type[StandIn], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = {"device": 3, "version": 1, "cause": "failed", "detail": "out of cheese", "traceback": "Traceback ..."}
    monkeypatch.setattr(stand_in, "quarantined", [bad])
    failure = RunFailed("nothing but bad updates")
    failure.add_note("Traceback of the last")
    stand_in.at = staticmethod(fail_at(3, failure))  # type: ignore[assignment]
    done = netfed("run", "toy.yaml")
    assert done.code == 3
    assert done.err.splitlines()[-2:] == ["Traceback of the last", "the run failed: nothing but bad updates"]
    stand_in.at = staticmethod(lambda now: None)  # type: ignore[assignment]
    assert netfed("resume", the_run()).code == 0
    errors = [json.loads(line) for line in (the_run() / "errors.jsonl").read_text().splitlines()]
    noted = [error for error in errors if error.get("device") == 3]
    windows = load(the_run()).manifest.files["rounds.jsonl"].rows
    assert len(noted) == windows, "a replay notes nothing anew"
    assert {name: noted[0][name] for name in bad} == bad


def test_a_scenario_that_does_not_fit_its_data_leaves_no_folder(netfed: Netfed, stand_in: type[StandIn]) -> None:
    stand_in.at = staticmethod(fail_at(0, ScenarioError("task.split.test: 3 examples are too few")))  # type: ignore[assignment]
    done = netfed("run", "toy.yaml")
    assert done.code == 2
    assert "task.split.test: 3 examples are too few" in done.err
    assert "Traceback" not in done.err
    assert list(Path("runs").iterdir()) == []


def test_only_a_bug_prints_a_traceback(netfed: Netfed, stand_in: type[StandIn]) -> None:
    stand_in.at = staticmethod(fail_at(2, KeyError("weights")))  # type: ignore[assignment]
    done = netfed("run", "toy.yaml")
    assert done.code == 1
    assert "Traceback" in done.err
    assert "KeyError: 'weights'" in done.err
    assert "please report" in done.err
    assert load(the_run()).state == "failed"


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_full_disk_has_a_code_of_its_own(netfed: Netfed, stand_in: type[StandIn], code: int) -> None:
    full = OSError(code, os.strerror(code), "/somewhere/store/ab")
    stand_in.at = staticmethod(fail_at(3, full))  # type: ignore[assignment]
    done = netfed("run", "toy.yaml")
    assert done.code == 6
    assert f"/somewhere/store/ab: {os.strerror(code)}" in done.err
    assert f"netfed resume {the_run()}" in done.err
    stand_in.at = staticmethod(lambda now: None)  # type: ignore[assignment]
    assert netfed("resume", the_run()).code == 0


def test_a_disk_that_is_really_full(netfed: Netfed) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    undisturbed = netfed("run", "toy.yaml", "--json", "--out", "undisturbed").json
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        done = netfed("run", "toy.yaml")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert done.code == 6
    assert "part-000001.parquet: File too large" in done.err
    assert netfed("resume", the_run(), "--json").json["digest"] == undisturbed["digest"]


def test_check_names_every_mistake_in_every_file(netfed: Netfed) -> None:
    Path("bad.yaml").write_text(SCENARIO.replace("seed: 3", "sead: 3").replace("rounds: 6", "rounds: -1"))
    assert netfed("check", "toy.yaml").code == 0
    done = netfed("check", "toy.yaml", "bad.yaml", "--json")
    assert done.code == 2
    assert [entry["file"] for entry in done.json["scenarios"]] == ["toy.yaml", "bad.yaml"]
    assert [len(entry["mistakes"]) for entry in done.json["scenarios"]] == [0, 2]
    assert "toy.yaml: ok" in done.err
    assert "bad.yaml:3:1: sead: " in done.err
    assert netfed("check", "toy.yaml", "bad.yaml").out == ""


def test_verify_names_damage(netfed: Netfed) -> None:
    netfed("run", "toy.yaml")
    assert netfed("verify", the_run()).code == 0
    assert netfed("verify", the_run(), "--json").json == {"run": str(the_run()), "problems": [], "rerun": None}
    (the_run() / "rounds.jsonl").write_text("")
    done = netfed("verify", the_run(), "--rerun", "--json")
    assert done.code == 5
    assert len(done.json["problems"]) == 1
    assert "rounds.jsonl: damaged" in done.err
    assert len(StandIn.built) == 1


def test_verify_rerun_compares_results_and_stored_values(netfed: Netfed, stand_in: type[StandIn]) -> None:
    digest = netfed("run", "toy.yaml", "--json", "--short").json["digest"]
    same = netfed("verify", the_run(), "--rerun", "--json")
    assert same.code == 0
    assert same.json["rerun"]["digests"]["digest"] == [digest, digest]
    assert same.json["rerun"]["compared"] == 3
    assert "the same to the bit, and so are 3 stored values" in same.err
    stand_in.factor = 0.5
    other = netfed("verify", the_run(), "--rerun", "--json")
    stand_in.factor = 1.0
    assert other.code == 5
    assert other.json["rerun"]["differing"] == ["00", "01", "02"]
    assert f"digest: was {digest}, afresh " in other.err


def test_verify_rerun_says_what_changed_since(netfed: Netfed) -> None:
    netfed("run", "toy.yaml")
    manifest = the_run() / "manifest.json"
    manifest.write_bytes(seal({**unseal(manifest), "fingerprint": {"torch": "2.12.0", "executor": "threads"}}))
    done = netfed("verify", the_run(), "--rerun", "--json")
    assert done.code == 0
    assert done.json["rerun"]["changes"] == ["torch was 2.12.0, here it is 2.13.0"]


def test_a_scenario_that_is_not_what_was_recorded_is_not_resumed(netfed: Netfed, stand_in: type[StandIn]) -> None:
    stand_in.at = staticmethod(stop_at(2))  # type: ignore[assignment]
    netfed("run", "toy.yaml")
    manifest = the_run() / "manifest.json"
    manifest.write_bytes(seal({**unseal(manifest), "scenario_digest": "0" * 64}))
    done = netfed("resume", the_run())
    assert done.code == 5
    assert "resolved.yaml: another version of netfed reads it as another scenario" in done.err


def test_a_replay_that_differs_is_named(netfed: Netfed, stand_in: type[StandIn]) -> None:
    stand_in.at = staticmethod(stop_at(2))  # type: ignore[assignment]
    netfed("run", "toy.yaml")
    stand_in.factor = 0.5
    done = netfed("resume", the_run())
    stand_in.factor = 1.0
    assert done.code == 5
    assert "rounds.jsonl:1: accuracy was " in done.err


def test_a_run_in_use_is_left_alone(netfed: Netfed, stand_in: type[StandIn]) -> None:
    stand_in.at = staticmethod(stop_at(2))  # type: ignore[assignment]
    netfed("run", "toy.yaml")
    with RunFolder.reopen(the_run()):
        done = netfed("resume", the_run())
        assert done.code == 2
        assert "another process is running it" in done.err
        assert netfed("show", the_run()).code == 0
        assert netfed("verify", the_run()).code == 0


WRONG = {
    "": (2, "Usage"),
    "frobnicate": (2, "No such command"),
    "--frobnicate": (2, "No such option"),
    "--json": (2, "No such option"),
    "run": (2, "Missing argument"),
    "run nothing.yaml": (2, "nothing.yaml: no such file"),
    "run quikstart": (2, "did you mean 'quickstart'?"),
    "run .": (2, ".: is a folder; name a file"),
    "run locked.yaml": (2, "locked.yaml: no permission"),
    "run toy.yaml/inner.yaml": (2, "no such file"),
    "run binary.yaml": (2, "binary.yaml"),
    "run latin.yaml": (2, "latin.yaml: byte 26 is not UTF-8"),
    "run empty.yaml": (2, "empty.yaml"),
    "run list.yaml": (2, "list.yaml:1:1: expected a mapping of keys"),
    "run loop.yaml": (2, "loop.yaml"),
    "run toy.yaml toy.yaml": (2, "unexpected extra argument"),
    "run toy.yaml --seed -1": (2, "--seed"),
    "run toy.yaml --seed one": (2, "--seed"),
    "run toy.yaml --seed 1.5": (2, "--seed"),
    "run toy.yaml --seed": (2, "--seed"),
    "run toy.yaml --seed 99999999999999999999": (2, "--seed"),
    "run toy.yaml --workers 0": (2, "--workers"),
    "run toy.yaml --workers two": (2, "--workers"),
    "run toy.yaml --short=yes": (2, "--short"),
    "run long.yaml --short": (2, "no short: section"),
    "run toy.yaml --set": (2, "--set"),
    "run toy.yaml --set rounds": (2, "--set rounds: write KEY=VALUE"),
    "run toy.yaml --set =3": (2, "write KEY=VALUE"),
    "run toy.yaml --set scheme.roundz=3": (2, "did you mean 'rounds'?"),
    "run toy.yaml --set scheme.rounds=many": (2, "scheme.rounds"),
    "run toy.yaml --set scheme.rounds=[": (2, "--set scheme.rounds=["),
    "run toy.yaml --set scheme.rounds.x=1": (2, "scheme.rounds.x"),
    "run toy.yaml --set name=../up": (2, "name"),
    "run toy.yaml --out toy.yaml": (2, "toy.yaml"),
    "run toy.yaml --out toy.yaml/inner": (2, "leads through a file"),
    "run toy.yaml --out /proc/here": (2, "/proc/here"),
    "run toy.yaml --store toy.yaml": (2, "toy.yaml"),
    "run toy.yaml --store toy.yaml/inner": (2, "leads through a file"),
    "run toy.yaml --jsn": (2, "No such option"),
    "resume": (2, "Missing argument"),
    "resume nowhere": (5, "nowhere: no such run folder"),
    "resume .": (5, ".: not a run folder"),
    "resume toy.yaml": (5, "toy.yaml: no such run folder"),
    "resume . --workers -3": (2, "--workers"),
    "check": (2, "Missing argument"),
    "check nothing.yaml": (2, "nothing.yaml"),
    "check toy.yaml nothing.yaml": (2, "nothing.yaml"),
    "check .": (2, ".: is a folder; name a file"),
    "config nothing.yaml": (2, "nothing.yaml: no such file"),
    "config toy.yaml --set seed=x": (2, "seed"),
    "init": (2, "Missing argument"),
    "init toy.yaml": (2, "toy.yaml"),
    "init taken": (2, "taken/scenario.yaml: exists already"),
    "init new --preset quikstart": (2, "did you mean 'quickstart'?"),
    "schema toy.yaml": (2, "unexpected extra argument"),
    "ls nowhere": (2, "nowhere: no such folder"),
    "ls toy.yaml": (2, "toy.yaml"),
    "show": (2, "Missing argument"),
    "show nowhere": (5, "nowhere: no such run folder"),
    "show toy.yaml": (5, "no such run folder"),
    "show .": (5, "not a run folder: manifest.json is missing; the runs in it: netfed ls ."),
    "show damaged": (5, "damaged/manifest.json: damaged"),
    "watch nowhere": (5, "no such run folder"),
    "stop .": (5, "not a run folder"),
    "report .": (5, "not a run folder"),
    "report nowhere --out .": (2, "--out"),
    "verify nowhere": (5, "no such run folder"),
    "verify nowhere --rerun": (5, "no such run folder"),
    "doctor --out toy.yaml": (2, "toy.yaml"),
}


@pytest.mark.parametrize("verb", sorted({command.partition(" ")[0] for command in WRONG}))
def test_a_mistake_is_answered_in_lines_not_in_tracebacks(
    netfed: Netfed, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    Path("binary.yaml").write_bytes(b"\x00\xff\xfe: {")
    Path("latin.yaml").write_bytes("netfed: 1\nname: toy\nnote: \u00e9\n".encode("latin-1"))
    Path("empty.yaml").write_bytes(b"")
    Path("list.yaml").write_text("- netfed")
    Path("loop.yaml").symlink_to("loop.yaml")
    Path("long.yaml").write_text(SCENARIO.partition("short:")[0])
    for folder, file in (("taken", "scenario.yaml"), ("damaged", "manifest.json")):
        Path(folder).mkdir()
        (Path(folder) / file).write_text("{}")
    unreadable("locked.yaml", monkeypatch)
    for command, (code, said) in WRONG.items():
        if command.partition(" ")[0] == verb:
            done = netfed(*command.split())
            assert (command, done.code) == (command, code)
            assert said in done.err, command
            assert done.out == "", command
            assert "Traceback" not in done.err, command
    assert StandIn.built == []
    assert not list(Path().glob("lock"))


def test_there_are_sixty_mistakes() -> None:
    assert len(WRONG) >= 60


def unreadable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a file that even root cannot read."""

    def refuse(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name == name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *arguments, **named)

    opened = Path.open
    Path(name).touch()
    monkeypatch.setattr(Path, "open", refuse)


def test_an_unfinished_run_cannot_be_rerun(netfed: Netfed, stand_in: type[StandIn]) -> None:
    stand_in.at = staticmethod(stop_at(2))  # type: ignore[assignment]
    netfed("run", "toy.yaml")
    done = netfed("verify", the_run(), "--rerun")
    assert done.code == 2
    assert "not finished" in done.err


def test_a_rerun_can_be_interrupted(netfed: Netfed, stand_in: type[StandIn]) -> None:
    netfed("run", "toy.yaml")
    stand_in.at = staticmethod(stop_at(2))  # type: ignore[assignment]
    assert netfed("verify", the_run(), "--rerun").code == 130


def test_a_library_may_play_in_any_thread_with_nobody_watching() -> None:
    def work() -> None:
        with begin(loads(SCENARIO, "toy.yaml"), SCENARIO) as folder:
            states.append(play(folder))

    states: list[str] = []
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert states == ["finished"]
    assert "finished" in (the_run() / "log.txt").read_text()


def test_version(netfed: Netfed) -> None:
    assert netfed("--version") == Done(0, "netfed 0.1.0\n", "")


def elsewhere(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command of another process, which knows nothing of the stand-in."""
    path = {"PYTHONPATH": str(Path(package.__file__).parents[1])}
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **path, **environment})


LOADED = """
import sys
from netfed.cli import main
try:
    main(sys.argv[1:])
except SystemExit as stop:
    heavy = ("torch", "simpy", "numpy", "pyarrow", "plotly", "sklearn", "rich")
    print(stop.code, *(name for name in heavy if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize("command", ["--help", "run --help", "check toy.yaml"])
def test_help_and_check_import_nothing_heavy(command: str) -> None:
    assert elsewhere(sys.executable, "-c", LOADED, *command.split()).stderr.splitlines()[-1] == "0"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_told_how_to_complete(netfed: Netfed, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    monkeypatch.setattr("typer.completion._get_shell_name", lambda: shell)
    done = netfed("--show-completion")
    assert done.code == 0
    assert "_NETFED_COMPLETE" in done.out


@pytest.mark.parametrize("option", ["--show-completion", "--install-completion"])
def test_a_shell_that_is_named_is_not_taken_for_another(
    netfed: Netfed, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.setattr("typer.completion._get_shell_name", lambda: "bash")
    monkeypatch.setattr("typer.completion.install", lambda: pytest.fail("it was installed"))
    done = netfed(option, "nosh")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"{option} nosh: ")
    assert len(done.err.splitlines()) == 1


@pytest.mark.parametrize(
    "words", [("init", ""), ("run", "toy.yaml", "--out", ""), ("run", "toy.yaml", "--out="), ("run", ""), ("ls", "")]
)
def test_an_empty_argument_is_not_the_present_folder(netfed: Netfed, words: tuple[str, ...]) -> None:
    before = sorted(Path().iterdir())
    done = netfed(*words)
    assert done.code == 2
    assert done.err == f"argument {len(words)} is empty: write . for the present folder\n"
    assert sorted(Path().iterdir()) == before


def test_the_module_runs_as_the_command_does_also_without_unicode(netfed: Netfed) -> None:
    netfed("run", "toy.yaml", "--short")
    done = elsewhere(sys.executable, "-m", "netfed", "show", str(the_run()), PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "central" in done.stdout


def test_the_first_line_comes_before_torch_is_imported(netfed: Netfed, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def build(*arguments: Any) -> StandIn:
        said.append(sys.stderr.getvalue() if hasattr(sys.stderr, "getvalue") else "")
        return StandIn(*arguments)

    monkeypatch.setattr("netfed.build.build", build)
    netfed("run", "toy.yaml")
    assert said[0].startswith("netfed 0.1.0: toy.yaml -> runs/toy-")
