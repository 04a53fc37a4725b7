"""A document as a tree that remembers where each part was written, and how one tree changes another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from netfed.errors import ScenarioError

KIND = "kind"
"""The key that names which alternative a mapping is."""

Step = str | int
Scalar = str | int | float | bool | None


class Mark(NamedTuple):
    """Where something was written. Marks sort as they are shown: each file from its top, then the overrides.

    Attributes:
        override: 0 in a file; n in the n-th override, which has no lines.
        source: The file, or the override as it was given.
        line: From 1.
        column: From 1.
    """

    override: int
    source: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return self.source if self.override else f"{self.source}:{self.line}:{self.column}"


@dataclass
class Node:
    """A part of a document: its value, and the mark of its key or list item."""

    value: Scalar | list[Node] | dict[str, Node]
    mark: Mark

    def plain(self) -> Any:
        """Return the same tree as dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def child(self, step: Step) -> Node | None:
        """Return what stands under a key or list index, or None."""
        if isinstance(self.value, dict):
            return self.value.get(str(step))
        if isinstance(self.value, list) and str(step).isdecimal() and int(step) < len(self.value):
            return self.value[int(step)]
        return None

    def find(self, path: Sequence[Step]) -> Node | None:
        """Return what stands at a path, or None."""
        node: Node | None = self
        for step in path:
            node = node.child(step) if node else None
        return node

    def parts(self) -> Iterator[Node]:
        """Yield this node and all that it holds."""
        yield self
        if isinstance(self.value, dict | list):
            for node in self.value.values() if isinstance(self.value, dict) else self.value:
                yield from node.parts()

    def position(self, path: Sequence[Step]) -> Mark:
        """Return who is to blame for what is at ``path``.

        That is the latest override of any part of it, else its own mark; where nothing is, the mark of the last that
        exists on the way there.
        """
        node = self
        for step in path:
            child = node.child(step)
            if child is None:
                return node.mark
            node = child
        return max((part.mark for part in node.parts() if part.mark.override), default=node.mark)


def merge(base: Node, over: Node) -> Node:
    """Return ``base`` with the keys of ``over`` merged in, mapping by mapping; another kind replaces a mapping."""
    if not isinstance(base.value, dict) or not isinstance(over.value, dict) or _is_another_kind(base, over):
        return over
    shared = {key: merge(base.value[key], node) if key in base.value else node for key, node in over.value.items()}
    return Node(base.value | shared, over.mark)


def still_apt(changes: Node, base: Node, over: Node) -> Node:
    """Return which ``changes`` to ``base`` can still be made once ``over`` has been merged into it.

    Where ``over`` puts another kind, changes to the old kind are void; changes that name a kind stand by themselves.
    """
    if not isinstance(changes.value, dict):
        return changes
    apt = {}
    for key, node in changes.value.items():
        old, new = base.child(key), over.child(key)
        if old and new:
            if _is_another_kind(old, new) and not node.child(KIND):
                continue
            node = still_apt(node, old, new)
        apt[key] = node
    return Node(apt, changes.mark)


def put(root: Node, path: list[str], value: Node) -> Node:
    """Return the document with ``value`` at a path; mappings on the way there are made where nothing is.

    Another kind replaces its mapping, but for what earlier overrides have put there.

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
        if path == [KIND] and KIND in keys and keys[KIND].plain() != value.plain():
            overrides = {key: node for key, node in keys.items() if node.position(()).override}
            return Node(overrides | {KIND: value}, value.mark)
        return Node(keys | {step: put(keys.get(step, Node(None, value.mark)), rest, value)}, root.mark)
    raise ScenarioError(f"{value.mark}: {step!r} leads into {root.value!r}, which has no keys: set it as a whole")


def _is_another_kind(base: Node, over: Node) -> bool:
    """Whether ``over`` names a kind, and ``base`` does not name the same."""
    old, new = base.child(KIND), over.child(KIND)
    return new is not None and (old is None or old.plain() != new.plain())
