"""Verbs that read run folders, also while they are being written."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netfed.cli.exits import BAD_FOLDER
from netfed.cli.terminal import Folder, Json, Workers, print_json, say
from netfed.errors import ScenarioError

if TYPE_CHECKING:
    from netfed.run import Rerun


def ls(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where run folders are kept.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """List the runs in a folder, the latest last."""
    from netfed.display import listing
    from netfed.results import headlines

    if not folder.is_dir():
        raise ScenarioError(f"{folder}: no such folder; `netfed run` makes runs/, or what its --out names")
    found = headlines(folder)
    if as_json:
        print_json({"runs": [{**asdict(headline), "run": str(headline.run)} for headline in found]})
    elif found:
        print(listing(found))
    else:
        say(f"{folder}: holds no runs")


def show(folder: Folder, as_json: Json = False) -> None:
    """Show the result of a run, or how far it has come."""
    from netfed.display import summary
    from netfed.results import load

    results = load(folder)
    print(summary(results), file=sys.stderr if as_json else sys.stdout)
    if as_json:
        print_json(results.outcome)


def report(
    folder: Folder,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", dir_okay=False, help="The page; RUN/report.html by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a run as one web page that opens offline."""
    from netfed.graph import write_whole
    from netfed.report import page
    from netfed.results import load

    file = out or folder / "report.html"
    write_whole(file, page(load(folder)).encode())
    say(f"{folder} -> {file}")
    if as_json:
        print_json({"run": str(folder), "report": str(file)})


def verify(
    folder: Folder,
    rerun: Annotated[bool, typer.Option("--rerun", help="Run it again, and compare every bit.")] = False,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Check every file of a run against its sha256."""
    from netfed.manifest import problems

    found = problems(folder)
    say("\n".join(found) if found else f"{folder}: every file is what was recorded")
    afresh = _rerun(folder, workers) if rerun and not found else None
    if as_json:
        print_json({"run": str(folder), "problems": found, "rerun": asdict(afresh) if afresh else None})
    if found or (afresh and afresh.problems):
        raise typer.Exit(BAD_FOLDER)


def _rerun(folder: Path, workers: int | None) -> Rerun:
    from netfed.display import ProgressLine
    from netfed.run import rerun

    with ProgressLine() as line:
        afresh = rerun(folder, workers, line)
    if afresh.problems:
        say("\n".join([*afresh.problems, *(f"note: {change}" for change in afresh.changes)]))
    else:
        say(f"{folder}: run afresh, the result is the same to the bit, and so are {afresh.compared} stored values")
    return afresh
