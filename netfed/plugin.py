"""Families of alternatives that a scenario names by ``kind:``.

A family is a direct subclass of `Plugin`; an alternative is a frozen dataclass that names its kind::

    class Codec(Plugin): ...

    @dataclass(frozen=True)
    class TopK(Codec, kind="topk"):
        fraction: Fraction

Its fields are the keys that a user writes; its docstring says what it models and cites its source. A field of any
other dataclass that is annotated ``codec: Codec`` then reads ``{kind: topk, fraction: 0.1}``, or the bare ``float32``
for ``{kind: float32}``. A mapping that names no kind is of the family's default kind, if it has one. A module that
defines plug-ins imports torch inside methods only, so that a scenario can be checked without torch.

Kinds of third parties have a dot in their name. ``acme.ring`` is looked for in the entry point ``acme`` of the group
``netfed.plugins``, a module that is imported only when a scenario names such a kind.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter, ValidationError
from pydantic_core import InitErrorDetails, core_schema
from pydantic_core.core_schema import CoreSchema

from netfed.spelling import did_you_mean

T = TypeVar("T")

STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
"""How every spec is read: no unknown keys, no type guessed from another, no infinities."""

_adapters: dict[type[Any], TypeAdapter[Any]] = {}
_being_described: set[type[Plugin]] = set()


class Plugin:
    """Base of every family.

    Attributes:
        lacks: Keys of other kinds that this one cannot have, and what to do instead.
    """

    lacks: ClassVar[dict[str, str]] = {}
    kind: ClassVar[str]
    kinds: ClassVar[dict[str, type[Plugin]]]
    default_kind: ClassVar[str | None]

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    def __init_subclass__(cls, kind: str | None = None, default: str | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if Plugin in cls.__bases__:
            cls.kinds, cls.default_kind = {}, default
        elif kind is not None:
            if kind in cls.kinds:
                raise TypeError(f"{cls.__name__}: kind {kind!r} is taken by {cls.kinds[kind].__name__}")
            cls.kind = kind
            cls.kinds[kind] = cls

    @classmethod
    def named(cls, kind: str) -> type[Plugin]:
        """Return the class of one kind of this family, importing the third party that a dotted name belongs to.

        Raises:
            ValueError: There is no such kind, or the third party's module cannot be imported.
        """
        party, dot, _ = kind.partition(".")
        if dot and kind not in cls.kinds:
            _import_party(party)
        if kind not in cls.kinds:
            raise ValueError(f"unknown kind {kind[:64]!r}" + (did_you_mean(kind, cls.kinds) or f" ({cls._choice()})"))
        return cls.kinds[kind]

    @classmethod
    def _choice(cls) -> str:
        return "kinds: " + ", ".join(sorted(cls.kinds))

    @classmethod
    def _read(cls, written: object) -> Plugin:
        if isinstance(written, cls):
            return written
        if isinstance(written, str):
            return read(cls.named(written), {})
        if not isinstance(written, dict):
            raise ValueError(f"expected a mapping with 'kind', or the name of a kind ({cls._choice()})")
        if "kind" not in written and cls.default_kind is None:
            raise ValueError(f"missing key 'kind' ({cls._choice()})")
        kind = written.get("kind", cls.default_kind)
        keys = {key: value for key, value in written.items() if key != "kind"}
        try:
            spec = cls.named(str(kind))
        except ValueError as error:
            at_kind = InitErrorDetails(type="value_error", loc=("kind",), input=kind, ctx={"error": error})
            raise ValidationError.from_exception_data(cls.__name__, [at_kind]) from error
        return read(spec, keys)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if Plugin not in cls.__bases__:
            return handler(source)
        return core_schema.no_info_plain_validator_function(
            cls._read, serialization=core_schema.plain_serializer_function_ser_schema(plain)
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        if Plugin not in cls.__bases__:
            return handler(schema)
        if cls in _being_described:
            return {"type": ["object", "string"]}  # a family inside itself is described once
        _being_described.add(cls)
        try:
            own = [_describe(spec, handler) for _, spec in sorted(cls.kinds.items())]
        finally:
            _being_described.remove(cls)
        third_party = {"type": "string", "pattern": r"\."}
        return {
            "anyOf": [*own, third_party, {"type": "object", "properties": {"kind": third_party}, "required": ["kind"]}]
        }


def read(spec: type[T], tree: object) -> T:
    """Build a spec from a plain tree of dicts, lists and scalars, as strictly as YAML 1.2 tells their types apart.

    Raises:
        pydantic.ValidationError: Names every place that is wrong by the keys that lead there.
    """
    # Strict reading takes a mapping for a dataclass, and a list for a tuple, from JSON only.
    value: T = _adapter(spec).validate_json(json.dumps(tree))
    return value


def write(spec: object) -> dict[str, Any]:
    """Return the plain tree that `read` turns into an equal spec, with every default in it and units on quantities."""
    tree: dict[str, Any] = _adapter(type(spec)).dump_python(spec, mode="json")
    return tree


def plain(alternative: Plugin) -> dict[str, Any]:
    """Return the plain tree of a plug-in, its kind first: what a scenario says, and what recipes are made of."""
    return {"kind": alternative.kind, **write(alternative)}


def _adapter(spec: type[Any]) -> TypeAdapter[Any]:
    if spec not in _adapters:
        if not getattr(getattr(spec, "__dataclass_params__", None), "frozen", False):
            raise TypeError(f"{spec.__module__}.{spec.__qualname__} must be a frozen dataclass")
        _adapters[spec] = TypeAdapter(spec)
    return _adapters[spec]


def _describe(spec: type[Plugin], handler: GetJsonSchemaHandler) -> dict[str, Any]:
    described = handler(_adapter(spec).core_schema)
    mapping = handler.resolve_ref_schema(described)
    kind = {"const": spec.kind, "description": mapping.get("description", "").partition("\n\n")[0]}
    mapping["properties"] = {"kind": kind} | mapping.get("properties", {})
    required = mapping.get("required", [])
    named = [] if spec.kind == spec.default_kind else ["kind"]
    mapping["required"] = [*named, *required]
    return described if required else {"anyOf": [described, {"const": spec.kind}]}


def _import_party(name: str) -> None:
    from importlib.metadata import entry_points

    entries = entry_points(group="netfed.plugins", name=name)
    if not entries:
        raise ValueError(f"no installed package provides {name!r} (entry point of the group netfed.plugins)")
    for entry in entries:
        try:
            entry.load()
        except Exception as error:
            raise ValueError(f"plug-in {name!r} cannot be imported: {type(error).__name__}: {error}") from error
