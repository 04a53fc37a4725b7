"""What a run folder holds, and whether it is what was recorded.

========================  ============================================================================================
``manifest.json``         names every file of results with its sha256; replacing it is the commit point
``scenario.yaml``         the scenario as the user gave it; ``resolved.yaml``: as it runs, overrides included
``status.json``           running, finished, stopped or failed; the process; how far it has come
``rounds.jsonl``          one row an aggregation
``events/part-*.parquet`` what happened on devices and links
``summary.json``          the result, once there is one
``store/``                values by key, each with its own sha256
``log.txt``               with ``errors.jsonl``: what went wrong and when; not results
``lock``                  held by the process that writes
========================  ============================================================================================
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from netfed.errors import RunFolderError
from netfed.graph import holds_entry, read_entry

FORMAT = 1
MANIFEST, STATUS, ROUNDS, SUMMARY = "manifest.json", "status.json", "rounds.jsonl", "summary.json"
SCENARIO, RESOLVED = "scenario.yaml", "resolved.yaml"

_RESULT_FILE = re.compile(r"scenario\.yaml|resolved\.yaml|rounds\.jsonl|summary\.json|events/part-\d{6}\.parquet")


@dataclass(frozen=True)
class FileRecord:
    """What a file of results must be: its size in bytes, its sha256 (hex), and its rows (0 for a text)."""

    size: int
    sha256: str
    rows: int = 0

    @classmethod
    def of(cls, data: bytes, rows: int = 0) -> FileRecord:
        """Return the record of a whole file."""
        return cls(len(data), hashlib.sha256(data).hexdigest(), rows)


@dataclass(frozen=True)
class Manifest:
    """What a run folder holds, as of its last commit.

    Attributes:
        format: Version of the folder's layout.
        run: The run's name; it stays when the folder is moved.
        scheme: Kind of the scheme.
        seed: Of the world.
        scenario_digest: Digest of the resolved scenario.
        store: Folder of the shared store; None if the store is the folder's own.
        fingerprint: Versions, CPU capability and executor: all that bits depend on besides the scenario.
        files: By name. ``rounds.jsonl`` may be longer than recorded: the rest is not committed yet.
        events: Event rows up to the commit; the last of them may not be in a part yet.
        digest: Digest of all rows up to the commit; empty before the first.
    """

    format: int
    run: str
    scheme: str
    seed: int
    scenario_digest: str
    store: str | None
    fingerprint: dict[str, str | int] = field(default_factory=dict)
    files: dict[str, FileRecord] = field(default_factory=dict)
    events: int = 0
    digest: str = ""

    @property
    def parts(self) -> dict[str, FileRecord]:
        """The files of events, in order."""
        return {name: record for name, record in sorted(self.files.items()) if name.startswith("events/")}

    def sealed(self) -> bytes:
        """Return the content of ``manifest.json``."""
        return seal(asdict(self))


def seal(document: dict[str, Any]) -> bytes:
    """Return a JSON file that carries the sha256 of its own content."""
    return (json.dumps({**document, "sha256": _sha256(_text(document))}, indent=1) + "\n").encode()


def _text(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def unseal(path: Path) -> dict[str, Any]:
    """Return the document of a file that `seal` wrote.

    Raises:
        RunFolderError: It is missing or damaged.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise RunFolderError(f"{path}: missing") from None
    try:
        document = json.loads(data)
    except ValueError:
        document = None
    if isinstance(document, dict):
        document.pop("sha256", None)
        if seal(document) == data:
            return document
    raise RunFolderError(f"{path}: damaged")


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a run folder.

    Raises:
        RunFolderError: There is none, it is damaged, or another version of netfed wrote it.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise RunFolderError(f"{folder}: no such run folder; those there are: netfed ls {folder.parent}")
    if not path.exists():
        raise RunFolderError(f"{folder}: not a run folder: {MANIFEST} is missing; the runs in it: netfed ls {folder}")
    document = unseal(path)
    if document.get("format") != FORMAT:
        raise RunFolderError(f"{path}: format {document.get('format')}, but this version of netfed reads {FORMAT}")
    files = {name: FileRecord(**record) for name, record in document.pop("files").items()}
    if strange := [name for name in files if not _RESULT_FILE.fullmatch(name)]:
        raise RunFolderError(f"{path}: names a file that no run has: {strange[0]!r}")
    return Manifest(**document, files=files)


def read_status(folder: Path, manifest: Manifest) -> dict[str, Any]:
    """Return ``status.json``: state, process and progress. Raises as `read_manifest` does."""
    status = unseal(folder / STATUS)
    if status.get("run") != manifest.run:
        raise RunFolderError(f"{folder / STATUS}: belongs to another run, {status.get('run')}")
    return status


def read_file(folder: Path, name: str, record: FileRecord) -> bytes:
    """Return the content of a file of results as far as it was committed.

    Raises:
        RunFolderError: It is missing, or not what was recorded.
    """
    try:
        data = (folder / name).read_bytes()
    except FileNotFoundError:
        raise RunFolderError(f"{folder / name}: missing") from None
    committed = data[: record.size] if name == ROUNDS else data
    if FileRecord.of(committed, record.rows) != record:
        raise RunFolderError(f"{folder / name}: damaged: it is not what {MANIFEST} recorded")
    return committed


def read_summary(folder: Path, manifest: Manifest) -> dict[str, Any] | None:
    """Return the result of a finished run, None before that. Raises as `read_file` does."""
    if SUMMARY not in manifest.files:
        return None
    summary: dict[str, Any] = json.loads(read_file(folder, SUMMARY, manifest.files[SUMMARY]))
    return summary


def store_folder(folder: Path, manifest: Manifest) -> Path:
    """Return where the values of a run are stored."""
    return Path(manifest.store) if manifest.store else folder / "store"


def store_entries(store: Path) -> list[Path]:
    """List the entries of a store."""
    files = (path for path in store.rglob("*") if path.is_file() and path.suffix != ".tmp")
    return sorted(filter(holds_entry, files))


def problems(folder: Path) -> list[str]:
    """Name each file of a run folder that is missing or damaged. (A shared store's entries are checked when read.)"""
    found: list[str] = []

    def attempt(read: Callable[..., Any], *args: Any) -> Any:
        try:
            return read(*args)
        except (RunFolderError, OSError) as error:
            found.append(str(error))

    manifest = attempt(read_manifest, folder)
    if manifest is not None:
        attempt(read_status, folder, manifest)
        for name, record in manifest.files.items():
            attempt(read_file, folder, name, record)
        rounds = folder / ROUNDS
        if SUMMARY in manifest.files and rounds.exists() and rounds.stat().st_size > manifest.files[ROUNDS].size:
            found.append(f"{rounds}: damaged: the run has finished, and something was written after its end")
        for entry in store_entries(folder / "store"):
            attempt(read_entry, entry)
    return found


def fingerprint_changes(recorded: Mapping[str, object], here: Mapping[str, object]) -> list[str]:
    """Say what differs between the fingerprint of a run and the one here."""
    return [
        f"{name} was {recorded.get(name, 'absent')}, here it is {here.get(name, 'absent')}"
        for name in sorted({*recorded, *here})
        if recorded.get(name) != here.get(name)
    ]


def process_start(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot: with the pid, it tells processes apart (Linux only)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
