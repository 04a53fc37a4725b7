"""Files of test vectors: inputs, and what an independent source expects to come out.

A file is one JSON object. Under ``vectors`` it lists objects with ``id``, ``group``, ``inputs``, ``expected`` and
``tolerance: {kind, value}``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netfed.errors import ScenarioError, SimulationError, in_words

Found = Mapping[str, Any] | None
"""What netfed makes of the inputs of a vector; None if it has no code for such."""

Answer = Callable[["Inputs"], Found]

_KINDS = ("abs", "rel", "band")


class Inputs(dict[str, Any]):
    """The inputs of one vector, by name.

    Args:
        place: Where they stand, for messages.
        title: What the vector is called: some say there what is asked.
        values: The inputs.

    Raises:
        ScenarioError: One is asked for that is not there.
    """

    def __init__(self, place: str, title: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.title = title
        self._place = place

    def __missing__(self, name: str) -> Any:
        raise ScenarioError(f"{self._place}.inputs: {name} is missing")


@dataclass(frozen=True)
class Vector:
    """One case.

    Attributes:
        name: Its id.
        group: What is asked.
        inputs: By name.
        expected: By name: numbers, and lists and objects of such; texts are remarks.
        kind: ``abs``: an output may be ``tolerance`` away from what is expected; ``rel``: so many times that;
            ``band``: outputs ``x`` are from ``min_x`` to ``max_x``, and may be ``tolerance`` outside.
        tolerance: 0 or more.
    """

    name: str
    group: str
    inputs: Inputs
    expected: dict[str, Any]
    kind: str
    tolerance: float

    def misses(self, found: Mapping[str, Any]) -> list[str]:
        """Return a line for each output that is not what is expected."""
        return [
            f"{'.'.join(path)}: expected {_span(low, high)}, found {_at(found, path)}"
            for path, low, high in self._expectations()
            if not _within(_at(found, path), low, high, self._margin(low))
        ]

    def _margin(self, wanted: float) -> float:
        return self.tolerance * abs(wanted) if self.kind == "rel" else self.tolerance

    def _expectations(self) -> Iterator[tuple[tuple[str, ...], float, float]]:
        """Yield each number: where it stands, the least and the most."""
        if self.kind == "band":
            for name in [name.removeprefix("min_") for name in self.expected if name.startswith("min_")]:
                highs = dict(_numbers(self.expected.get(f"max_{name}"), (name,)))
                for path, low in _numbers(self.expected[f"min_{name}"], (name,)):
                    yield path, low, highs.get(path, low)
        else:
            for path, wanted in _numbers(self.expected, ()):
                yield path, wanted, wanted


@dataclass
class Score:
    """How the vectors of one group fare.

    Attributes:
        hold: How many hold.
        total: How many there are.
        absent: How many ask for what netfed has no code for.
        missed: The others: by id, what is wrong.
    """

    hold: int = 0
    total: int = 0
    absent: int = 0
    missed: dict[str, list[str]] = field(default_factory=dict)


def read(file: Path) -> list[Vector]:
    """Read a file of vectors.

    Raises:
        ScenarioError: It cannot be read, or is not what it should be; says where.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioError(f"{file}: {in_words(error)}") from None
    except (ValueError, RecursionError) as error:
        raise ScenarioError(f"{file}: no JSON: {error}") from None
    listed = document.get("vectors") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise ScenarioError(f"{file}: expected an object with a list under 'vectors'")
    return [_vector(f"{file}: vectors[{index}]", item) for index, item in enumerate(listed)]


def evaluate(vectors: Iterable[Vector], answers: Mapping[str, Answer]) -> dict[str, Score]:
    """Ask netfed what it makes of each vector, and compare.

    Args:
        vectors: In any order.
        answers: By group.

    Raises:
        ScenarioError: A vector lacks an input.
    """
    scores: dict[str, Score] = {}
    for vector in vectors:
        score = scores.setdefault(vector.group, Score())
        score.total += 1
        answer = answers.get(vector.group)
        try:
            found = answer(vector.inputs) if answer is not None else None
        except (ValueError, TypeError, SimulationError) as refusal:
            score.missed[vector.name] = [f"refused: {refusal}"]
            continue
        if found is None:
            score.absent += 1
        elif misses := vector.misses(found):
            score.missed[vector.name] = misses
        else:
            score.hold += 1
    return scores


def _vector(place: str, item: object) -> Vector:
    if not isinstance(item, dict):
        raise ScenarioError(f"{place}: expected an object")
    for name, kind in {"id": str, "group": str, "inputs": dict, "expected": dict, "tolerance": dict}.items():
        if not isinstance(item.get(name), kind):
            raise ScenarioError(f"{place}.{name}: expected {'an object' if kind is dict else 'a text'}")
    kind, value = item["tolerance"].get("kind"), item["tolerance"].get("value")
    if kind not in _KINDS:
        raise ScenarioError(f"{place}.tolerance.kind: expected one of {', '.join(_KINDS)}")
    if not _is_number(value) or not value >= 0:
        raise ScenarioError(f"{place}.tolerance.value: expected a number, 0 or more")
    inputs = Inputs(place, str(item.get("name", "")), item["inputs"])
    vector = Vector(item["id"], item["group"], inputs, item["expected"], kind, value)
    if next(vector._expectations(), None) is None:
        raise ScenarioError(f"{place}.expected: no number to compare with")
    return vector


def _numbers(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], float]]:
    """Yield the numbers in a tree, and where they stand."""
    if _is_number(tree):
        yield path, tree
    elif isinstance(tree, dict | list):
        for step, branch in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from _numbers(branch, (*path, str(step)))


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if isinstance(tree, Mapping):
            tree = tree.get(step)
        elif isinstance(tree, list | tuple) and step.isdecimal() and int(step) < len(tree):
            tree = tree[int(step)]
        else:
            return None
    return tree


def _within(value: Any, low: float, high: float, margin: float) -> bool:
    return _is_number(value) and low - margin <= value <= high + margin


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _span(low: float, high: float) -> str:
    return f"{low}" if low == high else f"{low} to {high}"
