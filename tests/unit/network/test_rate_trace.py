"""Published formats of bandwidth traces, and what is said of files that are not written like them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netfed.network.cell_trace import CellTrace
from netfed.network.rate_trace import Csv, Lumos5G, Mahimahi, RateTrace, Ucc5G
from netfed.plugin import read, write
from netfed.streams import Streams

UCC = """\
Timestamp,Longitude,Latitude,Speed,NetworkMode,DL_bitrate,UL_bitrate,State
2019.12.16_13.40.04,-8.39,51.88,0,5G,1000,10,D
2019.12.16_13.40.05,-8.39,51.88,0,5G,2000,20,D
2019.12.16_13.40.05,-8.39,51.88,0,5G,4000,20,D
2019.12.16_13.40.06,-8.39,51.88,0,5G,-,30,D
2019.12.16_13.40.08,-8.39,51.88,0,5G,8000,40,D
"""
LUMOS = "run_num,seq_num,nrStatus,Throughput,mobility_mode\n1,1,CONNECTED,800,walking\n1,2,NONE,35.5,walking\n"


def file(folder: Path, text: str) -> str:
    path = folder / "trace"
    path.write_text(text)
    return str(path)


def test_csv(tmp_path: Path) -> None:
    steps = Csv(path=file(tmp_path, "note,t_s,rate_bps\nx,10,1e6\n\ny,12,3000000\n")).steps("uplink")
    assert steps.start_s.tolist() == [0, 2]
    assert steps.rate_bps.tolist() == [1e6, 3e6]
    assert (steps.period_s, steps.period_bits) == (4, 8e6)


def test_mahimahi_counts_packets(tmp_path: Path) -> None:
    """Two packets in the first tenth of a second, one in the second, three in the last, which is half as long."""
    trace = Mahimahi(path=file(tmp_path, "0\n100\n101\n250\n250\n250\n"))
    steps = trace.steps("downlink")
    assert steps.start_s == pytest.approx([0, 0.1, 0.2])
    assert steps.rate_bps == pytest.approx([2 * 12e3 / 0.1, 12e3 / 0.1, 3 * 12e3 / 0.05])
    assert steps.period_s == 0.25
    assert steps.bits(0, 0.5) == pytest.approx(12 * 12e3)


def test_mahimahi_of_one_line_is_a_constant_rate(tmp_path: Path) -> None:
    steps = Mahimahi(path=file(tmp_path, "1\n")).steps("uplink")
    assert steps.bits(3.3, 4.3) == pytest.approx(12e6)


def test_ucc(tmp_path: Path) -> None:
    trace = Ucc5G(path=file(tmp_path, UCC))
    down, up = trace.steps("downlink"), trace.steps("uplink")
    assert down.start_s.tolist() == [0, 1, 4]
    assert down.rate_bps.tolist() == [1e6, 3e6, 8e6]
    assert down.period_s == 7
    assert up.rate_bps.tolist() == [1e4, 2e4, 3e4, 4e4]


def test_lumos5g(tmp_path: Path) -> None:
    trace = Lumos5G(path=file(tmp_path, LUMOS))
    assert trace.steps("downlink").rate_bps.tolist() == [8e8, 35.5e6]
    with pytest.raises(ValueError, match="take another trace for the uplink"):
        trace.steps("uplink")


def test_a_file_is_pinned(tmp_path: Path) -> None:
    read_by: Any = RateTrace
    trace = Csv(path=file(tmp_path, "t_s,rate_bps\n0,1\n"), repeat=False)
    assert trace.sha256
    assert read_by._read({"kind": "csv", **write(trace)}) == trace
    assert read(Csv, write(trace)) == trace
    file(tmp_path, "t_s,rate_bps\n0,2\n")
    with pytest.raises(ValueError, match="not the file that was read before"):
        read(Csv, write(trace))


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (Csv, "t_s\n1\n", "trace:1: no column 'rate_bps'"),
        (Csv, "t_s,rate_bps\n", "trace: no rows"),
        (Csv, "t_s,rate_bps\n1\n", "trace:2: 1 fields, not 2"),
        (Csv, "t_s,rate_bps\n0,fast\n", "trace:2: rate_bps 'fast' is no number from 0 up"),
        (Csv, "t_s,rate_bps\n0,-1\n", "trace:2: rate_bps '-1'"),
        (Csv, "t_s,rate_bps\n0,1\n\n0,1\n", "trace:4: it is not later than the row before it"),
        (Csv, "t_s,rate_bps\n0,0\n", "trace: every rate is 0"),
        (Mahimahi, "1\nx\n", "trace:2: 'x' is no whole number of milliseconds"),
        (Mahimahi, "5\n4\n", "trace:2: 4 ms comes after 5 ms"),
        (Mahimahi, "\n", "trace: a trace ends at its last line"),
        (Mahimahi, "0\n", "trace: a trace ends at its last line"),
        (Ucc5G, UCC.replace(".08,", ",", 1), "trace:6: Timestamp '2019.12.16_13.40' is not written like"),
        (Ucc5G, UCC.replace("DL_", "dl_"), "trace:1: no column 'DL_bitrate'"),
        (Ucc5G, "Timestamp,DL_bitrate\n2019.12.16_13.40.04,-\n", "trace: no row has a rate for the downlink"),
        (Lumos5G, LUMOS.replace("800", ""), "trace:2: Throughput '' is no number"),
    ],
)
def test_names_the_line_that_is_wrong(tmp_path: Path, kind: Any, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(path=file(tmp_path, text)).steps("downlink")


def test_it_may_be_said_where_all_are_when_the_simulation_begins(tmp_path: Path) -> None:
    path = file(tmp_path, "t_s,rate_bps\n0,5\n1,1\n")
    assert Csv(path=path).steps("uplink").begins_s is None
    cells, streams = CellTrace(uplink=Csv(path=path, repeat=False)), Streams(1)
    assert len({cells.since_s("uplink", cell, streams) for cell in range(5)}) == 5
    together = CellTrace(uplink=Csv(path=path, begins=1.5))
    assert {together.since_s("uplink", cell, streams) for cell in range(5)} == {1.5}
    assert CellTrace(uplink=Csv(path=path), cells=(1,)).since_s("uplink", 1, streams) == 0.0
    with pytest.raises(ValueError, match="begins must be 0 s or more"):
        Csv(path=path, begins=-1.0)


def test_the_last_rate_goes_on(tmp_path: Path) -> None:
    text = "t_s,rate_bps\n0,5\n1,0\n"
    assert Csv(path=file(tmp_path, text)).steps("uplink").bits(0, 4) == 10
    with pytest.raises(ValueError, match="the last rate is 0: nothing would arrive"):
        Csv(path=file(tmp_path, text), repeat=False).steps("uplink")
