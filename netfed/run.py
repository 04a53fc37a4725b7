"""Playing a scenario into a run folder."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from netfed.errors import RunFailed, RunFolderError, ScenarioError
from netfed.graph import holds_entry
from netfed.manifest import (
    RESOLVED,
    SCENARIO,
    fingerprint_changes,
    read_manifest,
    read_summary,
    store_entries,
    store_folder,
)
from netfed.runfolder import RunFolder

if TYPE_CHECKING:
    from netfed.experiment import Experiment, Window
    from netfed.progress import Progress
    from netfed.scenario import Scenario

COMMIT_EVERY_S = 1.0
"""Wall-clock seconds between commits. A kill costs no training: values are stored as they are computed."""

_YOUNG_OBJECTS = 20_000
"""As many before the garbage collector looks through them: a simulation makes many that live long, and few cycles."""

_ACCOUNTS = ("jobs", "reference_jobs", "torch_s")
"""Fields of an experiment's summary that say what it took to compute, not what came out."""

Watch = Callable[["Progress"], None]


def begin(scenario: Scenario, source: str, out: Path = Path("runs"), store: Path | None = None) -> RunFolder:
    """Make the folder of a new run, without importing torch.

    Args:
        scenario: What to run.
        source: Its file as the user wrote it.
        out: Where runs are kept.
        store: A store to share with other runs.
    """
    from netfed.scenario import digest, resolved

    if store is not None:
        store.mkdir(parents=True, exist_ok=True)
    return RunFolder.create(
        out,
        scenario.name,
        scheme=scenario.scheme.kind,
        seed=scenario.seed,
        scenario_digest=digest(scenario),
        source=source,
        resolved=resolved(scenario),
        store=store,
    )


def play(folder: RunFolder, workers: int | None = None, watch: Watch | None = None) -> str:
    """Play a run to its end, from wherever it stands.

    The first SIGINT or SIGTERM stops it at the end of the window; the run can then be resumed.

    Args:
        folder: Of the run.
        workers: Overrides the scenario's number of workers; the results are the same.
        watch: Called after each window.

    Returns:
        The state of the run: finished or stopped.

    Raises:
        RunFailed: The run cannot go on.
        RunFolderError: The folder does not hold this run, or a file of it is damaged.
        ScenarioError: Parts of the scenario do not fit their data; a run that had not begun leaves no folder.
    """
    if folder.summary is not None:
        folder.report("finished")
        return "finished"
    started = time.perf_counter()
    thresholds = gc.get_threshold()
    experiment = None
    try:
        folder.log(f"played by process {os.getpid()}")
        with _stop_requests(folder.path) as stop:
            experiment = _build(folder, workers)
            gc.freeze()
            gc.set_threshold(_YOUNG_OBJECTS, *thresholds[1:])
            if not _record(experiment, folder, stop, watch):
                folder.report("stopped")
                folder.log("stopped on request")
                return "stopped"
            results = experiment.summary()
            accounts = {name: results.pop(name) for name in _ACCOUNTS}
            accounts["wall_s"] = time.perf_counter() - started
            folder.finish(results, accounts, asdict(experiment.progress))
            folder.log("finished")
            return "finished"
    except ScenarioError:
        folder.discard()
        raise
    except Exception as error:
        if isinstance(error, RunFailed) and experiment is not None:
            folder.commit(asdict(experiment.progress))
        folder.fail(error)
        raise
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


@dataclass(frozen=True)
class Rerun:
    """A finished run beside the same run afresh, with an empty store.

    Attributes:
        digests: Of each result, recorded and afresh.
        changes: What differs between the two in versions, CPU and executor.
        compared: How many entries both stores have.
        differing: Keys of the entries that are not the same to the byte.
    """

    digests: dict[str, tuple[str, str]]
    changes: list[str]
    compared: int
    differing: list[str]

    @property
    def problems(self) -> list[str]:
        """What did not come out again, a line each."""
        results = [f"{name}: was {old}, afresh {new}" for name, (old, new) in self.digests.items() if old != new]
        return results + [f"store: {key} differs" for key in self.differing]


def rerun(path: Path, workers: int | None = None, watch: Watch | None = None) -> Rerun:
    """Run a finished run's scenario again, in a temporary folder, and compare.

    Raises:
        ScenarioError: The run has not finished.
        RunFolderError: A file of it is missing or damaged.
    """
    from netfed.scenario import load

    manifest = read_manifest(path)
    recorded = read_summary(path, manifest)
    if recorded is None:
        raise ScenarioError(f"{path}: not finished, so there is nothing to compare; first: netfed resume {path}")
    with (
        tempfile.TemporaryDirectory(prefix="netfed-rerun-") as scratch,
        begin(load(path / RESOLVED), (path / SCENARIO).read_text(), Path(scratch)) as folder,
    ):
        if play(folder, workers, watch) == "stopped":
            raise KeyboardInterrupt
        afresh = folder.summary or {}
        there = store_folder(path, manifest)
        pairs = [(there / entry.relative_to(folder.store), entry) for entry in store_entries(folder.store)]
        pairs = [(old, new) for old, new in pairs if holds_entry(old)]
        return Rerun(
            digests={name: (recorded[name], afresh[name]) for name in ("digest", "model_digest")},
            changes=fingerprint_changes(manifest.fingerprint, folder.manifest.fingerprint),
            compared=len(pairs),
            differing=[new.name for old, new in pairs if old.read_bytes() != new.read_bytes()],
        )


def _build(folder: RunFolder, workers: int | None) -> Experiment:
    from netfed.build import build
    from netfed.scenario import digest, load

    scenario = load(folder.path / RESOLVED)
    if digest(scenario) != folder.manifest.scenario_digest:
        raise RunFolderError(f"{folder.path / RESOLVED}: another version of netfed reads it as another scenario")
    experiment = build(scenario, folder.store, workers)
    folder.bind(experiment.fingerprint)
    return experiment


def _record(experiment: Experiment, folder: RunFolder, stop: threading.Event, watch: Watch | None) -> bool:
    """Play the experiment into the folder; return false if a stop was requested before its end."""
    windows: list[Window] = []
    committed_s = time.monotonic()
    try:
        for window in experiment.windows():
            windows.append(window)
            if watch is not None:
                watch(experiment.progress)
            if stop.is_set() or time.monotonic() - committed_s >= COMMIT_EVERY_S:
                _take_down(windows, folder)
                folder.commit(asdict(experiment.progress))
                committed_s = time.monotonic()
            if stop.is_set():
                return False
        return True
    finally:
        _take_down(windows, folder)


def _take_down(windows: list[Window], folder: RunFolder) -> None:
    """Move the rows of windows into the folder."""
    while windows:
        window = windows.pop(0)
        if window.quarantined and not folder.replaying:
            folder.note(window.quarantined)
        folder.record(window.rounds, window.events)


@contextmanager
def _stop_requests(folder: Path) -> Iterator[threading.Event]:
    """Yield a flag that the first SIGINT or SIGTERM sets. The second ends the process at once, which loses nothing."""
    requested = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield requested
        return

    def request(number: int, _frame: FrameType | None) -> None:
        if requested.is_set():
            os.write(2, os.fsencode(f"\nstopped; to go on: netfed resume {folder}\n"))
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        requested.set()
        os.write(2, b"\nstopping at the end of this round (again: at once; nothing is lost)\n")

    previous = {number: signal.signal(number, request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield requested
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
