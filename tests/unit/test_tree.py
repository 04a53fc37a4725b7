from __future__ import annotations

import pytest

from netfed.document import read, write
from netfed.errors import ScenarioError
from netfed.tree import Mark, merge, put, still_apt


def test_marks_sort_by_file_and_place_and_overrides_come_last() -> None:
    marks = [Mark(2, "--set a=1"), Mark(1, "--set b=1"), Mark(0, "b", 1, 9), Mark(0, "a", 10, 1), Mark(0, "a", 9, 2)]
    assert list(map(str, sorted(marks))) == ["a:9:2", "a:10:1", "b:1:9", "--set b=1", "--set a=1"]


def test_a_place_is_blamed_on_the_latest_override_in_it() -> None:
    root = read("a: {b: 1, c: [2]}\n", "s.yaml")
    changed = put(
        put(root, ["a", "c", "0"], read("3", "second", override=2)), ["a", "b"], read("4", "first", override=1)
    )
    assert changed.plain() == {"a": {"b": 4, "c": [3]}}
    assert [str(changed.position(path)) for path in [("a",), ("a", "b"), ("a", "c"), ("a", "x")]] == [
        "second", "first", "second", "s.yaml:1:1",
    ]  # fmt: skip
    assert str(root.position(("a",))) == "s.yaml:1:1", "nothing is changed in place"


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
def test_trees_merge_mapping_by_mapping_unless_the_kind_is_another(base: str, over: str, merged: object) -> None:
    one, other = read(base, "base"), read(over, "over")
    assert merge(one, other).plain() == merged
    assert write(one.plain()) == write(read(base, "base").plain()), "nothing is changed in place"


def test_what_is_merged_bears_the_mark_of_the_later() -> None:
    merged = merge(read("a: {b: 1}\nc: 2\n", "base"), read("\na: {d: 3}\n", "over"))
    assert [str(merged.position(path)) for path in [("a",), ("a", "b"), ("a", "d"), ("c",)]] == [
        "over:2:1", "base:1:5", "over:2:5", "base:2:1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "over", "apt"),
    [
        ("a: {b: 2}", "a: {kind: y}", {}),
        ("a: {b: 2}", "a: {kind: x, b: 3}", {"a": {"b": 2}}),
        ("a: {b: 2}", "a: {b: 3}", {"a": {"b": 2}}),
        ("a: {kind: z}", "a: {kind: y}", {"a": {"kind": "z"}}),
        ("a: 5", "a: {kind: y}", {}),
        ("d: {e: {f: 1}, g: 2}", "d: {e: {kind: y}}", {"d": {"g": 2}}),
        ("h: 1", "a: {kind: y}", {"h": 1}),
    ],
)
def test_changes_to_a_kind_that_is_replaced_are_void(changes: str, over: str, apt: object) -> None:
    base = read("a: {kind: x, b: 1}\nd: {e: {kind: x}, g: 1}\n", "base")
    assert still_apt(read(changes, "changes"), base, read(over, "over")).plain() == apt


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["a", "b"], "1", "--set: 'b' leads into 1, which has no keys: set it as a whole"),
        (["l", "1"], "1", "--set: '1' is no index of a list of 1"),
        (["l", "x"], "1", "--set: 'x' is no index of a list of 1"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path: list[str], value: str, message: str) -> None:
    with pytest.raises(ScenarioError) as refusal:
        put(read("a: 1\nl: [2]", "s.yaml"), path, read(value, "--set", override=1))
    assert refusal.value.lines == (message,)


def test_mappings_on_the_way_are_made() -> None:
    root = read("a: {b: null}", "s.yaml")
    assert put(root, ["a", "b", "c"], read("1", "--set", override=1)).plain() == {"a": {"b": {"c": 1}}}
    assert put(root, ["x", "y"], read("1", "--set", override=1)).plain() == {"a": {"b": None}, "x": {"y": 1}}


def test_another_kind_keeps_what_overrides_have_put_there() -> None:
    root = put(read("a: {kind: x, b: 1}", "s.yaml"), ["a", "c"], read("2", "--set", override=1))
    assert put(root, ["a", "kind"], read("y", "--set", override=2)).plain() == {"a": {"c": 2, "kind": "y"}}
    assert put(root, ["a", "kind"], read("x", "--set", override=2)).plain() == {"a": {"kind": "x", "b": 1, "c": 2}}
