"""The verb that itemises the link budget of a device."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from netfed.cli.terminal import Json, ScenarioFile, Seed, Set, Short, print_json
from netfed.errors import ScenarioError

if TYPE_CHECKING:
    from netfed.network.radio.channel import Term


def explain_link(
    scenario: ScenarioFile,
    device: Annotated[int, typer.Option(metavar="D", help="Number of the device; the first is 0.")],
    at: Annotated[str, typer.Option(metavar="TIME", help="Simulated time, with its unit.")] = "0 s",
    set_: Set = None,
    seed: Seed = None,
    short: Short = False,
    as_json: Json = False,
) -> None:
    """Say what a device's rates are made of: its link budget, item by item, with clauses of the standards."""
    from netfed.build import link_budget
    from netfed.scenario import load

    t_s = _seconds(at)
    terms = link_budget(load(scenario, sets=set_ or (), short=short, seed=seed), device, t_s)
    print("\n".join(_table(terms)), file=sys.stderr if as_json else sys.stdout)
    if as_json:
        print_json({"device": device, "t_s": t_s, "budget": [_item(term) for term in terms]})


def _item(term: Term) -> dict[str, str | float]:
    return {**term._asdict(), "value": float(term.value)}


def _seconds(time: str) -> float:
    from netfed.units import Seconds

    _, quantity = get_args(Seconds)
    try:
        t_s: float = quantity.parse(time)
    except ValueError as error:
        raise ScenarioError(f"--at {time}: {error}") from None
    return t_s


def _table(terms: Sequence[Term]) -> Iterator[str]:
    """Yield a line for each item: what it is, how much, and where that comes from."""
    names, amounts = [term.name for term in terms], [_amount(term) for term in terms]
    name_width, value_width, unit_width = (max(map(len, column)) for column in (names, *zip(*amounts, strict=True)))
    for term, (value, unit) in zip(terms, amounts, strict=True):
        yield f"{term.name:<{name_width}}  {value:>{value_width}} {unit:<{unit_width}}  {term.source}".rstrip()


def _amount(term: Term) -> tuple[str, str]:
    """Return a value and its unit: a count or a share as it is, the rest to two decimals."""
    if term.unit == "bit/s":
        return f"{term.value / 1e6:.2f}", "Mbit/s"
    return f"{term.value:{'.2f' if term.unit else '.4g'}}", term.unit
