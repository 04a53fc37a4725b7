"""What a run folder explains: totals, transfers, keys without effect, as text and as JSON."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netfed import document
from netfed.binding import unfelt
from netfed.chains import chains
from netfed.explanation import explain
from netfed.results import Results
from tests.conftest import SMALL
from tests.recorded import a_round, record
from tests.unit.conftest import Netfed

FLUID = """\
scheme: {kind: fedavg, rounds: 1, cohort: 2, deadline: 20 s}
network:
  kind: fluid
  uplink: {rate: 1 Mbit/s, loss: 0.1}
  downlink: {rate: 1 Mbit/s}
  backhaul: {rate: 1 Mbit/s}
"""
GIVEN = SMALL.replace("scheme: {kind: fedavg, rounds: 3, cohort: 4}\n", "").replace("network: ideal\n", FLUID)


def transfer(device: int, link: str, start_s: float, t_s: float, **more: float) -> dict[str, Any]:
    row = {"t_s": t_s, "kind": "transfer", "device": device, "cell": 0, "link": link, "start_s": start_s, "bits": 8e3}
    return {**row, "latency_s": 0.0, "backhaul_s": 0.0, **more}


EVENTS = [
    transfer(1, "downlink", 0.0, 2.0, airtime_s=1.5, latency_s=0.5),
    transfer(2, "downlink", 0.0, 3.0, airtime_s=0.5, latency_s=0.5),
    {"t_s": 4.0, "kind": "compute", "device": 1, "start_s": 2.0},
    {"t_s": 4.0, "kind": "compute", "device": 2, "start_s": 3.0},
    transfer(1, "uplink", 4.0, 5.0, airtime_s=1.0),
    transfer(2, "uplink", 4.0, 14.0, airtime_s=4.0),
]


@pytest.fixture
def run(tmp_path: Path) -> Results:
    return record(tmp_path, [a_round(0, 0.0, 0.5), a_round(1, 14.0, 0.8)], EVENTS, resolved=GIVEN)


def test_a_run_is_the_sum_of_its_rounds(run: Results) -> None:
    explanation = explain(run)
    assert explanation.parts == {
        "downlink radio": 0.5,
        "downlink cell share": 2.0,
        "downlink latency": 0.5,
        "compute": 1.0,
        "uplink radio": 4.0,
        "uplink cell share": 6.0,
    }
    assert explanation.bottleneck == "uplink cell share"
    assert sum(explanation.parts.values()) == 14


def test_a_radio_that_connects_is_not_a_device_that_is_not_there(no_fsync: None, tmp_path: Path) -> None:
    promotions = [
        {"t_s": at_s + 0.5, "kind": "promotion", "device": 1, "start_s": at_s, "energy_j": 0.6} for at_s in (0.0, 4.5)
    ]
    rows = [
        promotions[0],
        transfer(1, "downlink", 0.5, 2.5, airtime_s=2.0),
        {"t_s": 4.5, "kind": "compute", "device": 1, "start_s": 2.5},
        promotions[1],
        transfer(1, "uplink", 5.0, 14.0, airtime_s=9.0),
    ]
    present = GIVEN.replace("{count: 8}", "{count: 8, availability: {kind: windows, period: 1 h, duration: 5 min}}")
    assert present != GIVEN
    rounds = [a_round(0, 0.0, 0.5), a_round(1, 14.0, 0.8)]
    explanation = explain(record(tmp_path, rounds, rows, resolved=present))
    assert explanation.parts == {
        "downlink promotion": 0.5,
        "downlink radio": 2.0,
        "compute": 2.0,
        "uplink promotion": 0.5,
        "uplink radio": 9.0,
    }
    assert explanation.unfelt["devices.availability"] == "nobody left, and no round waited for devices"


def test_transfers_are_bound_by_what_took_most_of_their_time(run: Results) -> None:
    links = explain(run).links
    assert links["uplink"].bound == {"radio": 1, "cell share": 1, "backhaul": 0, "core": 0, "latency": 0}
    assert links["downlink"].bound == {"radio": 1, "cell share": 1, "backhaul": 0, "core": 0, "latency": 0}
    assert links["downlink"].seconds == {"radio": 2.0, "cell share": 2.0, "backhaul": 0.0, "core": 0.0, "latency": 1.0}


def test_keys_that_were_not_felt_are_named(run: Results) -> None:
    assert explain(run).unfelt == {
        "scheme.deadline": "no update was late",
        "network.uplink.loss": "no upload broke",
        "network.backhaul.rate": "no transfer waited for the backhaul",
        "task.split.cloud": "nobody learns from the cloud's share, since there is no pretraining",
    }


@pytest.mark.parametrize(
    ("felt", "named"),
    [
        ((), ["scheme.deadline", "devices.availability", "network.kind"]),
        (("late", "cell share", "unavailable"), []),
        (("late", "cell share", "waiting for devices"), []),
    ],
)
def test_a_key_is_felt_by_what_it_brings(felt: tuple[str, ...], named: list[str]) -> None:
    resolved = "scheme: {deadline: 1 s}\nnetwork: {kind: fluid, uplink: {loss: 0.0}}\n"
    resolved += "devices: {availability: {kind: windows}, battery: null, dropout: {upload: 0.0}}\n"
    assert [key for key, _ in unfelt(document.read(resolved, "s.yaml"), felt)] == named


def test_the_limit_of_a_session_binds_in_the_core(tmp_path: Path) -> None:
    rows = [*EVENTS[:5], transfer(2, "uplink", 4.0, 14.0, airtime_s=3.0, backhaul_s=1.0, core_s=5.0)]
    limited = GIVEN.replace("uplink: {rate: 1 Mbit/s", "uplink: {limit: 0.3 Mbit/s, rate: 1 Mbit/s")
    rounds = [a_round(0, 0.0, 0.5), a_round(1, 14.0, 0.8)]
    explanation = explain(record(tmp_path / "held", rounds, rows, resolved=limited))
    assert explanation.bottleneck == "uplink core"
    assert explanation.parts["uplink core"] == 5
    assert explanation.links["uplink"].bound["core"] == 1
    assert "network.uplink.limit" not in explanation.unfelt
    free = explain(record(tmp_path / "free", rounds, EVENTS, resolved=limited))
    assert free.unfelt["network.uplink.limit"] == "it held no transfer up"


@pytest.mark.parametrize(
    ("weight", "felt", "named"),
    [
        ("1.0", (), False),
        ("{1.0: 0.9, 4.0: 0.1}", (), True),
        ("{1.0: 0.9, 4.0: 0.1}", ("cell share",), False),
        ("{1.0: 0.9, 4.0: 0.1}", ("backhaul",), False),
    ],
)
def test_weights_are_felt_where_transfers_wait(weight: str, felt: tuple[str, ...], named: bool) -> None:
    resolved = document.read(f"network: {{kind: cellular}}\ndevices: {{weight: {weight}}}", "s.yaml")
    assert ("devices.weight" in dict(unfelt(resolved, felt))) == named


@pytest.mark.parametrize("direction", ["uplink", "downlink"])
def test_a_limit_is_felt_in_the_core_alone(direction: str) -> None:
    resolved = document.read(f"network: {{kind: fluid, {direction}: {{limit: 1 Mbit/s}}}}", "s.yaml")
    other = "downlink" if direction == "uplink" else "uplink"
    waited = ((), ("backhaul",), ("core", f"{other} core"), ("core", f"{direction} core"))
    named = [f"network.{direction}.limit" in dict(unfelt(resolved, felt)) for felt in waited]
    assert named == [True, True, True, False]


def test_devices_that_can_always_be_reached_are_nothing_to_feel() -> None:
    resolved = "network: {kind: fixed}\ndevices: {availability: {kind: always}}"
    assert not list(unfelt(document.read(resolved, "s.yaml"), ()))


MULTICAST = GIVEN.replace("  kind: fluid\n", "  kind: fluid\n  delivery: multicast\n")


def received(device: int, t_s: float, **more: Any) -> dict[str, Any]:
    return {**transfer(device, "downlink", 0.0, t_s, airtime_s=1.5), "kind": "reception", "delivered": True, **more}


def sent_once(t_s: float, **more: Any) -> dict[str, Any]:
    row = transfer(0, "downlink", 0.0, t_s, airtime_s=1.5, receivers=2)
    del row["device"]
    return {**row, "delivered": True, **more}


def test_a_transmission_to_many_counts_once_and_is_part_of_nobodys_update(tmp_path: Path) -> None:
    downward = [sent_once(2.5), received(1, 3.0, latency_s=0.5), received(2, 3.0, latency_s=0.5)]
    rows = [*downward, {"t_s": 4.0, "kind": "compute", "device": 1, "start_s": 3.0}, *EVENTS[3:]]
    rounds = [a_round(0, 0.0, 0.5), a_round(1, 14.0, 0.8)]
    assert {chain.device for chain in chains(rows)} == {1, 2}
    explanation = explain(record(tmp_path, rounds, rows, resolved=MULTICAST))
    assert explanation.links["downlink"].count == 1
    assert explanation.links["downlink"].seconds == {
        "radio": 1.5,
        "cell share": 1.0,
        "backhaul": 0.0,
        "core": 0.0,
        "latency": 0.0,
    }
    assert {name: duration for name, duration in explanation.parts.items() if name.startswith("downlink")} == {
        "downlink radio": 1.5,
        "downlink cell share": 1.0,
        "downlink latency": 0.5,
    }
    assert [leg.device for leg in explanation.rounds[1].legs] == [2, 2, 2]
    assert "network.delivery" not in explanation.unfelt


def test_the_rest_that_a_device_gets_alone_belongs_to_its_update(tmp_path: Path) -> None:
    downward = [sent_once(1.5), received(2, 1.5, delivered=False), transfer(2, "downlink", 1.5, 3.0, airtime_s=1.0)]
    rounds = [a_round(0, 0.0, 0.5), a_round(1, 14.0, 0.8)]
    rows = [*downward, EVENTS[3], EVENTS[5]]
    (chain,) = chains(rows)
    assert [span.phase for span in chain.spans] == ["downlink", "downlink", "compute", "uplink"]
    explanation = explain(record(tmp_path, rounds, rows, resolved=MULTICAST))
    assert [(leg.name, leg.start_s, leg.end_s) for leg in explanation.rounds[1].legs[:2]] == [
        ("downlink", 0.0, 1.5),
        ("downlink", 1.5, 3.0),
    ]
    why = "no two devices of a cell began to receive the same payload at the same moment"
    assert explanation.unfelt["network.delivery"] == why


def test_what_was_not_recorded_is_not_told(tmp_path: Path) -> None:
    bare = [{name: value for name, value in row.items() if not name.endswith(("airtime_s",))} for row in EVENTS]
    explanation = explain(record(tmp_path, [a_round(1, 14.0, 0.8)], bare, resolved=GIVEN))
    assert explanation.bottleneck == "uplink"
    assert explanation.links["uplink"].divided == 0
    assert "network.backhaul.rate" not in explanation.unfelt


def test_a_run_without_events_has_only_its_clock(tmp_path: Path) -> None:
    explanation = explain(record(tmp_path, [a_round(0, 7.0, 0.5)], [], resolved=GIVEN))
    assert (explanation.parts, explanation.links) == ({"cloud": 7}, {})


def test_before_anything_was_sent_no_key_can_have_been_felt(tmp_path: Path) -> None:
    begun = record(tmp_path, [a_round(0, 1.0, 0.5)], [], resolved=GIVEN)
    assert explain(begun).unfelt == {}


def test_the_verb_tells_it_in_words_and_in_json(netfed: Netfed, run: Results) -> None:
    done = netfed("explain", run.path)
    assert done.code == 0
    assert "bottleneck: uplink cell share, 42.9 % of 14 s" in done.out
    assert "  uplink    2: 1 radio, 1 cell share" in done.out
    assert "  scheme.deadline: no update was late" in done.out
    assert max(map(len, done.out.splitlines())) <= 80
    asked = netfed("explain", run.path, "--json")
    assert asked.err == done.out
    assert asked.json["bottleneck"] == "uplink cell share"
    assert asked.json["parts_s"]["uplink radio"] == 4.0
    assert [this["round"] for this in asked.json["rounds"]] == [0, 1]
    assert asked.json["transfers"]["uplink"]["count"] == 2


def test_one_round_is_told_step_by_step(netfed: Netfed, run: Results) -> None:
    done = netfed("explain", run.path, "--round", 1, "--json")
    assert [leg["name"] for leg in done.json["legs"]] == ["downlink", "compute", "uplink"]
    assert done.json["legs"][2] == {
        "name": "uplink",
        "device": 2,
        "cell": 0,
        "start_s": 4.0,
        "end_s": 14.0,
        "parts_s": {"uplink radio": 4.0, "uplink cell share": 6.0},
    }
    assert "round 1: 14 s, bottleneck uplink cell share" in done.err
    assert "      4 s  uplink of device 2 in cell 0: 4 s radio, 6 s cell share" in done.err


def test_a_round_that_has_not_been_is_a_mistake(netfed: Netfed, run: Results) -> None:
    done = netfed("explain", run.path, "--round", 9)
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith(": it has come to round 1\n")


def test_neither_torch_nor_simpy_is_needed(run: Results) -> None:
    code = "import sys; from netfed.explanation import explain; from netfed.results import load\n"
    code += f"explain(load({str(run.path)!r})); assert not {{'torch', 'simpy'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
