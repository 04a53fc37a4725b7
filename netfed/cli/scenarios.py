"""Verbs that read and write scenario files, without torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from netfed.cli.exits import MISTAKE
from netfed.cli.terminal import Json, ScenarioFile, Seed, Set, Short, print_json, say
from netfed.errors import ScenarioError

SCHEMA = "scenario.schema.json"


def check(
    scenarios: Annotated[
        list[Path],
        typer.Argument(metavar="SCENARIO...", help="Scenario files, or names of such that come with netfed."),
    ],
    as_json: Json = False,
) -> None:
    """Check scenario files without running them; name every mistake."""
    from netfed.notes import notes
    from netfed.scenario import read

    found = []
    for scenario in scenarios:
        mistakes: Sequence[str] = ()
        remarks: Sequence[str] = ()
        try:
            remarks = notes(read(scenario))
        except ScenarioError as error:
            mistakes = error.lines
        say("\n".join([*(mistakes or [f"{scenario}: ok"]), *(f"note: {remark}" for remark in remarks)]))
        found.append({"file": str(scenario), "mistakes": mistakes, "notes": remarks})
    if as_json:
        print_json({"scenarios": found})
    if any(file["mistakes"] for file in found):
        raise typer.Exit(MISTAKE)


def config(
    scenario: ScenarioFile, set_: Set = None, seed: Seed = None, short: Short = False, as_json: Json = False
) -> None:
    """Print a scenario with all defaults, and the source of each value."""
    from netfed.provenance import annotated, listed
    from netfed.scenario import read

    reading = read(scenario, sets=set_ or (), short=short, seed=seed)
    if as_json:
        print_json(listed(reading))
    else:
        print(annotated(reading), end="")


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", file_okay=False, help="The folder to make.")],
    preset: Annotated[str, typer.Option(metavar="NAME", help="A scenario that comes with netfed.")] = "minimal",
    as_json: Json = False,
) -> None:
    """Begin a scenario of your own, with a schema for your editor."""
    from netfed.scenario import json_schema
    from netfed.sources import preset as text

    files = {
        folder / "scenario.yaml": f"# yaml-language-server: $schema={SCHEMA}\n{text(preset)}",
        folder / SCHEMA: json.dumps(json_schema(), indent=1) + "\n",
    }
    if there := [str(file) for file in files if file.exists()]:
        raise ScenarioError(f"{', '.join(there)}: exists already; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        file.write_text(content, encoding="utf-8")
    first, *_ = files
    say(f"{folder}: made\nnext: netfed check {first}\n      netfed run {first}")
    if as_json:
        print_json({"files": [str(file) for file in files]})


def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from netfed.scenario import json_schema

    print(json.dumps(json_schema(), indent=1))
