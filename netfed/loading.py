"""Documents, each over the one before, and overrides as a spec; or one line for each mistake."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial, reduce
from typing import NamedTuple, TypeVar

from netfed import document
from netfed.errors import ScenarioError
from netfed.keys import spelled_out
from netfed.tree import Mark, Node, Step, merge, put, still_apt
from netfed.validation import Problem, SpecError, validate

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


class _Forms(NamedTuple):
    """A document as it is written, and what its short form changes."""

    full: Node
    brief: Node


class _Mistake(NamedTuple):
    mark: Mark
    path: tuple[Step, ...]
    message: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (str(self.mark), ".".join(map(str, self.path)), self.message)))

    @property
    def said(self) -> tuple[tuple[Step, ...], str]:
        return self.path, self.message


def interpret(
    spec: type[T], documents: Sequence[Node], overrides: Sequence[Override] = (), *, short: bool = False
) -> tuple[T, Node]:
    """Build a spec from documents, their short form's changes if asked, and then the overrides of the command line.

    The short form is checked even where it is not asked for, and the long one where it is; under overrides, which may
    suit one of them alone, only what is asked for is checked.

    Args:
        spec: The type to build.
        documents: Each is merged over the one before; so are their short forms.
        overrides: In the order in which they are made.
        short: Build the short form.

    Returns:
        The spec, and the one document that all the others come to.

    Raises:
        ScenarioError: With every mistake, in the order of the files.
    """
    full, brief = reduce(partial(_over, spec), (_forms(spec, root) for root in documents))
    if short and not brief.value:
        remedy = f"write {SHORT}: {{scheme: {{rounds: 2}}}}, say"
        raise ScenarioError(f"{full.mark}: --short: no {SHORT}: section says what a short run changes; {remedy}")
    forms = [full, spelled_out(spec, merge(full, brief))]
    unread: list[str] = []
    for rank, (label, assignment) in enumerate(overrides, start=1):
        path, equals, text = assignment.partition("=")
        try:
            if not path or not equals:
                raise ScenarioError(f"{label}: write KEY=VALUE")
            value = document.read(text, label, override=rank)
            forms = [spelled_out(spec, put(form, path.split("."), value)) for form in forms]
        except ScenarioError as error:
            unread += error.lines
    (as_written, mistakes), (shortened, in_short) = (_check(spec, form) for form in forms)
    known = {mistake.said for mistake in mistakes}
    of_short = [_within(brief, mistake) for mistake in in_short if mistake.said not in known]
    if short and overrides:
        shared = {mistake.said for mistake in in_short}
        mistakes = [mistake for mistake in mistakes if mistake.said in shared]
    if short or not overrides:
        mistakes += of_short
    chosen = shortened if short else as_written
    if chosen is None or mistakes or unread:
        mistakes.sort(key=lambda mistake: mistake.mark)
        raise ScenarioError(*map(str, mistakes), *unread)
    return chosen, forms[short]


def _forms(spec: type[T], root: Node) -> _Forms:
    if not isinstance(root.value, dict):
        raise ScenarioError(f"{root.mark}: expected a mapping of keys")
    brief = root.value.get(SHORT, Node({}, root.mark))
    if not isinstance(brief.value, dict):
        raise ScenarioError(f"{brief.mark}: {SHORT}: expected a mapping of overrides")
    full = Node({key: node for key, node in root.value.items() if key != SHORT}, root.mark)
    return _Forms(spelled_out(spec, full), spelled_out(spec, brief))


def _over(spec: type[T], base: _Forms, over: _Forms) -> _Forms:
    """Merge a document over another: what the other's short form said of a kind that is replaced goes with it."""
    apt = still_apt(base.brief, base.full, over.full)
    full = spelled_out(spec, merge(base.full, over.full))
    return _Forms(full, merge(apt, over.brief) if over.brief.value else apt)


def _check(spec: type[T], form: Node) -> tuple[T | None, list[_Mistake]]:
    try:
        return validate(spec, form.plain()), []
    except SpecError as error:
        return None, [_Mistake(_blamed(form, problem), problem.path, problem.message) for problem in error.problems]


def _blamed(form: Node, problem: Problem) -> Mark:
    """Return where a mistake is: the latest override of what it is about, else where that is written."""
    mark, *beside = (form.position(path) for path in (problem.path, *problem.beside))
    return max((each for each in (mark, *beside) if each.override), default=mark)


def _within(brief: Node, mistake: _Mistake) -> _Mistake:
    """Move a mistake that only the short form makes to where the short form makes it."""
    if mistake.mark.override:
        return mistake
    return _Mistake(brief.position(mistake.path), (SHORT, *mistake.path), mistake.message)
