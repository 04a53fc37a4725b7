from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfed.network.mobility.movements import Movements
from netfed.network.mobility.recorded import Recorded
from netfed.network.mobility.spec import Area
from netfed.network.mobility.trajectories import Trajectories
from netfed.plugin import read, write
from netfed.streams import Streams
from tests.traces import vehicular

TRACES = Path(vehicular.__file__).parent
AREA = Area(-500.0, -500.0, 500.0, 500.0)
FCD, NS2 = str(TRACES / "crossing.fcd.xml"), str(TRACES / "crossing.ns_movements")


def trajectories(movements: Movements) -> Trajectories:
    return movements.trajectories(np.zeros((4, 2)), AREA, Streams(1))


@pytest.fixture(params=[FCD, NS2], ids=["sumo", "ns2"])
def moving(request: pytest.FixtureRequest) -> Trajectories:
    return trajectories(Movements(path=request.param, origin=(0.0, 0.0)))


@pytest.mark.parametrize(
    ("now_s", "bus", "ann"),
    [
        (0.0, (0, 50), (60, 0)),
        (3.5, (35, 50), (60, 0)),
        (4.0, (40, 50), (60, 0)),
        (9.0, (90, 50), (60, 10)),
        (10.0, (100, 50), (60, 12)),
        (20.0, (100, 50), (60, 32)),
        (99.0, (100, 50), (60, 40)),
    ],
)
def test_both_formats_tell_the_same_places(
    moving: Trajectories, now_s: float, bus: tuple[float, float], ann: tuple[float, float]
) -> None:
    places_m = moving.positions_m([0, 1, 2, 3], now_s)
    assert places_m == pytest.approx(np.array([bus, ann, bus, ann]))


def test_velocities_are_those_of_the_way_under_foot(moving: Trajectories) -> None:
    assert moving.velocities_m_per_s([0, 1], 3.0) == pytest.approx(np.array([[10, 0], [0, 0]]))
    assert moving.velocities_m_per_s([0, 1], 5.0) == pytest.approx(np.array([[10, 0], [0, 2]]))
    assert moving.velocities_m_per_s([0, 1], [10.0, 24.0]) == pytest.approx(np.zeros((2, 2)))


def test_the_origin_is_the_middle_unless_it_is_given() -> None:
    assert trajectories(Movements(path=FCD)).positions_m([0, 1], 0.0).tolist() == [[-50, 25], [10, -25]]


def test_a_period_starts_all_anew() -> None:
    moving = trajectories(Movements(path=FCD, origin=(0.0, 0.0), period=30.0))
    assert moving.positions_m([0, 1], 99.0).tolist() == [[90, 50], [60, 10]]


def test_time_0_is_the_first_moment_of_the_file(tmp_path: Path) -> None:
    late = tmp_path / "late.fcd.xml"
    late.write_text(Path(FCD).read_text().replace('time="', 'time="360'))  # 3600 s, 3604 s, ...
    moving = trajectories(Movements(path=str(late), origin=(0.0, 0.0)))
    assert moving.positions_m([0, 1], 2.0).tolist() == [[20, 50], [60, 0]]


def test_a_track_may_begin_late_end_early_or_be_one_moment() -> None:
    tracks = [[(5.0, 1.0, 1.0), (6.0, 2.0, 1.0)], [(3.0, 7.0, 7.0)], [(0.0, 0.0, 0.0), (9.0, 9.0, 0.0)]]
    moving = Recorded(tracks, (0.0, 0.0), 0.0, None)
    assert moving.positions_m([0, 1, 2], 4.0).tolist() == [[1, 1], [7, 7], [4, 0]]
    assert moving.positions_m([0, 1, 2], 5.5).tolist() == [[1.5, 1], [7, 7], [5.5, 0]]
    assert moving.velocities_m_per_s([0, 1, 2], 4.0).tolist() == [[0, 0], [0, 0], [1, 0]]


TRACK = st.dictionaries(st.integers(0, 20), st.integers(-50, 50), min_size=1, max_size=6).map(
    lambda moments: [(float(time), float(x), float(-x)) for time, x in sorted(moments.items())]
)


@given(st.lists(TRACK, min_size=1, max_size=4), st.floats(0, 25))
def test_agrees_with_interpolating_one_by_one(tracks: list[list[tuple[float, float, float]]], now_s: float) -> None:
    moving = Recorded(tracks, (0.0, 0.0), 0.0, None).positions_m(np.arange(len(tracks)), now_s)
    for place, track in zip(moving, tracks, strict=True):
        times, xs, ys = zip(*track, strict=True)
        assert place == pytest.approx([np.interp(now_s, times, xs), np.interp(now_s, times, ys)])


def test_an_order_replaces_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "orders.tcl"
    file.write_text(
        "$node_(a) set X_ 0\n$node_(a) set Y_ 0\n"
        '$ns_ at 6.0 "$node_(a) setdest 10 0 0.0"\n'
        '$ns_ at 1.0 "$node_(a) setdest 10 0 2.0"\n'
        '$ns_ at 3.0 "$node_(a) setdest 4 3 1.0"\n'
        '$ns_ at 8.0 "$node_(a) setdest 4 3 1.0"\n'
        '$ns_ at 9.0 "$node_(a) setdest 9 9 0.0"\n'
    )
    moving = trajectories(Movements(path=str(file), origin=(0.0, 0.0)))
    places = {0.5: (0, 0), 2: (2, 0), 3: (4, 0), 5: (4, 2), 6: (4, 3), 7: (4, 3), 99: (4, 3)}
    for now_s, place in places.items():
        assert moving.positions_m([0], now_s)[0] == pytest.approx(place), now_s


def test_the_format_may_be_said(tmp_path: Path) -> None:
    (tmp_path / "trace.dat").write_bytes(Path(FCD).read_bytes())
    assert len(Movements(path=str(tmp_path / "trace.dat"), format="sumo-fcd")._tracks) == 2
    with pytest.raises(ValueError, match=r"trace\.dat: its name ends in none of \.xml, \.tcl.*say format: sumo-fcd"):
        Movements(path=str(tmp_path / "trace.dat"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<fcd-export>\n<timestep>", "f.xml:2: <timestep> needs a time in seconds"),
        ('<fcd-export><timestep time="-1"/></fcd-export>', "f.xml:1: <timestep> needs a time"),
        ('<fcd-export>\n<timestep time="2"/>\n<timestep time="2"/></fcd-export>', "f.xml:3: times must ascend"),
        ('<fcd-export>\n\n<vehicle id="a" x="1" y="1"/></fcd-export>', "f.xml:3: <vehicle> must stand in a <timestep>"),
        (
            '<fcd-export><timestep time="2">\n<vehicle id="a" x="1"/></timestep>',
            "f.xml:2: <vehicle> needs an id, and x",
        ),
        ('<fcd-export><timestep time="2">\n<person id="a" x="nan" y="1"/></timestep>', "f.xml:2: <person> needs an id"),
        (
            '<fcd-export><timestep time="2"><vehicle id="a" x="1" y="1"/>\n<vehicle id="a" x="1" y="1"/></timestep>',
            "f.xml:2: vehicle 'a' is twice in one <timestep>",
        ),
        ("<routes>\n</routes>", "f.xml:1: <routes> is no floating car data: the first element is <fcd-export>"),
        ("<fcd-export></fcd-export>", "f.xml: no vehicle, person or container"),
        ("<fcd-export>\n<vehicle", "f.xml:2: not XML: unclosed token"),
        ("", "f.xml:1: not XML: no element found"),
        (
            '<?xml version="1.0"?>\n<!DOCTYPE a [<!ENTITY b "b">\n<!ENTITY c "&b;&b;">]>\n<fcd-export>&c;</fcd-export>',
            "f.xml:2: a document type (<!DOCTYPE) is not allowed: remove it",
        ),
        ("$node_(0) set X_ 1\n$node_(0) set Y_ one\n", "f.tcl:2: expected $node_(0) set X_ 1.0, or $ns_ at 2.0"),
        ('$ns_ at 1 "$node_(0) setdest 1 2"\n', "f.tcl:1: expected"),
        ('$ns_ at -1 "$node_(0) setdest 1 2 3"\n', "f.tcl:1: expected"),
        ('$ns_ at 1 "$node_(0) setdest 1 2 -3"\n', "f.tcl:1: expected"),
        ('$ns_ at 1 "$node_(0) setdest 1 2 3"\n', "f.tcl: $node_(0) has no place to start from: set its X_ and Y_"),
        ("$node_(0) set X_ 1\n", "f.tcl: $node_(0) has no place to start from"),
        ("# nothing\n", "f.tcl: no nodes"),
    ],
)
def test_names_the_line_that_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / message.partition(":")[0]
    file.write_text(text)
    with pytest.raises(ValueError) as refusal:
        Movements(path=str(file))
    assert message in str(refusal.value)


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tcl").write_bytes(b"$node\xff")
    with pytest.raises(ValueError, match=r"a\.tcl: byte 5 is not UTF-8"):
        Movements(path=str(tmp_path / "a.tcl"))


def test_a_period_covers_the_file() -> None:
    for period in (0.0, 23.0):
        with pytest.raises(ValueError, match="period must be more than 0 s, and no less than the 24 s of the file"):
            Movements(path=FCD, period=period)


def test_the_file_is_pinned_when_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "f.xml"
    file.write_bytes(Path(FCD).read_bytes())
    movements = read(Movements, {"path": str(file), "origin": [1.5, -2.0]})
    assert read(Movements, write(movements)) == movements
    file.write_text(file.read_text().replace("40.00", "41.00"))
    with pytest.raises(ValueError, match="it is not the file that was read before"):
        read(Movements, write(movements))


def test_the_shipped_movements_are_those_of_their_script() -> None:
    assert vehicular.FILE.read_text() == vehicular.export()
    assert len(Movements(path=str(vehicular.FILE))._tracks) == 20
    assert vehicular.FILE.stat().st_size < 150_000
