from __future__ import annotations

import json
from pathlib import Path

import pytest

from netfed.document import lines
from netfed.plugin import write
from netfed.provenance import annotated, listed
from netfed.scenario import Reading, loads, read
from tests.conftest import SMALL

MINE = """\
extends: base.yaml
name: mine
model: cnn
short:
  seed: 5
"""


@pytest.fixture
def reading(tmp_path: Path) -> Reading:
    (tmp_path / "base.yaml").write_text(SMALL)
    (tmp_path / "mine.yaml").write_text(MINE)
    sets = ["codec.kind=topk", "codec.fraction=0.5", "devices.profile={phone: 1}"]
    return read(tmp_path / "mine.yaml", sets=sets, short=True)


def test_each_value_says_where_it_comes_from(reading: Reading, tmp_path: Path) -> None:
    data = listed(reading)
    assert data["scenario"] == write(reading.scenario)
    found = {key: source.removeprefix(f"{tmp_path}/") for key, source in data["sources"].items()}
    assert {
        "netfed": "base.yaml:1",
        "name": "mine.yaml:2",
        "seed": "mine.yaml:5",
        "task.split.cloud": "base.yaml:6",
        "task.partition.kind": "base.yaml:7",
        "task.hands": "default",
        "model.kind": "mine.yaml:3",
        "model.hidden": "default",
        "codec.kind": "--set codec.kind=topk",
        "codec.fraction": "--set codec.fraction=0.5",
        "devices.profile.phone": "--set devices.profile={phone: 1}",
    }.items() <= found.items()
    assert set(found) == {".".join(path) for path, _ in lines(write(reading.scenario)) if path}
    assert json.dumps(data)


def test_what_is_annotated_loads_again(reading: Reading) -> None:
    text = annotated(reading)
    assert loads(text, "again.yaml") == reading.scenario
    written = dict(line.split("  # ") for line in text.splitlines() if "  # " in line)
    sources = {line.strip(): source for line, source in written.items()}
    assert sources["name: mine"] == "mine.yaml:2"
    assert sources["fraction: 0.5"] == "--set codec.fraction=0.5"
    assert sources["netfed: 1"] == "base.yaml:1"
    assert sources["channels: [16, 32]"] == "default"
    assert len({line.index("  # ") for line in text.splitlines() if "  # " in line}) == 1, "comments are aligned"


def test_nothing_breaks_out_of_its_comment(tmp_path: Path) -> None:
    file = tmp_path / "mi\nne: 1\x1b.yaml"
    file.write_text(SMALL)
    reading = read(file, sets=["seed=4\n# x: y"])
    text = annotated(reading)
    assert loads(text, "again.yaml") == reading.scenario
    assert all(line.isprintable() for line in text.splitlines())
