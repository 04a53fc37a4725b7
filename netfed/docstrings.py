"""What a docstring says of a class and of each of its attributes."""

from __future__ import annotations

import inspect
import re

_SECTION = re.compile(r"\n+(?:Args|Attributes|Raises|Returns):\n")
_ATTRIBUTES = re.compile(r"\n+Attributes:\n((?: .*\n?|\n)*)")
_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {8}.*)*)", re.MULTILINE)


def description(cls: type) -> str:
    """Return what is said of the class itself, before any section."""
    return _SECTION.split(inspect.cleandoc(cls.__doc__ or ""), maxsplit=1)[0]


def attributes(cls: type) -> dict[str, str]:
    """Return what is said of each attribute, in the class or in those that it inherits from, on one line."""
    said: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        section = _ATTRIBUTES.search(inspect.cleandoc(base.__doc__ or ""))
        if section:
            said |= {name: " ".join(text.split()) for name, text in _ATTRIBUTE.findall(section[1])}
    return said
