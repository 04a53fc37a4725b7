"""A million registered devices, ten thousand of them in each of ten rounds, network only: in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from netfed.scenario import load
from tests.benchmarks.yardstick import slowness
from tests.commands import command, environment

WALL_S, RESIDENT_BYTES, IDLE_BYTES, TOLERANCE = 60.0, 2e9, 128, 0.8


@pytest.mark.benchmark
def test_a_million_devices(tmp_path: Path) -> None:
    slower, began_s = slowness(), time.monotonic()
    with subprocess.Popen(
        command("run", "million", "--json"), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s, resident_bytes = time.monotonic() - began_s, 1024 * usage.ru_maxrss
    result = json.loads(told)
    participations = result["updates"]["selected"]
    each_ms = 1e3 * usage.ru_utime / participations
    print(f"\n{wall_s:.1f} s, {each_ms:.3f} ms of CPU a participation, {resident_bytes / 1e6:.0f} MB at the most")
    assert process.returncode == 0
    assert participations == 100_000
    assert wall_s < slower * WALL_S / TOLERANCE
    assert resident_bytes < RESIDENT_BYTES / TOLERANCE


def test_an_idle_device_is_a_row_of_few_bytes(tmp_path: Path) -> None:
    """Also with what is drawn when it is first asked for."""
    from netfed.build import build

    scenario = load("million", sets=["devices.count=20000", "topology.base_stations=20"])
    simulation = build(scenario, tmp_path).simulation
    assert simulation.population.position_m.shape == (20_000, 2)
    assert simulation.population.phase.shape == (20_000,)
    owners = simulation, simulation.population, simulation.network, simulation.network.ledger
    arrays = [value for owner in owners for value in vars(owner).values() if hasattr(value, "nbytes")]
    idle_bytes = sum(array.nbytes for array in arrays) / 20_000
    print(f"\n{idle_bytes:.0f} bytes for a registered idle device")
    assert 50 < idle_bytes <= IDLE_BYTES
