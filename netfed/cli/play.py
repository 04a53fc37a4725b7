"""Verbs that play a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netfed import __version__
from netfed.cli.exits import STOPPED
from netfed.cli.runs import show
from netfed.cli.terminal import Folder, Json, Out, ScenarioFile, Seed, Set, Short, Workers, say
from netfed.errors import RunFailed, ScenarioError

if TYPE_CHECKING:
    from netfed.runfolder import RunFolder


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
    as_json: Json = False,
) -> None:
    """Run a scenario."""
    from netfed.notes import notes
    from netfed.run import begin
    from netfed.scenario import read

    reading = read(scenario, sets=set_ or (), short=short, seed=seed)
    with begin(reading.scenario, reading.source, out, store) as folder:
        say(f"netfed {__version__}: {scenario} -> {folder.path}")
        for note in notes(reading):
            say(f"note: {note}")
        try:
            _play(folder, workers, as_json)
        except ScenarioError as error:
            raise reading.locate(error) from error


def resume(folder: Folder, workers: Workers = None, as_json: Json = False) -> None:
    """Go on with a run that was stopped, killed, or has failed."""
    from netfed.runfolder import RunFolder

    with RunFolder.reopen(folder) as opened:
        say(f"netfed {__version__}: resuming {folder}")
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
