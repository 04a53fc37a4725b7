from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import netfed
from netfed import namespace
from netfed.namespace import fingerprint, foreign_sources

SOURCES = ["learning/trainer.py", "learning/rules/backprop.py", "codecs/topk.py", "graph.py", "layout.py", "streams.py"]


def named(executor: str = "one client at a time", foreign: tuple[Path, ...] = ()) -> str:
    return fingerprint(executor, foreign)["namespace"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of netfed's sources, which the namespace is made from instead."""
    copy = tmp_path / "netfed"
    shutil.copytree(Path(netfed.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(namespace, "_PACKAGE", copy)
    return copy


def test_it_is_the_same_again_and_wherever_netfed_lies(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = named()
    assert there == named()
    monkeypatch.undo()
    assert there == named()


@pytest.mark.parametrize("source", SOURCES)
def test_a_byte_of_what_computes_values_changes_it(package: Path, source: str) -> None:
    before = named()
    file = package / source
    text = file.read_bytes()
    file.write_bytes(text + b"#")
    assert named() != before
    file.write_bytes(text)
    assert named() == before


def test_a_new_module_changes_it_and_so_does_a_renamed_one(package: Path) -> None:
    before = named()
    (package / "learning" / "rules" / "sign.py").write_text("")
    with_sign = named()
    (package / "learning" / "rules" / "sign.py").rename(package / "learning" / "rules" / "zeroth.py")
    assert len({before, with_sign, named()}) == 3


@pytest.mark.parametrize("source", ["network/flows.py", "cli/play.py", "schemes/fedavg.py", "simulation.py"])
def test_what_only_decides_who_trains_does_not(package: Path, source: str) -> None:
    before = named()
    (package / source).write_text("")
    assert named() == before


@pytest.mark.parametrize("variable", ["MKL_CBWR", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "DNNL_VERBOSE"])
def test_variables_that_choose_kernels_change_it(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.delenv(variable, raising=False)
    before = named()
    monkeypatch.setenv(variable, "1")
    with_one = named()
    monkeypatch.setenv(variable, "2")
    assert len({before, with_one, named()}) == 3
    monkeypatch.delenv(variable)
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    assert named() == before


@pytest.mark.parametrize("changed", ["netfed.__version__", "torch.__version__", "numpy.__version__"])
def test_versions_change_it(monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    before = named()
    monkeypatch.setattr(changed, "99.0")
    assert named() != before


@pytest.mark.parametrize(
    ("function", "answer"),
    [
        ("torch.backends.cpu.get_cpu_capability", "AVX99"),
        ("platform.machine", "pdp11"),
        ("platform.python_version", "4.0"),
    ],
)
def test_the_computer_changes_it(monkeypatch: pytest.MonkeyPatch, function: str, answer: str) -> None:
    before = named()
    monkeypatch.setattr(function, lambda: answer)
    assert named() != before


def test_the_executors_numerics_change_it() -> None:
    assert named("one client at a time") != named("lanes")


def test_third_parties_sources_change_it(tmp_path: Path) -> None:
    file = tmp_path / "acme.py"
    file.write_text("RATE = 1\n")
    before = named(foreign=(file,))
    assert before != named()
    file.write_text("RATE = 2\n")
    assert named(foreign=(file,)) != before


Install = Callable[[dict[str, str]], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    monkeypatch.syspath_prepend(tmp_path)

    def install(files: dict[str, str]) -> None:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        importlib.invalidate_caches()

    return install


def test_all_of_a_third_partys_package_takes_part_data_included(tmp_path: Path, install: Install) -> None:
    files = {"acme/__init__.py": "", "acme/deep/rules.py": "", "acme/table.csv": "1", "lone.py": "RATE = 1"}
    install(files)
    assert foreign_sources(["acme.deep.rules", "acme"]) == sorted(tmp_path / name for name in files if "/" in name)


def test_a_package_without_an_init_takes_part(tmp_path: Path, install: Install) -> None:
    install({"bare/rules.py": ""})
    assert foreign_sources(["bare.rules"]) == [tmp_path / "bare" / "rules.py"]


def test_a_lone_module_takes_part_and_netfed_itself_does_not(tmp_path: Path, install: Install) -> None:
    install({"lone.py": "", "beside.py": ""})
    assert foreign_sources(["lone", "netfed.codecs.topk", "builtins"]) == [tmp_path / "lone.py"]
    assert foreign_sources(["netfed.codecs.topk"]) == []


def test_what_has_no_files_takes_no_part(install: Install) -> None:
    install({})
    assert foreign_sources(["acme_that_is_nowhere"]) == []
