"""Where scenarios come from: files, the scenarios that come with netfed, and what a file ``extends``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from netfed import document
from netfed.errors import ScenarioError, in_words
from netfed.spelling import did_you_mean
from netfed.tree import Node

EXTENDS = "extends"
"""The key under which a file names what it is written over: a shipped scenario, a file below its folder, or a list."""

PATH = "path"
"""The key under which a part of a scenario names the file that it goes on in."""

MAX_FILES = 16
"""How many files one scenario may be made of, each counted as often as it is named."""

_IN_WHEEL, _IN_CHECKOUT = Path(__file__).parent / "scenarios", Path(__file__).parents[1] / "scenarios"


def shipped() -> dict[str, Path]:
    """Return the files of the scenarios that come with netfed, by name."""
    folder = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
    return {file.stem: file for file in sorted(folder.glob("*.yaml"))}


def preset(name: str = "minimal") -> str:
    """Return the text of a scenario that comes with netfed, to start one's own from, wherever that will lie.

    Raises:
        ScenarioError: None has this name.
    """
    if name not in (named := shipped()):
        raise ScenarioError(f"{name}: no such preset{_hint(name)}")
    file = named[name]
    text = file.read_text(encoding="utf-8")
    for _, path in _paths(document.read(text, str(file))):
        text = text.replace(path, str(file.parent / path))
    return text


def find(path: str | Path) -> Path:
    """Return the file at ``path``, or else the scenario of that name that comes with netfed.

    Raises:
        ScenarioError: There is neither.
    """
    path = Path(path)
    named = shipped()
    try:
        if str(path) in named and not path.is_file():
            return named[str(path)]
        if not path.exists():
            raise ScenarioError(f"{path}: no such file{_hint(str(path))}")
    except OSError as error:
        raise ScenarioError(f"{path}: {in_words(error)}") from error
    return path


def text(file: Path) -> bytes:
    """Return the bytes of a scenario file, no more of them than `documents` will read.

    Raises:
        ScenarioError: It cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return stream.read(document.MAX_BYTES + 1)
    except OSError as error:
        raise ScenarioError(f"{file}: {in_words(error)}") from error


def documents(source: str | bytes, file: Path) -> list[Node]:
    """Return the document of a file and those it extends, each to be merged over the one before; it is the last.

    Args:
        source: What the file says.
        file: Its path. What it extends lies in its folder or below; paths that it names start there.

    Raises:
        ScenarioError: A file is missing, lies elsewhere, extends itself, or is no YAML; the line says which file named
            it, and where.
    """
    return _Chain().documents(source, file)


class _Chain:
    """Follows ``extends:`` from file to file."""

    def __init__(self) -> None:
        self._open: list[Path] = []
        self._files = 0

    def documents(self, source: str | bytes, file: Path) -> list[Node]:
        root = document.read(source, str(file))
        _anchor(root, file.parent.resolve())
        named = root.child(EXTENDS)
        if named is None or not isinstance(root.value, dict):
            return [root]
        own = Node({key: node for key, node in root.value.items() if key != EXTENDS}, root.mark)
        self._open.append(file.resolve())
        bases = [base for name in _names(named) for base in self._extended(name, file)]
        self._open.pop()
        return [*bases, own]

    def _extended(self, name: Node, file: Path) -> list[Node]:
        try:
            base = _base(str(name.value), file)
            if (path := base.resolve()) in self._open:
                around = [file.name for file in self._open[self._open.index(path) :]]
                by_way = f" by way of {', '.join(around[1:])}" if around[1:] else ""
                raise ScenarioError(f"{base} extends itself{by_way}")
            self._files += 1
            if self._files >= MAX_FILES:
                raise ScenarioError(f"more than {MAX_FILES} files make up this scenario")
            source = text(base)
        except ScenarioError as error:
            raise ScenarioError(f"{name.mark}: {EXTENDS}: {error}") from error
        return self.documents(source, base)


def _anchor(root: Node, folder: Path) -> None:
    """Let each relative path that a document names start at its folder."""
    for node, path in _paths(root):
        node.value = str(folder / path)


def _paths(root: Node) -> Iterator[tuple[Node, str]]:
    """Yield the paths that a document names, each with its place."""
    for part in root.parts():
        node = part.child(PATH)
        if node is not None and isinstance(node.value, str):
            yield node, node.value


def _names(named: Node) -> list[Node]:
    names = named.value if isinstance(named.value, list) else [named]
    for name in names:
        if not isinstance(name.value, str) or not name.value:
            wanted = "the name of a scenario that comes with netfed, a file, or a list of these"
            raise ScenarioError(f"{name.mark}: {EXTENDS}: expected {wanted}")
    return names


def _base(name: str, file: Path) -> Path:
    """Return the file that ``file`` means by a name.

    Raises:
        ScenarioError: There is none, or it lies outside the folder.
    """
    if name in (named := shipped()):
        return named[name]
    base = file.parent / name
    try:
        inside = base.resolve().is_relative_to(file.parent.resolve())
        there = inside and base.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, or a zero byte
        raise ScenarioError(f"{name[:64]!r} is no name of a file") from error
    if not inside:
        raise ScenarioError(f"{name} lies outside the folder of {file.name}")
    if inside and base.is_dir():
        raise ScenarioError(f"{name} is a folder; name a file")
    if not there:
        raise ScenarioError(f"{name}: no such file{_hint(name)}")
    return base


def _hint(name: str) -> str:
    named = shipped()
    return did_you_mean(name, named) or f" (scenarios that come with netfed: {', '.join(named)})"
