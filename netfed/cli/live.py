"""Verbs for a run that another process plays."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from netfed import __version__
from netfed.cli.exits import FAILED, INTERRUPTED, STOPPED
from netfed.cli.runs import show
from netfed.cli.terminal import Folder, Json, print_json, say
from netfed.errors import ScenarioError

if TYPE_CHECKING:
    from netfed.results import Headline, Results

POLL_S = 0.25


def watch(folder: Folder, as_json: Json = False) -> None:
    """Follow a run until it ends. To leave with Ctrl-C does not stop it."""
    from netfed.display import ProgressLine

    say(f"netfed {__version__}: watching {folder}")
    try:
        with ProgressLine() as line:
            shown = None
            for headline in _followed(folder):
                if headline.progress is not None and headline.progress != shown:
                    line(shown := headline.progress)
    except KeyboardInterrupt:
        say(f"\nit goes on; to look again: netfed watch {folder}; to stop it: netfed stop {folder}")
        raise typer.Exit(INTERRUPTED) from None
    show(folder, as_json)
    if headline.state != "finished":
        say(f"\nto go on: netfed resume {folder}")
        raise typer.Exit(FAILED if headline.state == "failed" else STOPPED)


def stop(folder: Folder, as_json: Json = False) -> None:
    """Stop a running run at the end of its window. Asked again, it stops at once."""
    from netfed.results import headline, load

    results = load(folder)
    asked = results.state == "running"
    if asked:
        _ask(results)
        try:
            for _ in _followed(folder):
                pass
        except KeyboardInterrupt:
            say(f"\nit will stop; to wait for that: netfed watch {folder}")
            raise typer.Exit(INTERRUPTED) from None
    now = headline(folder)
    far = f" after round {now.progress.version} of {now.progress.versions}" if now.progress else ""
    say(f"{folder}: {now.state}{far}" if asked else f"{folder}: is not running: {now.state}{far}")
    if now.state != "finished":
        say(f"to go on: netfed resume {folder}")
    if as_json:
        print_json({"run": str(folder), "state": now.state, "asked": asked})


def _ask(results: Results) -> None:
    host, pid = results.status["host"], results.status["pid"]
    if host != os.uname().nodename:
        raise ScenarioError(f"{results.path}: runs on another computer; stop it there: {host}, process {pid}")
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError:
        raise ScenarioError(f"{results.path}: process {pid} is another user's: only they can stop it") from None
    say(f"{results.path}: process {pid} was asked to stop at the end of its window")


def _followed(folder: Path) -> Iterator[Headline]:
    """Yield each change of a run, and at last the state in which it ended."""
    from netfed.results import headline

    seen = None
    while seen is None or seen.state == "running":
        if (now := headline(folder)) != seen:
            seen = now
            yield now
        else:
            time.sleep(POLL_S)
