from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import ConfigDict, Field

from netfed.plugin import STRICT, Plugin
from netfed.units import BitsPerSecond, Fraction, Seconds
from netfed.validation import Problem, SpecError, validate


class Scheme(Plugin): ...


@dataclass(frozen=True)
class Rounds(Scheme, kind="rounds"):
    rounds: Annotated[int, Field(ge=1, lt=1_000_000)]
    deadline: Seconds | None = None
    inner: Scheme | None = None


@dataclass(frozen=True)
class Link:
    rate: BitsPerSecond
    loss: Fraction = 0.0

    def __post_init__(self) -> None:
        if self.rate == 0 and self.loss == 1:
            raise ValueError("rate 0 and loss 1 together are no link")


@dataclass(frozen=True)
class Question:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    scheme: Scheme = Rounds(1)
    links: dict[str, Link] = field(default_factory=dict)
    cells: tuple[Link, ...] = ()
    profile: str | dict[str, Fraction] = "phone"
    weight: float | dict[float, Fraction] = 1.0
    name: Annotated[str, Field(pattern="^[a-z]+$")] = "a"
    lazy: bool = True
    spread: Annotated[float, Field(gt=0)] = 1.0
    mode: Literal["fast", "slow"] = "fast"
    uplink: Link | None = None


def problems(**tree: object) -> list[tuple[str, str]]:
    with pytest.raises(SpecError) as refusal:
        validate(Question, tree)
    return [(".".join(map(str, path)), message) for path, message, _ in refusal.value.problems]


def test_a_right_tree_is_a_spec() -> None:
    question = validate(Question, {"links": {"a": {"rate": "1 Mbit/s"}}, "profile": {"phone": 0.5}})
    assert question == Question(links={"a": Link(1e6)}, profile={"phone": 0.5})


@pytest.mark.parametrize(
    ("tree", "path", "message"),
    [
        ({"lazy": 1}, "lazy", "expected true or false, not 1"),
        ({"name": 1}, "name", "expected text, not 1"),
        ({"name": "A"}, "name", "expected text that matches ^[a-z]+$, not 'A'"),
        ({"spread": "x" * 99}, "spread", "expected a number, not '" + "x" * 39),
        ({"spread": None}, "spread", "expected a number, not null"),
        ({"spread": 0}, "spread", "expected more than 0, not 0"),
        ({"spread": float("inf")}, "spread", "expected a finite number"),
        ({"mode": "fats"}, "mode", "expected 'fast' or 'slow', not 'fats'"),
        ({"cells": {}}, "cells", "expected a list, not a mapping"),
        ({"links": []}, "links", "expected a mapping, not a list"),
        ({"uplink": 3}, "uplink", "expected a mapping, not 3"),
        ({"cells": [{"rate": "1 bit/s"}, {}]}, "cells.1.rate", "missing key"),
        ({"cells": [{"rate": "1 bit/s", "los": 0}]}, "cells.0.los", "unknown key, did you mean 'loss'?"),
        ({"links": {"a": {"rate": 0, "rte": 0}}}, "links.a.rte", "unknown key, did you mean 'rate'?"),
        ({"uplink": {"rate": 0, "rte": 0}}, "uplink.rte", "unknown key, did you mean 'rate'?"),
        ({"uplink": {"rate": 0, "zz": 0}}, "uplink.zz", "unknown key (keys: rate, loss)"),
        ({"uplink": {"rate": 0, "loss": 1}}, "uplink", "rate 0 and loss 1 together are no link"),
        ({"scheme": "rounds"}, "scheme.rounds", "missing key"),
        ({"scheme": {"kind": "rounds", "rounds": 0}}, "scheme.rounds", "expected 1 or more, not 0"),
        ({"scheme": {"kind": "rounds", "rounds": 10**6}}, "scheme.rounds", "expected less than 1000000, not 1000000"),
        (
            {"scheme": {"kind": "rounds", "rounds": 1, "inner": {"kind": "rounds", "rounds": 2, "dedline": 0}}},
            "scheme.inner.dedline",
            "unknown key, did you mean 'deadline'?",
        ),
        ({"scheme": {"kind": "rounds", "rounds": 1, "kin": 0}}, "scheme.kin", "unknown key, did you mean 'kind'?"),
        ({"profile": 3}, "profile", "expected text, not 3, or expected a mapping, not 3"),
        ({"profile": {"phone": 2}}, "profile.phone", "expected 1 or less, not 2"),
        ({"weight": {"x": 1}}, "weight.x", "expected a number, not 'x'"),
        ({"weight": {"1": 2}}, "weight.1", "expected 1 or less, not 2"),
        ({"weight": "x"}, "weight", "expected a number, not 'x', or expected a mapping, not 'x'"),
        (
            {"rouds": 1},
            "rouds",
            "unknown key (keys: scheme, links, cells, profile, weight, name, lazy, spread, mode, uplink)",
        ),
    ],
)
def test_each_mistake_is_told_in_the_users_words(tree: dict[str, object], path: str, message: str) -> None:
    assert problems(**tree) == [(path, message)]


def test_a_tree_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(SpecError) as refusal:
        validate(Question, None)
    assert refusal.value.problems == [Problem((), "expected a mapping, not null")]


def test_all_mistakes_are_told_up_to_a_hundred() -> None:
    assert [path for path, _ in problems(lazy=1, name=1, uplink={"loss": 2})] == [
        "name", "lazy", "uplink.rate", "uplink.loss",
    ]  # fmt: skip
    assert len(problems(**{f"key{i}": 0 for i in range(1000)})) == 100
