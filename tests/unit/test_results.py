"""Run folders are read into columns, by anyone and at any time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netfed.errors import RunFolderError
from netfed.manifest import process_start, seal
from netfed.results import load
from netfed.runfolder import RunFolder


def create(out: Path) -> RunFolder:
    return RunFolder.create(out, "toy", scheme="fedavg", seed=7, scenario_digest="d", source="", resolved="")


def events(count: int) -> list[dict[str, Any]]:
    return [
        {"t_s": i / 4, "kind": "lost", "device": i, "cause": "late"}
        if i % 3 == 0
        else {"t_s": i / 4, "kind": "transfer", "device": i, "bits": 8.0 * i}
        for i in range(count)
    ]


def test_a_run_in_progress_reads_as_columns(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        folder.record([{"t_s": 0.0, "kind": "round", "version": 0, "accuracy": 0.5}], [])
        folder.record([{"t_s": 9.0, "kind": "round", "version": 1, "bits_up": 64}], events(300))
        folder.commit({"version": 1})
        results = load(str(folder.path))
        assert results.rounds == {
            "t_s": [0.0, 9.0],
            "kind": ["round", "round"],
            "version": [0, 1],
            "accuracy": [0.5, None],
            "bits_up": [None, 64],
        }
        assert results.state == "running"
        assert results.summary is None
        assert results.outcome == {
            "run": str(folder.path),
            "state": "running",
            "scheme": "fedavg",
            "seed": 7,
            "progress": {"version": 1},
            "error": "",
        }


def test_a_row_being_written_is_not_seen(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        folder.record([{"version": 0}, {"version": 1}], [])
        with (folder.path / "rounds.jsonl").open("ab") as file:
            file.write(b'{"version": 2')
        assert load(folder.path).rounds == {"version": [0, 1]}


def test_events_can_be_chosen_by_kind_and_keep_no_empty_column(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        empty = load(folder.path).events()
        folder.record([], events(700))
        folder.commit({})
        results = load(folder.path)
    assert len(empty) == 0
    assert {"t_s", "kind", "device"} <= set(empty.column_names)
    everything, lost = results.events(), results.events("lost")
    assert everything.column_names == ["t_s", "kind", "device", "bits", "cause"]
    assert 0 < len(everything) < 700
    assert everything["device"].to_pylist() == list(range(len(everything)))
    assert lost.to_pylist() == [row for row in events(len(everything)) if row["kind"] == "lost"]
    assert len(results.events("lost", "transfer")) == len(everything)


def test_a_run_whose_process_is_gone_was_killed(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from netfed.runfolder import RunFolder\n"
        "RunFolder.create(Path(sys.argv[1]), 'toy', scheme='', seed=1, scenario_digest='', source='', resolved='')\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", script, str(tmp_path)]).returncode == -9
    (path,) = tmp_path.iterdir()
    assert load(path).state == "killed"
    with RunFolder.reopen(path) as folder:
        folder.report("running")
        assert load(path).state == "running"
        folder.report("stopped")
        assert load(path).state == "stopped"
        folder.finish({"metric": 1}, {}, {})
    assert load(path).state == "finished"
    assert load(path).outcome["metric"] == 1


def test_a_process_that_cannot_be_seen_is_taken_to_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, number: int) -> None:
        raise (PermissionError if pid == os.getpid() else ProcessLookupError)

    monkeypatch.setattr(os, "kill", kill)
    with create(tmp_path) as folder:
        assert load(folder.path).state == "running"
        status = load(folder.path).status
        for host, state in [(status["host"], "killed"), ("another", "running")]:
            elsewhere = seal({**status, "host": host, "pid": 4_000_000})
            (folder.path / "status.json").write_bytes(elsewhere)
            assert load(folder.path).state == state


def test_a_pid_used_again_is_not_the_same_process(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        status = load(folder.path).status
        (folder.path / "status.json").write_bytes(seal({**status, "pid_start": -1}))
        assert load(folder.path).state == "killed"
    assert process_start(-1) is None


def test_damage_is_named(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        folder.record([{"version": 0}], events(256))
        folder.finish({}, {}, {})
    part = folder.path / "events/part-000001.parquet"
    part.write_bytes(part.read_bytes()[:-1])
    with pytest.raises(RunFolderError, match=r"part-000001\.parquet: damaged"):
        load(folder.path).events()
    for name in ("summary.json", "rounds.jsonl"):
        (folder.path / name).write_bytes(b"")
        with pytest.raises(RunFolderError, match=name):
            load(folder.path)
    with pytest.raises(RunFolderError, match="no such run folder"):
        load(tmp_path / "nowhere")


def test_a_line_that_is_not_a_row_is_named(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        with (folder.path / "rounds.jsonl").open("ab") as file:
            file.write(b'{"version": 2\n')
        with pytest.raises(RunFolderError, match=r"rounds\.jsonl: damaged"):
            load(folder.path)


def test_readers_see_whole_records_only(tmp_path: Path) -> None:
    reader = (
        "import sys; from netfed.results import load\n"
        "seen = 0\n"
        "print('ready', flush=True)\n"
        "while True:\n"
        "    results = load(sys.argv[1])\n"
        "    versions = results.rounds.get('version', [])\n"
        "    assert versions == list(range(len(versions))) and len(versions) >= seen\n"
        "    seen = len(versions)\n"
        "    events = results.events()\n"
        "    assert events['device'].to_pylist() == [i % 90 for i in range(len(events))]\n"
        "    if results.summary is not None:\n"
        "        break\n"
        "print(seen)"
    )
    with create(tmp_path) as folder:
        command = [sys.executable, "-c", reader, str(folder.path)]
        readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
        assert [process.stdout.readline() for process in readers if process.stdout] == ["ready\n"] * 2
        for version in range(200):
            folder.record([{"version": version, "note": "x" * 5000}], events(90))
            folder.commit({"version": version})
        folder.finish({}, {}, {})
    printed = [process.communicate(timeout=60)[0] for process in readers]
    assert printed == ["200\n"] * 2


def test_reading_needs_neither_torch_nor_simpy_and_arrow_only_for_events(tmp_path: Path) -> None:
    with create(tmp_path) as folder:
        script = (
            "import sys; from netfed.results import load; load(sys.argv[1]).outcome\n"
            "import json; print(json.dumps([n for n in ('torch', 'simpy', 'pyarrow', 'numpy') if n in sys.modules]))"
        )
        done = subprocess.run([sys.executable, "-c", script, str(folder.path)], capture_output=True, text=True)
    assert json.loads(done.stdout) == []
