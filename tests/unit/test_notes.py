from __future__ import annotations

from pathlib import Path

import pytest

from netfed.notes import notes
from netfed.scenario import loads, read
from netfed.sources import shipped
from tests.conftest import FIXED, NOTHING, SMALL, Play

LOCAL = "scheme={kind: local, rounds: 2, devices: 3}"
CENTRAL = "scheme={kind: central, rounds: 2, devices: 3}"
WINDOWS = "devices.availability={kind: windows, period: %s}"
CELLULAR = "network={kind: cellular, propagation: uma, carrier: fr3-7ghz, backhaul: {rate: 1 Gbit/s}}"
HARQ = CELLULAR.replace("fr3-7ghz", "{kind: fr3-7ghz, transmissions: %s}")
WAYPOINTS = "devices.mobility={kind: random-waypoint, speed: [%s, 50 m/s]}"
ALL = "scheme={kind: fedavg, rounds: 2, cohort: 8}"


def noted(tmp_path: Path, *sets: str, text: str = SMALL) -> list[str]:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    return [line.removeprefix(f"{tmp_path}/") for line in notes(read(file, sets=sets))]


def test_a_key_that_cannot_matter_is_noted_where_it_was_written(tmp_path: Path) -> None:
    cloud = "mine.yaml:6:11: task.split.cloud: nobody learns from the cloud's share, since there is no pretraining"
    assert noted(tmp_path) == [cloud]
    assert noted(tmp_path, "topology={kind: hexagonal, spacing: 200 m}") == [
        cloud,
        "--set topology={kind: hexagonal, spacing: 200 m}: topology.spacing: "
        "in a network of kind ideal no rate depends on where devices are",
    ]


def test_a_default_is_not_noted(tmp_path: Path) -> None:
    assert noted(tmp_path, "task.split.cloud=0") == []


RANGE = "network={kind: cellular, propagation: %s, carrier: fr1-3500mhz, backhaul: {rate: 1 Gbit/s}}"
SPACING = "topology={kind: hexagonal, spacing: %s}"


@pytest.mark.parametrize(
    ("propagation", "spacing", "key", "why"),
    [
        ("uma", "9 km", "topology.spacing", "devices are up to 5196 m away: uma holds for 10 m to 5000 m"),
        ("rma", "9 km", "topology.spacing", "devices are up to 5196 m away: rma holds for 10 m to 5000 m"),
        ("inh", "300 m", "topology.spacing", "devices are up to 173 m away: inh holds for 1 m to 150 m"),
        ("inh", "", "network.propagation", "devices are up to 289 m away: inh holds for 1 m to 150 m"),
        ("umi", "50 m", "topology.spacing", "15% of the devices are nearer than 10 m, from which on umi holds"),
        (
            "{kind: inf-dl, device_height: 1 m}",
            "6 m",
            "topology.spacing",
            "8% of the devices are nearer than 0.87 m",
        ),
        (
            "{kind: uma, base_station_height: 60 m}",
            "500 m",
            "network.propagation.base_station_height",
            "uma holds for 25 m",
        ),
        (
            "{kind: rma, base_station_height: 60 m, device_height: 12 m}",
            "500 m",
            "network.propagation.device_height",
            "devices are up to 12 m high: rma holds for 1 m to 10 m",
        ),
        (
            "{kind: uma, device_height: 2 m}, buildings: {indoor: 0.1}",
            "500 m",
            "network.propagation.device_height",
            "devices are up to 23 m high: uma holds for 1.5 m to 22.5 m",
        ),
    ],
)
def test_what_takes_a_model_out_of_its_range_is_noted(
    tmp_path: Path, propagation: str, spacing: str, key: str, why: str
) -> None:
    """3GPP TR 38.901, table 7.4.1-1."""
    lines = noted(tmp_path, RANGE % propagation, *([SPACING % spacing] if spacing else []))
    (line,) = (line for line in lines if "holds" in line)
    assert f": {key}: {why}" in line


@pytest.mark.parametrize(
    ("propagation", "spacing"),
    [("uma", "500 m"), ("umi", "200 m"), ("rma", "8 km"), ("sma", "1299 m"), ("inh", "20 m"), ("inf-dl", "50 m")],
)
def test_what_is_in_range_is_not_noted(tmp_path: Path, propagation: str, spacing: str) -> None:
    assert not any("holds" in line for line in noted(tmp_path, RANGE % propagation, SPACING % spacing))


@pytest.mark.parametrize("name", shipped())
def test_scenarios_that_come_with_netfed_give_nothing_in_vain(name: str) -> None:
    assert notes(read(name)) == []
    assert notes(read(name, short=True)) == []


@pytest.mark.parametrize(
    ("key", "sets", "written", "values"),
    [
        ("topology.spacing", [FIXED], "topology={kind: hexagonal, spacing: %s}", ("1 m", "9 km")),
        ("network.carrier.transmissions", [], HARQ, ("1", "4")),
        ("devices.mobility", [FIXED], WAYPOINTS, ("1 m/s", "40 m/s")),
        ("topology.base_stations", [FIXED], "topology={kind: hexagonal, base_stations: %s}", ("1", "19")),
        ("scheme.over_selection", [ALL], "scheme.over_selection=%s", ("0.1", "3")),
        ("codec", [LOCAL], "codec={kind: topk, fraction: %s}", ("0.1", "0.9")),
        ("codec", [CENTRAL], "codec={kind: topk, fraction: %s}", ("0.1", "0.9")),
        ("codec.bucket", [], "codec={kind: qsgd, entry_bits: 32, bucket: %s}", ("8", "64")),
        ("downlink", [LOCAL], "downlink={codec: {kind: topk, fraction: %s}}", ("0.1", "0.9")),
        ("downlink", [CENTRAL], "downlink={codec: {kind: topk, fraction: %s}}", ("0.1", "0.9")),
        ("network.delivery", [CENTRAL, FIXED], "network.delivery=%s", ("unicast", "multicast")),
        ("network", [LOCAL], FIXED.replace("1 Mbit/s", "%s"), ("1 bit/s", "1 Gbit/s")),
        ("devices.weight", [FIXED], "devices.weight={%s: 0.5, 1: 0.5}", ("4", "0.1")),
        ("devices.weight", [FIXED.replace("fixed", "fluid")], "devices.weight=%s", ("4", "64")),
        ("devices.weight", [LOCAL], "devices.weight={%s: 0.5, 1: 0.5}", ("4", "0.1")),
        ("devices.availability", [LOCAL], WINDOWS, ("2 s, duration: 1 s", "2 s, duration: 1 ms")),
        ("devices.availability", [], WINDOWS, ("2 s, duration: 2 s", "1 s, duration: 1 s")),
        ("devices.dropout.download", [LOCAL], "devices.dropout.download=%s", ("0", "0.9")),
        ("devices.dropout.upload", [LOCAL], "devices.dropout.upload=%s", ("0", "0.9")),
        ("devices.dropout.download", [CENTRAL], "devices.dropout.download=%s", ("0", "0.9")),
        ("devices.dropout.compute", [CENTRAL], "devices.dropout.compute=%s", ("0", "0.9")),
    ],
)
def test_what_is_noted_does_not_matter(
    play: Play, tmp_path: Path, key: str, sets: list[str], written: str, values: tuple[str, str]
) -> None:
    one, other = (written % value for value in values)
    for override in (one, other):
        assert any(f": {key}: " in line for line in noted(tmp_path, *sets, override))
    assert play(*sets, one).rounds == play(*sets, other).rounds


@pytest.mark.parametrize(
    ("key", "sets"),
    [
        ("topology.base_stations", [FIXED.replace("fixed", "fluid"), "topology={kind: hexagonal, base_stations: 1}"]),
        (
            "topology.base_stations",
            [FIXED, "network.delivery=multicast", "topology={kind: hexagonal, base_stations: 1}"],
        ),
        ("topology.spacing", [CELLULAR, "topology={kind: hexagonal, spacing: 200 m}"]),
        ("devices.mobility", [CELLULAR, WAYPOINTS % "1 m/s"]),
        ("devices.mobility", [FIXED, "devices.mobility=static"]),
        ("scheme.over_selection", ["scheme.over_selection=0.5"]),
        ("devices.weight", [FIXED.replace("fixed", "fluid"), "devices.weight={1: 0.5, 4: 0.5}"]),
        ("codec", ["codec=float32"]),
        ("downlink", ["downlink={codec: bfloat16}"]),
        ("network", [LOCAL, "network=ideal"]),
        ("network", [CENTRAL, FIXED]),
        ("devices.availability", ["devices.availability={kind: windows, period: 2 s, duration: 1 s}"]),
        ("codec.bucket", ["codec={kind: qsgd, bucket: 64}"]),
        ("task.split.cloud", ["pretraining={kind: backprop, learning_rate: 0.1}"]),
    ],
)
def test_what_may_matter_is_not_noted(tmp_path: Path, key: str, sets: list[str]) -> None:
    assert loads(SMALL, "mine.yaml", sets=sets)
    assert not any(f": {key}: " in line for line in noted(tmp_path, *sets))


def test_what_takes_or_refuses_nothing_is_noted(tmp_path: Path) -> None:
    taken = FIXED.replace(
        "{kind: fixed", "{kind: fixed, background: [{kind: constant, share: %s}, {kind: constant, share: 0}]"
    )
    assert any("network.background.1: others take nothing" in line for line in noted(tmp_path, taken % "0.1"))
    assert not any("network.background.0" in line for line in noted(tmp_path, taken % "0.1"))
    (line,) = noted(tmp_path, "devices.memory=1 MB", text=NOTHING)
    assert line.endswith("devices.memory: nothing is learned where task is none, so that no device has too little")
