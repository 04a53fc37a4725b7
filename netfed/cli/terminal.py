"""What all verbs share: the types of their arguments, text to stderr, data to stdout."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

ScenarioFile = Annotated[
    Path, typer.Argument(metavar="SCENARIO", help="A scenario file, or the name of one that comes with netfed.")
]
Folder = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Trainings at a time; the results are the same.")]
Out = Annotated[Path, typer.Option(metavar="DIR", file_okay=False, help="Where run folders are kept.")]
Set = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Overrides the scenario's seed.")]
Short = Annotated[bool, typer.Option("--short", help="Apply the scenario's short section.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def say(text: str) -> None:
    """Print text on stderr."""
    print(text, file=sys.stderr, flush=True)


def print_json(document: object) -> None:
    """Print an object on stdout."""
    print(json.dumps(_finite(document)))


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
