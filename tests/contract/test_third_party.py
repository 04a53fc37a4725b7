"""A package of plug-ins, installed beside netfed and found by its entry point, keeps the contracts and runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import environment, netfed
from tests.conftest import SMALL

SCENARIO = (
    SMALL.replace("{kind: fedavg, rounds: 3, cohort: 4}", "acme.patient")
    .replace("{kind: backprop, learning_rate: 0.1, batch_size: 8}", "acme.signs")
    .replace("devices: {count: 8}", "devices: {count: 8, availability: acme.corner}")
    + "codec: acme.eight-bits\nadapter: {kind: acme.last-layers, parameters: 2}\n"
)


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a process that has the package."""
    site = tmp_path / "site"
    shutil.copytree(Path(__file__).with_name("acme"), site / "acme")
    info = site / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[netfed.plugins]\nacme = acme\n")
    variables = environment()
    return {**variables, "PYTHONPATH": f"{site}:{variables['PYTHONPATH']}"}


def test_it_keeps_the_contracts(installed: dict[str, str]) -> None:
    checks = (
        "import acme; from netfed.testing import check_adapter, check_codec, check_rule, check_scheme\n"
        "check_codec(acme.EightBits()); check_rule(acme.Signs()); check_adapter(acme.LastLayers(2))\n"
        "check_scheme(acme.Patient())"
    )
    done = subprocess.run([sys.executable, "-c", checks], env=installed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_it_runs_and_its_mistakes_are_told_as_ours_are(installed: dict[str, str], tmp_path: Path) -> None:
    scenario = tmp_path / "acme.yaml"
    scenario.write_text(SCENARIO)
    result = netfed("run", scenario, "--json", cwd=tmp_path, env=installed).json
    assert result["scheme"] == "acme.patient"
    assert (result["updates"]["arrived"], result["updates"]["dismissed"]) == (4, 2)
    assert result["jobs"] == {"planned": 6, "trained": 4, "reused": 0, "skipped": 2}
    scenario.write_text(SCENARIO.replace("parameters: 2", "parametres: 2"))
    wrong = netfed("check", scenario, cwd=tmp_path, env=installed)
    assert wrong.code == 2
    assert "did you mean 'parameters'?" in wrong.err
