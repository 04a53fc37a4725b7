"""A plain tree as a spec, or every mistake in it in the user's words."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from netfed import plugin
from netfed.keys import inside, keys, lacking
from netfed.spelling import did_you_mean
from netfed.tree import KIND

T = TypeVar("T")
Path = tuple[str | int, ...]

_MOST = 100
_A_KEY = "[key]"
"""Where pydantic's path ends if a key of a mapping is wrong, and not what stands under it."""
_MESSAGES = {
    "missing": "missing key",
    "dataclass_type": "expected a mapping, not {got}",
    "dict_type": "expected a mapping, not {got}",
    "list_type": "expected a list, not {got}",
    "tuple_type": "expected a list, not {got}",
    "string_type": "expected text, not {got}",
    "string_pattern_mismatch": "expected text that matches {pattern}, not {got}",
    "bool_type": "expected true or false, not {got}",
    "int_type": "expected an integer, not {got}",
    "float_type": "expected a number, not {got}",
    "float_parsing": "expected a number, not {got}",
    "finite_number": "expected a finite number",
    "literal_error": "expected {expected}, not {got}",
    "greater_than": "expected more than {gt:.15g}, not {got}",
    "greater_than_equal": "expected {ge:.15g} or more, not {got}",
    "less_than": "expected less than {lt:.15g}, not {got}",
    "less_than_equal": "expected {le:.15g} or less, not {got}",
    "value_error": "{error}",
}


class Problem(NamedTuple):
    """One mistake.

    Attributes:
        path: The keys and list indices that lead to it.
        message: What is wrong there.
        beside: What else it would be well without: an override of any of these is to blame for it.
    """

    path: Path
    message: str
    beside: tuple[Path, ...] = ()


class SpecError(Exception):
    """A tree is not what the spec asks for. ``problems`` has the first hundred mistakes."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(problems)
        self.problems = problems


def validate(spec: type[T], tree: object) -> T:
    """Build a spec from a plain tree of dicts, lists and scalars.

    Raises:
        SpecError: With every mistake, each where the user made it.
    """
    try:
        return plugin.read(spec, tree)
    except ValidationError as error:
        found = error.errors(include_url=False)[:_MOST]
        raise SpecError(_problems(spec, tree, found)) from error


def _problems(spec: type[Any], tree: object, errors: list[ErrorDetails]) -> list[Problem]:
    """Translate pydantic's errors. A value that fits no member of a union has one error for each: they become one."""
    problems: list[Problem] = []
    members: dict[Path, list[Problem]] = defaultdict(list)
    for error in errors:
        path, union = _locate(tree, error)
        problem = Problem(path, _message(spec, tree, path, error))
        (problems if union is None else members[union]).append(problem)
    for union, found in members.items():
        inside = [problem for problem in found if len(problem.path) > len(union)]
        problems += inside or [Problem(union, ", or ".join(problem.message for problem in found))]
    return problems


def _locate(tree: Any, error: ErrorDetails) -> tuple[Path, Path | None]:
    """Return the user's path to an error, and to the union it is in: pydantic's path also names the union's member."""
    steps = tuple(step for step in error["loc"] if step != _A_KEY)
    absent = steps[-1:] if error["type"] == "missing" else ()
    path: Path = ()
    union = None
    for step in steps[: len(steps) - len(absent)]:
        try:
            tree = tree[step]
            path = (*path, step)
        except (LookupError, TypeError):
            union = path
    return path + absent, union


def _message(spec: type[Any], tree: Any, path: Path, error: ErrorDetails) -> str:
    if error["type"] == "unexpected_keyword_argument":
        annotation, kind = _mapping(spec, tree, path[:-1])
        if remedy := lacking(annotation, kind, path[-1]):
            return remedy
        known = list(keys(annotation, kind))
        return "unknown key" + (did_you_mean(str(path[-1]), known) or f" (keys: {', '.join(known)})")
    if error["type"] not in _MESSAGES:
        return error["msg"]
    return _MESSAGES[error["type"]].format(got=_said(error["input"]), **error.get("ctx", {}))


def _said(value: object) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return (repr(value) if isinstance(value, str) else json.dumps(value))[:40]


def _mapping(annotation: Any, tree: Any, path: Path) -> tuple[Any, object]:
    """Return the type that admits the mapping at ``path``, and the kind that it names."""
    for step in path:
        annotation, tree = inside(annotation, step, _kind(tree)), tree[step]
    return annotation, _kind(tree)


def _kind(tree: Any) -> object:
    return tree.get(KIND) if isinstance(tree, dict) else None
