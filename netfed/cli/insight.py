"""The verb that says where the time of a run went."""

from __future__ import annotations

import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from netfed.amounts import duration
from netfed.cli.terminal import Folder, Json, print_json
from netfed.errors import ScenarioError

if TYPE_CHECKING:
    from fractions import Fraction

    from netfed.bounds import Carried
    from netfed.critical_path import Leg, Parts, Round
    from netfed.explanation import Explanation

_WIDTH = 80


def explain(
    folder: Folder,
    round_: Annotated[
        int | None,
        typer.Option("--round", min=0, metavar="N", help="Only the round that made version N, step by step."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say where the time of a run went: the critical path of its rounds, its bottleneck, and keys without effect."""
    from netfed.explanation import explain
    from netfed.findings import title
    from netfed.results import load

    results = load(folder)
    explanation = explain(results)
    this = None if round_ is None else _chosen(explanation, round_, folder.name)
    lines = _of_run(explanation) if this is None else _of_round(this)
    print("\n".join([title(results), "", *lines]), file=sys.stderr if as_json else sys.stdout)
    if as_json:
        print_json({"run": str(folder), **(_as_run(explanation) if this is None else _as_round(this, legs=True))})


def _chosen(explanation: Explanation, version: int, run: str) -> Round:
    for this in explanation.rounds:
        if this.version == version:
            return this
    last = f"it has come to round {explanation.rounds[-1].version}" if explanation.rounds else "none has ended"
    raise ScenarioError(f"--round {version}: {run} has no such round: {last}")


# As text.


def _of_run(explanation: Explanation) -> Iterator[str]:
    whole = sum(explanation.parts.values())
    rounds = [this for this in explanation.rounds if this.parts]
    if not whole:
        yield "no time has passed"
    else:
        share = _share(explanation.parts, explanation.bottleneck)
        yield f"bottleneck: {explanation.bottleneck}, {share} of {duration(float(whole))}"
        yield ""
        yield f"critical path of {len(rounds)} round{'s' * (len(rounds) != 1)}"
        first = Counter(this.bottleneck for this in rounds)
        yield from _table(explanation.parts, {name: f"bottleneck of {count}" for name, count in first.items()})
    if explanation.links:
        yield ""
        yield "transfers, by what took most of their time"
        width = max(map(len, explanation.links))
        yield from (f"  {link:<{width}}  {_bound(carried)}" for link, carried in explanation.links.items())
    if explanation.unfelt:
        yield ""
        yield "never felt"
        for key, why in explanation.unfelt.items():
            yield from _wrapped(f"  {key}: {why}", 4)


def _of_round(this: Round) -> Iterator[str]:
    took = duration(this.end_s - this.begin_s)
    yield f"round {this.version}: {took}" + (f", bottleneck {this.bottleneck}" if this.bottleneck else "")
    for leg in this.legs:
        what = " of ".join(filter(None, [leg.name, _whose(leg)]))
        yield from _wrapped(f"  {duration(leg.start_s - this.begin_s):>8}  {what}: {_spent(leg)}", 12)
    if this.parts:
        yield ""
        yield "in all"
        yield from _table(this.parts, {})


def _table(parts: Parts, remarks: dict[str, str]) -> Iterator[str]:
    ranked = sorted(parts, key=parts.__getitem__, reverse=True)
    width = max(map(len, ranked))
    for name in ranked:
        amount = f"{duration(float(parts[name])):>12}  {_share(parts, name):>6}"
        yield f"  {name:<{width}}{amount}  {remarks.get(name, '')}".rstrip()


def _share(parts: Parts, name: str) -> str:
    return f"{float(100 * parts[name] / sum(parts.values())):.1f} %"


def _bound(carried: Carried) -> str:
    ranked = sorted(carried.bound.items(), key=lambda item: -item[1])
    counts = ", ".join(f"{count} {name}" for name, count in ranked if count)
    return f"{carried.count}: {counts or 'not recorded'}"


def _whose(leg: Leg) -> str:
    cell = "" if leg.cell is None else f"cell {leg.cell}"
    return cell if leg.device is None else " in ".join(filter(None, [f"device {leg.device}", cell]))


def _spent(leg: Leg) -> str:
    return ", ".join(
        f"{duration(float(part))} {name.removeprefix(leg.name).strip()}" for name, part in leg.parts.items()
    )


def _wrapped(line: str, indent: int) -> list[str]:
    return textwrap.wrap(line, _WIDTH, subsequent_indent=" " * indent)


# As JSON.


def _as_run(explanation: Explanation) -> dict[str, Any]:
    return {
        "bottleneck": explanation.bottleneck,
        "parts_s": _floats(explanation.parts),
        "rounds": [_as_round(this) for this in explanation.rounds],
        "transfers": {link: asdict(carried) for link, carried in explanation.links.items()},
        "unfelt": explanation.unfelt,
    }


def _as_round(this: Round, legs: bool = False) -> dict[str, Any]:
    head = {
        "round": this.version,
        "begin_s": this.begin_s,
        "end_s": this.end_s,
        "bottleneck": this.bottleneck,
        "parts_s": _floats(this.parts),
    }
    return {**head, "legs": [_as_leg(leg) for leg in this.legs]} if legs else head


def _as_leg(leg: Leg) -> dict[str, Any]:
    return {
        "name": leg.name,
        "device": leg.device,
        "cell": leg.cell,
        "start_s": leg.start_s,
        "end_s": leg.end_s,
        "parts_s": _floats(leg.parts),
    }


def _floats(parts: dict[str, Fraction]) -> dict[str, float]:
    return {name: float(part) for name, part in parts.items()}
