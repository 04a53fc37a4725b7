"""YAML 1.2 text <-> a tree that remembers where each part was written.

Scenarios come from anywhere, so the parser is held to limits, and refuses what makes a small file large or a plain file
clever: tags, anchors, aliases and merge keys. Every mapping key is text; a scalar is what the core schema of YAML 1.2.2
(section 10.3.2) says, so ``on``, ``NO``, ``12:30:45`` and ``2026-01-01`` are strings.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from netfed.errors import ScenarioError
from netfed.tree import Mark, Node, Scalar

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_NODES = 200_000


def read(source: str | bytes, name: str, *, override: int = 0) -> Node:
    """Return the tree of one YAML document.

    Args:
        source: Text, or its bytes in UTF-8. An empty document is null.
        name: Of the file, for messages.
        override: 0 for a file; n for the n-th override, whose marks say its name only, since it has no lines.

    Raises:
        ScenarioError: One line. The text is no YAML, is over a limit, or has a part that is refused.
    """
    if len(source) > MAX_BYTES:
        raise ScenarioError(f"{name}: more than {MAX_BYTES} bytes")
    try:
        text = source.decode() if isinstance(source, bytes) else source
    except UnicodeDecodeError as error:
        raise ScenarioError(f"{name}: byte {error.start} is not UTF-8") from error
    return _Reader(text, name, override).document()


def write(tree: dict[str, Any]) -> str:
    """Return the YAML that `read` turns back into an equal tree: mappings in blocks, lists on one line."""
    return "".join(line + "\n" for _, line in lines(tree))


def lines(tree: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the lines of `write`, each with the path of the value that it ends in; none where a mapping begins."""
    for key, value in tree.items():
        start = f"{'  ' * len(path)}{_flow(key)}:"
        if isinstance(value, dict) and value:
            yield (), start
            yield from lines(value, (*path, key))
        else:
            yield (*path, key), f"{start} {_flow(value)}"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and _resolve(value) == value:
        return value
    return json.dumps(value, allow_nan=False)


_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./+-]*( [A-Za-z0-9_./+-]+)*")
_NULL = re.compile(r"null|Null|NULL|~|")
_BOOL = re.compile(r"(true|True|TRUE)|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_BASES = {"0o": 8, "0x": 16}


def _resolve(plain: str) -> Scalar:
    """Return the value of a scalar without quotes.

    Raises:
        ValueError: It is an integer beyond 64 bits.
    """
    if _NULL.fullmatch(plain):
        return None
    if match := _BOOL.fullmatch(plain):
        return match[1] is not None
    if _INT.fullmatch(plain):
        number = int(plain, _BASES.get(plain[:2], 10))
        if abs(number) >= 2**63:
            raise ValueError(plain)
        return number
    if _FLOAT.fullmatch(plain):
        return float(plain)
    if _NOT_FINITE.fullmatch(plain):
        return float(plain.replace(".", ""))
    return plain


class _Reader:
    """Builds the tree of one document from the parser's events."""

    def __init__(self, text: str, name: str, override: int) -> None:
        self._text = text
        self._name = name
        self._override = override
        self._events = self._parse()
        self._nodes = 0

    def document(self) -> Node:
        root = None
        for event in self._events:
            if isinstance(event, NodeEvent):
                if root is not None:
                    raise self._refusal(event, "a file is one document: this is a second one")
                root = self._node(event, self._mark(event), depth=1)
        return root or Node(None, self._at(0, 0))

    def _node(self, event: Event, mark: Mark, depth: int) -> Node:
        self._admit(event)
        if isinstance(event, ScalarEvent):
            return Node(self._scalar(event), mark)
        if depth > MAX_DEPTH:
            raise self._refusal(event, f"nested deeper than {MAX_DEPTH}")
        if isinstance(event, SequenceStartEvent):
            items = []
            while not isinstance(item := next(self._events), SequenceEndEvent):
                items.append(self._node(item, self._mark(item), depth + 1))
            return Node(items, mark)
        pairs: dict[str, Node] = {}
        while not isinstance(key := next(self._events), MappingEndEvent):
            text = self._key(key)
            if text in pairs:
                raise self._refusal(key, f"key {text!r} is here twice")
            pairs[text] = self._node(next(self._events), self._mark(key), depth + 1)
        return Node(pairs, mark)

    def _admit(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise self._refusal(event, f"more than {MAX_NODES} keys and values")
        if isinstance(event, AliasEvent) or event.anchor is not None:
            raise self._refusal(event, "anchors and aliases (&x, *x) are not allowed")
        if event.tag is not None:
            raise self._refusal(event, "tags (!x) are not allowed")

    def _key(self, event: Any) -> str:
        self._admit(event)
        if not isinstance(event, ScalarEvent):
            raise self._refusal(event, "a key is text, not a mapping or a list")
        if event.value == "<<" and event.implicit[0]:
            raise self._refusal(event, "merge keys (<<) are not allowed")
        return self._string(event)

    def _scalar(self, event: ScalarEvent) -> Scalar:
        text = self._string(event)
        if not event.implicit[0]:
            return text
        try:
            return _resolve(text)
        except ValueError as error:
            raise self._refusal(event, "an integer beyond 64 bits") from error

    def _string(self, event: ScalarEvent) -> str:
        try:  # a character beyond the first plane may be escaped as JSON does it, in two halves
            return str(event.value).encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError as error:
            raise self._refusal(event, "half of a surrogate pair is no character") from error

    def _parse(self) -> Iterator[Any]:
        line, column = 0, 0
        try:
            for event in YAML(typ="safe", pure=True).parse(self._text):
                line, column = event.start_mark.line, event.start_mark.column
                yield event
        except ReaderError as error:
            before = self._text[: error.position]
            here = self._at(before.count("\n"), len(before) - before.rfind("\n") - 1)
            raise ScenarioError(f"{here}: character {error.character:#04x} is not allowed") from error
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            here = self._at(mark.line, mark.column) if mark else self._at(line, column)
            raise ScenarioError(f"{here}: {_one_line(error.problem or error.context)}") from error
        except Exception as error:  # the parser lets ValueError, OverflowError and others of its own escape
            raise ScenarioError(f"{self._at(line, column)}: not YAML after here: {_one_line(error)}") from error

    def _at(self, line: int, column: int) -> Mark:
        return Mark(self._override, self._name, line + 1, column + 1)

    def _mark(self, event: Event) -> Mark:
        return self._at(event.start_mark.line, event.start_mark.column)

    def _refusal(self, event: Event, message: str) -> ScenarioError:
        return ScenarioError(f"{self._mark(event)}: {message}")


def _one_line(message: object) -> str:
    return " ".join(str(message).split())
