"""What README.md and CONTRIBUTING.md say is so."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from netfed.cli import app
from netfed.errors import ScenarioError
from netfed.scenario import find, loads
from tests.commands import ROOT, environment, netfed
from tests.conftest import SMALL

README = (ROOT / "README.md").read_text()
COMMANDS = typer.main.get_command(app).commands
MODEL = """\
from torch import nn


class Perceptron(nn.Module):
    def __init__(self, input_shape, classes, width=4):
        super().__init__()
        inputs = input_shape[0] * input_shape[1] * input_shape[2]
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(inputs, width), nn.Dropout(0.1), nn.Linear(width, classes))

    def forward(self, pictures):
        return self.layers(pictures)
"""

Install = Callable[[str, str, str], dict[str, str]]


def block_after(mark: str) -> str:
    """Return the one code block that follows a mark."""
    (code,) = re.findall(rf"<!-- {mark}[^\n]*-->\n```\w*\n(.*?)```", README, re.DOTALL)
    return code


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Return a function that installs a module of third parties and returns the environment that has it."""
    site = tmp_path / "site"

    def install(module: str, source: str, entry_points: str) -> dict[str, str]:
        info = site / f"{module}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{module}.py").write_text(source)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)
        variables = environment()
        return {**variables, "PYTHONPATH": f"{site}:{variables['PYTHONPATH']}"}

    return install


def test_the_scheme_of_the_example_runs_once_it_is_installed(tmp_path: Path, install: Install) -> None:
    scenario = tmp_path / "acme.yaml"
    scenario.write_text(
        SMALL.replace("{kind: fedavg, rounds: 3, cohort: 4}", "{kind: acme.patient, rounds: 2, cohort: 3}")
    )
    without = netfed("check", scenario, cwd=tmp_path)
    assert without.code == 2
    assert "no installed package provides 'acme'" in without.err

    env = install("acme_schemes", block_after("example"), "[netfed.plugins]\nacme = acme_schemes\n")
    result = netfed("run", scenario, "--json", cwd=tmp_path, env=env).json
    assert result["scheme"] == "acme.patient"
    assert result["rounds"] == 2
    assert result["updates"] == {"selected": 6, "arrived": 6, "late": 0, "lost": 0, "dismissed": 0}
    assert result["jobs"]["trained"] == 6


def test_a_module_of_third_parties_trains_once_it_is_installed(tmp_path: Path, install: Install) -> None:
    scenario = tmp_path / "model.yaml"
    scenario.write_text(SMALL.replace("{kind: mlp, hidden: [16]}", "{kind: module, name: tiny, arguments: {width: 6}}"))
    without = netfed("check", scenario, cwd=tmp_path)
    assert without.code == 2
    assert "no installed package offers the model 'tiny'" in without.err

    env = install("acme_models", MODEL, "[netfed.models]\ntiny = acme_models:Perceptron\n")
    result = netfed("run", scenario, "--json", cwd=tmp_path, env=env).json
    floats = 64 * 6 + 6 + 6 * 10 + 10
    assert result["bits"]["up"] == 12 * 8 * (16 + 4 * floats)
    assert result["metric"]["last"] > result["metric"]["first"]


def test_there_are_exactly_two_commands_and_each_does_all_of_its_set_up() -> None:
    section = README.partition("## Two commands")[2].partition("\n## ")[0]
    assert re.findall(r"<!-- (\w+) -->\n```", README) == ["quickstart", "test"]
    assert section.count("```") == 4
    for mark in ("quickstart", "test"):
        (command,) = block_after(mark).splitlines()
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install -q -c constraints.txt ")
    assert block_after("quickstart").endswith("/netfed run quickstart\n")
    assert find("quickstart").is_file()
    runs = re.findall(r"(tests/\S+\.py)", block_after("test"))
    assert runs
    assert all((ROOT / path).is_file() for path in runs)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    relative = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if not link.startswith(("http", "#"))]
    assert [link for link in relative if not (ROOT / link.partition("#")[0]).exists()] == []
    files = re.findall(r"`((?:netfed|tests|scenarios|network|learning|codecs|schemes)/[\w/]*(?:\.\w+)?)`", text)
    assert [file for file in files if not ((ROOT / file).exists() or (ROOT / "netfed" / file).exists())] == []


def test_the_table_names_every_verb_and_only_options_that_there_are() -> None:
    rows = re.findall(r"^\| `netfed ([\w-]+)([^`]*)`", README, re.MULTILINE)
    assert sorted(verb for verb, _ in rows) == sorted(COMMANDS)
    for verb, rest in rows:
        options = {option for parameter in COMMANDS[verb].params for option in parameter.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= options, verb
        assert ("--json" in options) != (verb == "schema"), verb


def test_the_scenario_and_the_mistakes_that_are_shown_are_real() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    replaced = {line.partition(":")[0] for line in example.splitlines() if line[0] != " "}
    rest = "".join(line + "\n" for line in SMALL.splitlines() if line.partition(":")[0] not in replaced)
    more = ["devices.count=30"]
    links = "  downlink: {rate: 9 Mbit/s}\n  backhaul: {rate: %s}\n"
    scenario = loads(rest + example + links % "1 Gbit/s", "my.yaml", sets=more)
    assert {scenario.scheme.kind, scenario.codec.kind, scenario.network.kind} == {"fedavg", "topk", "fluid"}

    shown = re.findall(r"^my\.yaml:\d+:\d+: (.*)$", README, re.MULTILINE)
    assert len(shown) == 2
    wrong = example.replace("over_selection", "over_selecton") + links % "1 Mbps"
    with pytest.raises(ScenarioError) as caught:
        loads(rest + wrong, "my.yaml", sets=more)
    for message in shown:
        assert any(line.endswith(message) for line in caught.value.lines), caught.value.lines
