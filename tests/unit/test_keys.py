from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import pytest
from pydantic import Field

from netfed.document import read
from netfed.keys import inside, keys, lacking, spelled_out
from netfed.plugin import Plugin


class Codec(Plugin): ...


@dataclass(frozen=True)
class Plain(Codec, kind="plain"):
    lacks: ClassVar[dict[str, str]] = {"then": "take chain"}
    level: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True)
class Chain(Codec, kind="chain"):
    first: Codec
    then: Codec | None = None


@dataclass(frozen=True)
class Question:
    codec: Codec
    name: str = ""
    either: str | Codec = ""
    many: tuple[Codec, ...] = ()
    named: dict[str, Codec] | None = None


def test_keys_are_those_of_the_dataclass_or_of_the_kind() -> None:
    assert list(keys(Question)) == ["codec", "name", "either", "many", "named"]
    assert list(keys(Codec, "chain")) == ["kind", "first", "then"]
    assert list(keys(Codec | None, "plain")) == ["kind", "level"]
    assert list(keys(Codec)) == list(keys(Codec, "zip")) == list(keys(Codec, 3)) == ["kind"]
    assert keys(int) == keys(dict[str, Codec]) == {}


def test_what_is_inside_has_a_type_where_one_is_known() -> None:
    assert inside(Question, "codec") is Codec
    assert inside(tuple[Codec, ...], 3) is Codec
    assert inside(dict[str, Codec] | None, "any") is Codec
    assert inside(Question, "no key") is object
    assert inside(Codec, "level", "plain") is int


def test_a_kind_says_what_to_do_without_a_key_of_others() -> None:
    assert lacking(Codec | None, "plain", "then") == "take chain"
    assert lacking(Codec, "plain", "x") == lacking(Codec, "chain", "then") == lacking(Codec, ["plain"], "then") == ""
    assert lacking(int, "plain", 0) == ""


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("codec: plain", {"codec": {"kind": "plain"}}),
        ("codec: {kind: chain, first: plain}", {"codec": {"kind": "chain", "first": {"kind": "plain"}}}),
        ("codec: {kind: chain, then: zip}", {"codec": {"kind": "chain", "then": {"kind": "zip"}}}),
        ("many: [plain, {kind: plain}]", {"many": [{"kind": "plain"}, {"kind": "plain"}]}),
        ("named: {a: plain}", {"named": {"a": {"kind": "plain"}}}),
        ("codec: {first: plain}", {"codec": {"first": "plain"}}),
        ("codec: {kind: zip, first: plain}", {"codec": {"kind": "zip", "first": "plain"}}),
        ("name: plain", {"name": "plain"}),
        ("either: plain", {"either": "plain"}),
        ("many: plain", {"many": "plain"}),
        ("unknown: {codec: plain}", {"unknown": {"codec": "plain"}}),
        ("codec: 3", {"codec": 3}),
        ("plain", "plain"),
    ],
)
def test_a_bare_name_of_a_kind_is_spelled_out(written: str, meant: object) -> None:
    assert spelled_out(Question, read(written, "s.yaml")).plain() == meant


def test_what_is_spelled_out_stands_where_it_stood() -> None:
    root = spelled_out(Question, read("name: x\ncodec: plain\n", "s.yaml"))
    assert str(root.position(("codec", "kind"))) == "s.yaml:2:1"


class Shape(Plugin, default="round"): ...


@dataclass(frozen=True)
class Round(Shape, kind="round"):
    lid: Codec | None = None


@dataclass(frozen=True)
class Square(Shape, kind="square"):
    side: int


def test_a_mapping_that_names_no_kind_has_the_keys_of_the_default_kind() -> None:
    assert list(keys(Shape)) == ["kind", "lid"]
    assert list(keys(Shape, "square")) == ["kind", "side"]
    assert spelled_out(Shape, read("{lid: plain}", "s")).plain() == {"lid": {"kind": "plain"}}
    assert spelled_out(Shape, read("square", "s")).plain() == {"kind": "square"}
