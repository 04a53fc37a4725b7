from __future__ import annotations

import errno
import sys
from pathlib import Path

import numpy as np
import pytest

from netfed.errors import ComputationFailed, RunFolderError
from netfed.graph import SCALARS, Graph, Scalars, Store, digest, read_entry


def serial(calls):
    return [call() for call in calls]


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return Graph(Store(tmp_path, "space"), serial)


def test_digest_is_of_content_alone() -> None:
    assert digest({"a": 1, "b": 2.0}) == digest({"b": 2.0, "a": 1})
    assert digest(1.0) != digest(1)
    assert digest(0.1 + 0.2) != digest(0.3)
    assert digest(np.float64(0.25), np.sum([0.5])) == digest(0.25, 0.5)
    with pytest.raises(TypeError):
        digest(object())


def test_nothing_is_computed_before_it_is_read(graph: Graph) -> None:
    calls: list[str] = []
    leaf = graph.node("update", ["leaf"], (), lambda: calls.append("leaf") or 2)
    graph.node("update", ["unread"], (), lambda: calls.append("unread"))
    double = graph.node("model", [], (leaf,), lambda value: 2 * value)
    assert calls == []
    assert graph.read([double, leaf]) == [4, 2]
    assert graph.read([double]) == [4]
    assert calls == ["leaf"]
    assert graph.counts("update") == {"planned": 2, "trained": 1, "reused": 0, "skipped": 1}


def test_what_is_read_together_is_computed_together(tmp_path: Path) -> None:
    batches: list[int] = []

    def execute(calls):
        batches.append(len(calls))
        return serial(calls)

    graph = Graph(Store(tmp_path, "space"), execute)
    updates = [graph.node("update", [i], (), lambda i=i: i) for i in range(5)]
    total = graph.node("model", [], updates, lambda *values: sum(values))
    assert graph.read([total]) == [10]
    assert batches == [5, 1]


def test_a_chain_is_computed_in_one_go(tmp_path: Path) -> None:
    batches: list[int] = []

    def execute(calls):
        batches.append(len(calls))
        return serial(calls)

    graph = Graph(Store(tmp_path, "space"), execute)
    start = graph.node("model", ["start"], (), lambda: 10)
    updates = [graph.node("update", [i], (start,), lambda base, i=i: base + i) for i in range(3)]
    payloads = [graph.node("payload", [], (update, start), lambda value, base: value * base) for update in updates]
    states = [graph.node("state", [], (payload,), lambda value: -value, SCALARS) for payload in payloads]
    total = graph.node("model", [], payloads, lambda *values: sum(values))
    assert graph.read([total, *states]) == [330, -100, -110, -120]
    assert batches == [1, 3, 4]


def chain(graph: Graph, length: int):
    node = graph.node("model", [0], (), lambda: 0, SCALARS)
    for i in range(1, length):
        update = graph.node("update", [i], (node,), lambda _: 1)
        node = graph.node("model", [], (node, update), lambda a, b: a + b, SCALARS)
    return node


def test_long_chains_need_no_recursion(graph: Graph) -> None:
    length = sys.getrecursionlimit() + 100
    assert graph.read([chain(graph, length)]) == [length - 1]


def test_a_stored_value_spares_what_it_was_made_from(tmp_path: Path) -> None:
    first = Graph(Store(tmp_path, "space"), serial)
    assert first.read([chain(first, 4)]) == [3]
    second = Graph(Store(tmp_path, "space"), serial)
    assert second.read([chain(second, 4)]) == [3]
    assert second.counts("update") == {"planned": 3, "trained": 0, "reused": 3, "skipped": 0}
    longer = Graph(Store(tmp_path, "space"), serial)
    assert longer.read([chain(longer, 6)]) == [5]
    assert longer.counts("update") == {"planned": 5, "trained": 2, "reused": 3, "skipped": 0}


def test_another_namespace_shares_nothing(tmp_path: Path) -> None:
    for namespace in ("one", "two"):
        graph = Graph(Store(tmp_path, namespace), serial)
        graph.read([chain(graph, 3)])
        assert graph.counts("update")["reused"] == 0


def test_the_key_holds_the_keys_that_are_read(graph: Graph) -> None:
    a, b = (graph.node("update", [name], (), int) for name in "ab")
    assert graph.node("model", [], (a,), int).key != graph.node("model", [], (b,), int).key
    assert graph.node("model", [], (a,), int).key == graph.node("model", [], (a,), int).key


def test_eager_computes_what_nobody_reads_and_gives_the_same_values(tmp_path: Path) -> None:
    eager = Graph(Store(tmp_path, "space"), serial, lazy=False)
    eager.node("update", ["unread"], (), lambda: 1)
    assert eager.counts("update") == {"planned": 1, "trained": 1, "reused": 0, "skipped": 0}
    assert eager.read([chain(eager, 4)]) == [3]


def test_a_value_that_was_spared_and_is_then_needed_counts_as_trained(tmp_path: Path) -> None:
    first = Graph(Store(tmp_path, "space"), serial)
    first.read([chain(first, 2)])
    second = Graph(Store(tmp_path, "space"), serial)
    update = second.node("update", [1], (), lambda: 1)
    stored = second.node("model", [0], (), lambda: 0, SCALARS)
    second.settle([second.node("model", [1], (stored, update), lambda a, b: a + b, SCALARS)])
    third = Graph(Store(tmp_path, "space"), serial)
    update = third.node("update", [1], (), lambda: 1)
    stored = third.node("model", [0], (), lambda: 0, SCALARS)
    third.settle([third.node("model", [1], (stored, update), lambda a, b: a + b, SCALARS)])
    assert third.counts("update") == {"planned": 1, "trained": 0, "reused": 1, "skipped": 0}
    assert third.read([update]) == [1]
    assert third.counts("update") == {"planned": 1, "trained": 1, "reused": 0, "skipped": 0}


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "swap"])
def test_a_damaged_entry_is_named_and_not_used(tmp_path: Path, damage: str) -> None:
    graph = Graph(Store(tmp_path, "space"), serial)
    node = chain(graph, 3)
    graph.read([node])
    path = tmp_path / "space" / node.key
    data = bytearray(path.read_bytes())
    if damage == "flip":
        data[-1] ^= 1
    elif damage == "truncate":
        data = data[:-1]
    elif damage == "empty":
        data = bytearray()
    else:
        data = bytearray(b"another file altogether, of some length or other, " * 4)
    path.write_bytes(data)
    with pytest.raises(RunFolderError, match=node.key):
        read_entry(path)
    again = Graph(Store(tmp_path, "space"), serial)
    if damage == "empty":  # a crash of the machine may leave that, and it is computed again
        assert again.read([chain(again, 3)]) == graph.read([node])
        return
    with pytest.raises(RunFolderError, match=node.key):
        again.read([chain(again, 3)])


def test_a_failing_computation_is_named(graph: Graph) -> None:
    node = graph.node("update", [], (), lambda: 1 / 0, label="training on device 7, draw 2")
    with pytest.raises(ComputationFailed, match=r"training on device 7, draw 2: ZeroDivisionError") as caught:
        graph.read([node])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_nothing_half_written_is_left_behind(tmp_path: Path) -> None:
    store = Store(tmp_path, "space")

    class Unwritable:
        durable = False

        def dump(self, value):
            return "not bytes"

        def load(self, data):
            return data

    with pytest.raises(TypeError):
        store.save("key", Unwritable(), False)
    assert list((tmp_path / "space").iterdir()) == []


def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, "space")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        store.save("key", Scalars(durable=True), 1)
    assert caught.value.filename == str(tmp_path / "space" / "key")
    assert list((tmp_path / "space").iterdir()) == []


def test_what_a_crash_of_the_machine_has_emptied_is_computed_again(tmp_path: Path) -> None:
    store = Store(tmp_path, "space")
    store.save("key", SCALARS, 1)
    assert "key" in store
    (tmp_path / "space" / "key").write_bytes(b"")
    assert "key" not in store


def test_only_what_must_outlive_a_crash_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr("os.fsync", synced.append)
    store = Store(tmp_path, "space")
    store.save("one", SCALARS, 1)
    assert not synced
    store.save("two", Scalars(durable=True), 1)
    assert len(synced) == 1


def test_entries_that_changed_places_are_not_used(tmp_path: Path) -> None:
    store = Store(tmp_path, "space")
    store.save("one", SCALARS, 1)
    store.save("two", SCALARS, 2)
    (tmp_path / "space" / "one").rename(tmp_path / "space" / "three")
    (tmp_path / "space" / "two").rename(tmp_path / "space" / "one")
    with pytest.raises(RunFolderError, match="one: damaged"):
        store.load("one", SCALARS)
