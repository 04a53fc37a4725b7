"""Where each value of a scenario comes from: a line of a file, an override, or a default."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netfed.document import lines
from netfed.errors import printable
from netfed.scenario import Reading, tree

_WIDEST = 60
"""Columns beyond which a line's comment is not aligned with the others."""


def annotated(reading: Reading) -> str:
    """Return the resolved scenario as YAML, which loads again, with the source of each value in a comment beside it.

    Files go by their last name.
    """
    written = list(lines(tree(reading.scenario)))
    width = max(len(line) for _, line in written if len(line) <= _WIDEST)
    return "".join(
        f"{line:{width}}  # {_source(reading, path, short=True)}\n" if path else f"{line}\n" for path, line in written
    )


def listed(reading: Reading) -> dict[str, Any]:
    """Return the same as plain data.

    Returns:
        ``scenario``, the resolved one, and ``sources``: by key (``scheme.rounds``) a ``file:line``, the override as it
        was given, or ``default``.
    """
    scenario = tree(reading.scenario)
    return {
        "scenario": scenario,
        "sources": {".".join(path): _source(reading, path) for path, _ in lines(scenario) if path},
    }


def _source(reading: Reading, path: Sequence[str], *, short: bool = False) -> str:
    node = reading.document.find(path)
    if node is None:
        return "default"
    mark = node.position(())
    if mark.override:
        return printable(mark.source)
    return printable(f"{Path(mark.source).name if short else mark.source}:{mark.line}")
