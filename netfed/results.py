"""Run folders as columns, also while they are being written."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netfed.errors import RunFolderError
from netfed.events import from_parquet, to_table
from netfed.manifest import (
    MANIFEST,
    RESOLVED,
    ROUNDS,
    SUMMARY,
    Manifest,
    process_start,
    read_file,
    read_manifest,
    read_status,
    read_summary,
)
from netfed.progress import Progress
from netfed.recorder import Scalar


@dataclass(frozen=True)
class Results:
    """A run, as far as it has come.

    Attributes:
        path: The run folder.
        manifest: As last committed.
        status: State, process and progress.
        summary: The result; None until the run has finished.
        rounds: The rows of ``rounds.jsonl`` by column, None where a row has no such field.  # [aggregation]
    """

    path: Path
    manifest: Manifest
    status: dict[str, Any]
    summary: dict[str, Any] | None
    rounds: dict[str, list[Scalar]]

    @property
    def outcome(self) -> dict[str, Any]:
        """The result as one flat object; before there is one, how far the run has come and what stopped it."""
        so_far = {"progress": self.status["progress"], "error": self.status["error"]}
        head = {"run": str(self.path), "state": self.state, "scheme": self.manifest.scheme, "seed": self.manifest.seed}
        return {**head, **(self.summary or so_far)}

    @property
    def state(self) -> str:
        """One of running, finished, stopped, failed; or killed: it says running, but its process is gone."""
        return _state(self.manifest, self.status)

    @property
    def progress(self) -> Progress | None:
        """How far it has come; None before its first round."""
        return _progress(self.status)

    @property
    def metric(self) -> str:
        """Name of the metric; empty before there is one."""
        if self.summary is not None:
            return str(self.summary["metric"]["name"])
        return self.progress.metric[0] if self.progress else ""

    @property
    def scenario(self) -> str:
        """The scenario as it runs, in YAML."""
        return read_file(self.path, RESOLVED, self.manifest.files[RESOLVED]).decode()

    def numbers(self, name: str) -> list[float]:
        """Return a column of ``rounds``, NaN where a row has no such number.  # [aggregation]"""
        values = self.rounds.get(name, [None] * len(self.rounds.get("version", [])))
        return [float(value) if isinstance(value, float | int) else math.nan for value in values]

    def events(self, *kinds: str) -> Any:
        """Return the events recorded so far.

        Args:
            kinds: Of the rows wanted; all by default.

        Returns:
            A `pyarrow.Table`, a row an event, without the columns that are empty in all of them.

        Raises:
            RunFolderError: A file is missing or damaged.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        parts = [from_parquet(read_file(self.path, name, record)) for name, record in self.manifest.parts.items()]
        table = pa.concat_tables([to_table([]), *parts], promote_options="default")  # older runs have fewer columns
        if kinds:
            table = table.filter(pc.is_in(table["kind"], pa.array(kinds)))
        return table.select([name for name in table.column_names if table[name].null_count < len(table) or not table])


def load(path: Path | str) -> Results:
    """Read a run folder.

    Raises:
        RunFolderError: It is missing, damaged, or written by another version.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    read_file(folder, ROUNDS, manifest.files[ROUNDS])
    return Results(
        folder, manifest, read_status(folder, manifest), read_summary(folder, manifest), _read_rounds(folder / ROUNDS)
    )


@dataclass(frozen=True)
class Headline:
    """A run in one line.

    Attributes:
        run: Its folder.
        state: As `Results.state`; or damaged.
        scheme: Kind of the scheme.
        seed: Of the world.
        progress: How far it has come; None before its first round.
        error: What stopped it, or what is damaged.
        time: When its state was last written, UTC, ISO 8601.
    """

    run: Path
    state: str
    scheme: str = ""
    seed: int | None = None
    progress: Progress | None = None
    error: str = ""
    time: str = ""


def headline(folder: Path) -> Headline:
    """Return a run in one line. Neither rounds nor events are read.

    Raises:
        RunFolderError: It is missing, damaged, or written by another version.
    """
    manifest = read_manifest(folder)
    status = read_status(folder, manifest)
    state = _state(manifest, status)
    return Headline(folder, state, manifest.scheme, manifest.seed, _progress(status), status["error"], status["time"])


def headlines(folder: Path) -> list[Headline]:
    """Return the runs in a folder, in the order in which they last wrote their state; those that are damaged too."""

    def read(run: Path) -> Headline:
        try:
            return headline(run)
        except RunFolderError as error:
            return Headline(run, "damaged", error=str(error))

    found = [read(path.parent) for path in folder.glob(f"[!.]*/{MANIFEST}")]
    return sorted(found, key=lambda line: (line.time, line.run))


def _read_rounds(path: Path) -> dict[str, list[Scalar]]:
    """Read up to the last newline: what follows is being written."""
    lines = path.read_bytes().split(b"\n")[:-1]
    try:
        rows = [json.loads(line) for line in lines]
    except ValueError:
        raise RunFolderError(f"{path}: damaged") from None
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def _state(manifest: Manifest, status: dict[str, Any]) -> str:
    if SUMMARY in manifest.files:
        return "finished"
    state = str(status["state"])
    return "killed" if state == "running" and not _alive(status) else state


def _progress(status: dict[str, Any]) -> Progress | None:
    fields = status["progress"]
    return Progress(**{**fields, "metric": tuple(fields["metric"])}) if fields else None


def _alive(status: dict[str, Any]) -> bool:
    if status["host"] != os.uname().nodename:
        return True
    try:
        os.kill(status["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return bool(process_start(status["pid"]) == status["pid_start"])
