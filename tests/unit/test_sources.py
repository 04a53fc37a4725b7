from __future__ import annotations

import os
from pathlib import Path

import pytest

from netfed import sources
from netfed.document import MAX_BYTES
from netfed.errors import ScenarioError
from netfed.scenario import load, loads, resolved
from netfed.sources import MAX_FILES, documents, find, preset, shipped


def written(folder: Path, **files: str) -> Path:
    """Write files and return the one called mine."""
    for name, text in files.items():
        file = folder / f"{name.replace('__', '/')}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "mine.yaml"


def trees(file: Path) -> list[object]:
    return [root.plain() for root in documents(file.read_bytes(), file)]


def refusal(file: Path) -> str:
    with pytest.raises(ScenarioError) as error:
        trees(file)
    (line,) = error.value.lines
    return line.replace(f"{file.parent}/", "")


def test_what_a_file_extends_comes_before_it(tmp_path: Path) -> None:
    mine = written(
        tmp_path,
        mine="a: 1\nextends: [one.yaml, sub/two.yaml]\n",
        one="extends: zero.yaml\nb: 1\n",
        zero="c: 1\n",
        sub__two="extends: three.yaml\nd: 1\n",
        sub__three="e: 1\n",
    )
    assert trees(mine) == [{"c": 1}, {"b": 1}, {"e": 1}, {"d": 1}, {"a": 1}]


def test_a_file_may_be_named_twice_but_not_by_itself(tmp_path: Path) -> None:
    mine = written(tmp_path, mine="extends: [a.yaml, a.yaml]\n", a="x: 1\n")
    assert trees(mine) == [{"x": 1}, {"x": 1}, {}]
    written(tmp_path, a="y: 1\nextends: mine.yaml\n")
    assert refusal(mine) == "a.yaml:2:1: extends: mine.yaml extends itself by way of a.yaml"
    written(tmp_path, mine="extends: mine.yaml\n")
    assert refusal(mine) == "mine.yaml:1:1: extends: mine.yaml extends itself"


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("3", "1:1: extends: expected the name of a scenario that comes with netfed, a file, or a list of these"),
        ("[a.yaml, {b: c}]", "1:19: extends: expected the name of a scenario"),
        ("''", "1:1: extends: expected the name of a scenario"),
        ("[nowhere.yaml]", "1:11: extends: nowhere.yaml: no such file (scenarios that come with netfed: "),
        ("quickstrt", "1:1: extends: quickstrt: no such file, did you mean 'quickstart'?"),
        ("../a.yaml", "1:1: extends: ../a.yaml lies outside the folder of mine.yaml"),
        ("/etc/passwd", "1:1: extends: /etc/passwd lies outside the folder of mine.yaml"),
        ("link.yaml", "1:1: extends: link.yaml lies outside the folder of mine.yaml"),
        ("loop.yaml", "1:1: extends: "),
        ("sub", "1:1: extends: sub is a folder; name a file"),
        ("pipe", "1:1: extends: pipe: no such file"),
        ("x" * 5000, "1:1: extends: 'xxx"),
        ('"a\\0"', "1:1: extends: 'a\\x00' is no name of a file"),
    ],
)
def test_what_cannot_be_extended_is_refused_where_it_is_named(tmp_path: Path, extends: str, message: str) -> None:
    folder = tmp_path / "folder"
    mine = written(folder, mine=f"extends: {extends}\n", a="{}")
    (tmp_path / "a.yaml").write_text("a: 1")
    (folder / "link.yaml").symlink_to("../a.yaml")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe")
    assert refusal(mine).startswith(f"mine.yaml:{message}")


def test_the_mistakes_of_a_file_that_is_extended_are_shown_there(tmp_path: Path) -> None:
    mine = written(tmp_path, mine="extends: sub/a.yaml\n", sub__a="b: [\n")
    assert refusal(mine).startswith("sub/a.yaml:2:1: ")
    written(tmp_path, mine="extends: [quickstart, sub/a.yaml]\ndevices: {cuont: 3}\n", sub__a="\nseed: x\n")
    with pytest.raises(ScenarioError) as error:
        load(mine)
    assert error.value.lines == (
        f"{mine}:2:11: devices.cuont: unknown key, did you mean 'count'?",
        f"{tmp_path}/sub/a.yaml:2:1: seed: expected an integer, not 'x'",
    )


def test_a_scenario_is_made_of_few_files(tmp_path: Path) -> None:
    last = MAX_FILES - 1
    chain = {f"f{index}": f"extends: f{index + 1}.yaml" for index in range(last)} | {f"f{last}": "a: 1"}
    mine = written(tmp_path, **chain)
    assert len(trees(tmp_path / "f0.yaml")) == MAX_FILES
    written(tmp_path, mine="extends: f0.yaml")
    assert refusal(mine) == f"f{last - 1}.yaml:1:1: extends: more than {MAX_FILES} files make up this scenario"
    twice = "extends: [{0}.yaml, {0}.yaml, {0}.yaml]"
    written(tmp_path, mine=twice.format("a"), a=twice.format("b"), b=twice.format("c"), c="d: 1")
    assert "more than 16 files" in refusal(mine)


def test_a_shipped_scenario_is_extended_by_its_name(tmp_path: Path) -> None:
    mine = written(tmp_path, mine="extends: quickstart\nname: mine\nscheme: {rounds: 3}\n")
    mine_scenario, quickstart = load(mine), load("quickstart")
    assert (mine_scenario.name, mine_scenario.scheme.rounds) == ("mine", 3)
    assert mine_scenario.scheme.cohort == quickstart.scheme.cohort
    assert load(mine, short=True).scheme.rounds == load("quickstart", short=True).scheme.rounds
    assert loads("extends: quickstart", "anywhere.yaml") == quickstart


def test_extends_is_for_files_only() -> None:
    with pytest.raises(ScenarioError, match=r"^--set extends=minimal: extends: unknown key"):
        load("quickstart", sets=["extends=minimal"])


def test_a_scenario_that_comes_with_netfed_goes_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "quickstart.yaml").write_text("a: 1")
    (tmp_path / "quickstart").mkdir()
    monkeypatch.setattr(sources, "_IN_WHEEL", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert find("quickstart") == tmp_path / "quickstart.yaml"
    assert find("quickstart.yaml") == Path("quickstart.yaml")
    (tmp_path / "quickstart").rmdir()
    (tmp_path / "quickstart").touch()
    assert find("quickstart") == Path("quickstart")
    with pytest.raises(ScenarioError, match=r"^quickstrt: no such file, did you mean 'quickstart'\?$"):
        find("quickstrt")
    with pytest.raises(ScenarioError, match=r"^x: no such file \(scenarios that come with netfed: quickstart\)$"):
        find(Path("x"))
    with pytest.raises(ScenarioError, match="too long"):
        find("x" * 5000)
    with pytest.raises(ScenarioError, match="is a folder"):
        load(tmp_path)


def test_a_file_is_read_no_further_than_the_limit(tmp_path: Path) -> None:
    mine = written(tmp_path, mine="#" * (MAX_BYTES + 2))
    assert len(sources.text(mine)) == MAX_BYTES + 1


@pytest.mark.parametrize("name", shipped())
def test_a_preset_is_a_scenario(name: str, tmp_path: Path) -> None:
    mine = written(tmp_path, mine=preset(name))
    assert load(mine) == load(name)
    assert load(mine, short=True) == load(name, short=True)


def test_there_are_presets_to_start_from() -> None:
    assert {"minimal", "from-scratch", "quickstart"} <= set(shipped())
    assert preset() == preset("minimal")
    with pytest.raises(ScenarioError, match=r"^minmal: no such preset, did you mean 'minimal'\?$"):
        preset("minmal")


def test_paths_start_at_the_folder_of_the_file_that_names_them_and_of_overrides_at_the_present_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    here.mkdir()
    mine = written(
        there,
        mine="extends: [quickstart, sub/table.yaml]\ndevices: {availability: {kind: trace, path: trace.csv}}\n",
        sub__table="task: {dataset: {kind: table, path: data.csv, label: y}, hands: null}\n",
    )
    for folder in (there, here):
        (folder / "trace.csv").write_text("device,start,end\na,0,9\n")
    (there / "sub/data.csv").write_text("x,y\n1,0\n2,1\n")
    monkeypatch.chdir(here)
    scenario = load(mine)
    assert vars(scenario.task.dataset)["path"] == str(there / "sub/data.csv")
    assert vars(scenario.devices.availability)["path"] == str(there / "trace.csv")
    scenario = load(mine, sets=["devices.availability.path=trace.csv"])
    assert vars(scenario.devices.availability)["path"] == str(here / "trace.csv")
    assert load("../there/mine.yaml") == load(mine)
    assert loads(resolved(load(mine)), "elsewhere/resolved.yaml") == load(mine)
