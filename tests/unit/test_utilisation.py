"""How busy links were: as recorded, interval by interval, and nothing of it lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed import events, manifest
from netfed.cli import main
from netfed.results import Results, load
from netfed.run import begin, play
from netfed.scenario import loads
from netfed.utilisation import utilisation
from tests import recorded
from tests.conftest import NOTHING
from tests.recorded import EVENTS, ROUNDS, a_round, link


def results(tmp_path: Path, events: list[dict[str, Any]]) -> Results:
    return recorded.record(tmp_path, [a_round(0, 0.0, None), a_round(1, 8.0, 0.5)], events)


def test_each_look_is_an_interval(tmp_path: Path) -> None:
    looks = [
        link(2, "uplink", 0.0, 2.0, 0.5, transfers=3, backlog_bits=100),
        link(2, "uplink", 2.0, 4.0, 1.0, bits=4e3, transfers=2, backlog_bits=50),
        link(2, "uplink", 6.0, 7.0, 0.5),
    ]
    edges_s, (history,) = utilisation(results(tmp_path, looks))
    assert edges_s.tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert history.name == "cell 2 uplink"
    assert history.busy.tolist() == [0.5, 1.0, 0.0, 0.25]
    assert history.rate_bps.tolist() == [4e3, 2e3, 0.0, 4e3]
    assert history.transfers.tolist() == [3, 2, 0, 0]
    assert history.backlog_bits.tolist() == [100, 50, 0, 0]
    assert history.mean_busy == pytest.approx((1.0 + 2.0 + 0.5) / 8)


def test_intervals_of_a_long_run_are_put_together(tmp_path: Path) -> None:
    looks = [link(2, "uplink", second, second + 1.0, 0.25 * (second % 2), transfers=second) for second in range(7)]
    edges_s, (history,) = utilisation(results(tmp_path, looks), most=4)
    assert edges_s.tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert history.busy.tolist() == [0.125, 0.125, 0.125, 0.0]
    assert history.transfers.tolist() == [1, 3, 5, 6]


def test_links_are_told_apart_and_the_busiest_comes_first(tmp_path: Path) -> None:
    looks = [
        link(2, "uplink", 0.0, 1.0, 0.1),
        link(2, "downlink", 0.0, 1.0, 0.3),
        link(2, "uplink", 0.0, 1.0, 0.4, sector=2),
        {**link(2, "backhaul-uplink", 0.0, 1.0, 0.2), "sector": None},
        {**link(2, "backhaul-uplink", 0.0, 1.0, 0.7), "sector": None, "cell": None, "ends": "cloud - hub"},
        {**link(2, "sidelink", 0.0, 1.0, 0.6), "sector": None, "cell": None, "pool": 1},
    ]
    _, histories = utilisation(results(tmp_path, looks))
    assert [history.name for history in histories] == [
        "cloud - hub backhaul-uplink",
        "pool 1 sidelink",
        "cell 2 sector 2 uplink",
        "cell 2 sector 0 downlink",
        "cell 2 backhaul-uplink",
        "cell 2 sector 0 uplink",
    ]


GRID = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.integers(0, 10)), min_size=1, max_size=30)


@settings(max_examples=30, deadline=None)
@given(GRID, st.integers(1, 50), st.sampled_from([1.0, 0.1, 7.3]))
def test_no_bit_and_no_airtime_gets_lost(
    tmp_path_factory: pytest.TempPathFactory, looks: list[tuple[int, int, int]], most: int, interval_s: float
) -> None:
    rows = [
        link(cell, "uplink", interval_s * begin, interval_s * (begin + 1), 0.1 * tenths, bits=tenths)
        for begin, cell, tenths in sorted(looks)
    ]
    edges_s, histories = utilisation(recorded.record(tmp_path_factory.mktemp("run"), [], rows), most)
    assert len(edges_s) <= most + 1
    assert sum(history.bits.sum() for history in histories) == sum(row["bits"] for row in rows)
    busy_s = sum(row["busy"] * interval_s for row in rows)
    assert sum(history.mean_busy * edges_s[-1] for history in histories) == pytest.approx(busy_s)


def test_a_run_whose_first_round_has_not_ended_has_used_links_too(tmp_path: Path) -> None:
    edges_s, (history,) = utilisation(recorded.record(tmp_path, [], [link(1, "uplink", 0.0, 1.0, 0.5)]))
    assert edges_s.tolist() == [0.0, 1.0]
    assert history.busy.tolist() == [0.5]


def test_without_looks_there_is_nothing(tmp_path: Path) -> None:
    assert utilisation(results(tmp_path, []))[1] == []
    assert utilisation(recorded.record(tmp_path, ROUNDS, EVENTS))[1] == []


@pytest.mark.parametrize("meter", ["auto", "null"])
def test_the_report_of_a_run_shows_what_its_meter_saw(tmp_path: Path, meter: str) -> None:
    with begin(loads(NOTHING, "test.yaml", sets=[f"network.meter={meter}"]), NOTHING, tmp_path) as folder:
        play(folder)
    _, histories = utilisation(load(folder.path))
    with pytest.raises(SystemExit) as stop:
        main(["report", str(folder.path), "--out", str(tmp_path / "report.html")])
    assert not stop.value.code
    page = (tmp_path / "report.html").read_text()
    if meter == "null":
        assert histories == []
        assert "How busy links were was not recorded (network.meter)." in page
    else:
        assert {history.name.split()[-1] for history in histories} == {
            "uplink",
            "downlink",
            "backhaul-uplink",
            "backhaul-downlink",
        }
        assert f"Busiest: {histories[0].name}" in page


def test_a_run_recorded_before_there_were_meters_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new = {"sector", "busy", "backlog_bits", "transfers"}
    with monkeypatch.context() as before:
        before.setattr(events, "COLUMNS", {name: of for name, of in events.COLUMNS.items() if name not in new})
        run = recorded.record(tmp_path, ROUNDS, EVENTS)
    assert set(pq_columns(run)) & new == set()
    assert len(run.events()) == len(EVENTS)
    assert utilisation(run)[1] == []


def pq_columns(run: Results) -> list[str]:
    ((name, entry),) = run.manifest.parts.items()
    return list(events.from_parquet(manifest.read_file(run.path, name, entry)).column_names)
