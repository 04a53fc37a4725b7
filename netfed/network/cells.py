"""Cells by their numbers, as a user names them. Light to import."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

Cells = tuple[int, ...] | Literal["all"]
"""By number: those of the first base station come first; ``all`` of them."""


def named(cells: Cells) -> tuple[int, ...]:
    """Return the cells that are named one by one."""
    return () if cells == "all" else cells


def check_numbers(cells: Cells) -> None:
    """Refuse numbers that no cell has.

    Raises:
        ValueError: One is negative.
    """
    if any(cell < 0 for cell in named(cells)):
        raise ValueError("cells are numbered from 0")


def absent(cells: Cells, count: int) -> Iterator[str]:
    """Yield a line for each that is not there.

    Args:
        cells: Those that are spoken of.
        count: How many there are.
    """
    for cell in named(cells):
        if cell >= count:
            yield f"there is no cell {cell}: they are numbered from 0 to {count - 1}"
