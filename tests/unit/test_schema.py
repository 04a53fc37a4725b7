from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import reduce
from typing import Annotated, Any, ClassVar

import pytest
from pydantic import ConfigDict, Field

from netfed.document import read
from netfed.plugin import STRICT, Plugin
from netfed.scenario import Scenario, json_schema, load, resolved
from netfed.schema import describe
from netfed.sources import preset, shipped
from netfed.units import Fraction, Seconds

KEYWORDS = {
    "$schema", "$defs", "$ref", "if", "then", "else", "anyOf", "properties", "required", "additionalProperties",
    "items", "prefixItems", "const", "enum", "type", "pattern", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "minLength", "maxLength", "minItems", "maxItems", "title", "description", "default", "examples",
}  # fmt: skip
TYPES = {
    "object": dict, "array": list, "string": str, "number": int | float, "integer": int, "boolean": bool,
    "null": type(None),
}  # fmt: skip
OF_SCHEMAS = ("$defs", "properties")


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield a schema and every schema in it, of those keywords that netfed's use."""
    if isinstance(schema, bool):
        return
    yield schema
    inner = [schema[key] for key in ("if", "then", "else", "items", "additionalProperties") if key in schema]
    lists = [*schema.get("anyOf", []), *schema.get("prefixItems", [])]
    for part in [*inner, *lists, *(s for key in OF_SCHEMAS for s in schema.get(key, {}).values())]:
        yield from parts(part)


def referred(root: dict[str, Any], reference: str) -> Any:
    """Return what a reference leads to."""
    _, *steps = reference.split("/")
    return reduce(lambda part, step: part[step], steps, root)


def admits(schema: Any, value: Any, root: dict[str, Any]) -> bool:
    """Whether a value is valid, by those keywords of draft 2020-12 that netfed's schemas use."""
    if isinstance(schema, bool):
        return schema

    def ok(part: Any, what: Any = value) -> bool:
        return admits(part, what, root)

    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    number = isinstance(value, int | float) and not isinstance(value, bool)
    checks = [
        not kinds
        or any(isinstance(value, TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool)) for kind in kinds),
        "$ref" not in schema or ok(referred(root, schema["$ref"])),
        "anyOf" not in schema or any(map(ok, schema["anyOf"])),
        "if" not in schema or ok(schema["then" if ok(schema["if"]) else "else"]),
        "const" not in schema
        or (value == schema["const"] and isinstance(value, bool) == isinstance(schema["const"], bool)),
        "enum" not in schema or value in schema["enum"],
        not number or schema.get("minimum", value) <= value <= schema.get("maximum", value),
        not number or schema.get("exclusiveMinimum", value - 1) < value < schema.get("exclusiveMaximum", value + 1),
        not isinstance(value, str) or bool(re.search(schema.get("pattern", ""), value)),
    ]
    if isinstance(value, list):
        first = schema.get("prefixItems", [])
        checks += [ok(part, item) for part, item in zip(first, value, strict=False)]
        checks += [ok(schema.get("items", True), item) for item in value[len(first) :]]
        checks.append(schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)))
    if isinstance(value, dict):
        known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        checks += [ok(known.get(key, others), item) for key, item in value.items()]
        checks += [key in value for key in schema.get("required", [])]
    return all(checks)


@pytest.fixture(scope="module")
def schema() -> dict[str, Any]:
    return json.loads(json.dumps(json_schema()))


def test_it_is_made_of_keywords_of_the_draft_and_its_references_lead_somewhere(schema: dict[str, Any]) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for part in parts(schema):
        assert set(part) <= KEYWORDS
        assert isinstance(referred(schema, part.get("$ref", "#")), dict)
        assert re.compile(part.get("pattern", ""))
        assert isinstance(part.get("description", ""), str)
        assert isinstance(part.get("required", []), list)


def test_every_key_of_every_spec_of_netfed_is_described_in_words(schema: dict[str, Any]) -> None:
    assert set(schema["else"]["properties"]) == {key.name for key in fields(Scenario)} | {"extends", "short"}
    assert "\n" not in schema["$defs"]["Scenario"]["properties"]["references"]["description"]
    silent = [
        f"{part['title']}.{key}"
        for part in parts(schema)
        if "title" in part
        for key, described in part.get("properties", {}).items()
        if not referred(schema, described.get("$ref", "#")).get("description") and "description" not in described
    ]
    assert not set(silent) - {"Dropout.download", "Dropout.compute", "Dropout.upload"}


def every_kind() -> list[type[Plugin]]:
    families = [family for family in Plugin.__subclasses__() if family.__module__.startswith("netfed.")]
    return [spec for family in families for spec in family.kinds.values() if spec.__module__.startswith("netfed.")]


@pytest.mark.parametrize("spec", every_kind(), ids=lambda spec: spec.__qualname__)
def test_every_kind_is_a_constant_with_a_description(schema: dict[str, Any], spec: type[Plugin]) -> None:
    kinds = [part["properties"]["kind"] for part in parts(schema) if "kind" in part.get("properties", {})]
    assert any(kind.get("const") == spec.kind and kind["description"] for kind in kinds)


@pytest.mark.parametrize("name", shipped())
def test_what_is_valid_is_admitted(schema: dict[str, Any], name: str) -> None:
    assert admits(schema, read(preset(name), name).plain(), schema)
    assert admits(schema, read(resolved(load(name)), name).plain(), schema)


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("extends: quickstart\nscheme: {rounds: 3}\nshort: {devices: {count: 3}}\n", True),
        ("extends: [quickstart, mine.yaml]\nscheme: {kind: acme.patient, x: 3}\n", True),
        ("extends: quickstart\nnetwork: {uplink: {rate: 3 Mbit/s}}\n", True),
        ("extends: quickstart\nnetwork: {uplink: {rate: 3 Mbps}}\n", False),
        ("extends: quickstart\nscheme: {ronds: 3}\n", False),
        ("extends: quickstart\nscheme: {kind: fedbuff, rounds: 3}\n", False),
        ("extends: quickstart\nshort: {devices: {count: x}}\n", False),
        ("extends: quickstart\nshort: {extends: minimal}\n", False),
        ("extends: quickstart\nnmae: x\n", False),
        ("extends: 3\n", False),
        ("extends: [3]\n", False),
        ("netfed: 1\nname: x\n", False),
    ],
)
def test_parts_are_admitted_over_another_file_only(schema: dict[str, Any], text: str, valid: bool) -> None:
    assert admits(schema, read(text, "mine.yaml").plain(), schema) is valid


class Codec(Plugin): ...


@dataclass(frozen=True)
class Plain(Codec, kind="plain"):
    """As it is."""


@dataclass(frozen=True)
class TopK(Codec, kind="topk"):
    """The largest entries.

    As in a paper.

    Attributes:
        fraction: How many of
            them.
    """

    fraction: Fraction
    then: Codec = field(default_factory=Plain)


@dataclass(frozen=True)
class Question:
    """What is asked.

    Attributes:
        codec: How updates are written.
        deadline: Of a round.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    codec: Codec
    deadline: Seconds = 0.25
    others: Annotated[tuple[Codec, ...], Field(description="Others.")] = (TopK(0.5),)


def test_docstrings_and_defaults_are_what_a_user_reads_and_writes() -> None:
    schema = describe(Question)
    assert schema["description"] == "What is asked."
    assert schema["properties"]["codec"]["description"] == "How updates are written."
    assert schema["properties"]["deadline"]["description"] == "Of a round."
    assert schema["properties"]["deadline"]["default"] == "250 ms"
    assert schema["properties"]["others"]["description"] == "Others."
    assert schema["properties"]["others"]["default"] == [{"kind": "topk", "fraction": 0.5, "then": {"kind": "plain"}}]
    assert schema["required"] == ["codec"]
    assert describe(Question) == schema


def test_a_kind_is_named_in_its_mapping_and_alone_if_nothing_else_is_required() -> None:
    schema = describe(Question)
    by_kind = {
        part["properties"]["kind"].get("const"): part for part in parts(schema) if "kind" in part.get("properties", {})
    }
    assert by_kind["topk"]["required"] == ["kind", "fraction"]
    assert by_kind["topk"]["properties"]["kind"]["description"] == "The largest entries."
    assert by_kind["topk"]["properties"]["fraction"]["description"] == "How many of them."
    assert by_kind["plain"]["required"] == ["kind"]
    assert by_kind["plain"]["additionalProperties"] is False
    assert [admits(schema, {"codec": name}, schema) for name in ("plain", "topk", "acme.x", "zip")] == [
        True,
        False,
        True,
        False,
    ]
