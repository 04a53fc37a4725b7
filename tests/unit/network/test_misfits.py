"""What a network says that does not fit the rest of its scenario is told when the scenario is read, with its line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netfed.errors import ScenarioError
from netfed.scenario import Scenario, load, loads, resolved

HEAD = """\
netfed: 1
name: mine
task: {kind: none, download: 40 kB, upload: 10 kB, compute: 1 s}
scheme: {kind: fedavg, rounds: 1, cohort: 2}
"""
CELLULAR = """\
topology: {kind: hexagonal, base_stations: 7}
devices: {count: 8}
network:
  kind: cellular
  propagation: umi
  carrier: fr1-3500mhz
  backhaul: {rate: 1 Gbit/s}
  wraparound: true
"""
FLUID = """\
topology: {kind: hexagonal, base_stations: 3}
devices: {count: 8}
network:
  kind: fluid
  uplink: {rate: 1 Mbit/s}
  downlink: {rate: 10 Mbit/s}
  backhaul: {rate: 1 Gbit/s}
"""


def site(name: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "role": "base-station", "x": 0, "y": 0, **more}


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    """A topology of seven base stations that are nowhere in particular."""
    names = [f"site-{index}" for index in range(7)]
    nodes = [{"id": "cloud", "role": "cloud"}, *map(site, names)]
    file = tmp_path / "sites.json"
    file.write_text(json.dumps({"nodes": nodes, "links": [{"source": "cloud", "target": name} for name in names]}))
    return file


def read(text: str, *sets: str) -> Scenario:
    return loads(HEAD + text, "s.yaml", sets=sets)


def refusal(text: str, *sets: str) -> tuple[str, ...]:
    with pytest.raises(ScenarioError) as refused:
        read(text, *sets)
    return refused.value.lines


def test_what_fits_is_read() -> None:
    assert read(CELLULAR).network.wraparound
    assert read(CELLULAR, "topology.base_stations=19").topology.base_stations == 19
    assert read(CELLULAR, "topology.base_stations=3", "network.wraparound=false")
    assert read(FLUID, "network.outages=[{kind: scheduled, start: 1 s, duration: 1 s, cells: [2], links: all}]")


@pytest.mark.parametrize("count", [1, 3, 8, 18, 20])
def test_only_whole_rings_repeat(count: int) -> None:
    why = f"network.wraparound: {count} base stations are no whole rings: 7, 19, 37 or 61 are"
    text = CELLULAR.replace("base_stations: 7", f"base_stations: {count}")
    assert refusal(text) == (f"s.yaml:12:3: {why}",)
    assert refusal(
        CELLULAR.replace("wraparound: true", "wraparound: false"),
        "network.wraparound=true",
        f"topology.base_stations={count}",
    ) == (f"--set network.wraparound=true: {why}",)


def test_only_a_hexagonal_grid_repeats(graph: Path) -> None:
    assert refusal(CELLULAR, f"topology={{kind: file, path: {graph}}}") == (
        "s.yaml:12:3: network.wraparound: a topology of kind file does not repeat; take hexagonal, or leave this out",
    )


def test_a_short_form_that_breaks_the_rings_is_told_where_it_does() -> None:
    (line,) = refusal(CELLULAR + "short:\n  topology: {base_stations: 3}\n")
    assert line.startswith("s.yaml:13:1: short.network.wraparound: 3 base stations are no whole rings")


def test_a_block_fits_the_area() -> None:
    text = CELLULAR.replace("{count: 8}", "\n  count: 8\n  mobility: {kind: manhattan, block: 2 km}")
    (line,) = refusal(text)
    assert line.startswith("s.yaml:8:31: devices.mobility.block: no block of 2000 m fits the area of 1577.35 m x 1443")
    assert read(text, "devices.mobility.block=1400 m")
    assert read(text, "topology.spacing=1 km", "topology.base_stations=19", "network.wraparound=false")


def test_what_would_look_at_the_radio_for_ever_is_refused() -> None:
    (line,) = refusal(CELLULAR, "network.refresh=1 us")
    assert line.endswith("network: refresh must be 1 ms or more: each look at the radio costs time")
    (line,) = refusal(CELLULAR, "network.handover.time_to_trigger=1 us")
    assert "network.handover: time_to_trigger must be 0, or 1 ms or more" in line
    assert read(CELLULAR, "network.handover.time_to_trigger=0 s", "network.refresh=1 ms")


def test_devices_have_no_traces_where_rates_follow_from_the_radio(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("t_s,rate_bps\n0,1e6\n")
    text = CELLULAR.replace("{count: 8}", f"\n  count: 8\n  uplink: {{kind: csv, path: {tmp_path / 'trace.csv'}}}")
    assert refusal(text) == (
        "s.yaml:8:3: devices.uplink: rates follow from the radio of a cellular network; leave out this trace",
    )


@pytest.mark.parametrize(
    ("traces", "told"),
    [
        ("[{uplink: %s}]", "devices.traces.0: devices or share must say who follows the trace, one of them"),
        ("[{uplink: %s, share: 0.5, devices: [1]}]", "devices.traces.0: devices or share must say who"),
        ("[{devices: [1]}]", "devices.traces.0: uplink or downlink must be a trace"),
        ("[{uplink: %s, devices: [[3, 2]]}]", "devices.traces.0: devices must be numbers from 0 on, or ranges"),
        ("[{uplink: %s, devices: []}]", "devices.traces.0: devices must be numbers from 0 on, or ranges"),
        ("[{uplink: %s, share: 0}]", "devices.traces.0: share must be more than 0, and at most 1"),
        ("[{uplink: %s, devices: [8]}]", "devices: traces.0: there is no device 8: they are numbered from 0 to 7"),
        ("[{uplink: %s, devices: [[1, 4]]}, {downlink: %s, devices: [3]}]", "devices: traces.1: device 3 is named"),
        ("[{uplink: %s, share: 0.6}, {downlink: %s, share: 0.6}]", "devices: traces: the shares add up to 1.2, more"),
    ],
)
def test_each_device_follows_one_trace_of_its_own(tmp_path: Path, traces: str, told: str) -> None:
    (tmp_path / "trace.csv").write_text("t_s,rate_bps\n0,1e6\n")
    given = traces.replace("%s", f"{{kind: csv, path: {tmp_path / 'trace.csv'}}}")
    (line,) = refusal(FLUID, f"devices.traces={given}")
    assert told in line


def test_traces_of_some_devices_go_where_those_of_all_may_go(tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_text("t_s,rate_bps\n0,1e6\n")
    trace = f"{{kind: csv, path: {tmp_path / 'trace.csv'}}}"
    traces = f"devices.traces=[{{share: 0.5, uplink: {trace}, downlink: {trace}}}]"
    assert len(read(FLUID, traces, f"devices.uplink={trace}").devices.traced()) == 3
    (line,) = refusal(CELLULAR, traces)
    assert line.endswith("devices.traces.0: rates follow from the radio of a cellular network; leave out this trace")
    (line,) = refusal(FLUID, traces, "network.delivery=multicast")
    assert "devices.traces.0: rates follow a trace in unicast alone" in line
    (line,) = refusal(FLUID, traces, f"network.traces=[{{uplink: {trace}}}]")
    assert "devices.traces.0: cells of the network follow traces in this direction" in line


def test_outages_are_of_what_is_there(graph: Path) -> None:
    text = (
        FLUID
        + """\
  outages:
  - {kind: scheduled, start: 0 s, duration: 1 s, cells: [1, 3]}
  - {kind: scheduled, start: 0 s, duration: 1 s, links: [[cloud, base-station-9], [cloud, base-station-1]]}
"""
    )
    assert refusal(text) == (
        "s.yaml:13:5: network.outages.0: there is no cell 3: they are numbered from 0 to 2",
        "s.yaml:14:5: network.outages.1: the topology has no link between 'cloud' and 'base-station-9'",
    )
    (line,) = refusal(
        text,
        f"topology={{kind: file, path: {graph}}}",
        "network.outages.1.links=[[site-1, cloud]]",
        "network.outages.0.cells=[6, 7]",
    )
    assert line.endswith("network.outages.0: there is no cell 7: they are numbered from 0 to 6")


def test_others_leave_some_airtime_in_cells_that_are_there() -> None:
    text = (
        FLUID
        + """\
  background:
  - {kind: constant, share: 0.3}
  - {kind: constant, share: 0.6, cells: [2], direction: uplink}
  - {kind: diurnal, curve: [0.1, 0.05], cells: [0, 3]}
"""
    )
    assert refusal(text) == ("s.yaml:15:5: network.background.2: there is no cell 3: they are numbered from 0 to 2",)
    (line,) = refusal(text, "network.background.2.cells=[0, 2]")
    assert line.endswith(
        ": network.background.2: with background.0 and background.1, others take 1 of a cell's uplink: "
        "some of it must be left"
    )
    several = read(text, "network.background.2.cells=[0, 1]").network
    assert [len(several.backgrounds("uplink", cell)) for cell in range(3)] == [2, 2, 2]
    assert [len(several.backgrounds("downlink", cell)) for cell in range(3)] == [2, 2, 1]
    (line,) = refusal(FLUID + "  background: {kind: constant, share: 0.3, cells: [3]}\n")
    assert line.startswith("s.yaml:12:3: network.background: there is no cell 3")


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("{kind: constant, share: 1}", "background: share must be from 0 to less than 1"),
        ("{kind: constant, share: 0.1, direktion: up}", "background.direktion: unknown key, did you mean 'direction'?"),
        ("[{kind: constant, share: 1}]", "background.0: share must be from 0 to less than 1"),
        ("[{kind: constant, share: 0.1, cells: []}]", "background.0: cells must say whose airtime others take"),
        ("[{kind: constant, share: 0.1, cells: [-1]}]", "background.0: cells are numbered from 0"),
        ("[{kind: constant, share: 0.1, direction: up}]", "background.0.direction: expected 'uplink', 'downlink'"),
    ],
)
def test_a_background_is_one_or_several(written: str, told: str) -> None:
    (line,) = refusal(FLUID + f"  background: {written}\n")
    assert f"network.{told}" in line


def test_sectors_are_cells() -> None:
    outage = "{kind: random, between: 1 h, duration: 1 s, cells: [%s]}"
    assert read(CELLULAR, f"network.outages=[{outage % 20}]")
    (line,) = refusal(CELLULAR, f"network.outages=[{outage % 21}]")
    assert line.endswith("there is no cell 21: they are numbered from 0 to 20")


def test_a_plain_scenario_is_checked_without_its_graph() -> None:
    code = f"import sys; from netfed.scenario import loads; loads({HEAD + FLUID!r}, 's.yaml')\n"
    code += "assert not {'networkx', 'simpy', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


TRACED = (
    FLUID
    + """\
  traces:
  - {cells: [0, 2], uplink: {kind: csv, path: up.csv}}
  - cells: all
    downlink: {kind: lumos5g, path: down.csv}
"""
)


@pytest.fixture
def traced(tmp_path: Path) -> Path:
    """A scenario beside the traces that it names."""
    (tmp_path / "up.csv").write_text("t_s,rate_bps\n0,1e6\n1,2e6\n")
    (tmp_path / "down.csv").write_text("Throughput\n100\n0\n")
    file = tmp_path / "mine.yaml"
    file.write_text(HEAD + TRACED)
    return file


def check(file: Path, old: str = "", new: str = "") -> list[str]:
    file.write_text((HEAD + TRACED).replace(old, new))
    with pytest.raises(ScenarioError) as refused:
        load(file)
    return [line.replace(f"{file.parent}/", "") for line in refused.value.lines]


def test_traces_of_cells_are_found_beside_the_scenario_and_pinned(traced: Path) -> None:
    scenario = load(traced)
    one, other = scenario.network.traces
    assert (one.cells, one.uplink.path, one.downlink) == ((0, 2), str(traced.parent / "up.csv"), None)
    assert (other.cells, other.uplink) == ("all", None)
    assert [scenario.network.best_bps("uplink", cell) for cell in range(3)] == [2e6, 1e6, 2e6]
    assert scenario.network.best_bps("downlink", 1) == 100e6
    again = loads(resolved(scenario), "resolved.yaml")
    assert again == scenario
    assert len(again.network.traces[0].uplink.sha256) == 64


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("[0, 2]", "[0, 3]", "13:5: network.traces.0", "there is no cell 3: they are numbered from 0 to 2"),
        ("[0, 2]", "[-1]", "13:5: network.traces.0", "cells are numbered from 0"),
        ("[0, 2]", "[]", "13:5: network.traces.0", "cells must say who follows the trace, or be all"),
        ("up.csv", "none.csv", "13:21: network.traces.0.uplink", "none.csv: No such file or directory"),
        ("uplink: {kind: csv, path: up.csv}", "uplink: null", "13:5: network.traces.0", "uplink or downlink must be"),
        ("up.csv}}", "down.csv}}", "13:5: network.traces.0", "down.csv:1: no column 't_s'"),
        ("lumos5g", "csv", "14:5: network.traces.1", "down.csv:1: no column 't_s'"),
        ("downlink: {kind", "uplink: {kind", "14:5: network.traces.1", "down.csv: Lumos5G measured the downlink: take"),
        ("- cells: all", "- cell: 1", "14:5: network.traces.1.cell", "unknown key, did you mean 'cells'?"),
        (
            "up.csv}}",
            "up.csv}, downlink: {kind: csv, path: up.csv}}",
            "14:5: network.traces.1",
            "a cell cannot follow this trace of its downlink and that of traces.0 too",
        ),
        (
            "{count: 8}",
            "{count: 8, downlink: {kind: lumos5g, path: down.csv}}",
            "6:21: devices.downlink",
            "cells of the network follow traces in this direction: leave out these, or this one",
        ),
    ],
)
def test_a_mistake_in_a_trace_of_cells_is_told_with_its_line(
    traced: Path, old: str, new: str, place: str, message: str
) -> None:
    (line,) = check(traced, old, new)
    assert line.startswith(f"mine.yaml:{place}: {message}")


def test_traces_of_other_cells_or_another_direction_do_not_meet(traced: Path) -> None:
    down, up = "downlink: {kind: lumos5g, path: down.csv}", "uplink: {kind: csv, path: up.csv}"
    traced.write_text((HEAD + TRACED).replace("cells: all", "cells: [1]").replace(down, up))
    assert len(load(traced).network.traces) == 2
    assert load(traced, sets=[f"devices.downlink={{kind: lumos5g, path: {traced.parent / 'down.csv'}}}"])


def test_kinds_whose_cells_have_no_given_rate_follow_no_trace() -> None:
    (line,) = refusal(FLUID, "network={kind: ideal, traces: []}")
    assert line.endswith(": network.traces: unknown key (keys: kind)")
    assert refusal(CELLULAR.replace("wraparound: true", "traces: []")) == (
        "s.yaml:12:3: network.traces: rates follow from the radio of a cellular network; leave traces out, "
        "or take fluid: here, background takes airtime over time, and outages all of it",
    )


def test_a_topology_from_a_file_has_the_cells_that_it_has(traced: Path, graph: Path) -> None:
    topology = f"{{kind: file, path: {graph.name}}}"
    traced.write_text((HEAD + TRACED).replace("{kind: hexagonal, base_stations: 3}", topology))
    assert load(traced, sets=["network.traces.0.cells=[6]"]).network.traces[0].cells == (6,)
    with pytest.raises(ScenarioError, match="there is no cell 7: they are numbered from 0 to 6"):
        load(traced, sets=["network.traces.0.cells=[7]"])
