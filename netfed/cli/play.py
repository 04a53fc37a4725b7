"""Verbs that play a run."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netfed import __version__
from netfed.cli.exits import STOPPED
from netfed.cli.runs import show
from netfed.cli.terminal import Folder, Json, Out, ScenarioFile, Seed, Set, Short, Workers, print_json, say
from netfed.errors import RunFailed, ScenarioError

if TYPE_CHECKING:
    from netfed.runfolder import RunFolder
    from netfed.scenario import Reading


def run(
    scenario: ScenarioFile,
    out: Out = Path("runs"),
    store: Annotated[
        Path | None, typer.Option(metavar="DIR", file_okay=False, help="Share trained values with other runs.")
    ] = None,
    seed: Seed = None,
    workers: Workers = None,
    short: Short = False,
    set_: Set = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Tell simulated time, bytes, energy, memory and wall time; train nothing."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Run a scenario."""
    from netfed.notes import notes
    from netfed.run import begin
    from netfed.scenario import read

    reading = read(scenario, sets=set_ or (), short=short, seed=seed)
    if dry_run:
        _foresee(reading, store, workers, as_json)
        return
    with begin(reading.scenario, reading.source, out, store) as folder:
        say(f"netfed {__version__}: {scenario} -> {folder.path}")
        for note in notes(reading):
            say(f"note: {note}")
        try:
            _play(folder, workers, as_json)
        except ScenarioError as error:
            raise reading.locate(error) from error


def _foresee(reading: Reading, store: Path | None, workers: int | None, as_json: bool) -> None:
    from netfed.display import prospect
    from netfed.forecast import forecast
    from netfed.notes import notes

    for note in notes(reading):
        say(f"note: {note}")
    try:
        foreseen = forecast(reading.scenario, store, workers)
    except ScenarioError as error:
        raise reading.locate(error) from error
    print(prospect(foreseen), file=sys.stderr if as_json else sys.stdout)
    if as_json:
        print_json(asdict(foreseen))


def resume(folder: Folder, workers: Workers = None, as_json: Json = False) -> None:
    """Go on with a run that was stopped, killed, or has failed."""
    from netfed.runfolder import RunFolder

    with RunFolder.reopen(folder) as opened:
        say(f"netfed {__version__}: {'resuming' if opened.summary is None else 'nothing is left to do in'} {folder}")
        _play(opened, workers, as_json)


def _play(folder: RunFolder, workers: int | None, as_json: bool) -> None:
    from netfed.display import ProgressLine
    from netfed.run import play

    try:
        with ProgressLine() as line:
            state = play(folder, workers, line)
    except RunFailed:
        say(f"what happened until then: netfed show {folder.path}")
        raise
    except OSError:
        say(f"to go on, once this is mended: netfed resume {folder.path}")
        raise
    show(folder.path, as_json)
    if state == "stopped":
        say(f"\nto go on: netfed resume {folder.path}")
        raise typer.Exit(STOPPED)
    say(f"\nagain: netfed show {folder.path}\nproof: netfed verify {folder.path} --rerun")
