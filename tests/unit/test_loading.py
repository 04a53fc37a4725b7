from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import pytest
from pydantic import ConfigDict, Field

from netfed.document import read
from netfed.errors import ScenarioError
from netfed.loading import Override, interpret
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
class Compressed(Scheme, kind="compressed"):
    inner: Scheme
    level: int = 1

    def __post_init__(self) -> None:
        if self.level > 9:
            raise ValueError("level is above 9")


@dataclass(frozen=True)
class Link:
    latency: Seconds = 0.0
    rate: float = 1.0

    def __post_init__(self) -> None:
        if self.rate == 0 and self.latency == 0:
            raise ValueError("neither rate nor latency")


@dataclass(frozen=True)
class Question:
    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    scheme: Scheme
    devices: int = 10
    links: tuple[Link, ...] = ()
    profile: str | dict[str, float] = "phone"
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


def load(text: str = TEXT, *sets: str, short: bool = False, base: str | None = None) -> Question:
    return over(*([] if base is None else [base]), text, sets=sets, short=short)


def over(*texts: str, sets: Sequence[str] = (), short: bool = False) -> Question:
    """Load documents over each other; the last is s.yaml, the one before it base.yaml."""
    names = ["s.yaml", "base.yaml", "first.yaml"]
    documents = [read(text, name) for text, name in zip(reversed(texts), names, strict=False)]
    overrides = [Override(f"--set {assignment}", assignment) for assignment in sets]
    return interpret(Question, documents[::-1], overrides, short=short)[0]


def mistakes(text: str = TEXT, *sets: str, short: bool = False, base: str | None = None) -> list[str]:
    with pytest.raises(ScenarioError) as refusal:
        load(text, *sets, short=short, base=base)
    return list(refusal.value.lines)


def test_the_short_form_is_merged_in_when_asked() -> None:
    links = (Link(0.005), Link(0.007))
    assert load() == Question(FedAvg(30, 3), 10, links)
    assert load(short=True) == Question(FedAvg(2, 3), 5, links)


def test_all_mistakes_come_at_once_in_the_order_of_the_file() -> None:
    text = TEXT.replace("cohort: 3", "cohrt: 3").replace("7 ms", "7 mss").replace("rounds: 2", "rounds: x")
    assert mistakes(text + "zz: 1\n", "devices=x", short=True) == [
        "s.yaml:1:36: scheme.cohrt: unknown key, did you mean 'cohort'?",
        "s.yaml:5:5: links.1.latency: unknown unit 'mss', did you mean 'ms'?",
        "s.yaml:8:5: short.scheme.rounds: expected an integer, not 'x'",
        "s.yaml:10:1: zz: unknown key (keys: scheme, devices, links, profile, uplink)",
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
        ("devices.x=1", "'x' leads into 10, which has no keys: set it as a whole"),
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


def test_a_mistake_of_a_combination_is_that_of_the_latest_override_in_it() -> None:
    text = "scheme: {kind: fedavg, rounds: 3}\nuplink: {rate: 1}\n"
    both = "neither rate nor latency"
    assert mistakes(text, "uplink.rate=0") == [f"--set uplink.rate=0: uplink: {both}"]
    assert mistakes(text, "uplink.rate=0", "uplink.latency=0") == [f"--set uplink.latency=0: uplink: {both}"]
    assert mistakes(text, "links=[{latency: 1 s}]", "links.0={rate: 0}") == [
        f"--set links.0={{rate: 0}}: links.0: {both}"
    ]
    assert mistakes(text, "scheme.cohort=11") == [
        "--set scheme.cohort=11: scheme.cohort (11) is more than devices (10)"
    ]
    assert mistakes(text.replace("1", "0"), "devices=11") == [f"s.yaml:2:1: uplink: {both}"]
    assert mistakes("devices: 3", "uplink.rate=2") == ["s.yaml:1:1: scheme: missing key"], "no override's fault"


def test_a_bare_name_is_a_kind_that_an_override_leads_into() -> None:
    text = "scheme: compressed\n"
    assert load("scheme: fedbuff\n", "scheme.buffer=3").scheme == FedBuff(3)
    assert load(text, "scheme.kind=fedbuff", "scheme.buffer=3").scheme == FedBuff(3)
    assert load(text, "scheme=fedbuff", "scheme.buffer=3").scheme == FedBuff(3)
    assert load(text, "scheme.inner=fedbuff", "scheme.inner.buffer=3").scheme == Compressed(FedBuff(3))
    assert load("scheme: fedbuff\nshort: {scheme: {buffer: 2}}\n", "scheme.buffer=3").scheme == FedBuff(3)
    assert load(text, "scheme={kind: fedbuff, buffer: 1}", "profile.a=1").profile == {"a": 1.0}


def test_text_that_names_no_kind_is_not_led_into() -> None:
    assert mistakes("scheme: {kind: fedbuff, buffer: 1}\nprofile: phone", "profile.phone=1") == [
        "--set profile.phone=1: 'phone' leads into 'phone', which has no keys: set it as a whole"
    ]


def test_another_kind_replaces_what_the_file_says_but_not_what_overrides_say() -> None:
    assert load(TEXT, "scheme.kind=fedbuff", "scheme.buffer=3").scheme == FedBuff(3)
    assert load(TEXT, "scheme.buffer=3", "scheme.kind=fedbuff").scheme == FedBuff(3)
    assert load(TEXT, "scheme.kind=fedavg").scheme == FedAvg(30, 3)
    assert mistakes(TEXT, "scheme.kind=fedbuff") == ["--set scheme.kind=fedbuff: scheme.buffer: missing key"]


BASE = """\
scheme: {kind: fedavg, rounds: 30, cohort: 3}
links: [{latency: 5 ms}]
profile: phone
short:
  scheme: {rounds: 2}
  devices: 5
"""


def test_a_document_is_merged_over_another() -> None:
    mine = "scheme: {cohort: 4}\nprofile: {a: 0.5}\nuplink: {rate: 2}\n"
    assert load(mine, base=BASE) == Question(FedAvg(30, 4), 10, (Link(0.005),), {"a": 0.5}, Link(rate=2.0))
    assert load(mine, base=BASE, short=True).scheme == FedAvg(2, 4)
    assert load(mine + "short: {scheme: {cohort: 1}}\n", base=BASE, short=True).scheme == FedAvg(2, 1)
    assert load("scheme: {inner: {buffer: 2}}", base="scheme: {kind: compressed, inner: fedbuff}").scheme == Compressed(
        FedBuff(2)
    )


def test_the_short_form_of_another_kind_is_forgotten() -> None:
    mine = "scheme: {kind: fedbuff, buffer: 7}\n"
    assert load(mine, base=BASE, short=True) == Question(FedBuff(7), 5, (Link(0.005),))
    own = load(mine + "short: {scheme: {buffer: 2}}\n", base=BASE, short=True)
    assert own.scheme == FedBuff(2)
    replaced = BASE.replace("{rounds: 2}", "{kind: fedbuff, buffer: 1}")
    assert load(mine, base=replaced, short=True).scheme == FedBuff(1)


def test_a_mistake_is_shown_in_the_document_that_makes_it() -> None:
    assert mistakes("devices: 2\nlinks: x\n", base=BASE.replace("3}", "3, x: 1}")) == [
        "base.yaml:1:47: scheme.x: unknown key (keys: kind, rounds, cohort, deadline)",
        "s.yaml:2:1: links: expected a list, not 'x'",
    ]
    assert mistakes("devices: 2\n", base=BASE) == ["s.yaml:1:1: scheme.cohort (3) is more than devices (2)"]
    assert mistakes("uplink: {rate: 0}\n", base=BASE + "uplink: {latency: 0}\n") == [
        "s.yaml:1:1: uplink: neither rate nor latency"
    ]
    assert mistakes("devices: 3\n", base=BASE.replace("devices: 5", "devices: 2")) == [
        "base.yaml:4:1: short: scheme.cohort (3) is more than devices (2)"
    ]


def test_a_bare_name_is_spelled_out_before_and_after_what_it_is_merged_with() -> None:
    nested = "scheme: {kind: compressed, inner: {kind: fedavg, rounds: 1}}"
    assert load("scheme: {kind: fedavg, rounds: 3}\nshort: {scheme: fedavg}", short=True).scheme == FedAvg(3)
    assert load("scheme: fedavg", base=BASE).scheme == FedAvg(30, 3)
    inner = over(nested, "scheme: {inner: fedbuff}", "scheme: {inner: {buffer: 2}}")
    assert inner.scheme == Compressed(FedBuff(2))
    short = over(nested, "short: {scheme: {inner: fedbuff}}", sets=["scheme.inner.buffer=3"], short=True)
    assert short.scheme == Compressed(FedBuff(3))
