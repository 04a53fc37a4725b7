"""This computer: what netfed needs of it, what it can use, and what is known to get in its way."""

from __future__ import annotations

import fcntl
import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from netfed import __version__
from netfed.amounts import duration, size
from netfed.namespace import KERNEL_VARIABLES

_BINDING = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY", "KMP_AFFINITY")
_LEAST_MEMORY_BYTES, _LEAST_DISK_BYTES, _SLOW_FSYNC_S = 1e9, 1e9, 0.2


@dataclass(frozen=True)
class Check:
    """What was looked at, what was found, and what to do about it.

    Attributes:
        name: Of what was looked at.
        found: What it is.
        remedy: Empty if all is well.
        fatal: Runs fail before it is mended.
    """

    name: str
    found: str
    remedy: str = ""
    fatal: bool = False

    @property
    def mark(self) -> str:
        """Return ok, warn or bad."""
        return "bad" if self.fatal else "warn" if self.remedy else "ok"


def checks(out: Path) -> Iterator[Check]:
    """Look at it, one thing after the other.

    Args:
        out: Where runs would be kept.
    """
    yield from _versions()
    yield from _torch()
    yield from _processors()
    yield from _memory()
    yield from _disk(out)
    yield from _environment()


def _versions() -> Iterator[Check]:
    yield Check("netfed", __version__)
    supported = (3, 11) <= sys.version_info < (3, 14)
    yield Check(
        "python",
        f"{platform.python_version()} on {platform.platform()}",
        "" if supported else "netfed is tested with Python 3.11, 3.12 and 3.13",
    )
    try:
        requirements = importlib.metadata.requires("netfed") or []
    except importlib.metadata.PackageNotFoundError:
        yield Check("packages", "netfed is read from a folder in which it is not installed", "there: pip install -e .")
        return
    wanted: dict[str, list[str]] = {"": []}
    for requirement in requirements:
        extra = re.search(r"""extra\s*==\s*["']([\w-]+)""", requirement)
        wanted.setdefault(extra[1] if extra else "", []).append(re.split(r"[^\w.-]", requirement)[0])
    for name, packages in wanted.items():
        versions = {package: _version(package) for package in packages}
        missing = ", ".join(package for package, version in versions.items() if not version)
        found = (
            f"without {missing}"
            if missing
            else ", ".join(f"{package} {version}" for package, version in versions.items())
        )
        if name:
            yield Check(f"extra {name}", f"not installed: pip install 'netfed[{name}]'" if missing else "installed")
        else:
            yield Check("packages", found, "pip install --upgrade netfed" if missing else "", fatal=bool(missing))


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _torch() -> Iterator[Check]:
    try:
        import torch
    except Exception as error:  # whatever a broken build raises: this is the place to tell
        yield Check("torch", f"{type(error).__name__}: {error}", "reinstall torch: https://pytorch.org", fatal=True)
        return
    yield Check(
        "torch", f"{torch.__version__}, {torch.get_num_threads()} threads by default; netfed takes one a client"
    )
    level = torch.backends.cpu.get_cpu_capability()
    yield Check(
        "cpu", level, "without AVX2 training is slow; on another computer it is not" if level == "DEFAULT" else ""
    )
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        yield Check("cuda", f"{torch.version.cuda}: {names}")
    else:
        yield Check("cuda", "none: training is on the CPU")


def _processors() -> Iterator[Check]:
    """A container may be given less time than it sees processors (cgroup v2, ``cpu.max``)."""
    seen = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period_us = _read("/sys/fs/cgroup/cpu.max", "max 1").partition(" ")
    given = seen if quota == "max" else int(quota) / int(period_us)
    remedy = f"run with --workers {max(int(given), 1)}" if given < seen else ""
    yield Check("processors", f"{seen}, of which this process gets {given:g}" if remedy else str(seen), remedy)


def _memory() -> Iterator[Check]:
    lines = dict(line.split(":", 1) for line in _read("/proc/meminfo", "").splitlines())
    if "MemAvailable" in lines:
        free_bytes = int(lines["MemAvailable"].split()[0]) * 1024
        remedy = "close other programs, or run with --workers 1" if free_bytes < _LEAST_MEMORY_BYTES else ""
        yield Check("memory", f"{size(8 * free_bytes)} free", remedy)


def _disk(out: Path) -> Iterator[Check]:
    """Try where runs would be kept: room, permission, and the locks that a run folder needs."""
    there = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    free_bytes = shutil.disk_usage(there).free
    remedy = "make room, or name another folder with --out" if free_bytes < _LEAST_DISK_BYTES else ""
    yield Check("disk", f"{size(8 * free_bytes)} free in {there}", remedy)
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            start_s = time.perf_counter()
            os.fsync(file.fileno())
            took_s = time.perf_counter() - start_s
    except OSError as error:
        yield Check("writing", f"{there}: {error.strerror}", "name another folder with --out", fatal=True)
    else:
        remedy = (
            "slow: a run writes about once a second; name a local folder with --out" if took_s > _SLOW_FSYNC_S else ""
        )
        yield Check("writing", f"{there}: {duration(took_s)} to reach the disk", remedy)


def _environment() -> Iterator[Check]:
    kernels = _set(KERNEL_VARIABLES).replace("MKL_CBWR=AUTO", "").strip(", ")  # netfed's own setting
    yield Check(
        "kernels",
        kernels or "none of " + ", ".join(f"{prefix}*" for prefix in KERNEL_VARIABLES),
        "these choose kernels, so bits: values stored without them are not reused; unset them" if kernels else "",
    )
    binding = _set(_BINDING)
    yield Check(
        "threads",
        binding or "bound by no variable",
        "these may bind all workers to one processor: unset them" if binding else "",
    )
    encoding = sys.stderr.encoding or "none"
    unicode = encoding.lower().replace("-", "") == "utf8"
    yield Check("terminal", encoding, "" if unicode else "some signs are shown as ?: export PYTHONIOENCODING=utf-8")


def _set(prefixes: tuple[str, ...]) -> str:
    return " ".join(f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(prefixes))


def _read(path: str, otherwise: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return otherwise
