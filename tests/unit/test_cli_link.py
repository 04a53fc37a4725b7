"""The verb that itemises a link budget, and whether a run goes by what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Play
from tests.unit.conftest import Netfed

LATENCY_S = 0.004
CELLULAR = """\
netfed: 1
name: radio
task: {kind: none, download: 1 MB, upload: 100 kB, compute: {flops: 1 MFLOP, bytes: 1 MB}}
scheme: {kind: fedavg, rounds: 8, cohort: 1}
devices:
  count: 40
  mobility: {kind: random-waypoint, speed: [30 m/s, 60 m/s]}
topology: {kind: hexagonal, base_stations: 7, spacing: 500 m}
network:
  kind: cellular
  propagation: uma
  carrier: fr3-7ghz
  backhaul: {rate: 100 Gbit/s}
seed: 1
"""


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Path("radio.yaml").write_text(CELLULAR)


def budget(netfed: Netfed, *arguments: object) -> dict[str, Any]:
    done = netfed("explain-link", "radio.yaml", "--json", *arguments)
    assert done.code == 0, done.err
    return {item["name"]: item["value"] for item in done.json["budget"]}


def test_each_item_stands_in_a_line_with_its_unit_and_its_source(netfed: Netfed) -> None:
    done = netfed("explain-link", "radio.yaml", "--device", 3)
    assert (done.code, done.err) == (0, "")
    items = {line[:28].strip(): line[28:].split() for line in done.out.splitlines()}
    assert items["base station"][1:] == ["strongest", "cell:", "3GPP", "TS", "38.304,", "clause", "5.2.3"]
    assert items["transmit power, down"] == ["49.00", "dBm", "carrier.transmit_power"]
    assert items["path loss"][1:4] == ["dB", "3GPP", "TR"]
    assert items["rate, up"][1] == "Mbit/s"


def test_as_json_it_is_the_same_in_si_units(netfed: Netfed) -> None:
    done = netfed("explain-link", "radio.yaml", "--device", 3, "--at", "2 min", "--json")
    assert (done.json["device"], done.json["t_s"]) == (3, 120.0)
    items = {item["name"]: item for item in done.json["budget"]}
    assert items["rate, up"]["unit"] == "bit/s"
    shown = f"{items['rate, up']['value'] / 1e6:.2f} Mbit/s  3GPP TS 38.214, clause 5.1.3.2"
    assert shown in next(line for line in done.err.splitlines() if line.startswith("rate, up"))


def test_the_items_add_up(netfed: Netfed) -> None:
    items = budget(netfed, "--device", 7)
    assert "absorption" not in items
    loss_db = items["path loss"] + items["walls or car"]
    assert items["gain"] == pytest.approx(items["antenna gain"] - loss_db - items["shadowing"], abs=1e-3)
    received_dbm = items["transmit power, down"] + items["gain"] + items["gain of beams"]
    assert items["SINR, down"] == pytest.approx(received_dbm - items["noise, down"], abs=1e-3)


def test_it_is_about_one_device_of_one_world_at_one_time(netfed: Netfed) -> None:
    here = budget(netfed, "--device", 3)
    assert budget(netfed, "--device", 3, "--at", "0 s") == here
    for other in (["--device", 4], ["--device", 3, "--at", "9 s"], ["--device", 3, "--seed", 2]):
        assert budget(netfed, *other)["path loss"] != here["path loss"]
    louder = budget(netfed, "--device", 3, "--set", "network.carrier={kind: fr3-7ghz, transmit_power: 46 dBm}")
    assert louder["SINR, down"] == pytest.approx(here["SINR, down"] - 3.0, abs=1e-3)


@pytest.mark.parametrize(
    ("link", "rate", "mobility"),
    [
        ("downlink", "rate, down", "devices.mobility={kind: random-waypoint, speed: [30 m/s, 60 m/s]}"),
        ("uplink", "rate, up", "devices.mobility=static"),
    ],
)
def test_a_transfer_that_is_alone_goes_at_the_rate_of_the_budget(
    netfed: Netfed, play: Play, link: str, rate: str, mobility: str
) -> None:
    transfers = [row for row in play(mobility, text=CELLULAR).events if row["kind"] == "transfer"]
    undisturbed = [row for row in transfers if row["link"] == link and int(row["start_s"]) == int(row["t_s"])]
    assert len({row["device"] for row in undisturbed}) > 3  # nobody looked at the radio meanwhile
    for row in undisturbed:
        items = budget(netfed, "--device", row["device"], "--at", f"{row['start_s']!r} s", "--set", mobility)
        flowing_s = row["t_s"] - row["start_s"] - LATENCY_S
        assert row["bits"] / flowing_s == pytest.approx(items[rate])
        assert row["cell"] == items["base station"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--device", 40], "device 40: there are devices 0 to 39"),
        (["--device", -1], "device -1: there are devices 0 to 39"),
        (["--device", 1, "--at", "-1 s"], "--at -1 s: a time is never negative"),
        (["--device", 1, "--at", "5"], "--at 5: unit missing: write e.g. '5 ms' (units: ns, us, ms, s, min, h)"),
        (
            ["--device", 1, "--set", "network=ideal"],
            "network.kind: links of ideal have no budget; take cellular, whose rates follow from it",
        ),
    ],
)
def test_mistakes_are_told_in_one_line(netfed: Netfed, arguments: list[object], said: str) -> None:
    done = netfed("explain-link", "radio.yaml", *arguments)
    assert (done.code, done.out, done.err) == (2, "", f"{said}\n")


def test_it_needs_no_torch() -> None:
    code = "import sys; from netfed.build import link_budget; from netfed.scenario import load\n"
    code += "link_budget(load('radio.yaml'), 3, 5.0); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
