"""Test vectors: what holds, what does not, what is absent, and what is no file of vectors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netfed.answers import ANSWERS
from netfed.errors import ScenarioError
from netfed.vectors import Inputs, Score, evaluate, read
from tests.unit.conftest import Netfed

VECTORS = Path(__file__).parents[1] / "vectors" / "network.json"


def a_vector(**changes: Any) -> dict[str, Any]:
    whole = {"id": "one", "group": "twice", "inputs": {"x": 3}, "expected": {"y": 6.0}}
    return {**whole, "tolerance": {"kind": "abs", "value": 0.1}, **changes}


@pytest.fixture
def score(tmp_path: Path) -> Any:
    def score(found: Any, **changes: Any) -> Score:
        file = tmp_path / "vectors.json"
        file.write_text(json.dumps({"vectors": [a_vector(**changes)]}))
        return evaluate(read(file), {"twice": lambda inputs: found})["twice"]

    return score


@pytest.mark.parametrize(
    ("kind", "found", "hold"),
    [
        ("abs", {"y": 6.1}, 1),
        ("abs", {"y": 6.11}, 0),
        ("rel", {"y": 6.59}, 1),
        ("rel", {"y": 6.61}, 0),
        ("abs", {"y": float("nan")}, 0),
        ("abs", {"y": "6"}, 0),
        ("abs", {"y": True}, 0),
        ("abs", {}, 0),
    ],
)
def test_an_output_holds_within_its_tolerance(score: Any, kind: str, found: Any, hold: int) -> None:
    tolerance = {"kind": kind, "value": 0.1}
    assert score(found, tolerance=tolerance).hold == hold


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        ({"a": [1, 2], "b": {"5": 25}}, []),
        ({"a": [1, 2, 3], "b": {"5": 25, "10": 52}}, []),
        ({"a": [1], "b": {"5": 24}}, ["a.1: expected 2, found None", "b.5: expected 25, found 24"]),
    ],
)
def test_outputs_are_trees_of_numbers_and_texts_are_remarks(score: Any, found: Any, missed: list[str]) -> None:
    scored = score(found, expected={"a": [1, 2], "b": {"5": 25}, "note": "well"}, tolerance={"kind": "abs", "value": 0})
    assert scored.missed.get("one", []) == missed


@pytest.mark.parametrize(("low", "hold"), [(0.9, 1), (0.89, 0)])
def test_a_band_holds_from_its_least_to_its_most(score: Any, low: float, hold: int) -> None:
    expected = {"percentiles": [5, 50], "mean_db": [2, 4], "min_db": [1.0, 3.0], "max_db": [3.0, 5.0], "companies": 9}
    scored = score({"db": [low, 5.1]}, expected=expected, tolerance={"kind": "band", "value": 0.1})
    assert scored.hold == hold
    assert scored.missed == ({} if hold else {"one": ["db.0: expected 1.0 to 3.0, found 0.89"]})


def test_what_nobody_answers_is_absent_and_a_refusal_is_a_miss(tmp_path: Path) -> None:
    def refuse(inputs: Any) -> Any:
        raise ValueError("too far")

    file = tmp_path / "vectors.json"
    file.write_text(json.dumps({"vectors": [a_vector(), a_vector(id="two", group="other")]}))
    assert evaluate(read(file), {"twice": lambda inputs: None}) == {"twice": Score(0, 1, 1), "other": Score(0, 1, 1)}
    assert evaluate(read(file), {"twice": refuse})["twice"].missed == {"one": ["refused: too far"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "expected an object with a list under 'vectors'"),
        ('{"vectors": [1]}', "vectors[0]: expected an object"),
        (json.dumps({"vectors": [a_vector(), a_vector(id=2)]}), "vectors[1].id: expected a text"),
        (json.dumps({"vectors": [a_vector(inputs=[])]}), "vectors[0].inputs: expected an object"),
        (json.dumps({"vectors": [a_vector(expected={"y": "six"})]}), "vectors[0].expected: no number to compare with"),
        (json.dumps({"vectors": [a_vector(tolerance={"kind": "about", "value": 1})]}), "vectors[0].tolerance.kind"),
        (json.dumps({"vectors": [a_vector(tolerance={"kind": "abs", "value": -1})]}), "vectors[0].tolerance.value"),
        (json.dumps({"vectors": [a_vector(group="fspl")]}), "vectors[0].inputs: d_m is missing"),
    ],
)
def test_a_malformed_file_is_one_line_with_its_place(netfed: Netfed, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bad.json"
    file.write_text(text)
    done = netfed("doctor", "--vectors", file)
    assert done.code == 2
    assert done.err.startswith(f"{file}: ")
    assert said in done.err
    assert done.err.count("\n") == 1


def test_a_file_that_is_not_there_is_a_mistake(netfed: Netfed) -> None:
    assert netfed("doctor", "--vectors", "nowhere.json").code == 2
    with pytest.raises(ScenarioError, match="no such file"):
        read(Path("nowhere.json"))


def test_doctor_counts_what_holds(netfed: Netfed, tmp_path: Path) -> None:
    chosen = [
        vector for vector in json.loads(VECTORS.read_text())["vectors"] if vector["group"] in ("fspl", "erlang-b")
    ]
    file = tmp_path / "some.json"
    file.write_text(json.dumps({"vectors": chosen}))
    done = netfed("doctor", "--vectors", file, "--json")
    assert done.code == 0
    assert done.json["groups"] == {
        "fspl": {"hold": 2, "total": 2, "absent": 0},
        "erlang-b": {"hold": 0, "total": 3, "absent": 3},
    }
    chosen[0]["expected"] = {"blocking" if chosen[0]["group"] == "erlang-b" else "pl_db": 0.0}
    chosen[-1]["expected"] = {"pl_db": 0.0}
    file.write_text(json.dumps({"vectors": chosen}))
    done = netfed("doctor", "--vectors", file)
    assert (done.code, done.out) == (1, "")
    assert "expected 0.0, found " in done.err


RADIO = ("pathloss", "pathloss-ns3", "shadow", "fspl")
QUICK = (*RADIO, "mcs-threshold", "tbs", "n-prb", "peak-rate", "maxmin", "fluid-sg")


@pytest.mark.parametrize("group", QUICK)
def test_the_vectors_hold(group: str) -> None:
    score = evaluate([vector for vector in read(VECTORS) if vector.group == group], ANSWERS)[group]
    assert score.missed == {}
    assert score.hold == score.total - score.absent > 0


def test_a_network_of_cells_is_within_the_band_of_the_companies() -> None:
    chosen = [vector for vector in read(VECTORS) if vector.inputs.title == "UMi-6GHz/geometry_sinr"]
    assert [(score.hold, score.missed) for score in evaluate(chosen, ANSWERS).values()] == [(1, {})]


@pytest.mark.parametrize(
    ("group", "inputs"),
    [
        ("pathloss", {"scenario": "Moon"}),
        ("shadow", {"scenario": "Moon"}),
        ("mcs-threshold", {"table": "PDSCH_table1", "mcs": 99}),
        ("mcs-threshold", {"table": "none", "mcs": 3}),
        ("ps-queue", {"size_law": "Pareto", "rho": 0.5, "mean_service_s": 1.0}),
    ],
)
def test_what_there_is_no_code_for_is_absent(group: str, inputs: dict[str, Any]) -> None:
    assert ANSWERS[group](Inputs("here", "", inputs)) is None


def test_torch_is_not_needed() -> None:
    code = "import sys, netfed.answers as a, netfed.vectors as v; from pathlib import Path\n"
    code += f"v.evaluate(v.read(Path({str(VECTORS)!r}))[:3], a.ANSWERS); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
