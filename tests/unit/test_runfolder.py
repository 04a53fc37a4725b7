"""A run folder keeps what was committed, whatever happens next, and refuses what it did not write."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.errors import RunFolderError, ScenarioError, SimulationError
from netfed.events import COLUMNS, to_parquet, to_rows, typed
from netfed.graph import canonical
from netfed.manifest import problems, read_manifest
from netfed.runfolder import RunFolder, RunFolderInUseError

WINDOWS = 12
EVENTS = 120
RESULTS = {"rounds": WINDOWS, "metric": {"last": 0.5}, "model_digest": "abc"}


def create(out: Path, **changes: Any) -> RunFolder:
    identity = {"scheme": "fedavg", "seed": 1, "scenario_digest": "d", "source": "name: toy\n", "resolved": "{}\n"}
    return RunFolder.create(out, "toy", **{**identity, **changes})


def window(number: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    events = [
        {"t_s": number + i / EVENTS, "kind": "transfer", "device": i, "bits": 0.1 * i, "extra": i % 7, "cause": None}
        for i in range(EVENTS)
    ]
    return [{"t_s": float(number), "kind": "round", "version": number, "accuracy": number / 7}], events


def play(folder: RunFolder, until: int = WINDOWS, commit_every: int = 1) -> None:
    for number in range(until):
        folder.record(*window(number))
        if number % commit_every == 0:
            folder.commit({"version": number})
    if until == WINDOWS:
        folder.finish(RESULTS, {"torch_s": 1.0}, {"version": WINDOWS})


def finished(out: Path) -> Path:
    with create(out) as folder:
        play(folder)
        return folder.path


def half_done(out: Path) -> Path:
    with create(out) as folder:
        play(folder, until=WINDOWS // 2)
        return folder.path


def digest(path: Path) -> str:
    return json.loads((path / "summary.json").read_text())["digest"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.mktemp("runs"))


def test_a_finished_run_holds_every_row_in_order(undisturbed: Path) -> None:
    lines = [json.loads(line) for line in (undisturbed / "rounds.jsonl").read_text().splitlines()]
    assert lines == [row for number in range(WINDOWS) for row in window(number)[0]]
    parts = read_manifest(undisturbed).parts
    rows = [row for name in parts for row in to_rows((undisturbed / name).read_bytes())]
    assert rows == [typed(row) for number in range(WINDOWS) for row in window(number)[1]]
    assert [record.rows for record in parts.values()] == [512, 512, WINDOWS * EVENTS - 1024]
    assert json.loads((undisturbed / "status.json").read_text())["state"] == "finished"
    assert problems(undisturbed) == []


def test_nothing_may_be_written_after_the_end(tmp_path: Path) -> None:
    running, ended = half_done(tmp_path / "half"), finished(tmp_path / "whole")
    for path in (running, ended):
        with (path / "rounds.jsonl").open("ab") as file:
            file.write(b"junk\n")
    assert problems(running) == [], "a kill may leave what no commit names"
    (damage,) = problems(ended)
    assert "rounds.jsonl: damaged" in damage


def test_resumed_at_any_window_it_ends_with_the_same_files(tmp_path: Path, undisturbed: Path) -> None:
    expected = read_manifest(undisturbed)
    for stop in range(1, WINDOWS):
        with create(tmp_path) as folder:
            play(folder, until=stop)
        with RunFolder.reopen(folder.path) as resumed:
            play(resumed)
        found = read_manifest(folder.path)
        assert digest(folder.path) == digest(undisturbed)
        assert found.files | {"summary.json": None} == expected.files | {"summary.json": None}


def test_the_digest_does_not_depend_on_how_rows_fall_into_windows(tmp_path: Path, undisturbed: Path) -> None:
    with create(tmp_path) as folder:
        for number in range(WINDOWS):
            rounds, events = window(number)
            folder.record([], events[:17])
            folder.record(rounds, events[17:])
        folder.finish(RESULTS, {"torch_s": 2.0}, {})
    assert digest(folder.path) == digest(undisturbed)
    assert read_manifest(folder.path).parts == read_manifest(undisturbed).parts


def test_parts_grow_with_the_run_wherever_windows_end(tmp_path: Path) -> None:
    sizes = []
    for rows in (100, 3000):
        with create(tmp_path) as folder:
            for first in range(0, 6000, rows):
                folder.record([], [{"t_s": 0.0, "kind": "x", "device": first + i} for i in range(rows)])
            folder.commit({})
            sizes.append([record.rows for record in folder.manifest.parts.values()])
    assert sizes[0] == sizes[1]
    assert sizes[0][:7] == [512] * 5 + [640, 800]
    assert 6000 - sum(sizes[0]) < sum(sizes[0]) / 4


@pytest.mark.parametrize(
    "change",
    [
        lambda rounds, events, results: rounds[0].update(accuracy=0.25),
        lambda rounds, events, results: events[3].update(bits=1e-9),
        lambda rounds, events, results: events[3].update(extra=8),
        lambda rounds, events, results: events.reverse(),
        lambda rounds, events, results: results.update(model_digest="abd"),
    ],
)
def test_the_digest_covers_every_result(tmp_path: Path, undisturbed: Path, change: Callable[..., None]) -> None:
    results = dict(RESULTS)
    with create(tmp_path) as folder:
        for number in range(WINDOWS):
            rounds, events = window(number)
            if number == 5:
                change(rounds, events, results)
            folder.record(rounds, events)
        folder.finish(results, {"torch_s": 1.0}, {})
    assert digest(folder.path) != digest(undisturbed)


def test_accounts_and_progress_stay_out_of_the_digest(tmp_path: Path, undisturbed: Path) -> None:
    with create(tmp_path, seed=2) as folder:
        for number in range(WINDOWS):
            folder.record(*window(number))
        folder.finish(RESULTS, {"torch_s": 99.0}, {"version": 3})
    assert digest(folder.path) == digest(undisturbed)


def test_a_replayed_round_that_differs_is_named(tmp_path: Path) -> None:
    path = half_done(tmp_path)
    with RunFolder.reopen(path) as folder:
        folder.record(*window(0))
        rounds, events = window(1)
        rounds[0]["accuracy"] = 0.5
        with pytest.raises(RunFolderError) as error:
            folder.record(rounds, events)
    assert str(error.value) == f"{path}/rounds.jsonl:2: accuracy was {1 / 7!r} when it was recorded, and is 0.5 now"


def test_a_replayed_event_that_differs_is_named(tmp_path: Path) -> None:
    path = half_done(tmp_path)
    with RunFolder.reopen(path) as folder:
        rounds, events = window(0)
        events[9]["cause"] = "late"
        with pytest.raises(RunFolderError) as error:
            folder.record(rounds, events)
    assert str(error.value).startswith(f"{path}/events/part-000001.parquet: row 10: cause was 'absent'")
    assert str(error.value).endswith("'late' now")


def test_a_replayed_event_that_no_part_holds_yet_is_compared_too(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        play(folder, until=2)
    assert not folder.manifest.parts
    with RunFolder.reopen(folder.path) as resumed:
        resumed.record(*window(0))
        rounds, events = window(1)
        events[0]["device"] = 77
        with pytest.raises(RunFolderError, match="are not those recorded"):
            resumed.record(rounds, events)


def test_a_replay_that_ends_early_is_refused(tmp_path: Path) -> None:
    path = half_done(tmp_path)
    with RunFolder.reopen(path) as folder:
        folder.record(*window(0))
        with pytest.raises(RunFolderError, match=r"rounds\.jsonl:2: recorded, but the replay ends before it"):
            folder.finish(RESULTS, {}, {})


def test_nan_and_negative_zero_are_compared_by_their_bits(tmp_path: Path) -> None:
    row = {"t_s": 0.0, "kind": "round", "loss": float("nan"), "gain": -0.0}
    with create(tmp_path) as folder:
        folder.record([row], [])
        folder.commit({})
    with RunFolder.reopen(folder.path) as same:
        same.record([row], [])
    with RunFolder.reopen(folder.path) as other, pytest.raises(RunFolderError, match=r"gain was -0\.0 .* is 0\.0 now"):
        other.record([{**row, "gain": 0.0}], [])


def test_what_no_commit_names_is_removed(tmp_path: Path) -> None:
    path = half_done(tmp_path)
    committed = (path / "rounds.jsonl").read_bytes()
    (path / "rounds.jsonl").write_bytes(committed + b'{"t_s": 99.0, "ki')
    (path / "store").mkdir()
    for name in ("events/part-000099.parquet", "manifest.json.77.tmp", "summary.json", "store/ab.1.tmp"):
        (path / name).write_bytes(b"half")
    (path / "notes.txt").write_text("the user's own")
    with RunFolder.reopen(path):
        assert (path / "rounds.jsonl").read_bytes() == committed
        left = {str(file.relative_to(path)) for file in path.rglob("*") if file.is_file()}
    assert left == {
        "manifest.json", "status.json", "rounds.jsonl", "scenario.yaml", "resolved.yaml", "lock", "notes.txt",
        "events/part-000001.parquet",
    }  # fmt: skip


def damage(path: Path, how: str, other: Path) -> None:
    data = path.read_bytes()
    if how == "flip":
        path.write_bytes(data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :])
    elif how == "truncate":
        path.write_bytes(data[:-1])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "grow":
        path.write_bytes(data + b"\n")
    elif how == "delete":
        path.unlink()
    else:
        shutil.copyfile(other, path)


@pytest.mark.parametrize("how", ["flip", "truncate", "grow", "empty", "delete", "swap"])
@pytest.mark.parametrize(
    "name",
    ["manifest.json", "status.json", "scenario.yaml", "resolved.yaml", "rounds.jsonl", "summary.json",
     "events/part-000001.parquet", "events/part-000003.parquet"],
)  # fmt: skip
def test_a_damaged_file_is_named_and_never_used(tmp_path: Path, undisturbed: Path, name: str, how: str) -> None:
    path, other = tmp_path / "run", tmp_path / "other"
    shutil.copytree(undisturbed, path)
    with create(tmp_path, source="name: other\n", resolved="{a: 1}\n") as folder:
        for number in range(1, WINDOWS + 1):
            folder.record(*window(number))
        folder.finish({**RESULTS, "rounds": 9}, {}, {})
        other = folder.path
    if (name, how) == ("rounds.jsonl", "grow"):
        how = "flip"  # more rows than were committed are no damage
    damage(path / name, how, other / name)
    found = problems(path)
    assert found
    assert how == "swap" or any(name in line for line in found)
    with pytest.raises(RunFolderError, match=r".+") as error:
        RunFolder.reopen(path)
    assert str(error.value) == "\n".join(found)


def test_a_damaged_store_entry_is_named(tmp_path: Path) -> None:
    from netfed.graph import SCALARS, Store

    path = half_done(tmp_path)
    Store(path / "store", "0" * 64).save("ab12", SCALARS, 3.0)
    assert problems(path) == []
    entry = next(path.rglob("ab12"))
    entry.write_bytes(entry.read_bytes()[:-1] + b"4")
    assert len(problems(path)) == 1
    assert "ab12" in problems(path)[0]


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"files": {"../../etc/passwd": {"size": 1, "sha256": "", "rows": 0}}}]
)
def test_a_manifest_that_is_whole_but_strange_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    from netfed.manifest import seal, unseal

    path = half_done(tmp_path)
    (path / "manifest.json").write_bytes(seal({**unseal(path / "manifest.json"), **change}))
    with pytest.raises(RunFolderError, match=r"format 2|no run has"):
        read_manifest(path)


def test_a_run_goes_on_only_with_what_its_bits_depend_on(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        folder.bind({"torch": "2.13.0", "executor": "threads"})
        play(folder, until=2)
    with RunFolder.reopen(folder.path) as resumed:
        resumed.bind({"torch": "2.13.0", "executor": "threads"})
        with pytest.raises(RunFolderError, match=r"torch was 2\.13\.0, here it is 2\.14\.0"):
            resumed.bind({"torch": "2.14.0", "executor": "threads"})


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = half_done(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; from netfed.runfolder import *; from pathlib import Path\n"
         "f = RunFolder.reopen(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()", str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(RunFolderInUseError, match="another process is running it"):
        RunFolder.reopen(path)
    holder.kill()
    holder.communicate()
    with RunFolder.reopen(path):
        pass


@pytest.mark.parametrize("name", ["", "..", "../up", "a/b", ".hidden", "x" * 65, "nul\0", "new\nline"])
def test_a_name_that_would_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ScenarioError, match="cannot name a folder"):
        RunFolder.create(tmp_path, name, scheme="", seed=1, scenario_digest="", source="", resolved="")
    assert list(tmp_path.iterdir()) == []


def test_an_event_field_of_the_wrong_type_is_ours_to_mend() -> None:
    with pytest.raises(SimulationError, match="event 'odd': device is a number, not 'three'"):
        typed({"t_s": 0.0, "kind": "odd", "device": "three"})
    with pytest.raises(SimulationError, match=r"event 'odd': cell is a number, not 2\.5"):
        typed({"t_s": 0.0, "kind": "odd", "cell": 2.5})


scalars = st.one_of(st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False), st.text(max_size=5))
listed = {
    float: st.one_of(st.floats(allow_nan=False), st.integers(-(2**53), 2**53)),
    int: st.integers(-(2**63), 2**63 - 1),
    str: st.text(max_size=5),
    bool: st.booleans(),
}
rows = st.fixed_dictionaries(
    {"kind": st.just("x")}, optional={name: listed[kind] for name, kind in COLUMNS.items() if name != "kind"}
)
others = st.dictionaries(st.text(max_size=4).filter(lambda name: name not in COLUMNS), scalars, max_size=3)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(rows, others).map(lambda pair: {**pair[0], **pair[1]}), max_size=5))
def test_event_rows_survive_parquet_exactly(events: list[dict[str, Any]]) -> None:
    written = [typed(event) for event in events]
    assert list(map(canonical, to_rows(to_parquet(written)))) == list(map(canonical, written))


# Kills and full disks: a driver forks a child for each, which needs no import of its own.

DRIVER = """
import importlib.util, itertools, json, os, resource, shutil, signal, sys
from pathlib import Path
import pyarrow.parquet

spec = importlib.util.spec_from_file_location("toy", sys.argv[1])
toy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toy)
os.fsync = lambda descriptor: None
place = Path(sys.argv[2])

def forked(action):
    child = os.fork()
    if child == 0:
        try:
            action()
            os._exit(0)
        except OSError as error:
            print(error.errno, error.filename, flush=True)
            os._exit(6)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def go_on(out):
    runs = sorted(out.glob("toy-*"))
    with toy.RunFolder.reopen(runs[0]) if runs else toy.create(out) as folder:
        toy.play(folder, commit_every=4)

def digest(out):
    return toy.digest(next(out.glob("toy-*")))

def dying_at(step, out):
    count = itertools.count()
    def deadly(real):
        def call(*paths):
            if next(count) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*paths)
            if next(count) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return call
    Path.replace, Path.rename = deadly(Path.replace), deadly(Path.rename)
    go_on(out)
"""


def drive(place: Path, script: str) -> str:
    """Run a script on top of the driver; return what it prints."""
    command = [sys.executable, "-c", DRIVER + textwrap.dedent(script), __file__, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_killed_at_each_side_of_every_rename_it_resumes_to_the_same_digest(tmp_path: Path, undisturbed: Path) -> None:
    script = """
    for step in itertools.count():
        out = place / str(step)
        first = forked(lambda: dying_at(step, out))
        if step % 4 == 0:
            forked(lambda: dying_at(step // 2, out))  # and once more, during the replay
        print(first, forked(lambda: go_on(out)), digest(out))
        shutil.rmtree(out)
        if first == 0:
            break
    """
    lines = [line.split() for line in drive(tmp_path, script).splitlines()]
    assert len(lines) > 30
    assert [first for first, *_ in lines] == ["-9"] * (len(lines) - 1) + ["0"]
    assert {tuple(rest) for _, *rest in lines} == {("0", digest(undisturbed))}


def test_a_full_disk_is_reported_with_the_files_name_and_costs_nothing(tmp_path: Path, undisturbed: Path) -> None:
    script = """
    def many_rounds(out):
        with toy.RunFolder.reopen(next(out.glob("toy-*"))) as folder:
            while True:
                folder.record(toy.window(0)[0], [])

    for limit, action in [(700, go_on), (1000, go_on), (1700, go_on), (4000, go_on), (2000, many_rounds)]:
        out = place / str(limit)
        with toy.create(out):
            pass
        print(forked(lambda: (resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)), action(out))))
        print(forked(lambda: go_on(out)), digest(out))
    """
    lines = drive(tmp_path, script).splitlines()
    named = {Path(line.split()[1]).name for line in lines[0::3]}
    assert {line.split()[0] for line in lines[0::3]} == {str(errno.EFBIG)}
    assert named >= {"manifest.json", "rounds.jsonl", "part-000001.parquet"}
    assert set(lines[1::3]) == {"6"}
    assert set(lines[2::3]) == {f"0 {digest(undisturbed)}"}


def test_without_room_for_a_new_run_nothing_is_left_behind(tmp_path: Path) -> None:
    script = """
    print(forked(lambda: (resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100)), go_on(place))))
    print(list(place.iterdir()))
    """
    reported, code, left = drive(tmp_path, script).splitlines()
    assert reported.endswith("manifest.json")
    assert (code, left) == ("6", "[]")


def test_a_name_that_is_taken_is_not_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["aaaaaa", "aaaaaa", "bbbbbb"])
    monkeypatch.setattr("secrets.token_hex", lambda size: next(drawn))
    for expected in ("toy-aaaaaa", "toy-bbbbbb"):
        with create(tmp_path) as folder:
            assert folder.path.name == expected


def test_a_device_without_room_is_named(tmp_path: Path) -> None:
    path = half_done(tmp_path)
    with RunFolder.reopen(path) as folder:
        (path / "log.txt").symlink_to("/dev/full")
        with pytest.raises(OSError, match="No space left") as error:
            folder.log("x")
        assert error.value.filename == str(path / "log.txt")
        folder.fail(ValueError("unheard"))
