"""The command line. Data goes to stdout, text to stderr; commands import what they need, so that help is instant.

Exit codes: 0 done; 1 a bug in netfed, the only one with a traceback; 2 the user's mistake; 3 the run failed; 4 stopped,
and can be resumed; 5 a run folder is missing, damaged or of another version; 6 no space left.
"""

from __future__ import annotations

import errno
import json
import math
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from netfed import __version__
from netfed.errors import ComputationFailed, RunFailed, RunFolderError, ScenarioError

if TYPE_CHECKING:
    from netfed.run import Rerun
    from netfed.runfolder import RunFolder

DONE, BUG, MISTAKE, FAILED, STOPPED, BAD_FOLDER, NO_SPACE = range(7)

app = typer.Typer(
    name="netfed",
    help="Federated learning over simulated mobile networks: real training, real bytes, simulated time.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ScenarioFile = Annotated[
    Path, typer.Argument(metavar="SCENARIO", help="A scenario file, or the name of one that comes with netfed.")
]
Folder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Trainings at a time; the results are the same.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        app(arguments, prog_name="netfed")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the reader has had enough: `netfed show | head`
    except Exception as error:
        code, message = _verdict(error)
        print(message, file=sys.stderr)
        sys.exit(code)
    sys.exit(DONE)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"netfed {__version__}")
        raise typer.Exit


@app.callback()
def _netfed(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    scenario: ScenarioFile,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where run folders are kept.")] = Path("runs"),
    store: Annotated[Path | None, typer.Option(metavar="DIR", help="Share trained values with other runs.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Overrides the scenario's seed.")] = None,
    workers: Workers = None,
    short: Annotated[bool, typer.Option("--short", help="Apply the scenario's short section.")] = False,
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key.")] = None,
    as_json: Json = False,
) -> None:
    """Run a scenario."""
    from netfed.run import begin
    from netfed.scenario import find, load

    loaded = load(scenario, sets=set_ or (), short=short, seed=seed)
    with begin(loaded, find(scenario).read_text(encoding="utf-8"), out, store) as folder:
        _say(f"netfed {__version__}: {scenario} -> {folder.path}")
        _play(folder, workers, as_json)


@app.command()
def resume(folder: Folder, workers: Workers = None, as_json: Json = False) -> None:
    """Go on with a run that was stopped, killed, or has failed."""
    from netfed.runfolder import RunFolder

    with RunFolder.reopen(folder) as opened:
        _say(f"netfed {__version__}: resuming {folder}")
        _play(opened, workers, as_json)


@app.command()
def check(
    scenarios: Annotated[
        list[Path],
        typer.Argument(metavar="SCENARIO...", help="Scenario files, or names of such that come with netfed."),
    ],
    as_json: Json = False,
) -> None:
    """Check scenario files without running them; name every mistake."""
    from netfed.scenario import load

    mistakes: dict[str, list[str]] = {}
    for scenario in scenarios:
        mistakes[str(scenario)] = []
        try:
            load(scenario)
        except ScenarioError as error:
            mistakes[str(scenario)] += error.lines
    for file, lines in mistakes.items():
        _say("\n".join(lines) if lines else f"{file}: ok")
    if as_json:
        _print_json({"scenarios": [{"file": file, "mistakes": lines} for file, lines in mistakes.items()]})
    if any(mistakes.values()):
        raise typer.Exit(MISTAKE)


@app.command()
def show(folder: Folder, as_json: Json = False) -> None:
    """Show the result of a run, or how far it has come."""
    _show(folder, as_json)


@app.command()
def verify(
    folder: Folder,
    rerun: Annotated[bool, typer.Option("--rerun", help="Run it again, and compare every bit.")] = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Check every file of a run against its sha256."""
    from netfed.manifest import problems

    found = problems(folder)
    _say("\n".join(found) if found else f"{folder}: every file is what was recorded")
    afresh = _rerun(folder, workers) if rerun and not found else None
    if as_json:
        _print_json({"run": str(folder), "problems": found, "rerun": asdict(afresh) if afresh else None})
    if found or (afresh and afresh.problems):
        raise typer.Exit(BAD_FOLDER)


def _play(folder: RunFolder, workers: int | None, as_json: bool) -> None:
    from netfed.display import ProgressLine
    from netfed.run import play

    try:
        with ProgressLine() as line:
            state = play(folder, workers, line)
    except RunFailed:
        _say(f"what happened until then: netfed show {folder.path}")
        raise
    except OSError:
        _say(f"to go on, once this is mended: netfed resume {folder.path}")
        raise
    _show(folder.path, as_json)
    if state == "stopped":
        _say(f"\nto go on: netfed resume {folder.path}")
        raise typer.Exit(STOPPED)
    _say(f"\nagain: netfed show {folder.path}\nproof: netfed verify {folder.path} --rerun")


def _show(folder: Path, as_json: bool) -> None:
    from netfed.display import summary
    from netfed.results import load

    results = load(folder)
    print(summary(results), file=sys.stderr if as_json else sys.stdout)
    if as_json:
        _print_json(results.outcome)


def _rerun(folder: Path, workers: int | None) -> Rerun:
    from netfed.display import ProgressLine
    from netfed.run import rerun

    with ProgressLine() as line:
        afresh = rerun(folder, workers, line)
    if afresh.problems:
        _say("\n".join([*afresh.problems, *(f"note: {change}" for change in afresh.changes)]))
    else:
        _say(f"{folder}: run afresh, the result is the same to the bit, and so are {afresh.compared} stored values")
    return afresh


def _verdict(error: Exception) -> tuple[int, str]:
    """Return the exit code for an error, and what to tell the user."""
    from netfed.runfolder import RunFolderInUseError

    if isinstance(error, ScenarioError | RunFolderInUseError):
        return MISTAKE, str(error)
    if isinstance(error, ComputationFailed) and error.__cause__ is not None:
        return FAILED, f"{''.join(traceback.format_exception(error.__cause__))}\nthe run failed: {error}"
    if isinstance(error, RunFailed):
        return FAILED, f"the run failed: {error}"
    if isinstance(error, RunFolderError):
        return BAD_FOLDER, str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return NO_SPACE, f"{error.filename or 'store'}: {error.strerror}; what was committed is safe"
    if isinstance(error, OSError) and error.filename is not None:
        return MISTAKE, f"{error.filename}: {error.strerror}"
    report = "".join(traceback.format_exception(error))
    return (
        BUG,
        f"{report}\nThis is a bug in netfed {__version__} or in a plug-in: please report it with the lines above.",
    )


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _print_json(document: object) -> None:
    print(json.dumps(_finite(document)))


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
