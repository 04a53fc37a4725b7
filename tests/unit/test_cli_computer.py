"""What is looked at on this computer, and what is said about it."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from netfed import computer
from tests.unit.conftest import Netfed

Examined = Callable[..., dict[str, dict[str, Any]]]


@pytest.fixture(autouse=True)
def healthy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A computer that is in order."""
    monkeypatch.chdir(tmp_path)
    files = {"/sys/fs/cgroup/cpu.max": "max 100000", "/proc/meminfo": "MemTotal: 9 kB\nMemAvailable: 8000000 kB"}
    monkeypatch.setattr("netfed.computer._read", lambda path, otherwise: files[path])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=50e9))
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["numpy>=1.26", "pytest>=8 ; extra == 'test'"])
    for name in list(os.environ):
        if name.startswith(("MKL_", "ONEDNN_", "ATEN_", "DNNL_", "OMP_", "GOMP_", "KMP_")):
            monkeypatch.delenv(name)


@pytest.fixture
def examined(netfed: Netfed) -> Examined:
    def examine(*arguments: object, code: int = 0) -> dict[str, dict[str, Any]]:
        done = netfed("doctor", "--json", *arguments)
        assert done.code == code, done.err
        assert [line[:4].strip() for line in done.err.splitlines() if line[0] != " "] == [
            check["mark"] for check in done.json["checks"]
        ]
        return {check["name"]: check for check in done.json["checks"]}

    return examine


def test_a_computer_in_order_needs_no_remedy(examined: Examined) -> None:
    checks = examined()
    assert [name for name, check in checks.items() if check["mark"] != "ok" and name != "terminal"] == []
    assert checks["packages"]["found"] == f"numpy {importlib.metadata.version('numpy')}"
    assert checks["extra test"]["found"] == "installed"
    assert checks["memory"]["found"] == "8.19 GB free"
    assert checks["disk"]["found"].startswith("50 GB free in ")


def test_without_json_it_speaks_on_stderr_only(netfed: Netfed) -> None:
    done = netfed("doctor")
    assert done.out == ""
    assert done.err.startswith("ok   netfed        0.")


def test_what_is_missing_is_named_with_its_remedy(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        importlib.metadata, "requires", lambda name: ["no-such-package>=1", "numpy", "nor-this; extra == 'more'"]
    )
    checks = examined(code=1)
    assert checks["packages"] == {
        "name": "packages",
        "found": "without no-such-package",
        "remedy": "pip install --upgrade netfed",
        "fatal": True,
        "mark": "bad",
    }
    assert checks["extra more"]["found"] == "not installed: pip install 'netfed[more]'"
    assert checks["extra more"]["mark"] == "ok"


def test_netfed_need_not_be_installed(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert examined()["packages"]["mark"] == "warn"


def test_a_broken_torch_is_shown_not_raised(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    torch = examined(code=1)["torch"]
    assert torch["mark"] == "bad"
    assert torch["found"].startswith("ModuleNotFoundError: ")
    assert "pytorch.org" in torch["remedy"]


def test_a_container_may_get_less_than_it_sees(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    read = computer._read
    monkeypatch.setattr(
        "netfed.computer._read", lambda path, otherwise: "150000 100000" if "cpu" in path else read(path, otherwise)
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))
    processors = examined()["processors"]
    assert processors["found"] == "8, of which this process gets 1.5"
    assert processors["remedy"] == "run with --workers 1"


def test_little_memory_and_disk_are_warned_of(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "netfed.computer._read",
        lambda path, otherwise: "MemAvailable: 500000 kB" if "meminfo" in path else otherwise,
    )
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5e8))
    checks = examined()
    assert "--workers 1" in checks["memory"]["remedy"]
    assert "--out" in checks["disk"]["remedy"]


def test_a_folder_that_cannot_be_written_is_fatal(examined: Examined, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**arguments: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    assert examined("--out", "runs/deep")["writing"]["found"].startswith(str(Path.cwd()))
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert examined(code=1)["writing"]["mark"] == "bad"


def test_variables_that_change_bits_or_bind_threads_are_traps(
    examined: Examined, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.setenv("OMP_PROC_BIND", "true")
    checks = examined()
    assert checks["kernels"]["found"] == "MKL_CBWR=COMPATIBLE"
    assert "bits" in checks["kernels"]["remedy"]
    monkeypatch.setenv("MKL_CBWR", "AUTO")
    assert examined()["kernels"]["remedy"] == "", "netfed sets this itself"
    assert checks["threads"]["found"] == "OMP_PROC_BIND=true"
