"""The whole of the network is quick to import, and leaves PyTorch alone.

The bar, half a second, is one of a fast core: the test compares with the libraries that the network imports anyway.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

import pytest

from tests.commands import environment

BAR_S, TIMES = 0.5, 3
SCRIPT = """
import time
began_s = time.process_time()
import numpy, pydantic, simpy
libraries_s = time.process_time() - began_s
import importlib, pkgutil, sys
import netfed.network
names = [module.name for module in pkgutil.walk_packages(netfed.network.__path__, "netfed.network.")]
for name in names:
    importlib.import_module(name)
print(libraries_s, time.process_time() - began_s, len(names), "torch" in sys.modules)
"""


@pytest.mark.benchmark
def test_the_whole_network_is_imported_soon_after_its_libraries() -> None:
    took_s, times = [], []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment(), capture_output=True, text=True, check=True
        )
        libraries_s, all_s, modules, torch = done.stdout.split()
        took_s.append(float(all_s))
        times.append(float(all_s) / float(libraries_s))
        assert int(modules) > 20
        assert torch == "False"
    print(f"\nimport of netfed.network and all its modules: {min(took_s):.2f} s of CPU time, bar {BAR_S} s;", end=" ")
    print(f"{statistics.median(times):.1f} times what NumPy, pydantic and SimPy take")
    assert statistics.median(times) <= TIMES
