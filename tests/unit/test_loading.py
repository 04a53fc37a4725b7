from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import pytest
from pydantic import ConfigDict, Field

from netfed.document import read, write
from netfed.errors import ScenarioError
from netfed.loading import Override, interpret, merge
from netfed.plugin import STRICT, Plugin
from netfed.units import Seconds


class Scheme(Plugin): ...


@dataclass(frozen=True)
class FedAvg(Scheme, kind="fedavg"):
    rounds: Annotated[int, Field(ge=1)]
    cohort: Annotated[int, Field(ge=1)] = 1
    deadline: Seconds | None = None


@dataclass(frozen=True)
class FedBuff(Scheme, kind="fedbuff"):
    buffer: Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class Link:
    latency: Seconds = 0.0


@dataclass(frozen=True)
class Question:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    scheme: Scheme
    devices: int = 10
    links: tuple[Link, ...] = ()
    uplink: Link = field(default_factory=Link)

    def __post_init__(self) -> None:
        if isinstance(self.scheme, FedAvg) and self.scheme.cohort > self.devices:
            raise ValueError(f"scheme.cohort ({self.scheme.cohort}) is more than devices ({self.devices})")


TEXT = """\
scheme: {kind: fedavg, rounds: 30, cohort: 3}
devices: 10
links:
  - latency: 5 ms
  - latency: 7 ms
short:
  scheme:
    rounds: 2
  devices: 5
"""


def load(text: str = TEXT, *sets: str, short: bool = False) -> Question:
    overrides = [Override(f"--set {assignment}", assignment) for assignment in sets]
    return interpret(Question, read(text, "s.yaml"), overrides, short=short)


def mistakes(text: str = TEXT, *sets: str, short: bool = False) -> list[str]:
    with pytest.raises(ScenarioError) as refusal:
        load(text, *sets, short=short)
    return list(refusal.value.lines)


def test_the_short_form_is_merged_in_when_asked() -> None:
    links = (Link(0.005), Link(0.007))
    assert load() == Question(FedAvg(30, 3), 10, links)
    assert load(short=True) == Question(FedAvg(2, 3), 5, links)


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        ("a: {b: 1, c: 2}", "a: {b: 3}", {"a": {"b": 3, "c": 2}}),
        ("a: {kind: x, b: 1}", "a: {kind: x, c: 2}", {"a": {"kind": "x", "b": 1, "c": 2}}),
        ("a: {kind: x, b: 1}", "a: {kind: y, c: 2}", {"a": {"kind": "y", "c": 2}}),
        ("a: {b: 1}", "a: {kind: y}", {"a": {"kind": "y"}}),
        ("a: x", "a: {kind: x, b: 1}", {"a": {"kind": "x", "b": 1}}),
        ("a: {b: {kind: x, d: 1}}", "a: {b: {kind: y}}", {"a": {"b": {"kind": "y"}}}),
        ("a: [1, 2]", "a: [3]", {"a": [3]}),
        ("a: {b: 1}", "a: null", {"a": None}),
        ("a: 1", "b: {c: 2}", {"a": 1, "b": {"c": 2}}),
    ],
)
def test_overrides_merge_mapping_by_mapping_unless_the_kind_is_another(base: str, over: str, merged: object) -> None:
    one, other = read(base, "base"), read(over, "over")
    assert merge(one, other).plain() == merged
    assert write(one.plain()) == write(read(base, "base").plain()), "nothing is changed in place"


def test_all_mistakes_come_at_once_in_the_order_of_the_file() -> None:
    text = TEXT.replace("cohort: 3", "cohrt: 3").replace("7 ms", "7 mss").replace("rounds: 2", "rounds: x")
    assert mistakes(text + "zz: 1\n", "devices=x", short=True) == [
        "s.yaml:1:36: scheme.cohrt: unknown key, did you mean 'cohort'?",
        "s.yaml:5:5: links.1.latency: unknown unit 'mss', did you mean 'ms'?",
        "s.yaml:8:5: short.scheme.rounds: expected an integer, not 'x'",
        "s.yaml:10:1: zz: unknown key (keys: scheme, devices, links, uplink)",
        "--set devices=x: devices: expected an integer, not 'x'",
    ]


def test_a_missing_key_is_shown_where_it_is_missing() -> None:
    assert mistakes("devices: 3\nscheme:\n  kind: fedavg\n") == ["s.yaml:2:1: scheme.rounds: missing key"]
    assert mistakes("devices: 3\n") == ["s.yaml:1:1: scheme: missing key"]


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize(
    ("brief", "lines"),
    [
        ("short: {devices: x}", ["s.yaml:3:9: short.devices: expected an integer, not 'x'"]),
        ("short: {devics: 1}", ["s.yaml:3:9: short.devics: unknown key, did you mean 'devices'?"]),
        ("short: {scheme: {kind: fedbuff}}", ["s.yaml:3:9: short.scheme.buffer: missing key"]),
        (
            "short: {scheme: {kind: fedbuf}}",
            ["s.yaml:3:18: short.scheme.kind: unknown kind 'fedbuf', did you mean 'fedbuff'?"],
        ),
        ("short: {devices: 2}", ["s.yaml:3:1: short: scheme.cohort (3) is more than devices (2)"]),
        ("short: 3", ["s.yaml:3:1: short: expected a mapping of overrides"]),
        ("short:", ["s.yaml:3:1: short: expected a mapping of overrides"]),
    ],
)
def test_a_wrong_short_form_is_wrong_even_where_it_is_not_asked_for(brief: str, lines: list[str], short: bool) -> None:
    text = f"scheme: {{kind: fedavg, rounds: 30, cohort: 3}}\ndevices: 10\n{brief}\n"
    assert mistakes(text, short=short) == lines


def test_a_mistake_of_the_whole_is_told_once_though_the_short_form_has_it_too() -> None:
    assert mistakes(TEXT.replace("cohort: 3", "cohort: 30")) == [
        "s.yaml:1:1: scheme.cohort (30) is more than devices (10)",
        "s.yaml:6:1: short: scheme.cohort (30) is more than devices (5)",
    ]
    assert mistakes(TEXT.replace("cohort: 3", "cohort: 0")) == ["s.yaml:1:36: scheme.cohort: expected 1 or more, not 0"]


def test_overrides_win_over_the_short_form() -> None:
    sets = ("scheme.rounds=7", "links.1.latency=1 s", "uplink.latency=2 s")
    for short in (False, True):
        loaded = load(TEXT, *sets, short=short)
        assert loaded.scheme == FedAvg(7, 3)
        assert loaded.links == (Link(0.005), Link(1.0))
        assert loaded.uplink == Link(2.0)


def test_an_override_need_suit_only_the_form_that_is_asked_for() -> None:
    text = TEXT.replace("  scheme:\n    rounds: 2\n", "  scheme: {kind: fedbuff, buffer: 1}\n")
    assert load(text, "scheme.rounds=7").scheme == FedAvg(7, 3)
    assert load(text, "scheme.buffer=7", short=True).scheme == FedBuff(7)
    assert load(text, "devices=4", short=False).devices == 4
    assert mistakes(text, "scheme.rounds=7", short=True) == [
        "--set scheme.rounds=7: scheme.rounds: unknown key (keys: kind, buffer)"
    ]
    assert mistakes(text.replace("buffer: 1", "buffer: 0"), "devices=x", short=True) == [
        "s.yaml:7:27: short.scheme.buffer: expected 1 or more, not 0",
        "--set devices=x: devices: expected an integer, not 'x'",
    ]


def test_the_value_of_an_override_is_yaml_and_replaces_all_that_was_there() -> None:
    assert load(TEXT, "scheme={kind: fedbuff, buffer: 2}").scheme == FedBuff(2)
    assert load(TEXT, "links=[]").links == ()
    assert load(TEXT, "scheme.deadline=3 s", "scheme.deadline=").scheme == FedAvg(30, 3)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("devices", "write KEY=VALUE"),
        ("devices=[1,", "expected the node content, but found '<stream end>'"),
        ("devices=*x", "anchors and aliases (&x, *x) are not allowed"),
        ("links.2.latency=1 s", "'2' is no index of a list of 2"),
        ("links.-1.latency=1 s", "'-1' is no index of a list of 2"),
        ("links.x=1", "'x' is no index of a list of 2"),
        ("devices.x=1", "'x' leads into 10, which has no keys"),
        ("devcies=1", "devcies: unknown key, did you mean 'devices'?"),
        ("links.0.latency=1", "links.0.latency: unit missing: write e.g. '5 ms' (units: ns, us, ms, s, min, h)"),
        ("scheme={kind: fedbuff, bufer: 1}", "scheme.bufer: unknown key, did you mean 'buffer'?"),
        ("=1", "write KEY=VALUE"),
    ],
)
def test_a_wrong_override_is_named(assignment: str, message: str) -> None:
    text = TEXT.partition("short:")[0]
    assert f"--set {assignment}: {message}" in mistakes(text, assignment)


def test_what_cannot_be_printed_does_not_reach_the_terminal() -> None:
    (line,) = mistakes('scheme: {kind: fedbuff, buffer: 1}\n"\\e[31m\\nx": 1\n')
    assert line.startswith(r"s.yaml:2:1: \x1b[31m\nx: unknown key")


@pytest.mark.parametrize("text", ["", "- a", "3", "null"])
def test_a_document_that_is_no_mapping_is_refused(text: str) -> None:
    assert mistakes(text) == ["s.yaml:1:1: expected a mapping of keys"]
