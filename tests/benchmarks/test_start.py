"""What happens before anything else is quick: imports, help, the reading of a scenario.

The bar of imports, half a second, is one of a fast core: the test compares with the libraries that the network imports
anyway, and leaves PyTorch alone.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netfed.scenario import loads
from tests.benchmarks.yardstick import slowness
from tests.commands import environment

SCENARIOS = Path(__file__).parents[2] / "scenarios"
BAR_S, TIMES = 0.5, 3
TOLERANCE = 0.8
HELP_BAR_S, CHECK_BAR_S, READ_BAR_S = 0.3, 1.0, 0.04
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


@pytest.mark.benchmark
@pytest.mark.parametrize(
    ("command", "bar_s"), [("--help", HELP_BAR_S), ("run --help", HELP_BAR_S), ("check quickstart", CHECK_BAR_S)]
)
def test_help_and_check_are_there_at_once(command: str, bar_s: float) -> None:
    netfed = [sys.executable, "-m", "netfed", *command.split()]
    beyond_s = [cpu_s(*netfed) - cpu_s(sys.executable, "-c", "") for _ in range(5)]
    print(f"\nnetfed {command}: {min(beyond_s):.2f} s of CPU time beyond the interpreter's own start, bar {bar_s} s")
    assert min(beyond_s) <= slowness() * bar_s / TOLERANCE


def cpu_s(*command: str) -> float:
    """CPU seconds of a process, beginning to end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=environment(), capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.benchmark
def test_a_scenario_is_read_at_once() -> None:
    text = (SCENARIOS / "quickstart.yaml").read_text()
    took_s = []
    for _ in range(10):
        began_s = time.process_time()
        loads(text, "quickstart.yaml")
        took_s.append(time.process_time() - began_s)
    print(f"\nquickstart is read in {min(took_s):.3f} s of CPU time, bar {READ_BAR_S} s")
    assert min(took_s) <= slowness() * READ_BAR_S / TOLERANCE
