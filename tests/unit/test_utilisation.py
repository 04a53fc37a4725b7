"""How busy links were: against sums over moments, and by what must not get lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.results import Results
from netfed.utilisation import Use, _use, utilisation
from tests import recorded
from tests.recorded import ROUNDS, a_round, transfer

EDGES_S = np.linspace(0.0, 8.0, 9)
TIMES = st.integers(0, 80).map(lambda tenths: tenths / 10)
TRANSFERS = st.lists(st.tuples(TIMES, TIMES, st.integers(0, 1000)), min_size=1, max_size=12)


@pytest.fixture(autouse=True)
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def results(tmp_path: Path, events: list[dict[str, Any]]) -> Results:
    return recorded.record(tmp_path, [a_round(0, 0.0, None), a_round(1, 8.0, 0.5)], events)


def used(transfers: list[tuple[float, float, int]]) -> Use:
    rows = sorted((min(one, other), max(one, other), bits) for one, other, bits in transfers)
    start_s, end_s, bits = (np.array(column, float) for column in zip(*rows, strict=True))
    return _use(EDGES_S, 2, "uplink", start_s, end_s, bits)


@settings(max_examples=40)
@given(TRANSFERS)
def test_it_is_what_moments_add_up_to(transfers: list[tuple[float, float, int]]) -> None:
    use = used(transfers)
    moments_s = np.arange(0.05, 8.0, 0.1)
    under_way = np.array([[min(t[:2]) < s < max(t[:2]) for s in moments_s] for t in transfers]).sum(axis=0)
    assert use.transfers == pytest.approx(under_way.reshape(8, 10).mean(axis=1))
    assert use.busy == pytest.approx((under_way > 0).reshape(8, 10).mean(axis=1))


@given(TRANSFERS)
def test_no_bit_gets_lost(transfers: list[tuple[float, float, int]]) -> None:
    assert used(transfers).rate_bps.sum() == pytest.approx(sum(bits for *_, bits in transfers))


def test_what_many_receive_at_once_is_one_transfer(tmp_path: Path) -> None:
    once = transfer(0, "downlink", 1.0, 5.0)
    del once["device"]
    received = [{**transfer(device, "downlink", 1.0, 6.0), "kind": "reception"} for device in (1, 2)]
    _, (use,) = utilisation(results(tmp_path, [once, *received]), 4)
    assert use.transfers.tolist() == [0.5, 1.0, 0.5, 0.0]
    assert use.rate_bps.tolist() == [1000.0, 2000.0, 1000.0, 0.0]


def test_a_transfer_sends_evenly_until_its_last_bit_has_left(tmp_path: Path) -> None:
    events = [{**transfer(1, "uplink", 1.0, 5.0), "latency_s": 2.0}]
    edges_s, (use,) = utilisation(results(tmp_path, events), 4)
    assert edges_s.tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]
    assert (use.cell, use.link) == (2, "uplink")
    assert use.busy.tolist() == [0.5, 0.5, 0.0, 0.0]
    assert use.rate_bps.tolist() == [2000.0, 2000.0, 0.0, 0.0]
    assert (use.mean_busy, use.mean_transfers) == (0.25, 0.25)


def test_links_are_told_apart_and_the_busiest_comes_first(tmp_path: Path) -> None:
    events = [
        transfer(1, "uplink", 0.0, 1.0),
        transfer(2, "uplink", 0.5, 1.0),
        transfer(3, "downlink", 2.0, 4.0),
        {**transfer(4, "uplink", 4.0, 8.0), "cell": 0},
        {**transfer(0, "backhaul-uplink", 7.0, 8.0), "device": None},
    ]
    _, uses = utilisation(results(tmp_path, events))
    assert [(use.cell, use.link) for use in uses] == [
        (0, "uplink"),
        (2, "downlink"),
        (2, "uplink"),
        (2, "backhaul-uplink"),
    ]
    assert [use.mean_busy for use in uses] == pytest.approx([0.5, 0.25, 0.125, 0.125])
    assert [use.mean_transfers for use in uses] == pytest.approx([0.5, 0.25, 0.1875, 0.125])


def test_what_goes_on_after_the_last_round_counts(tmp_path: Path) -> None:
    edges_s, (use,) = utilisation(results(tmp_path, [transfer(1, "uplink", 6.0, 10.0)]), 5)
    assert edges_s[-1] == 10.0
    assert use.busy.tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_a_run_whose_first_round_has_not_ended_has_used_links_too(tmp_path: Path) -> None:
    edges_s, (use,) = utilisation(recorded.record(tmp_path, [], [transfer(1, "uplink", 1.0, 2.0)]), 2)
    assert edges_s.tolist() == [0.0, 1.0, 2.0]
    assert use.busy.tolist() == [0.0, 1.0]


def test_without_transfers_that_took_time_there_is_nothing(tmp_path: Path) -> None:
    assert utilisation(results(tmp_path, []))[1] == []
    assert utilisation(results(tmp_path, [transfer(1, "uplink", 6.0, 6.0)]))[1] == []
    assert utilisation(recorded.record(tmp_path, ROUNDS[:1], [transfer(1, "uplink", 0.0, 0.0)]))[1] == []
