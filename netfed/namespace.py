"""What bits depend on besides the recipe."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import netfed
from netfed.graph import digest

_PACKAGE = Path(netfed.__file__).parent
_SOURCES = ("learning", "codecs", "graph.py", "layout.py", "streams.py")
KERNEL_VARIABLES = ("MKL_", "ONEDNN_", "ATEN_", "DNNL_")
"""How names of environment variables begin that choose kernels, and so bits."""


def fingerprint(executor: str, foreign: Iterable[Path] = ()) -> dict[str, str]:
    """Return what values were, or would be, computed with: versions, CPU capability, settings and sources.

    The entry ``namespace`` is the digest of the others: a store serves a run only from the same namespace.

    Args:
        executor: Name of the executor's numerics.
        foreign: Source files of third parties that take part in training.
    """
    import torch

    entries = {
        **_versions(),
        "torch": torch.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "variables": " ".join(f"{k}={v}" for k, v in sorted(os.environ.items()) if k.startswith(KERNEL_VARIABLES)),
        "executor": executor,
        "sources": _digest_files([*_own_sources(), *foreign]),
    }
    return {**entries, "namespace": digest(entries)}


def fingerprint_without_values() -> dict[str, str]:
    """Return what the rows of a run that computes no values depend on. Nothing is stored in its namespace."""
    entries = _versions()
    return {**entries, "namespace": digest(entries)}


def foreign_sources(modules: Iterable[str]) -> list[Path]:
    """Return the files of the top-level packages that these modules belong to, netfed's own left out."""
    tops = sorted({module.partition(".")[0] for module in modules} - {"netfed", "builtins"})
    return [file for top in tops for file in _package_files(top)]


def _versions() -> dict[str, str]:
    import numpy as np

    return {
        "netfed": netfed.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
    }


def _package_files(top: str) -> list[Path]:
    if top == "__main__":
        script = getattr(sys.modules[top], "__file__", None)
        return [Path(script)] if script else []
    spec = find_spec(top)
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
    if spec and not folders and spec.origin:
        return [Path(spec.origin)]
    return sorted(file for folder in folders for file in folder.rglob("*") if file.is_file() and file.suffix != ".pyc")


def _own_sources() -> list[Path]:
    return [file for name in _SOURCES for file in sorted((_PACKAGE / name).rglob("*.py")) or [_PACKAGE / name]]


def _digest_files(files: Iterable[Path]) -> str:
    sha256 = hashlib.sha256()
    for file in files:
        name = file.relative_to(_PACKAGE) if file.is_relative_to(_PACKAGE) else file.name
        sha256.update(f"{name}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return sha256.hexdigest()
