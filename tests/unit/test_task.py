"""A task of which nothing is learned: what may be written, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netfed.errors import ScenarioError
from netfed.notes import notes
from netfed.provenance import annotated, listed
from netfed.scenario import LEARNING, Scenario, _read, digest, json_schema, loads, resolved
from netfed.task import Classification, Nothing, Work
from tests.conftest import NOTHING, SMALL


def parse(*sets: str, text: str = NOTHING) -> Scenario:
    return loads(text, "n.yaml", sets=sets)


def refusal(*sets: str, text: str = NOTHING) -> tuple[str, ...]:
    with pytest.raises(ScenarioError) as refused:
        parse(*sets, text=text)
    return refused.value.lines


def test_sizes_work_and_time() -> None:
    assert parse().task == Nothing(40e3, 10e3, Work(50e6, 20e6))
    assert parse("task.compute=300 ms").task == Nothing(40e3, 10e3, 0.3)
    assert parse("task.frozen=1 MB").task == Nothing(40e3, 10e3, Work(50e6, 20e6), 1e6)


def test_a_task_that_names_no_kind_is_to_classify() -> None:
    plain = loads(SMALL, "s.yaml")
    named = loads(SMALL.replace("task:\n", "task:\n  kind: classification\n"), "s.yaml")
    assert isinstance(plain.task, Classification)
    assert named == plain
    assert digest(named) == digest(plain)
    assert "task:\n  kind: classification\n" in resolved(plain)


@pytest.mark.parametrize("compute", ["300 ms", "{flops: 1 GFLOP, bytes: 3 kB}"])
def test_what_is_resolved_loads_again_and_has_no_key_of_learning(compute: str) -> None:
    scenario = parse(f"task.compute={compute}")
    text = resolved(scenario)
    assert parse(text=text) == scenario
    assert not {line.partition(":")[0] for line in text.splitlines()} & set(LEARNING)


def test_what_is_explained_of_it_loads_again_too() -> None:
    reading = _read(NOTHING, Path("n.yaml"), (), False, None)
    assert parse(text=annotated(reading)) == reading.scenario
    assert not listed(reading)["scenario"].keys() & set(LEARNING)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("task.download=0", "task: download must be more than 0"),
        ("task.upload=0 B", "task: upload must be more than 0"),
        ("task.compute=0 s", "task: compute must be more than 0"),
        ("task.compute={flops: 0, bytes: 1 MB}", "task: compute must be more than 0"),
        ("task.compute={flops: 1 GFLOP}", "task.compute.bytes: missing key"),
        ("task.uplod=1 MB", "task.uplod: unknown key, did you mean 'upload'?"),
        ("task.download=5 Mbit", "task.download: unknown unit 'Mbit'"),
        ("codec={kind: topk, fraction: 0.1}", "codec: nothing is learned where task is none: leave out codec"),
        ("evaluate_every=5", "evaluate_every: nothing is learned where task is none: leave out evaluate_every"),
        ("scheme={kind: local, rounds: 1, devices: 2}", "scheme: local needs something to learn, and there is nothing"),
        ("scheme={kind: central, rounds: 1, devices: 2}", "scheme: central needs something to learn, and there is"),
    ],
)
def test_mistakes(change: str, what: str) -> None:
    (line,) = refusal(change)
    assert line.startswith(f"--set {change}: {what}")


def test_all_keys_of_learning_are_refused_in_one_line() -> None:
    learner = "model: cnn\nrule: {kind: backprop, learning_rate: 0.1, batch_size: 8}\nadapter: head\n"
    (line,) = refusal(text=NOTHING + learner)
    assert line == "n.yaml:12:1: model: nothing is learned where task is none: leave out model, rule, adapter"


def test_bare_it_lacks_its_sizes() -> None:
    assert refusal("task=none") == tuple(
        f"--set task=none: task.{key}: missing key" for key in ("download", "upload", "compute")
    )


def test_something_to_learn_needs_a_model_and_a_rule() -> None:
    lines = [line for line in SMALL.splitlines(keepends=True) if not line.startswith(("model", "rule"))]
    assert refusal(text="".join(lines)) == (
        "n.yaml:1:1: model: missing key",
        "n.yaml:1:1: rule: missing key",
    )


def test_another_task_replaces_the_one_that_is_written() -> None:
    text = SMALL.replace("model: {kind: mlp, hidden: [16]}\n", "").replace(
        "rule: {kind: backprop, learning_rate: 0.1, batch_size: 8}\n", ""
    )
    task = "task={kind: none, download: 40 kB, upload: 10 kB, compute: 1 s}"
    assert parse(task, "executor=auto", text=text).task == Nothing(40e3, 10e3, 1.0)


def test_a_key_of_learning_with_its_default_is_noted() -> None:
    (note,) = notes(_read(NOTHING + "codec: float32\n", Path("n.yaml"), (), False, None))
    assert note == "n.yaml:12:1: codec: nothing is learned where task is none"


def test_editors_are_told_of_both_kinds() -> None:
    found: dict[str, Any] = {}

    def look(part: Any) -> None:
        if isinstance(part, dict):
            kind = part.get("properties", {}).get("kind", {}).get("const")
            if kind in ("none", "classification") and "required" in part:
                found[kind] = part["required"]
        for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
            look(inner)

    look(json_schema())
    assert found == {
        "none": ["kind", "download", "upload", "compute"],
        "classification": ["dataset", "split", "partition"],
    }
