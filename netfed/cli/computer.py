"""The verb that looks at this computer: what netfed needs, what it can use, and what is known to get in its way.

With test vectors it looks at netfed itself.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netfed.cli.exits import UNFIT
from netfed.cli.terminal import Json, Out, print_json, say

if TYPE_CHECKING:
    from netfed.vectors import Score

_MISSES_SHOWN = 3


def doctor(
    out: Out = Path("runs"),
    vectors: Annotated[
        Path | None,
        typer.Option(metavar="FILE", dir_okay=False, help="Compare netfed's own network with test vectors instead."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Look at this computer: versions, memory, disk, known traps."""
    if vectors is not None:
        _compare(vectors, as_json)
        return
    from netfed.computer import checks

    found = []
    for check in checks(out):
        found.append(check)
        say(f"{check.mark:<5}{check.name:<14}{check.found}" + (f"\n{'':<19}{check.remedy}" if check.remedy else ""))
    if as_json:
        print_json({"checks": [{**asdict(check), "mark": check.mark} for check in found]})
    if any(check.fatal for check in found):
        raise typer.Exit(UNFIT)


def _compare(file: Path, as_json: bool) -> None:
    """Tell which test vectors hold."""
    from netfed.answers import ANSWERS
    from netfed.vectors import evaluate, read

    scores = evaluate(read(file), ANSWERS)
    for group, score in scores.items():
        asked = score.total - score.absent
        found = f"{score.hold} of {asked} hold" if asked else ""
        absent = f"{score.absent} absent: netfed has no code for them" if score.absent else ""
        say(f"{_mark(score):<7}{group:<20}{', '.join(filter(None, [found, absent]))}")
        for name, misses in list(score.missed.items())[:_MISSES_SHOWN]:
            say(f"{'':<7}{name}: {'; '.join(misses[:_MISSES_SHOWN])}")
    if as_json:
        counts = {
            group: {"hold": score.hold, "total": score.total, "absent": score.absent} for group, score in scores.items()
        }
        print_json({"groups": counts})
    if any(score.missed for score in scores.values()):
        raise typer.Exit(UNFIT)


def _mark(score: Score) -> str:
    return "bad" if score.missed else "ok" if score.hold else "absent"
