from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from netfed import document
from netfed.document import MAX_BYTES, MAX_DEPTH, read, write
from netfed.errors import ScenarioError

INTEGERS = st.integers(-(2**63) + 1, 2**63 - 1)
SCALARS = st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
)


def complaints(text: str | bytes) -> tuple[str, ...]:
    try:
        plain(text)
    except ScenarioError as error:
        return error.lines
    return ()


def plain(text: str | bytes) -> object:
    return read(text, "s.yaml").plain()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("# nothing", None),
        ("~", None),
        ("Null", None),
        ("true", True),
        ("FALSE", False),
        ("12", 12),
        ("-017", -17),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-2.", -2.0),
        ("-.inf", float("-inf")),
        ("on", "on"),
        ("NO", "NO"),
        ("12:30:45", "12:30:45"),
        ("2026-11-22", "2026-11-22"),
        ("2001-13-45", "2001-13-45"),
        ("1_000", "1_000"),
        ("0b11", "0b11"),
        ("'12'", "12"),
        ('"a\\tb"', "a\tb"),
        ('"\\ud83d\\ude00"', "😀"),
        ("|\n  a\n  b\n", "a\nb\n"),
        ("20 Mbit/s", "20 Mbit/s"),
        ("%YAML 1.1\n---\nyes", "yes"),
        (b"\xef\xbb\xbfa: 1", {"a": 1}),
        ("a: {b: [1, x], c: }", {"a": {"b": [1, "x"], "c": None}}),
        ("1: a\ntrue: b\n", {"1": "a", "true": "b"}),
    ],
)
def test_scalars_are_those_of_the_yaml_1_2_core_schema(text: str | bytes, value: object) -> None:
    found = plain(text)
    assert found == value
    assert type(found) is type(value)


def test_nan_is_read_so_that_the_spec_can_refuse_it() -> None:
    value = plain(".nan")
    assert value != value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\na: 3", "s.yaml:3:1: key 'a' is here twice"),
        ("a: &x 1", "s.yaml:1:4: anchors and aliases (&x, *x) are not allowed"),
        ("a: 1\nb: *x", "s.yaml:2:4: anchors and aliases (&x, *x) are not allowed"),
        ("&k a: 1", "s.yaml:1:1: anchors and aliases (&x, *x) are not allowed"),
        ("a: [&x {}]", "s.yaml:1:5: anchors and aliases (&x, *x) are not allowed"),
        ("a: !!int 3", "s.yaml:1:4: tags (!x) are not allowed"),
        ("!!python/object:os.system {}", "s.yaml:1:1: tags (!x) are not allowed"),
        ("a: ! x", "s.yaml:1:4: tags (!x) are not allowed"),
        ("!t a: 3", "s.yaml:1:1: tags (!x) are not allowed"),
        ("<<: {a: 1}", "s.yaml:1:1: merge keys (<<) are not allowed"),
        ("? [a]\n: 1", "s.yaml:1:3: a key is text, not a mapping or a list"),
        ("a: 1\n---\nb: 2", "s.yaml:3:1: a file is one document: this is a second one"),
        ("a: " + "9" * 5000, "s.yaml:1:4: an integer beyond 64 bits"),
        ("a: 9223372036854775808", "s.yaml:1:4: an integer beyond 64 bits"),
        ('a: "\\ud800"', "s.yaml:1:4: half of a surrogate pair is no character"),
        ('"\\udc00": 1', "s.yaml:1:1: half of a surrogate pair is no character"),
        ("a: 1\nb: \x00", "s.yaml:2:4: character 0x00 is not allowed"),
        ("\ud800", "s.yaml:1:1: character 0xd800 is not allowed"),
        ('a: 1\nb: "\\Uffffffff"', "s.yaml:2:1: not YAML after here:"),
        (b"\xff\xfe", "s.yaml: byte 0 is not UTF-8"),
        ("a:\tb", "s.yaml:1:3: found character '\\t'"),
        ("a: b: c", "s.yaml:1:5: mapping values are not allowed here"),
        ("a: 'x", "s.yaml:1:6: found unexpected end of stream"),
        ("[" * (MAX_DEPTH + 1), f"s.yaml:1:{MAX_DEPTH + 1}: nested deeper than {MAX_DEPTH}"),
        ("x" * (MAX_BYTES + 1), f"s.yaml: more than {MAX_BYTES} bytes"),
        (b"x" * (MAX_BYTES + 1), f"s.yaml: more than {MAX_BYTES} bytes"),
    ],
)
def test_what_is_refused_is_one_line_that_says_where(text: str | bytes, line: str) -> None:
    with pytest.raises(ScenarioError) as refusal:
        plain(text)
    (found,) = refusal.value.lines
    assert found.startswith(line)
    assert "\n" not in found


def test_the_deepest_document_is_read() -> None:
    assert plain("[" * MAX_DEPTH + "]" * MAX_DEPTH)


def test_there_is_a_limit_on_keys_and_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "MAX_NODES", 7)
    assert plain("{a: [1, 2], b: 3}")
    with pytest.raises(ScenarioError, match=r"s\.yaml:1:19: more than 7 keys and values"):
        plain("{a: [1, 2], b: 3, c: }")


@pytest.mark.parametrize("opening", ["[", "{a: ", "[a,", "- ", "? "])
def test_a_deep_document_is_refused_as_soon_as_a_shallower_one(opening: str) -> None:
    def refused_s(depth: int) -> float:
        start = time.process_time()
        with pytest.raises(ScenarioError):
            plain(opening * depth)
        return time.process_time() - start

    refused_s(2_000)
    assert refused_s(100_000) < 5 * refused_s(2_000) + 0.1


@given(st.text(max_size=60) | st.text("[]{}:,-?&*!|>'\"%#@` \n\tab01.\\xuU<~", max_size=60))
@settings(deadline=None)
@example("? ")
@example("!<")
@example('"\\x')
def test_any_text_is_a_tree_or_one_line(text: str) -> None:
    for line in complaints(text):
        assert re.match(r"s\.yaml:\d+:\d+: .", line)
        assert "\n" not in line


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_any_bytes_are_a_tree_or_one_line(data: bytes) -> None:
    assert all(line.startswith("s.yaml:") for line in complaints(data))


@given(st.dictionaries(st.text(max_size=8), TREES, max_size=5))
@settings(max_examples=100, deadline=None)
@example({"a": ".5e3", "b": "12", "null": "null", "<<": "on", "\x7f": "\x85\u2028", "c": "1 ", "😀": "-", "": ""})
def test_what_is_written_reads_back(tree: dict[str, object]) -> None:
    again = plain(write(tree)) or {}
    assert again == tree
    assert repr(again) == repr(tree)


def test_writing_is_in_blocks_and_without_needless_quotes() -> None:
    tree = {"a": {"kind": "topk", "rate": "20 Mbit/s"}, "b": [1, "x"], "c": {}, "d": None, "e": "12", "f": 1e-05}
    assert write(tree) == 'a:\n  kind: topk\n  rate: 20 Mbit/s\nb: [1, x]\nc: {}\nd: null\ne: "12"\nf: 1e-05\n'


def test_positions_are_those_of_keys_and_items() -> None:
    root = read("# title\na: 1\nb:\n  c: [x, {d: 1}]\n  'e f': 2\n", "s.yaml")
    at = {(): (2, 1), ("a",): (2, 1), ("b", "c"): (4, 3), ("b", "c", 0): (4, 7), ("b", "c", 1): (4, 10),
          ("b", "c", 1, "d"): (4, 11), ("b", "e f"): (5, 3)}  # fmt: skip
    for path, (line, column) in at.items():
        mark = root.position(path)
        assert (mark.line, mark.column, str(mark)) == (line, column, f"s.yaml:{line}:{column}")


@pytest.mark.parametrize("path", [("b", "x"), ("b", "x", "y"), ("b", 3)])
def test_the_position_of_what_is_not_there_is_that_of_what_it_would_be_in(path: tuple[str | int, ...]) -> None:
    assert str(read("a: 1\nb: {c: 2}", "s.yaml").position(path)) == "s.yaml:2:1"


def test_the_marks_of_an_override_say_its_name_only() -> None:
    root = read("{a: [1]}", "--set x={a: [1]}", override=2)
    mark = root.position(("a", 0))
    assert str(mark) == "--set x={a: [1]}"
    assert mark > read("\n\n\na: 1", "s.yaml").position(("a",))
