"""The JSON Schema (draft 2020-12) of specs, for editors: what docstrings say is what an editor shows."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any, get_type_hints

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DataclassSchema

from netfed.docstrings import attributes, description

_PART = ".part"


def describe(spec: type[Any]) -> dict[str, Any]:
    """Return the JSON Schema of a spec's plain tree. Third parties' kinds are let through unseen."""
    return TypeAdapter(spec).json_schema(schema_generator=_Documented)


def of_documents(spec: type[Any], extends: str, short: str) -> dict[str, Any]:
    """Return the JSON Schema of documents. One that extends others, and the short form, need say only a part.

    Args:
        spec: Of a whole document.
        extends: The key under which a document names what it is written over.
        short: The key under which it says what its short form changes.
    """
    whole = describe(spec)
    definitions = whole.pop("$defs") | {spec.__name__: whole}
    parts = {name + _PART: _in_part(definition) for name, definition in definitions.items()}
    keys = {
        extends: {
            "description": "What this file is written over: a scenario that comes with netfed, a file, or a list.",
            "type": ["string", "array"],
            "items": {"type": "string"},
        },
        short: {"description": f"What --{short} changes.", "$ref": f"#/$defs/{spec.__name__}{_PART}"},
    }
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "if": {"required": [extends]},
        "then": _document(spec.__name__ + _PART, parts[spec.__name__ + _PART], keys),
        "else": _document(spec.__name__, whole, keys),
        "$defs": definitions | parts,
    }


def _document(name: str, schema: dict[str, Any], keys: dict[str, Any]) -> dict[str, Any]:
    """Return what a definition describes, with more keys."""
    known = {key: {"$ref": f"#/$defs/{name}/properties/{key}"} for key in schema["properties"]}
    return schema | {"properties": known | keys}


def _in_part(schema: Any) -> Any:
    """Return the schema of a part of what a schema describes: keys that netfed knows need not be there."""
    if isinstance(schema, list):
        return [_in_part(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value + _PART if key == "$ref" else _in_part(value)
        for key, value in schema.items()
        if key != "required" or schema.get("additionalProperties") is not False
    }


class _Documented(GenerateJsonSchema):
    """Describes each dataclass, and each of its fields, by its docstring; writes defaults as a user would."""

    def dataclass_schema(self, schema: DataclassSchema) -> JsonSchemaValue:
        described = super().dataclass_schema(schema)
        spec = schema["cls"]
        described["description"] = description(spec)
        said, hints = attributes(spec), get_type_hints(spec, include_extras=True)
        for field in fields(spec):
            key = described["properties"][field.name]
            if field.name in said:
                key["description"] = said[field.name]
            default = field.default if field.default_factory is MISSING else field.default_factory()
            if default is not MISSING:
                key["default"] = TypeAdapter(hints[field.name]).dump_python(default, mode="json")
        return described
