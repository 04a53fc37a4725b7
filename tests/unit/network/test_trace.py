from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netfed.network.population import Population
from netfed.network.spec import Devices, Ideal
from netfed.network.trace import Trace
from netfed.plugin import read, write
from netfed.streams import Streams

CSV = """\
device,start,end,note
ann,10,20,
bob,0,5,first
ann,20,30,touches
bob,90,100,
ann, 50.5 ,60,
"""
ANN, BOB = 0.25, 0.75
"""Phases: of two traces, the lower half of phases is given the first."""


def write_csv(folder: Path, text: str = CSV) -> str:
    file = folder / "trace.csv"
    file.write_text(text)
    return str(file)


def windows(trace: Trace, phase: float, now_s: float) -> tuple[float, float]:
    start_s, end_s = trace.window(np.array([phase]), now_s)
    return start_s.item(), end_s.item()


def test_the_first_window_that_ends_after_now(tmp_path: Path) -> None:
    trace = Trace(path=write_csv(tmp_path))
    assert windows(trace, ANN, 0.0) == windows(trace, ANN, 10.0) == windows(trace, ANN, 29.9) == (10, 30)
    assert windows(trace, ANN, 30.0) == windows(trace, ANN, 59.0) == (50.5, 60)
    assert windows(trace, ANN, 60.0) == (math.inf, math.inf)
    assert windows(trace, BOB, 4.9) == (0, 5)
    assert windows(trace, BOB, 5.0) == (90, 100)
    assert windows(trace, BOB, math.inf) == (math.inf, math.inf)


def test_repeated_windows_reach_into_the_next_period(tmp_path: Path) -> None:
    trace = Trace(path=write_csv(tmp_path), period=100.0)
    assert windows(trace, ANN, 260.0) == (310, 330)
    assert windows(trace, BOB, 5.0) == windows(trace, BOB, 99.0) == (90, 105)
    assert windows(trace, BOB, 102.0) == (100, 105)
    assert windows(trace, BOB, 1005.0) == (1090, 1105)
    assert windows(trace, BOB, math.inf) == (math.inf, math.inf)
    whole = Trace(path=write_csv(tmp_path, "device,start,end\na,40,100\na,0,40\n"), period=100.0)
    assert windows(whole, ANN, 70.0) == (0, math.inf)


def test_each_device_asks_at_a_time_of_its_own(tmp_path: Path) -> None:
    trace = Trace(path=write_csv(tmp_path))
    start_s, end_s = trace.window(np.array([ANN, BOB, ANN, BOB]), np.array([12.0, 12.0, 45.0, math.inf]))
    assert start_s.tolist() == [10, 90, 50.5, math.inf]
    assert end_s.tolist() == [30, 100, 60, math.inf]


SPANS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 30), st.integers(1, 10)), min_size=1, max_size=12)


@given(SPANS, st.integers(0, 100), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_agrees_with_counting_seconds(
    tmp_path: Path, spans: list[tuple[int, int, int]], now: int, repeated: bool
) -> None:
    names = list(dict.fromkeys(name for name, _, _ in spans))
    text = "device,start,end\n" + "".join(f"{name},{start},{start + length}\n" for name, start, length in spans)
    trace = Trace(path=write_csv(tmp_path, text), period=40.0 if repeated else None)
    for index, name in enumerate(names):
        seconds = {start + i for its, start, length in spans if its == name for i in range(length)}

        def reachable(second: int, seconds: set[int] = seconds) -> bool:
            return (second % 40 if repeated else second) in seconds

        start_s, end_s = windows(trace, (index + 0.5) / len(names), float(now))
        first = next((second for second in range(now, now + 81) if reachable(second)), math.inf)
        last = first
        while last < now + 200 and reachable(int(last)):
            last += 1
        assert max(start_s, now) == first
        assert end_s == (math.inf if last >= now + 200 else last)


@given(st.floats(0.1, 1e4), st.floats(0, 1e7), st.floats(0.01, 0.99))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
def test_a_window_ends_after_now_however_clocks_round(tmp_path: Path, period: float, now_s: float, x: float) -> None:
    text = f"device,start,end\na,{period * x / 2!r},{period * x!r}\n"
    trace = Trace(path=write_csv(tmp_path, text), period=period)
    for _ in range(4):
        start_s, now_s = windows(trace, ANN, now_s)
        assert start_s < now_s
        again_s, end_s = windows(trace, ANN, now_s)
        assert end_s > now_s
        assert again_s > now_s or end_s - now_s < 1e-6 * period


def test_devices_keep_the_trace_they_are_given(tmp_path: Path) -> None:
    trace = Trace(path=write_csv(tmp_path))
    few, many = (
        Population(Devices(count, availability=trace), np.zeros((1, 2)), 500.0, Ideal(), Streams(1))
        for count in (20, 3000)
    )
    assert np.array_equal(few.available(3.0), many.available(3.0)[:20])
    assert many.available(3.0).mean() == pytest.approx(0.5, abs=0.05)
    assert (many.available(3.0) != many.available(15.0)).all()
    assert many.next_available(3.0) == 10
    assert many.next_available(100.0) == math.inf
    bob = int(many.available(3.0).argmax())
    assert many.available_until(bob, 3.0) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "trace.csv:1: no column 'device': the first line names device, start and end"),
        ("device,from,end\n", "trace.csv:1: no column 'start'"),
        ("device,start,end\n", "trace.csv: no windows"),
        ("device,start,end,start\na,0,1,2\n", "trace.csv:1: there is more than one column 'start'"),
        ("device,start,end\na,0,1\n\nb,1,x\n", "trace.csv:4: start '1' and end 'x' must be seconds"),
        ("device,start,end\na,2,2\n", "trace.csv:2: start '2' and end '2'"),
        ("device,start,end\na,-1,2\n", "trace.csv:2: start '-1'"),
        ("device,start,end\na,0,inf\n", "trace.csv:2: start '0' and end 'inf'"),
        ("device,start,end\na,nan,1\n", "trace.csv:2: start 'nan'"),
        ("device,start,end\na,0\n", "trace.csv:2: 2 fields, not 3"),
        ("device,start,end\na,0,101\n", "trace.csv:2: ends at 101 s, after the period of 100 s"),
        ('device,start,end\n"' + "a" * 200_000 + '",0,1\n', "trace.csv:2: field larger than field limit"),
    ],
)
def test_names_the_line_that_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Trace(path=write_csv(tmp_path, text), period=100.0)


def test_refuses_what_is_no_file_of_text(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.csv: No such file"):
        Trace(path=str(tmp_path / "nowhere.csv"))
    (tmp_path / "binary.csv").write_bytes(b"device\xff")
    with pytest.raises(ValueError, match="byte 6 is not UTF-8"):
        Trace(path=str(tmp_path / "binary.csv"))
    with pytest.raises(ValueError, match="period must be more than 0 s"):
        Trace(path=write_csv(tmp_path), period=0.0)


def test_a_file_is_pinned_when_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_csv(tmp_path)
    monkeypatch.chdir(tmp_path)
    tree = {"count": 2, "availability": {"kind": "trace", "path": "trace.csv", "period": "2 min"}}
    devices = read(Devices, tree)
    monkeypatch.chdir("/")
    assert read(Devices, write(devices)) == devices
    write_csv(tmp_path, CSV + "cid,0,1\n")
    with pytest.raises(ValueError, match="it is not the file that was read before"):
        read(Devices, write(devices))


FEDSCALE = """
{"7": {"duration": 30, "inactive": [20, 60.5], "finish_time": 100, "active": [10, 50], "model": "CPH1801"},
 "9": {"active": [90], "inactive": [100]},
 "8": {"active": [], "inactive": []}}
"""


def test_reads_what_fedscale_has(tmp_path: Path) -> None:
    trace = Trace(path=write_csv(tmp_path, FEDSCALE), period=100.0)
    assert windows(trace, ANN, 0.0) == (10, 20)
    assert windows(trace, ANN, 20.0) == (50, 60.5)
    assert windows(trace, ANN, 61.0) == (110, 120)
    assert windows(trace, BOB, 61.0) == (90, 100)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "trace.csv:1: Expecting property name"),
        ('{"a": ' + "[" * 100_000, "trace.csv: it is nested too deeply"),
        (f'{{"a": {{"active": [{"9" * 5000}], "inactive": [1]}}}}', "trace.csv: an integer has too many digits"),
        ('{"a": {"active": [1]}}', "trace.csv: client 'a' must have two lists, active and inactive, equally long"),
        ('{"a": {"active": [1, 2], "inactive": [3]}}', "client 'a' must have two lists"),
        ('{"a": {"active": [4], "inactive": [3]}}', "client 'a': start 4 and end 3 must be seconds, and the end after"),
        ('{"a": {"active": [4], "inactive": [300]}}', "client 'a': ends at 300 s, after the period of 100 s"),
        ('{"a": {"active": [], "inactive": []}}', "trace.csv: no windows"),
    ],
)
def test_names_the_client_that_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Trace(path=write_csv(tmp_path, text), period=100.0)


def test_a_pickle_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(b"\x80\x04\x95")
    with pytest.raises(ValueError, match="is not UTF-8"):
        Trace(path=str(tmp_path / "trace"))
