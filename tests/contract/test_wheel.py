"""The wheel carries all that netfed needs, and nothing that does not belong to it; what comes with it runs from it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from netfed import __version__
from netfed.amounts import number
from netfed.sources import shipped
from tests.commands import ROOT, environment, netfed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel has been installed, its dependencies left out."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = (folder / "dist").iterdir()
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        folder / "site",
        wheel,
    ]
    subprocess.run(pip, check=True, capture_output=True)
    return folder / "site"


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_nothing_but_netfed_lands_at_the_top_level(installed: Path) -> None:
    names = {path.name for path in installed.iterdir()} - {"bin", "__pycache__"}
    assert names == {"netfed", f"netfed-{__version__}.dist-info"}
    assert (installed / f"netfed-{__version__}.dist-info" / "licenses" / "LICENSE").is_file()
    shipped = files(installed / "netfed" / "scenarios")
    assert shipped == files(ROOT / "scenarios")
    assert "traces/vehicular.fcd.xml" in shipped


def test_the_wheel_has_every_module_of_the_checkout(installed: Path) -> None:
    def modules(package: Path) -> set[str]:
        return {str(path.relative_to(package)) for path in package.rglob("*.py")}

    assert modules(installed / "netfed") == modules(ROOT / "netfed")


def test_the_wheel_is_what_is_found_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    env = environment(installed)
    where = [sys.executable, "-c", "import netfed; print(netfed.__file__)"]
    file = subprocess.run(where, cwd=tmp_path, env=env, check=True, capture_output=True, text=True).stdout.strip()
    assert Path(file).is_relative_to(installed)
    checked = netfed("check", "quickstart", cwd=tmp_path, env=env)
    assert checked.code == 0, checked.err


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_scenario_runs_in_its_short_form_outside_the_checkout(installed: Path, tmp_path: Path, name: str) -> None:
    result = netfed("run", name, "--short", "--json", cwd=tmp_path, env=environment(installed)).json
    assert result["state"] == "finished"
    assert result["updates"]["arrived"] > 0
    assert result["quarantined"] == {}
    assert Path(tmp_path / result["run"]).is_dir()
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}
    print(f"{name}: accuracy {number(result['metric']['last'])} after {result['sim_time_s']:.2f} simulated seconds")
    if name == "quickstart":
        assert result["rounds"] == 2
        assert set(result["references"]) == {"pretrained", "central", "local"}
