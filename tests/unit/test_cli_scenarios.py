"""Verbs that read and write scenario files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netfed.scenario import json_schema, load, resolved
from netfed.sources import shipped
from tests.conftest import SMALL
from tests.unit.conftest import Netfed


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(SMALL)


def test_config_prints_a_scenario_that_loads_again_and_where_each_value_comes_from(netfed: Netfed) -> None:
    done = netfed("config", "small.yaml", "--set", "scheme.rounds=9", "--seed", 5)
    Path("again.yaml").write_text(done.out)
    assert (done.code, done.err) == (0, "")
    assert load("again.yaml") == load("small.yaml", sets=["scheme.rounds=9"], seed=5)
    lines = {line.split(":")[0].strip(): line for line in done.out.splitlines()}
    assert lines["rounds"].endswith("# --set scheme.rounds=9")
    assert lines["name"].endswith("# small.yaml:2")
    assert lines["evaluate_every"].endswith("# default")


def test_config_as_json_is_the_same_as_data(netfed: Netfed) -> None:
    listed = netfed("config", "small.yaml", "--seed", 5, "--json").json
    assert listed["scenario"]["seed"] == 5
    assert listed["sources"]["seed"] == "--seed 5"
    assert listed["sources"]["scheme.rounds"].startswith("small.yaml:")


@pytest.mark.parametrize("preset", sorted(shipped()))
def test_init_begins_a_scenario_that_checks_from_any_preset(netfed: Netfed, preset: str) -> None:
    done = netfed("init", "deep/mine", "--preset", preset, "--json")
    assert done.json == {"files": ["deep/mine/scenario.yaml", "deep/mine/scenario.schema.json"]}
    assert "netfed run deep/mine/scenario.yaml" in done.err
    assert (
        Path("deep/mine/scenario.yaml").read_text().startswith("# yaml-language-server: $schema=scenario.schema.json\n")
    )
    assert resolved(load("deep/mine/scenario.yaml")) == resolved(load(preset))
    assert json.loads(Path("deep/mine/scenario.schema.json").read_text()) == json_schema()
    assert netfed("check", "deep/mine/scenario.yaml").code == 0


def test_init_overwrites_nothing(netfed: Netfed) -> None:
    Path("mine").mkdir()
    Path("mine/scenario.schema.json").write_text("mine")
    done = netfed("init", "mine")
    assert done.code == 2
    assert done.err == "mine/scenario.schema.json: exists already; name another folder\n"
    assert [file.name for file in Path("mine").iterdir()] == ["scenario.schema.json"]


def test_schema_prints_the_json_schema(netfed: Netfed) -> None:
    assert netfed("schema").json == json_schema()


def test_check_notes_keys_that_cannot_matter(netfed: Netfed) -> None:
    done = netfed("check", "small.yaml", "--json")
    assert done.code == 0
    (file,) = done.json["scenarios"]
    assert file["mistakes"] == []
    assert any("task.split.cloud: nobody learns" in note for note in file["notes"])
    assert done.err.splitlines() == ["small.yaml: ok", *(f"note: {note}" for note in file["notes"])]
