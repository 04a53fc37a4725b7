"""Which keys a spec's type admits where: its annotations, walked beside a tree."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from netfed.plugin import Plugin
from netfed.tree import KIND, Node


def keys(annotation: Any, kind: object = None) -> dict[str, Any]:
    """Return the keys of the mappings that a type admits, and the type of what stands under each.

    Args:
        annotation: Of a dataclass's field: any type.
        kind: What the mapping says under ``kind``. Of a family, the keys are those of this kind.
    """
    found: dict[str, Any] = {}
    for member in _members(annotation):
        if _is_family(member):
            found |= {KIND: str} | _of_kind(member, member.default_kind if kind is None else kind)
        elif is_dataclass(member):
            found |= _of_dataclass(member)
    return found


def inside(annotation: Any, step: str | int, kind: object = None) -> Any:
    """Return the type of what stands under a key or list index of what a type admits; `object` if none is known."""
    if step in (known := keys(annotation, kind)):
        return known[str(step)]
    for member in _members(annotation):
        if get_origin(member) in (tuple, list, dict):
            return get_args(member)[get_origin(member) is dict]
    return object


def lacking(annotation: Any, kind: object, key: str | int) -> str:
    """Return what to do instead of giving a mapping a key that its kind cannot have; empty if nobody knows."""
    families = [member for member in _members(annotation) if _is_family(member)] if isinstance(kind, str) else []
    return "".join(family.kinds[kind].lacks.get(key, "") for family in families if kind in family.kinds)


def spelled_out(annotation: Any, node: Node) -> Node:
    """Return the tree with each bare name of a kind as the mapping that it is short for: ``{kind: name}``."""
    if isinstance(node.value, str):
        members = _members(annotation)
        bare = any(map(_is_family, members)) and str not in members
        return Node({KIND: node}, node.mark) if bare else node
    if isinstance(node.value, list):
        return Node([spelled_out(inside(annotation, 0), item) for item in node.value], node.mark)
    if isinstance(node.value, dict):
        named = node.value.get(KIND)
        kind = named.value if named else None
        return Node(
            {key: spelled_out(inside(annotation, key, kind), child) for key, child in node.value.items()}, node.mark
        )
    return node


def _members(annotation: Any) -> list[Any]:
    """Return the members of a union; any other type is the only member of itself."""
    if get_origin(annotation) in (Union, UnionType):
        return [member for part in get_args(annotation) for member in _members(part)]
    return [annotation]


def _is_family(annotation: Any) -> bool:
    return isinstance(annotation, type) and Plugin in annotation.__bases__


def _of_kind(family: type[Plugin], kind: object) -> dict[str, Any]:
    try:
        return _of_dataclass(family.named(kind)) if isinstance(kind, str) else {}
    except ValueError:
        return {}


def _of_dataclass(spec: Any) -> dict[str, Any]:
    hints = _hints(spec)
    return {field.name: hints[field.name] for field in fields(spec)}


_hints = cache(get_type_hints)
