"""The critical path of a round: by hand, in every scheme, and as a property of whatever is recorded."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.chains import Span, chains
from netfed.critical_path import Round, critical_paths, largest, split
from tests.conftest import DROPOUT, LOSSY, Play

Row = dict[str, Any]


def transfer(device: int | None, link: str, start_s: float, t_s: float, cause: str | None = None, **more: Any) -> Row:
    own = {} if device is None else {"device": device}
    row = {"t_s": t_s, "kind": "transfer", **own, "link": link, "start_s": start_s, "cell": 0, "cause": cause}
    return {**row, **more}


def compute(device: int, start_s: float, t_s: float, cause: str | None = None) -> Row:
    return {"t_s": t_s, "kind": "compute", "device": device, "start_s": start_s, "cause": cause}


def promotion(device: int, start_s: float, t_s: float, cause: str | None = None) -> Row:
    return {"t_s": t_s, "kind": "promotion", "device": device, "start_s": start_s, "cause": cause}


def lost(device: int, t_s: float, cause: str) -> Row:
    return {"t_s": t_s, "kind": "lost", "device": device, "cause": cause}


def update(device: int, at_s: float, up_s: float) -> list[Row]:
    """One second down, two of computation, then an upload."""
    down = transfer(device, "downlink", at_s, at_s + 1)
    return [down, compute(device, at_s + 1, at_s + 3), transfer(device, "uplink", at_s + 3, at_s + 3 + up_s)]


def rounds(rows: list[Row], *ends_s: float) -> list[Round]:
    ordered = sorted(rows, key=lambda row: row["t_s"])
    return list(critical_paths(chains(ordered), range(len(ends_s)), ends_s))


def told(this: Round) -> list[tuple[str, int | None, float, float]]:
    return [(leg.name, leg.device, leg.start_s, leg.end_s) for leg in this.legs]


def parts(this: Round) -> dict[str, float]:
    return {name: float(part) for name, part in this.parts.items()}


def check(this: Round) -> None:
    """Legs join, and parts add up, exactly."""
    borders = [this.begin_s, *(leg.end_s for leg in this.legs)]
    assert [leg.start_s for leg in this.legs] == borders[:-1]
    assert borders[-1] == this.end_s
    assert sum(this.parts.values()) == Fraction(this.end_s) - Fraction(this.begin_s)
    for leg in this.legs:
        assert sum(leg.parts.values()) == Fraction(leg.end_s) - Fraction(leg.start_s)
        assert min(leg.parts.values()) > 0


def test_a_round_is_as_long_as_its_last_update() -> None:
    _, this = rounds([*update(1, 0.0, 4.0), *update(2, 0.0, 6.0)], 0.0, 9.0)
    assert told(this) == [("downlink", 2, 0.0, 1.0), ("compute", 2, 1.0, 3.0), ("uplink", 2, 3.0, 9.0)]
    assert this.bottleneck == "uplink"


def test_after_the_last_update_a_round_waits_for_its_deadline() -> None:
    late = [transfer(2, "uplink", 3.0, 10.0, "late"), lost(2, 10.0, "late")]
    _, this = rounds([*update(1, 0.0, 4.0), *update(2, 0.0, 6.0)[:2], *late], 0.0, 10.0)
    assert told(this)[-2:] == [("uplink", 1, 3.0, 7.0), ("deadline slack", 2, 7.0, 10.0)]


def test_an_update_that_comes_in_time_and_is_turned_away_is_late() -> None:
    _, this = rounds([*update(1, 0.0, 4.0), *update(2, 0.0, 6.0), lost(2, 9.0, "late")], 0.0, 9.0)
    assert told(this)[-1] == ("deadline slack", 2, 7.0, 9.0)


def test_a_straggler_that_brings_nothing_is_waited_for() -> None:
    rows = [*update(1, 0.0, 4.0), transfer(2, "downlink", 0.0, 1.0), compute(2, 1.0, 8.0, "dropout-compute")]
    _, this = rounds([*rows, lost(2, 8.0, "dropout-compute")], 0.0, 8.0)
    assert parts(this) == {"downlink": 1.0, "compute": 2.0, "uplink": 4.0, "waiting for stragglers": 1.0}


def test_a_round_of_which_nothing_comes_was_all_waiting() -> None:
    rows = [transfer(2, "downlink", 5.0, 6.0, "loss-downlink"), lost(2, 6.0, "loss-downlink")]
    _, this = rounds(rows, 0.0, 6.0)
    assert told(this) == [("waiting for devices", None, 0.0, 5.0), ("waiting for stragglers", 2, 5.0, 6.0)]


def test_a_device_that_goes_on_at_once_begins_anew() -> None:
    _, first, second = rounds([*update(1, 0.0, 4.0), *update(1, 7.0, 4.0)], 0.0, 7.0, 14.0)
    assert parts(first) == parts(second) == {"downlink": 1.0, "compute": 2.0, "uplink": 4.0}


def test_an_asynchronous_round_goes_back_through_the_seat_to_the_round_before() -> None:
    lost_one = [transfer(3, "downlink", 7.0, 8.0, "loss-downlink"), lost(3, 8.0, "loss-downlink")]
    rows = [*update(1, 0.0, 4.0), *lost_one, *update(2, 8.0, 3.0), *update(4, 2.0, 7.0)]
    first, second = rounds(rows, 5.0, 14.0)
    assert told(second) == [
        ("uplink", 1, 5.0, 7.0),
        ("waiting for stragglers", 3, 7.0, 8.0),
        ("downlink", 2, 8.0, 9.0),
        ("compute", 2, 9.0, 11.0),
        ("uplink", 2, 11.0, 14.0),
    ]
    assert told(first) == [("cloud", None, 0.0, 5.0)], "no update had ended: plug-ins may publish when they like"


def test_under_a_base_station_the_path_stays_in_its_cell() -> None:
    here = [
        transfer(None, "backhaul-downlink", 0.0, 2.0, latency_s=0.5),
        *update(1, 2.0, 1.0),
        *update(1, 6.0, 1.0),
        transfer(None, "backhaul-uplink", 10.0, 13.0),
    ]
    elsewhere = [{**row, "cell": 1} for row in update(7, 3.0, 3.5)]
    _, this = rounds([*here, *elsewhere], 0.0, 13.0)
    assert {device for _, device, _, _ in told(this)} == {None, 1}
    assert parts(this) == {
        "downlink backhaul": 1.5,
        "downlink latency": 0.5,
        "downlink": 2.0,
        "compute": 4.0,
        "uplink": 2.0,
        "uplink backhaul": 3.0,
    }


def trunks(cell: int, down_s: float, up_s: float, end_s: float) -> list[Row]:
    down = transfer(None, "backhaul-downlink", 0.0, down_s, cell=cell)
    return [down, transfer(None, "backhaul-uplink", up_s, end_s, cell=cell)]


@pytest.mark.parametrize("moved", ["before it began", "while it received", "while it computed"])
def test_a_device_that_has_changed_cells_still_works_for_its_base_station(moved: str) -> None:
    """Nobody waits for devices: its rows are of another cell, but say whose server it works for."""
    down, work, up = update(1, 2.0, 5.0)
    here, there = {"cell": 0}, {"cell": 1, "edge": 0}
    down |= here if moved == "while it computed" else there
    up |= there
    elsewhere = [{**row, "cell": 1} for row in update(7, 2.0, 1.0)]
    _, this = rounds([*trunks(0, 2.0, 10.0, 13.0), *trunks(1, 2.0, 6.0, 9.0), down, work, up, *elsewhere], 0.0, 13.0)
    assert {device for _, device, _, _ in told(this)} == {None, 1}
    assert "waiting for devices" not in parts(this)


def test_a_device_of_another_base_station_in_its_cell_is_not_its_own() -> None:
    guest = [{**row, "cell": 0, "edge": 1} if row["kind"] == "transfer" else row for row in update(7, 2.0, 4.5)]
    _, this = rounds([*trunks(0, 2.0, 10.0, 13.0), *update(1, 2.0, 4.0), *guest], 0.0, 13.0)
    assert {device for _, device, _, _ in told(this)} == {None, 1}
    assert parts(this)["waiting for devices"] == 1.0


def test_a_straggler_is_waited_for_by_its_own_base_station_alone() -> None:
    """The other one's devices begin at the same moment, as the model comes down, and have nothing to do with it."""
    late = [transfer(2, "downlink", 2.0, 10.0, "late"), lost(2, 10.0, "late")]
    elsewhere = [{**row, "cell": 1} for row in update(7, 2.0, 4.0)]
    rows = [*trunks(0, 2.0, 10.0, 13.0), *trunks(1, 2.0, 9.0, 12.0), *update(1, 2.0, 3.0), *late, *elsewhere]
    _, this = rounds(rows, 0.0, 13.0)
    assert parts(this)["deadline slack"] == 2.0
    assert "waiting for devices" not in parts(this)


def promoted(device: int, at_s: float) -> list[Row]:
    """A promotion of half a second, one second down, two of computation, another promotion, an upload of a second."""
    down, work, up = update(device, at_s + 0.5, 1.5)
    up["start_s"] += 0.5
    return [promotion(device, at_s, at_s + 0.5), down, work, promotion(device, at_s + 3.5, at_s + 4.0), up]


def test_a_promotion_is_part_of_the_transfer_that_waits_for_it() -> None:
    _, this = rounds(promoted(1, 0.0), 0.0, 5.0)
    assert told(this) == [("downlink", 1, 0.0, 1.5), ("compute", 1, 1.5, 3.5), ("uplink", 1, 3.5, 5.0)]
    assert parts(this) == {
        "downlink promotion": 0.5,
        "downlink": 1.0,
        "compute": 2.0,
        "uplink promotion": 0.5,
        "uplink": 1.0,
    }


def test_a_promotion_may_have_begun_in_the_round_before() -> None:
    first, second = rounds(promoted(1, 0.0), 0.25, 5.0)
    assert parts(first) == {"cloud": 0.25}
    assert parts(second)["downlink promotion"] == 0.25


def test_devices_that_a_round_has_asked_begin_together_whether_they_are_promoted_or_not() -> None:
    late = [transfer(2, "downlink", 0.0, 6.0, "late"), lost(2, 6.0, "late")]
    _, this = rounds([*promoted(1, 0.0), *late], 0.0, 6.0)
    assert parts(this)["deadline slack"] == 1.0
    assert "waiting for devices" not in parts(this)


@pytest.mark.parametrize("at_s", [0.0, 3.0])
def test_a_promotion_that_is_broken_off_is_waited_for(at_s: float) -> None:
    """Before its download, or before its upload."""
    before = update(2, 0.0, 1.0)[:2] if at_s else []
    broken = [*before, promotion(2, at_s, 9.0, "battery"), lost(2, 9.0, "battery")]
    _, this = rounds([*promoted(1, 0.0), *broken], 0.0, 9.0)
    assert told(this)[-1] == ("waiting for stragglers", 2, 5.0, 9.0)
    assert told(this)[0] == ("downlink", 1, 0.0, 1.5)


def test_what_the_cloud_does_alone_is_the_clouds() -> None:
    first, second, third = rounds([transfer(1, "uplink", 2.0, 6.0)], 2.0, 7.0, 9.0)
    assert parts(first) == parts(third) == {"cloud": 2.0}
    assert parts(second) == {"uplink": 4.0, "cloud": 1.0}


@pytest.mark.parametrize(
    ("since_s", "expected"),
    [
        (0.0, {"radio": 2.0, "cell share": 3.0, "backhaul": 2.0, "core": 1.0, "latency": 2.0}),
        (4.0, {"radio": 1.0, "cell share": 1.5, "backhaul": 1.0, "core": 0.5, "latency": 2.0}),
        (9.0, {"latency": 1.0}),
    ],
)
def test_a_transfer_is_split_in_proportion_and_ends_in_latency(since_s: float, expected: dict[str, float]) -> None:
    span = Span("uplink", 0.0, 10.0, airtime_s=2.0, backhaul_s=2.0, core_s=1.0, latency_s=2.0)
    assert split(span, since_s) == {f"uplink {name}": part for name, part in expected.items()}


@pytest.mark.parametrize(
    ("since_s", "expected"),
    [(0.0, {"promotion": 1.0, "radio": 6.0, "latency": 3.0}), (0.5, {"promotion": 0.5, "radio": 6.0, "latency": 3.0})],
)
def test_a_promotion_comes_before_the_bits(since_s: float, expected: dict[str, float]) -> None:
    span = Span("uplink", 0.0, 10.0, airtime_s=6.0, latency_s=3.0, connected_s=1.0)
    assert split(span, since_s) == {f"uplink {name}": part for name, part in expected.items()}
    assert split(span, 4.0) == {"uplink radio": 3, "uplink latency": 3}


def test_what_is_a_rounding_of_the_rest_is_no_waiting() -> None:
    span = Span("uplink", 0.0, 10.0, airtime_s=10.0 - 1e-9, backhaul_s=1e-9)
    assert split(span, 0.0) == {"uplink radio": 10}


def test_nothing_is_the_largest_of_nothing() -> None:
    assert largest({}) == largest({"cloud": Fraction(0)}) == ""


SCHEMES = {
    "fedavg": "{kind: fedavg, rounds: 4, cohort: 3, over_selection: 0.4, deadline: 120 ms}",
    "fedbuff": "{kind: fedbuff, aggregations: 5, concurrency: 4, buffer: 2}",
    "fedasync": "{kind: fedasync, aggregations: 6, concurrency: 3, alpha: 0.6}",
    "hierarchical": "{kind: hierarchical, rounds: 2, edge_rounds: 2, cohort: 5, deadline: 110 ms}",
    "local": "{kind: local, rounds: 3, devices: 4}",
    "central": "{kind: central, rounds: 2, devices: 4}",
}
WINDOWS = "devices.availability={kind: windows, period: 1 s, duration: 150 ms}"


PROMOTED = "devices.radio={promotion: 10 ms, tail: 2 ms}"


@pytest.mark.parametrize(
    "network", [(LOSSY,), ("network=ideal",), (LOSSY, PROMOTED)], ids=["lossy", "ideal", "promoted"]
)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_is_explained_to_the_last_bit(play: Play, scheme: str, network: tuple[str, ...]) -> None:
    present = [WINDOWS] if scheme != "central" else []
    cells = "topology={kind: hexagonal, base_stations: 2}"
    played = play(f"scheme={SCHEMES[scheme]}", *network, DROPOUT, cells, *present)
    rows = [row for row in played.events if row["kind"] in ("transfer", "compute", "promotion", "lost")]
    versions, ends_s = [row["version"] for row in played.rounds], [row["t_s"] for row in played.rounds]
    found = list(critical_paths(chains(rows), versions, ends_s))
    assert [this.version for this in found] == versions
    for this in found:
        check(this)
    cloud = {leg.name for this in found[1:] for leg in this.legs if leg.name == "cloud"}
    assert bool(cloud) == (scheme == "central"), "the cloud takes no time but where it trains"
    waited = any("promotion" in part for this in found for part in this.parts)
    assert waited == any(row["kind"] == "promotion" for row in rows)


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Row], list[float]]:
    """Devices that do one thing after the other, each phase, pause and loss as it comes."""
    rows: list[Row] = []
    times = st.floats(0.0, 3.0)
    for device in range(draw(st.integers(1, 4))):
        now_s = 0.0
        for _ in range(draw(st.integers(0, 4))):
            now_s += draw(times)
            for phase in ("downlink", "compute", "uplink"):
                if phase != "compute" and draw(st.booleans()):
                    rows.append(promotion(device, now_s, now_s := now_s + draw(times)))
                start_s, now_s = now_s, now_s + draw(times)
                cause = draw(st.sampled_from([None, None, None, "late", "dropout-compute"]))
                own = {f"{part}_s": draw(times) for part in ("airtime", "backhaul", "core", "latency")}
                phase_row = transfer(device, phase, start_s, now_s, cause, **own)
                rows.append(compute(device, start_s, now_s, cause) if phase == "compute" else phase_row)
                if cause:
                    rows.append(lost(device, now_s, cause))
                    break
    return rows, sorted(draw(st.lists(st.floats(0.0, 30.0), min_size=1, max_size=5)))


@settings(max_examples=100, deadline=None)
@given(histories())
def test_parts_add_up_whatever_has_happened(history: tuple[list[Row], list[float]]) -> None:
    rows, ends_s = history
    for this in rounds(rows, *ends_s):
        check(this)
