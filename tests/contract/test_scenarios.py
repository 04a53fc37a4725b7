"""Every scenario that comes with netfed runs in its short form, and tells something."""

from __future__ import annotations

from pathlib import Path

import pytest

from netfed.amounts import number
from netfed.sources import shipped
from tests.commands import netfed


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(shipped()))
def test_it_runs_in_its_short_form(tmp_path: Path, name: str) -> None:
    result = netfed("run", name, "--short", "--json", cwd=tmp_path).json
    assert result["state"] == "finished"
    assert result["updates"]["arrived"] > 0
    assert result["quarantined"] == {}
    print(f"{name}: accuracy {number(result['metric']['last'])} after {result['sim_time_s']:.2f} simulated seconds")
