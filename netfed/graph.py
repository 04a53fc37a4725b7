"""Training as a lazy, keyed graph.

A model version, a local update, an encoded payload, a device's state and an evaluation are nodes. A node's key is the
digest of its recipe and of the keys that it reads: never of simulated time, of event order or of the executor's width.
Its value is computed when it is first read, and opaque here: this module knows no tensors.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import orjson

from netfed.errors import ComputationFailed, RunFolderError, SimulationError

_MISSING: Any = object()


_CANONICAL = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS


def canonical(value: Any) -> bytes:
    """Return the one JSON text of plain data: equal texts are equal values, floats to the last bit.

    Numbers that are not finite have the text of None.

    Raises:
        TypeError: It is not plain data, or an integer has more than 64 bits.
    """
    return orjson.dumps(value, default=_plain, option=_CANONICAL)


def _plain(value: Any) -> float:
    """Return a float of another library, NumPy's say, as Python's."""
    if isinstance(value, float):
        return float(value)
    raise TypeError(f"{value!r} is not plain data")


def digest(*recipe: Any) -> str:
    """Return the sha256 (hex) of plain data in canonical JSON."""
    return hashlib.sha256(canonical(recipe)).hexdigest()


class Form(Protocol):
    """How a value looks in the store. Both directions are exact to the bit.

    Attributes:
        durable: Whether the value must outlive the machine's crash. Of others the last seconds' may go then: they are
            computed again.
    """

    @property
    def durable(self) -> bool: ...

    def dump(self, value: Any) -> bytes: ...

    def load(self, data: bytes) -> Any: ...


class Scalars:
    """Plain data as JSON (floats survive exactly: Python writes their shortest round-trip form).

    Args:
        durable: See `Form`.
    """

    def __init__(self, durable: bool = False) -> None:
        self.durable = durable

    def dump(self, value: Any) -> bytes:
        return json.dumps(value, sort_keys=True).encode()

    def load(self, data: bytes) -> Any:
        return json.loads(data)


SCALARS = Scalars()


class Store:
    """Values by key, one file each, found again by any later run whose recipes are the same.

    A kill loses none. The machine's own crash may leave the latest as empty files: these are not there.

    Args:
        folder: Shared by all namespaces; created when first written to.
        namespace: Digest of all that bits depend on besides the recipe (sources, library versions, CPU capability).
    """

    def __init__(self, folder: Path, namespace: str) -> None:
        self._folder = folder / namespace[:16]
        self._folder.mkdir(parents=True, exist_ok=True)

    def __contains__(self, key: str) -> bool:
        return holds_entry(self._folder / key)

    def load(self, key: str, form: Form) -> Any:
        """Return the value under ``key``.

        Raises:
            RunFolderError: The entry is damaged.
        """
        return form.load(read_entry(self._folder / key))

    def save(self, key: str, form: Form, value: Any) -> None:
        """Write a value so that a reader, or a crash, sees all of it or nothing.

        Raises:
            OSError: The disk is full, or another of its ills; names the file.
        """
        body = form.dump(value)
        write_whole(self._folder / key, _head(key, body), body, durable=form.durable)


def holds_entry(path: Path) -> bool:
    """Return whether a file of a store is an entry, and not what a crash has left of one."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _head(key: str, body: bytes) -> bytes:
    return f"netfed-entry 1 {key} {hashlib.sha256(body).hexdigest()}\n".encode()


def write_whole(path: Path, *chunks: bytes, durable: bool = True) -> None:
    """Replace a file's content in one step: a reader sees the old or the new, never a part.

    Args:
        path: Of the file.
        chunks: Its content.
        durable: Whether it has reached the disk before it takes its place, so that the same holds for the machine's
            own crash; if not, that may leave an empty file.

    Raises:
        OSError: The disk is full, or another of its ills; names the file.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.writelines(chunks)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error


def read_entry(path: Path) -> bytes:
    """Return the body of a store entry, after comparing it with the key and the sha256 that it carries.

    Raises:
        RunFolderError: The entry is damaged, or another's.
    """
    head, newline, body = path.read_bytes().partition(b"\n")
    if head + newline != _head(path.name, body):
        raise RunFolderError(f"{path}: damaged; delete it and resume: its value is then computed anew")
    return body


class Node:
    """A value that is computed when first read.

    Attributes:
        kind: What it is, for counting and for messages.
        key: Digest of the recipe and of the keys of ``reads``.
        reads: What ``compute`` is called with, in order; let go of once the value is known.
        form: How it is stored; None means that it is not. Nor is a value of None.
        label: Names it to a user when its computation fails.
        fallible: Its failure is its value (`ComputationFailed`), and the failure of whatever fallible reads it.
    """

    __slots__ = ("compute", "fallible", "form", "key", "kind", "label", "reads", "status", "value")

    def __init__(
        self,
        kind: str,
        recipe: Sequence[Any],
        reads: Sequence[Node],
        compute: Callable[..., Any],
        form: Form | None,
        label: str,
        fallible: bool,
    ) -> None:
        self.kind = kind
        self.key: str = digest(kind, recipe, [node.key for node in reads])
        self.reads: tuple[Node, ...] = tuple(reads)
        self.compute: Callable[..., Any] | None = compute
        self.form = form
        self.label = label
        self.fallible = fallible
        self.status = "planned"
        self.value: Any = _MISSING

    @property
    def settled(self) -> bool:
        """Whether the value is at hand or in the store."""
        return self.compute is None

    def _settle(self) -> None:
        self.compute = None
        self.reads = ()


Step = tuple[str, Callable[..., Any], Sequence[Any], bool]
BEFORE: Any = object()
"""Stands for the value of the step before."""


class Chain:
    """Steps that are computed in one go, each from the one before it.

    Args:
        steps: Label, function and arguments of each, ``BEFORE`` among them, and whether it is fallible.

    Attributes:
        label: Names the first step to a user when it fails.
        compute: The first step's function.
        values: Its arguments.
    """

    __slots__ = ("_fallible", "_following", "compute", "label", "values")

    def __init__(self, steps: Sequence[Step]) -> None:
        (self.label, self.compute, self.values, self._fallible), *self._following = steps

    def __call__(self) -> list[Any]:
        """Return the value of each step.

        Raises:
            ComputationFailed: A step raised that is not fallible; the message names it, its cause is chained.
        """
        return self.after(_try(self.label, self.compute, self.values, self._fallible))

    def after(self, first: Any) -> list[Any]:
        """Return the value of each step, that of the first being known. Raises as a call does."""
        results = [first]
        for label, compute, values, fallible in self._following:
            known = [results[-1] if value is BEFORE else value for value in values]
            results.append(_try(label, compute, known, fallible))
        return results


def _try(label: str, compute: Callable[..., Any], values: Sequence[Any], fallible: bool) -> Any:
    if not fallible:
        return attempt(label, compute, *values)
    for value in values:
        if isinstance(value, ComputationFailed):
            return value
    try:
        return attempt(label, compute, *values)
    except ComputationFailed as failure:
        return failure


def attempt(label: str, compute: Callable[..., Any], *values: Any) -> Any:
    """Call ``compute``.

    Raises:
        ComputationFailed: It raised; the message begins with ``label``, the cause is chained.
    """
    try:
        return compute(*values)
    except SimulationError:
        raise
    except Exception as error:
        raise ComputationFailed(f"{label}: {type(error).__name__}: {error}") from error


Execute = Callable[[Sequence[Chain]], Iterable[list[Any]]]


class Graph:
    """Makes nodes and reads them.

    Args:
        store: Where nodes with a form are kept.
        execute: Runs chains that do not depend on each other and yields their values in the same order.
        lazy: If false, each node is computed when it is made, whether anyone reads it or not. The values are the
            same; it is there to show just that, and what laziness saves.
        tolerant: Whether nodes may be fallible; if not, the first computation that raises ends it all.
    """

    def __init__(self, store: Store, execute: Execute, lazy: bool = True, tolerant: bool = False) -> None:
        self._store = store
        self._execute = execute
        self._lazy = lazy
        self._tolerant = tolerant
        self._counts: Counter[tuple[str, str]] = Counter()

    def node(
        self,
        kind: str,
        recipe: Sequence[Any],
        reads: Sequence[Node],
        compute: Callable[..., Any],
        form: Form | None = None,
        label: str = "",
        fallible: bool = False,
    ) -> Node:
        """Plan a value: ``compute(*values of reads)``, a function of the recipe and of ``reads`` alone."""
        node = Node(kind, recipe, reads, compute, form, label or kind, fallible and self._tolerant)
        self._counts[kind, "planned"] += 1
        if not self._lazy:
            self.settle([node])
        return node

    def counts(self, kind: str) -> dict[str, int]:
        """Return how many nodes of a kind were ``planned``, and how many of these were computed (``trained``), stood
        in for by a stored value (``reused``), or read by nobody (``skipped``).
        """
        planned, trained, reused = (self._counts[kind, status] for status in ("planned", "trained", "reused"))
        return {"planned": planned, "trained": trained, "reused": reused, "skipped": planned - trained - reused}

    def read(self, nodes: Sequence[Node]) -> list[Any]:
        """Return the nodes' values. What they need is computed together; nothing else is.

        Raises:
            RunFolderError: A stored value is damaged.
            ComputationFailed: A computation raised; the message names it, its cause is chained.
        """
        self.settle(nodes)
        return [self._value(node) for node in nodes]

    def peek(self, node: Node) -> Any:
        """Return a node's value if it is at hand or in the store, else None: nothing is computed."""
        if node.value is _MISSING and node.form is not None and node.key in self._store:
            return self._value(node)
        return None if node.value is _MISSING else node.value

    def settle(self, nodes: Iterable[Node]) -> None:
        """Make sure that each node's value is at hand or in the store. Raises as `read` does."""
        waiting = self._unsettled(nodes)
        while waiting:
            chains = self._chains(waiting)
            for chain, values in zip(chains, self._execute([self._call(chain) for chain in chains]), strict=True):
                for node, value in zip(chain, values, strict=True):
                    self._keep(node, value)
            waiting = [node for node in waiting if not node.settled]

    def _chains(self, waiting: Sequence[Node]) -> list[list[Node]]:
        """Return what can be computed now: each node that waits for nothing, and after it those that wait for it alone
        (a payload for its update), to be computed in one go.

        What may be computed `together` with others always begins a chain: how it is computed, and so its bits, must not
        depend on whether what it reads is at hand.
        """
        readers: dict[int, list[Node]] = {}
        for node in waiting:
            for read in node.reads:
                readers.setdefault(id(read), []).append(node)
        chains = [[node] for node in waiting if all(read.settled for read in node.reads)]
        for chain in chains:
            while len(following := readers.get(id(chain[-1]), [])) == 1:
                if hasattr(following[0].compute, "together"):
                    break
                if not all(read.settled or read is chain[-1] for read in following[0].reads):
                    break
                chain.append(following[0])
        return chains

    def _unsettled(self, nodes: Iterable[Node]) -> list[Node]:
        """List what must be computed, settling what the store has. Versions form long chains: no recursion."""
        found: dict[int, Node] = {}
        stack = list(nodes)
        while stack:
            node = stack.pop()
            if node.settled or id(node) in found:
                continue
            if node.form is not None and node.key in self._store:
                for spared in _beneath(node):
                    self._mark(spared, "reused")
                node._settle()
                continue
            found[id(node)] = node
            stack.extend(node.reads)
        return list(found.values())[::-1]

    def _call(self, chain: Sequence[Node]) -> Chain:
        steps = []
        for before, node in zip((None, *chain), chain, strict=False):
            assert node.compute is not None
            values = [BEFORE if read is before else self._value(read) for read in node.reads]
            steps.append((node.label, node.compute, values, node.fallible))
        return Chain(steps)

    def _keep(self, node: Node, value: Any) -> None:
        self._mark(node, "trained")
        node.value = value
        if node.form is not None and value is not None:
            self._store.save(node.key, node.form, value)
        node._settle()

    def _value(self, node: Node) -> Any:
        if node.value is _MISSING:
            assert node.form is not None
            node.value = self._store.load(node.key, node.form)
        return node.value

    def _mark(self, node: Node, status: str) -> None:
        if node.status != "planned":
            self._counts[node.kind, node.status] -= 1
        node.status = status
        self._counts[node.kind, status] += 1


def _beneath(node: Node) -> Iterator[Node]:
    """Yield the node and the unsettled, uncomputed ones that it would have needed. Where another still needs one of
    them, that one is computed after all, and counted so.
    """
    seen: set[int] = set()
    stack = [node]
    while stack:
        current = stack.pop()
        if current.settled or id(current) in seen or (current.status == "reused" and current is not node):
            continue
        seen.add(id(current))
        yield current
        stack.extend(current.reads)
