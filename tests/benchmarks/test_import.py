"""The whole of the network is quick to import, and leaves PyTorch alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.commands import environment

LIMIT_S = 0.5
SCRIPT = """
import importlib, pkgutil, sys, time
began_s = time.process_time()
import netfed.network
names = [module.name for module in pkgutil.walk_packages(netfed.network.__path__, "netfed.network.")]
for name in names:
    importlib.import_module(name)
print(time.process_time() - began_s, len(names), "torch" in sys.modules)
"""


@pytest.mark.benchmark
def test_the_whole_network_is_imported_within_half_a_second_of_cpu_time() -> None:
    took_s = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment(), capture_output=True, text=True, check=True
        )
        seconds, modules, torch = done.stdout.split()
        took_s.append(float(seconds))
        assert int(modules) > 20
        assert torch == "False"
    print(f"\nimport of netfed.network and all its modules: {took_s} s of CPU time, bar {LIMIT_S} s")
    assert min(took_s) <= LIMIT_S
