from __future__ import annotations

import sys
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import pytest
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from netfed.plugin import STRICT, Plugin, read, write
from netfed.units import Fraction, Seconds


class Codec(Plugin): ...


class Sampler(Plugin): ...


@dataclass(frozen=True)
class Float32(Codec, kind="float32"): ...


@dataclass(frozen=True)
class TopK(Codec, kind="topk"):
    fraction: Fraction
    then: Codec = field(default_factory=Float32)


@dataclass(frozen=True)
class Uniform(Sampler, kind="uniform"):
    size: Annotated[int, Field(ge=1)] = 1


@dataclass(frozen=True)
class Link:
    latency: Seconds = 0.0
    on: bool = True


@dataclass(frozen=True)
class Question:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    codec: Codec
    codecs: tuple[Codec, ...] = ()
    sampler: Sampler | None = None
    link: Link = field(default_factory=Link)
    rounds: int = 1
    rate: float = 1.0


def ask(**keys: object) -> Question:
    return read(Question, {"codec": "float32"} | keys)


def errors(**keys: object) -> dict[tuple[str | int, ...], str]:
    with pytest.raises(ValidationError) as refusal:
        ask(**keys)
    return {error["loc"]: error["msg"].removeprefix("Value error, ") for error in refusal.value.errors()}


def test_a_kind_is_a_mapping_or_its_name_alone() -> None:
    assert ask(codec={"kind": "topk", "fraction": 0.1}).codec == TopK(0.1)
    assert ask(codec={"kind": "float32"}).codec == Float32()
    assert ask(codec="float32").codec == Float32()


def test_kinds_nest() -> None:
    inner = {"kind": "topk", "fraction": 0.2}
    assert ask(codec={"kind": "topk", "fraction": 0.1, "then": inner}).codec == TopK(0.1, TopK(0.2))
    assert ask(codecs=["float32", inner]).codecs == (Float32(), TopK(0.2))


def test_a_family_may_be_optional() -> None:
    assert ask(sampler=None).sampler is None
    assert ask(sampler={"kind": "uniform", "size": 3}).sampler == Uniform(3)


class Pace(Plugin, default="steady"): ...


@dataclass(frozen=True)
class Steady(Pace, kind="steady"):
    rate: int


@dataclass(frozen=True)
class Walk:
    pace: Pace


def test_a_mapping_that_names_no_kind_is_of_the_familys_default_kind() -> None:
    assert read(Walk, {"pace": {"rate": 3}}) == read(Walk, {"pace": {"kind": "steady", "rate": 3}}) == Walk(Steady(3))
    assert write(Walk(Steady(3))) == {"pace": {"kind": "steady", "rate": 3}}
    with pytest.raises(ValidationError, match="unknown kind 'None'"):
        read(Walk, {"pace": {"kind": None, "rate": 3}})


def test_an_instance_is_taken_as_it_is() -> None:
    codec = TopK(0.1)
    assert TypeAdapter(Codec).validate_python(codec) is codec


@pytest.mark.parametrize(
    ("codec", "location", "message"),
    [
        ({"kind": "topc", "fraction": 0.1}, ("codec", "kind"), "unknown kind 'topc', did you mean 'topk'?"),
        ({"kind": "zip"}, ("codec", "kind"), "unknown kind 'zip' (kinds: float32, topk)"),
        ({"kind": 3}, ("codec", "kind"), "unknown kind '3' (kinds: float32, topk)"),
        ({"kind": "uniform"}, ("codec", "kind"), "unknown kind 'uniform' (kinds: float32, topk)"),
        ("flot32", ("codec",), "unknown kind 'flot32', did you mean 'float32'?"),
        ({"fraction": 0.1}, ("codec",), "missing key 'kind' (kinds: float32, topk)"),
        (3, ("codec",), "expected a mapping with 'kind', or the name of a kind (kinds: float32, topk)"),
        (None, ("codec",), "expected a mapping with 'kind', or the name of a kind (kinds: float32, topk)"),
        ("topk", ("codec", "fraction"), "Field required"),
        ({"kind": "topk", "fraction": 0.1, "k": 3}, ("codec", "k"), "Unexpected keyword argument"),
        ({"kind": "topk", "fraction": 2}, ("codec", "fraction"), "Input should be less than or equal to 1"),
        (
            {"kind": "topk", "fraction": 0.1, "then": {"kind": "topk", "fraction": "x"}},
            ("codec", "then", "fraction"),
            "Input should be a valid number",
        ),
    ],
)
def test_a_wrong_kind_is_named_at_the_users_path(codec: object, location: tuple[str, ...], message: str) -> None:
    assert errors(codec=codec) == {location: message}


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("rounds", "3"),
        ("rounds", True),
        ("rounds", 3.0),
        ("rounds", None),
        ("rate", "1.5"),
        ("rate", True),
        ("rate", float("inf")),
        ("rate", float("nan")),
        ("codecs", "float32"),
    ],
)
def test_no_type_is_guessed_from_another(key: str, wrong: object) -> None:
    assert list(errors(**{key: wrong})) == [(key,)]


def test_strictness_and_unknown_keys_reach_nested_dataclasses() -> None:
    assert set(errors(link={"on": 1, "latncy": 0})) == {("link", "on"), ("link", "latncy")}


def test_an_integer_will_do_for_a_float() -> None:
    rate = ask(rate=2).rate
    assert rate == 2.0
    assert isinstance(rate, float)


def test_writing_is_the_inverse_of_reading_with_every_default() -> None:
    question = ask(codec={"kind": "topk", "fraction": 0.1}, sampler="uniform", link={"latency": "5 ms"})
    tree = write(question)
    assert tree == {
        "codec": {"kind": "topk", "fraction": 0.1, "then": {"kind": "float32"}},
        "codecs": [],
        "sampler": {"kind": "uniform", "size": 1},
        "link": {"latency": "5 ms", "on": True},
        "rounds": 1,
        "rate": 1.0,
    }
    assert read(Question, tree) == question


def test_what_is_read_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        ask(codec={"kind": "topk", "fraction": 0.1}).codec.fraction = 0.2  # type: ignore[attr-defined]


def test_a_kind_that_is_not_frozen_is_our_mistake() -> None:
    class Family(Plugin): ...

    @dataclass
    class Loose(Family, kind="loose"): ...

    class Bare(Family, kind="bare"): ...

    for kind in ("loose", "bare"):
        with pytest.raises(TypeError, match="must be a frozen dataclass"):
            TypeAdapter(Family).validate_python(kind)


def test_a_kind_is_taken_once_in_a_family() -> None:
    class Family(Plugin): ...

    class First(Family, kind="one"): ...

    with pytest.raises(TypeError, match="kind 'one' is taken by First"):

        class Second(Family, kind="one"): ...

    class Other(Sampler, kind="topk"): ...

    assert Sampler.kinds["topk"] is Other
    del Sampler.kinds["topk"]


ACME = """
from __future__ import annotations
from dataclasses import dataclass
from {tests} import Sampler

@dataclass(frozen=True)
class Ring(Sampler, kind="acme.ring"):
    hops: int = 2
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of installed packages with the entry points ``acme`` and ``broken``."""
    folder = tmp_path / "acme-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[netfed.plugins]\nacme = acme_netfed\nbroken = broken_netfed\n")
    (tmp_path / "acme_netfed.py").write_text(ACME.format(tests=__name__))
    (tmp_path / "broken_netfed.py").write_text("import not_installed_anywhere")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("acme_netfed", None)
    Sampler.kinds.pop("acme.ring", None)


def test_a_third_party_is_imported_when_its_kind_is_met(site: Path) -> None:
    ask(sampler="uniform")
    assert "acme_netfed" not in sys.modules
    sampler = ask(sampler={"kind": "acme.ring", "hops": 3}).sampler
    assert write(ask(sampler="acme.ring"))["sampler"] == {"kind": "acme.ring", "hops": 2}
    assert sampler.kind == "acme.ring"
    assert sampler.hops == 3


def test_a_third_party_that_is_not_there_is_named(site: Path) -> None:
    assert "no installed package provides 'nobody'" in errors(sampler={"kind": "nobody.x"})["sampler", "kind"]
    assert (
        errors(sampler={"kind": "acme.rnig"})["sampler", "kind"]
        == "unknown kind 'acme.rnig', did you mean 'acme.ring'?"
    )


def test_a_third_party_that_fails_to_import_says_why(site: Path) -> None:
    (message,) = errors(sampler="broken.x").values()
    assert message == (
        "plug-in 'broken' cannot be imported: ModuleNotFoundError: No module named 'not_installed_anywhere'"
    )
