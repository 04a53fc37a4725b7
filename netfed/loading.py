"""A document and its overrides as a spec, or one line for each mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from netfed import document
from netfed.document import Mark, Node, Step
from netfed.errors import ScenarioError
from netfed.validation import SpecError, validate

T = TypeVar("T")

SHORT = "short"
"""The key under which a document keeps the overrides that make it quick to run."""


class Override(NamedTuple):
    """What replaces a part of a document, from the command line.

    Attributes:
        label: For messages: ``--set a.b=c``.
        assignment: ``a.b=c``: keys and list indices with dots between them, then the new value in YAML.
    """

    label: str
    assignment: str


class _Mistake(NamedTuple):
    mark: Mark
    path: tuple[Step, ...]
    message: str

    def __str__(self) -> str:
        line = ": ".join(filter(None, (str(self.mark), ".".join(map(str, self.path)), self.message)))
        return line if line.isprintable() else ascii(line)[1:-1]


def interpret(spec: type[T], root: Node, overrides: Sequence[Override] = (), *, short: bool = False) -> T:
    """Build a spec from a document, its short form's overrides if asked, and then those of the command line.

    The short form is checked even where it is not asked for, and the long one where it is; under overrides, which may
    suit one of them alone, only what is asked for is checked.

    Raises:
        ScenarioError: With every mistake, in the order of the file.
    """
    if not isinstance(root.value, dict):
        raise ScenarioError(f"{root.mark}: expected a mapping of keys")
    if short and SHORT not in root.value:
        raise ScenarioError(f"{root.mark}: --short: there is no {SHORT}: section, of overrides for a short run")
    brief = root.value.get(SHORT, Node({}, root.mark))
    full = Node({key: node for key, node in root.value.items() if key != SHORT}, root.mark)
    if not isinstance(brief.value, dict):
        raise ScenarioError(f"{brief.mark}: {SHORT}: expected a mapping of overrides")
    forms = [full, merge(full, brief)]
    unread: list[str] = []
    for rank, (label, assignment) in enumerate(overrides, start=1):
        path, equals, text = assignment.partition("=")
        try:
            if not path or not equals:
                raise ScenarioError(f"{label}: write KEY=VALUE")
            value = document.read(text, label, override=rank)
            forms = [put(form, path.split("."), value) for form in forms]
        except ScenarioError as error:
            unread += error.lines
    (as_written, mistakes), (shortened, in_short) = (_check(spec, form) for form in forms)
    of_short = [_within(brief, mistake) for mistake in in_short if mistake not in mistakes]
    if short and overrides:
        mistakes = [mistake for mistake in mistakes if mistake in in_short]
    if short or not overrides:
        mistakes += of_short
    chosen = shortened if short else as_written
    if chosen is None or mistakes or unread:
        mistakes.sort(key=lambda mistake: mistake.mark)
        raise ScenarioError(*map(str, mistakes), *unread)
    return chosen


def merge(base: Node, over: Node) -> Node:
    """Return ``base`` with the keys of ``over`` merged in, mapping by mapping; another ``kind`` replaces a mapping."""
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    if "kind" in over.value and over.value["kind"].plain() != base.value.get("kind", Node(None, base.mark)).plain():
        return over
    shared = {key: merge(base.value[key], node) if key in base.value else node for key, node in over.value.items()}
    return Node(base.value | shared, base.mark)


def put(root: Node, path: list[str], value: Node) -> Node:
    """Return the document with ``value`` at a path; mappings on the way there are made where nothing is.

    Raises:
        ScenarioError: The path leads into a scalar, or beyond the end of a list.
    """
    if not path:
        return value
    step, *rest = path
    if isinstance(root.value, list):
        items = list(root.value)
        if not step.isdecimal() or int(step) >= len(items):
            raise ScenarioError(f"{value.mark}: {step!r} is no index of a list of {len(items)}")
        items[int(step)] = put(items[int(step)], rest, value)
        return Node(items, root.mark)
    if isinstance(root.value, dict) or root.value is None:
        keys = root.value or {}
        return Node(keys | {step: put(keys.get(step, Node(None, value.mark)), rest, value)}, root.mark)
    raise ScenarioError(f"{value.mark}: {step!r} leads into {root.value!r}, which has no keys")


def _check(spec: type[T], form: Node) -> tuple[T | None, list[_Mistake]]:
    try:
        return validate(spec, form.plain()), []
    except SpecError as error:
        return None, [_Mistake(form.position(path), path, message) for path, message in error.problems]


def _within(brief: Node, mistake: _Mistake) -> _Mistake:
    """Move a mistake that only the short form makes to where the short form makes it."""
    if mistake.mark.override:
        return mistake
    return _Mistake(brief.position(mistake.path), (SHORT, *mistake.path), mistake.message)
