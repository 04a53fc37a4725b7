"""Charts say what the run folder holds: nothing invented, nothing silently left out."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from netfed import charts
from netfed.charts.style import PALETTE
from netfed.results import Results
from tests import recorded
from tests.recorded import EVENTS, ROUNDS, SUMMARY, a_round, link, lost, participation, transfer

Record = Callable[..., Results]


@pytest.fixture
def record(tmp_path: Path) -> Record:
    return partial(recorded.record, tmp_path)


def names(figure: Any) -> list[str]:
    return [trace.name for trace in figure.data]


@pytest.mark.parametrize(
    ("over", "xs", "axis", "title"),
    [
        ("time", (0.0, 3.0), "simulated time (min)", "fedavg: accuracy 0.800 after 3 min 00 s"),
        ("bytes", (0.0, 6.0), "sent up and down (MB)", "fedavg: accuracy 0.800 with 6 MB sent"),
        ("energy", (0.0, 3.0), "energy of the devices (kJ)", "fedavg: accuracy 0.800 with 3 kJ spent by devices"),
    ],
)
def test_the_metric_over_what_it_has_cost(record: Record, over: Any, xs: Any, axis: str, title: str) -> None:
    figure = charts.metric(record(ROUNDS, []), over=over)
    result, central, local = figure.data
    assert (tuple(result.x), tuple(result.y)) == (xs, (0.5, 0.8))
    assert figure.layout.xaxis.title.text == axis
    assert figure.layout.yaxis.title.text == "accuracy"
    assert figure.layout.title.text == title
    assert names(figure) == ["fedavg", "central 0.900", "local 0.600"]
    assert (tuple(central.x), tuple(central.y), tuple(local.y)) == (xs, (0.9, 0.9), (0.6, 0.6))
    assert "round 2: 0.800<br>simulated time 3 min 00 s<br>sent up and down 6 MB" in result.text[1]


def test_runs_side_by_side_share_an_axis_and_only_the_lines_they_have_in_common(record: Record) -> None:
    short = record([a_round(0, 0.0, 0.5), a_round(1, 30.0, 0.7)], [])
    other = {**SUMMARY, "references": {"local": 0.6, "central": 0.95}}
    figure = charts.metric(short, record(ROUNDS, [], other, scheme="fedbuff"))
    assert [list(trace.x) for trace in figure.data[:2]] == [[0.0, 0.5], [0.0, 3.0]]
    assert names(figure)[2:] == ["local 0.600"]
    assert names(figure)[0] == short.manifest.run
    assert len({trace.line.color for trace in figure.data[:2]}) == 2
    assert figure.layout.title.text == "accuracy over simulated time"


def test_a_round_shows_who_did_what_when(record: Record) -> None:
    figure = charts.timeline(record(ROUNDS, EVENTS), version=1)
    bars = {trace.name: trace for trace in figure.data}
    assert set(bars) == {"download", "compute", "upload", "lost"}
    assert list(zip(bars["upload"].y, bars["upload"].base, bars["upload"].x, strict=True)) == [
        ("3", 3.0, 3.0),
        ("1", 5.0, 3.0),
        ("9", 8.0, 2.0),
    ]
    assert list(bars["compute"].base) == [1.0, 3.0]
    assert (list(bars["lost"].x), list(bars["lost"].y)) == ([10.0], ["9"])
    assert "late" in bars["lost"].customdata[0]
    assert "1 kB<br>cell 2" in bars["download"].customdata[0]
    assert figure.layout.yaxis.categoryarray == ("9", "1", "3")
    assert figure.layout.xaxis.title.text == "time in the round (s)"
    assert figure.layout.title.text == "Round 1: 2 arrived, 1 late in 10 s"


def test_the_last_round_is_the_default_and_bars_may_reach_beyond_it(record: Record) -> None:
    events = [*EVENTS, transfer(7, "uplink", 5.0, 185.0, "dismissed")]
    figure = charts.timeline(record(ROUNDS, events))
    upload = next(trace for trace in figure.data if trace.name == "upload")
    spans = dict(zip(upload.y, zip(upload.base, upload.x, strict=True), strict=True))
    assert spans.keys() == {"5", "7"}
    assert spans["7"] == pytest.approx((-5.0 / 60, 180.0 / 60))
    assert figure.layout.title.text.startswith("Round 2: ")


def test_of_many_devices_some_are_shown_and_the_title_says_so(record: Record) -> None:
    events = [row for device in range(100) for row in participation(device, device / 100)]
    results = record(ROUNDS, events)
    figure = charts.timeline(results, version=1, most=5)
    assert figure.layout.yaxis.categoryarray == ("99", "75", "50", "25", "0")
    assert figure.layout.title.text == "Round 1: 100 arrived in 10 s (5 of 100 devices are shown)"
    assert {device for trace in figure.data for device in trace.y} == set(figure.layout.yaxis.categoryarray)
    assert len(charts.timeline(results, version=1, most=1).layout.yaxis.categoryarray) == 1


def test_links_of_other_kinds_are_shown_by_name(record: Record) -> None:
    figure = charts.timeline(record(ROUNDS, [transfer(1, "sidelink", 1.0, 2.0)]), version=1)
    assert list(next(trace for trace in figure.data if trace.name == "sidelink").y) == ["1"]


def test_a_reception_together_with_others_is_a_download_of_each(record: Record) -> None:
    once = transfer(0, "downlink", 1.0, 2.0)
    del once["device"]
    received = [{**transfer(device, "downlink", 1.0, 2.5), "kind": "reception"} for device in (1, 2)]
    figure = charts.timeline(record(ROUNDS, [once, *received]), version=1)
    downloads = next(trace for trace in figure.data if trace.name == "download")
    assert list(downloads.y) == ["1", "2"]
    assert list(figure.layout.yaxis.categoryarray) == ["1", "2"]


@pytest.mark.parametrize("version", [0, 3])
def test_a_round_that_is_not_there_is_refused(record: Record, version: int) -> None:
    with pytest.raises(ValueError, match=f"no round has made version {version}"):
        charts.timeline(record(ROUNDS, EVENTS), version=version)


def test_losses_stack_by_round_and_cause(record: Record) -> None:
    figure = charts.losses(record(ROUNDS, EVENTS))
    late, dropout = figure.data
    assert names(figure) == ["late", "dropout-compute"]
    assert (list(late.x), list(late.y), list(dropout.y)) == ([1.0, 2.0], [1, 1], [0, 1])
    assert figure.layout.barmode == "stack"
    assert figure.layout.yaxis.dtick == 1
    assert figure.layout.title.text == "3 of 8 participations came to nothing, 2 of them: late"


def test_quarantined_updates_came_to_nothing_too(record: Record) -> None:
    huge = {"t_s": 60.0, "kind": "arrival", "device": 4, "version": 1, "staleness": 0, "cause": "huge", "detail": "?"}
    figure = charts.losses(record(ROUNDS, [*EVENTS, huge]))
    assert {trace.name: list(trace.y) for trace in figure.data}["huge"] == [0, 1]
    assert figure.layout.title.text == "4 of 8 participations came to nothing, 2 of them: late"
    assert "1 huge" in charts.timeline(record(ROUNDS, [*participation(3, 20.0), huge])).layout.title.text


def test_transfers_over_the_backhaul_are_nobodys(record: Record) -> None:
    backhaul = {**transfer(0, "backhaul-uplink", 20.0, 25.0, "loss-backhaul-uplink"), "device": None}
    figure = charts.timeline(record(ROUNDS, [*EVENTS, backhaul]))
    assert figure.layout.yaxis.categoryarray == ("5",)
    assert "backhaul-uplink" not in names(figure)


def test_many_rounds_share_bars_that_lose_nothing(record: Record) -> None:
    rounds = [a_round(version, float(version), 0.5) for version in range(150)]
    events = [lost(version - 0.5, f"cause-{version % 8}") for version in range(1, 150)] + [lost(500.0, "late")]
    figure = charts.losses(record(rounds, events))
    counted = Counter({trace.name: sum(trace.y) for trace in figure.data})
    assert counted == Counter(event["cause"] for event in events)
    assert len(figure.data[0].x) == 50
    assert figure.data[0].customdata[0] == "rounds 1 to 3"
    assert figure.layout.xaxis.title.text == "round (3 to a bar)"
    assert figure.data[0].customdata[-1] == "rounds 148 to 149"
    looks = [(trace.marker.color, trace.marker.pattern.shape) for trace in figure.data]
    assert len(set(looks)) == 9
    assert {colour for colour, _ in looks} == set(PALETTE)


def test_losses_of_several_runs_are_totals(record: Record) -> None:
    runs = record(ROUNDS, EVENTS), record(ROUNDS, [])
    figure = charts.losses(*runs)
    assert list(figure.data[0].x) == [run.manifest.run for run in runs]
    assert list(figure.data[0].y) == [2, 0]
    assert figure.layout.title.text == "3 of 16 participations came to nothing, 2 of them: late"


def test_the_busiest_links_stand_at_the_top(record: Record) -> None:
    looks = [
        link(cell, "uplink", 3.0 * begin, 3.0 * begin + 3.0, 0.1 * cell, transfers=2, backlog_bits=16e6)
        for begin in range(23)
        for cell in (2, 5, 6, 7, 9)
    ]
    figure = charts.utilisation(record(ROUNDS, [*EVENTS, *looks]), most=4)
    (fields,) = figure.data
    assert fields.y == ("cell 5 uplink", "cell 6 uplink", "cell 7 uplink", "cell 9 uplink")
    assert fields.z[3] == pytest.approx([90.0] * 23 + [0.0] * 37)
    assert (len(fields.x), len(fields.z[0]), fields.x[-1]) == (61, 60, 3.0)
    assert fields.customdata[0][1] == (
        "cell 5 uplink, 3 s to 6 s<br>busy 50 % of the time<br>0.00267 Mbit/s<br>up to 2 transfers with 2 MB to go"
    )
    assert figure.layout.xaxis.title.text == "simulated time (min)"
    title = "Busiest: cell 9 uplink, 34 % of the time (4 of 5 links are shown)"
    assert figure.layout.title.text == title


def test_where_transfers_do_not_slow_each_other_down_a_link_is_asked_for_more_than_it_has(record: Record) -> None:
    figure = charts.utilisation(record(ROUNDS, [*EVENTS, link(2, "uplink", 0.0, 180.0, 5.0)]))
    assert figure.layout.title.text.startswith("Busiest: cell 2 uplink, 5 times over")
    assert "<br>busy 5 times over<br>" in figure.data[0].customdata[0][0]


def test_what_is_not_there_is_said(record: Record) -> None:
    nothing = record([], [], None)
    begun = record([a_round(0, 0.0, None)], [], None)
    idle = record(ROUNDS, [])
    assert charts.metric(nothing).layout.title.text == "No round has been evaluated yet."
    assert charts.metric(begun).layout.title.text == "No round has been evaluated yet."
    assert charts.timeline(nothing).layout.title.text == "No round has ended yet."
    assert charts.timeline(begun).layout.title.text == "No round has ended yet."
    assert charts.timeline(idle).layout.title.text.startswith("Round 2: no transfer or computation")
    assert charts.utilisation(nothing).layout.title.text == "Nothing is recorded yet."
    unmetered = charts.utilisation(record(ROUNDS, participation(1, 0.0)))
    assert unmetered.layout.title.text == "How busy links were was not recorded (network.meter)."
    assert charts.utilisation(idle).data == charts.utilisation(record(ROUNDS, EVENTS)).data == ()
    assert charts.losses(begun).layout.title.text == "Nothing is recorded yet."
    assert charts.losses(record(ROUNDS, participation(1, 0.0))).layout.title.text == "Nothing was lost."


def test_texts_of_files_are_no_markup(record: Record) -> None:
    evil = "<a href='http://evil.example'>x</a>"
    events = [transfer(1, evil, 1.0, 2.0, evil), link(0, evil, 0.0, 2.0, 1.0, ends=evil), lost(2.0, evil)]
    results = record(ROUNDS, events, scheme=evil)
    for figure in (
        charts.metric(results),
        charts.timeline(results, 1),
        charts.losses(results),
        charts.utilisation(results),
    ):
        assert "<a" not in figure.to_json().replace("\\u003c", "<")


def test_charts_need_neither_torch_nor_simpy_and_plotly_only_to_draw() -> None:
    script = (
        "import sys, netfed.charts; print([n for n in ('torch', 'simpy', 'plotly', 'pyarrow') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
