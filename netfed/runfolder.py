"""The writing of a run folder: a kill at any moment loses nothing, and anyone may read while it is written.

What `netfed.manifest` does not name does not count. A resumed run replays from t = 0: rows that were recorded are
compared with the replayed ones, and appending begins after the last of them. So a folder holds one run, never a mixture
of two.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import shutil
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from netfed.errors import RunFolderError, ScenarioError
from netfed.events import to_parquet, to_rows, typed
from netfed.graph import canonical, write_whole
from netfed.manifest import (
    FORMAT,
    MANIFEST,
    RESOLVED,
    ROUNDS,
    SCENARIO,
    STATUS,
    SUMMARY,
    FileRecord,
    Manifest,
    fingerprint_changes,
    problems,
    process_start,
    read_file,
    read_manifest,
    read_status,
    read_summary,
    seal,
    store_folder,
)
from netfed.recorder import Row
from netfed.replay import Replay

_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_PART_ROWS_MIN, _PART_ROWS_MAX = 512, 65_536


class RunFolderInUseError(Exception):
    """Another process is writing this run folder."""


class RunFolder:
    """The one writer of a run folder; holds its lock. Use it as a context manager.

    Attributes:
        path: The folder.
        manifest: As last committed.
        progress: As last committed.
    """

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self.manifest = read_manifest(path)
        self.progress: dict[str, Any] = read_status(path, self.manifest)["progress"]
        self._lock = lock
        self._files = dict(self.manifest.files)
        recorded_rounds = read_file(path, ROUNDS, self._files[ROUNDS])
        self._rounds_hash = hashlib.sha256(recorded_rounds)
        self._rounds = Replay(_placed_rounds(path, recorded_rounds))
        self._events = Replay(_placed_events(path, self.manifest.parts))
        self._unwritten: list[Row] = []

    @classmethod
    def create(
        cls,
        out: Path,
        name: str,
        *,
        scheme: str,
        seed: int,
        scenario_digest: str,
        source: str,
        resolved: str,
        store: Path | None = None,
    ) -> RunFolder:
        """Make the folder ``out/<name>-<id>`` of a new run. It appears complete, or not at all.

        Args:
            out: Where runs are kept; made if need be.
            name: Of the scenario.
            scheme: Kind of the scheme.
            seed: Of the world.
            scenario_digest: Digest of the resolved scenario.
            source: The scenario file as the user wrote it.
            resolved: The scenario as it runs, overrides included.
            store: A store shared with other runs; by default the run has its own.

        Raises:
            ScenarioError: The name cannot name a folder.
        """
        if not _RUN_NAME.fullmatch(name):
            raise ScenarioError(f"name: {name!r} cannot name a folder: letters, digits and _ . - only, at most 64")
        run = _free_name(out, name)
        draft = out / f".{run}.tmp"
        draft.mkdir(parents=True)
        lock = _acquire(draft)
        try:
            texts = {SCENARIO: source.encode(), RESOLVED: resolved.encode(), ROUNDS: b""}
            for file, data in texts.items():
                _replace(draft / file, data)
            files = {file: FileRecord.of(data) for file, data in texts.items()}
            shared = str(store.absolute()) if store else None
            manifest = Manifest(FORMAT, run, scheme, seed, scenario_digest, shared, files=files)
            _replace(draft / MANIFEST, manifest.sealed())
            _replace(draft / STATUS, _status(run, "running", {}, ""))
            draft.rename(out / run)
            _sync(out)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            os.close(lock)
            raise
        return cls(out / run, lock)

    @classmethod
    def reopen(cls, path: Path) -> RunFolder:
        """Open a run folder to resume it: check every file, then remove what no commit names.

        Raises:
            RunFolderError: A file is missing or damaged; each is named.
            RunFolderInUseError: Another process is writing it.
        """
        read_manifest(path)
        lock = _acquire(path)
        try:
            if damage := problems(path):
                raise RunFolderError("\n".join(damage))
            _remove_uncommitted(path)
            return cls(path, lock)
        except BaseException:
            os.close(lock)
            raise

    @property
    def store(self) -> Path:
        """Where the values of this run are stored."""
        return store_folder(self.path, self.manifest)

    @property
    def summary(self) -> dict[str, Any] | None:
        """The result, once the run has finished."""
        return read_summary(self.path, self.manifest)

    def bind(self, fingerprint: Mapping[str, str | int]) -> None:
        """Record what the bits depend on besides the scenario, or compare it with what was recorded.

        Raises:
            RunFolderError: The run was begun with other versions, or on another kind of CPU.
        """
        recorded = self.manifest.fingerprint
        if not recorded:
            self.manifest = replace(self.manifest, fingerprint=dict(fingerprint))
            _replace(self.path / MANIFEST, self.manifest.sealed())
        elif changes := fingerprint_changes(recorded, fingerprint):
            raise RunFolderError(f"{self.path}: cannot go on with the same bits here: {'; '.join(changes)}")

    def record(self, rounds: Iterable[Row], events: Iterable[Row]) -> None:
        """Take the rows of one window: compare those that were recorded before, append the rest.

        Raises:
            RunFolderError: A row differs; the message names file, row, field and both values.
        """
        self._append_rounds(self._rounds.take(list(rounds)))
        self._unwritten += self._events.take(list(map(typed, events)))
        while len(self._unwritten) >= (rows := self._next_part_rows()):
            self._write_part(self._unwritten[:rows])
            del self._unwritten[:rows]
        if self._seen() == self._committed() and self.manifest.digest not in ("", self._digest()):
            raise RunFolderError(f"{self.path}: events before round row {self._rounds.seen} are not those recorded")

    @property
    def replaying(self) -> bool:
        """Whether rows on record have yet to be replayed."""
        return any(seen < committed for seen, committed in zip(self._seen(), self._committed(), strict=True))

    def note(self, errors: Iterable[Mapping[str, Any]]) -> None:
        """Append to ``errors.jsonl``."""
        lines = "".join(json.dumps({"time": _now(), **error}) + "\n" for error in errors)
        _append(self.path / "errors.jsonl", lines.encode())

    def commit(self, progress: Mapping[str, Any]) -> None:
        """Make all rows so far count. While a replay has not caught up with the last commit, do nothing."""
        if self.replaying:
            return
        for name in [ROUNDS, *self._files.keys() - self.manifest.files.keys()]:
            with _naming(self.path / name):
                _sync(self.path / name)
        if (self.path / "events").exists():
            _sync(self.path / "events")
        self.manifest = replace(self.manifest, files=dict(self._files), events=self._events.seen, digest=self._digest())
        _replace(self.path / MANIFEST, self.manifest.sealed())
        self.progress = dict(progress)
        self.report("running")

    def finish(self, results: Mapping[str, Any], accounts: Mapping[str, Any], progress: Mapping[str, Any]) -> None:
        """Record how the run ended.

        Args:
            results: What came out: it enters the digest.
            accounts: What it took to compute: it does not.
            progress: As in `commit`.

        Raises:
            RunFolderError: The replay ended before the record did.
        """
        self._rounds.expect_end()
        self._events.expect_end()
        if self._unwritten:
            self._write_part(self._unwritten)
            self._unwritten = []
        digest = hashlib.sha256(self._digest().encode() + b"\n" + canonical(results)).hexdigest()
        data = json.dumps({**results, **accounts, "digest": digest}, indent=1).encode()
        _replace(self.path / SUMMARY, data)
        self._files[SUMMARY] = FileRecord.of(data)
        self.commit(progress)
        self.report("finished")

    def report(self, state: str, error: str = "") -> None:
        """Replace ``status.json``; ``state`` is running, finished, stopped or failed."""
        _replace(self.path / STATUS, _status(self.manifest.run, state, self.progress, error))

    def fail(self, error: Exception) -> None:
        """Note why the run ended, as far as the disk lets us."""
        with suppress(OSError):
            self.log("".join(traceback.format_exception(error)))
            self.note([{"type": type(error).__name__, "message": str(error)}])
            self.report("failed", str(error))

    def discard(self) -> None:
        """Remove the folder of a run that has not recorded anything."""
        if self._committed() == (0, 0) and self._seen() == (0, 0):
            shutil.rmtree(self.path)

    def log(self, text: str) -> None:
        """Append to ``log.txt``."""
        _append(self.path / "log.txt", f"{_now()} {text.rstrip()}\n".encode())

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        os.close(self._lock)

    def _seen(self) -> tuple[int, int]:
        return self._rounds.seen, self._events.seen

    def _committed(self) -> tuple[int, int]:
        return self.manifest.files[ROUNDS].rows, self.manifest.events

    def _digest(self) -> str:
        return hashlib.sha256(f"{self._rounds.digest}\n{self._events.digest}".encode()).hexdigest()

    def _append_rounds(self, rows: list[Row]) -> None:
        lines = b"".join(canonical(row) + b"\n" for row in rows)
        _append(self.path / ROUNDS, lines)
        self._rounds_hash.update(lines)
        before = self._files[ROUNDS]
        self._files[ROUNDS] = FileRecord(
            before.size + len(lines), self._rounds_hash.hexdigest(), before.rows + len(rows)
        )

    def _next_part_rows(self) -> int:
        """Parts grow with the run, so that there are few, and depend on nothing but the rows before them."""
        written = sum(record.rows for name, record in self._files.items() if name.startswith("events/"))
        return min(max(_PART_ROWS_MIN, written // 4), _PART_ROWS_MAX)

    def _write_part(self, rows: list[Row]) -> None:
        number = sum(name.startswith("events/") for name in self._files) + 1
        name = f"events/part-{number:06d}.parquet"
        data = to_parquet(rows)
        (self.path / "events").mkdir(exist_ok=True)
        write_whole(self.path / name, data, durable=False)
        self._files[name] = FileRecord.of(data, len(rows))


def _placed_rounds(folder: Path, data: bytes) -> Iterator[tuple[str, Row]]:
    for number, line in enumerate(data.splitlines(), start=1):
        yield f"{folder / ROUNDS}:{number}", json.loads(line)


def _placed_events(folder: Path, parts: Mapping[str, FileRecord]) -> Iterator[tuple[str, Row]]:
    for name, record in parts.items():
        for number, row in enumerate(to_rows(read_file(folder, name, record)), start=1):
            yield f"{folder / name}: row {number}", row


def _remove_uncommitted(folder: Path) -> None:
    manifest = read_manifest(folder)
    parts = [path for path in folder.glob("events/*") if f"events/{path.name}" not in manifest.files]
    for path in [*parts, *folder.glob("*.tmp"), *folder.glob("store/**/*.tmp")]:
        path.unlink()
    if SUMMARY not in manifest.files:
        (folder / SUMMARY).unlink(missing_ok=True)
    os.truncate(folder / ROUNDS, manifest.files[ROUNDS].size)


def _free_name(out: Path, name: str) -> str:
    while (out / (run := f"{name}-{secrets.token_hex(3)}")).exists():
        pass
    return run


def _acquire(folder: Path) -> int:
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise RunFolderInUseError(f"{folder}: another process is running it") from None
    return lock


def _status(run: str, state: str, progress: Mapping[str, Any], error: str) -> bytes:
    pid = os.getpid()
    process = {"host": os.uname().nodename, "pid": pid, "pid_start": process_start(pid)}
    return seal({"run": run, "state": state, **process, "time": _now(), "progress": dict(progress), "error": error})


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _replace(path: Path, data: bytes) -> None:
    with _naming(path):
        write_whole(path, data)
        _sync(path.parent)


def _append(path: Path, data: bytes) -> None:
    with _naming(path), path.open("ab") as file:
        file.write(data)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file in an error: a full disk is reported by ``write``, which knows no names."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _sync(path: Path) -> None:
    """Let a file's content, or a folder's names, reach the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
