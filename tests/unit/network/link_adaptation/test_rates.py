from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netfed.network.link_adaptation.mcs import MCS_TABLES
from netfed.network.link_adaptation.numerology import slot_s
from netfed.network.link_adaptation.peak_rate import overhead, peak_rate_bps
from netfed.network.link_adaptation.rates import RateLadder, Rung, downlink_ladder, uplink_ladder
from netfed.network.link_adaptation.transport_block import resource_elements, transport_block_bits
from netfed.network.radio.carrier import Carrier, Fr1MidBand, Fr2, Nr

PLAIN = Nr(
    frequency=3.5e9,
    bandwidth=100e6,
    subcarrier_spacing=30e3,
    transmit_power=49.0,
    downlink_mcs="qam64",
    transmissions=1,
)
SINRS = 10 ** np.linspace(-4, 5, 1801)

uplink_tables = st.sampled_from(sorted(MCS_TABLES))
carriers = st.builds(
    replace,
    st.sampled_from([*(kind() for name, kind in Carrier.kinds.items() if name != "nr"), PLAIN]),
    downlink_mcs=st.sampled_from(sorted({*MCS_TABLES} - {"qam64-transform-precoded"})),
    uplink_mcs=st.shared(uplink_tables, key="uplink"),
    downlink_layers=st.integers(1, 8),
    uplink_layers=st.shared(uplink_tables, key="uplink").flatmap(
        lambda table: st.integers(1, 1 if table == "qam64-transform-precoded" else 4)
    ),
    extra_overhead=st.sampled_from([0, 6, 12, 18]),
    transmissions=st.integers(1, 8),
)


@given(carriers)
@settings(max_examples=40)
def test_no_rate_exceeds_shannons_bound(carrier: Any) -> None:
    for ladder, layers, share in (
        (downlink_ladder(carrier), carrier.downlink_layers, carrier.downlink_share),
        (uplink_ladder(carrier), carrier.uplink_layers, carrier.uplink_share),
    ):
        bound_bps = share * carrier.occupied_hz * layers * np.log2(1 + SINRS / layers)
        assert (ladder.rates_bps(SINRS) <= bound_bps).all()
        at_bps = share * carrier.occupied_hz * layers * np.log2(1 + ladder.sinr.astype(float) / layers)
        assert (ladder.rate_bps[1:] <= at_bps).all()


@given(carriers)
@settings(max_examples=10)
def test_rates_rise_with_sinr(carrier: Any) -> None:
    for ladder in (downlink_ladder(carrier), uplink_ladder(carrier)):
        assert (np.diff(ladder.sinr) >= 0).all()
        assert (np.diff(ladder.rate_bps) >= 0).all()
        assert (ladder.rates_bps(ladder.sinr) >= ladder.rate_bps[1:]).all()


@given(
    st.lists(
        st.builds(
            Rung,
            sinr=st.sampled_from([0.01, 0.1, 0.5, 1.0, 2.0, 30.0]),
            bits=st.sampled_from([24.0, 32.0, 32.0, 500.0]),
            layers=st.just(1),
            blocks=st.integers(1, 8),
            mcs=st.just(MCS_TABLES["qam64"][0]),
        ),
        max_size=20,
    ),
    st.sampled_from([0.001, 0.01, 0.3, 1.0, 50.0]),
)
def test_the_best_way_is_the_one_that_carries_most_on_the_fewest_blocks(ways: list[Rung], sinr: float) -> None:
    ladder, allowed = RateLadder(ways, 2000.0, 8), [way for way in ways if way.sinr <= sinr]
    rung, sinrs = ladder.rung(sinr), np.array([sinr])
    if not allowed:
        assert rung is None
        assert (ladder.rates_bps(sinrs), ladder.allocations(sinrs)) == (0.0, 1.0)
    else:
        assert rung is not None
        assert (rung.bits, -rung.blocks) == max((way.bits, -way.blocks) for way in allowed)
        assert ladder.rates_bps(sinrs) == 2000.0 * rung.bits
        assert ladder.allocations(sinrs) == rung.blocks / 8


@given(carriers)
@settings(max_examples=10)
def test_who_lacks_power_takes_as_few_blocks_as_it_has_power_for(carrier: Any) -> None:
    ladder, blocks = uplink_ladder(carrier), carrier.resource_blocks
    for rung, allocation in zip(ladder.rungs, ladder.allocation[1:], strict=True):
        assert allocation == rung.blocks / blocks
        assert rung.blocks in {blocks >> halvings for halvings in range(9)}
        assert rung.layers == 1 or rung.blocks == blocks
    assert (downlink_ladder(carrier).allocation == 1.0).all()


@pytest.mark.parametrize("mcs", MCS_TABLES["qam64"], ids=lambda mcs: mcs.index)
def test_from_its_threshold_on_a_scheme_or_a_better_one_is_used(mcs: Any) -> None:
    ladder = downlink_ladder(PLAIN)
    at, before = (ladder.rung(10 ** ((mcs.sinr_db + off_db) / 10)) for off_db in (0.001, -0.001))
    assert at is not None
    assert at.mcs.efficiency >= mcs.efficiency
    assert before is None or before.mcs.sinr_db < mcs.sinr_db


def test_a_slot_carries_its_transport_block() -> None:
    # 273 blocks of 12 x 13 - 12 elements, 64QAM at 948/1024, one layer: TS 38.214, clause 5.1.3.2. One in ten is lost.
    assert downlink_ladder(PLAIN).rungs[-1].bits == 217_128
    assert downlink_ladder(PLAIN).rate_bps[-1] == pytest.approx(217_128 * 2000 * 0.9)


def test_below_the_first_threshold_nothing_is_carried() -> None:
    ladder = downlink_ladder(PLAIN)
    assert ladder.rung(0.1) is None
    assert ladder.rates_bps(np.array([0.0, 0.1, 1.0], np.float32))[:2].tolist() == [0.0, 0.0]
    assert ladder.rates_bps(np.array([1.0]))[0] > 0


def test_airtime_that_is_not_for_a_direction_is_not_counted() -> None:
    half = replace(PLAIN, downlink_share=0.5, uplink_share=0.4)
    assert downlink_ladder(half).rate_bps == pytest.approx(downlink_ladder(PLAIN).rate_bps * 0.5)
    assert uplink_ladder(half).rate_bps == pytest.approx(uplink_ladder(PLAIN).rate_bps * 0.4)


@pytest.mark.parametrize("limit", [1, 2, 4])
def test_airtime_that_is_spent_on_repeating_is_not_counted(limit: int) -> None:
    carrier = replace(PLAIN, transmissions=limit)
    for ladder in (downlink_ladder(carrier), uplink_ladder(carrier)):
        bits = np.array([rung.bits for rung in ladder.rungs])
        assert ladder.rate_bps[1:] == pytest.approx(bits * 2000 * 0.9, rel=1e-12)


def test_layers_share_the_power() -> None:
    one, four = downlink_ladder(PLAIN), downlink_ladder(replace(PLAIN, downlink_layers=4))
    weak, strong = np.array([0.25]), np.array([1e5])
    assert four.rates_bps(weak) == one.rates_bps(weak)
    assert four.rates_bps(strong) == pytest.approx(4 * one.rates_bps(strong), rel=0.01)
    rung = four.rung(1e5)
    assert rung is not None
    assert rung.sinr == pytest.approx(4 * 10 ** (rung.mcs.sinr_db / 10))


def test_a_weak_device_gathers_its_power_on_few_blocks() -> None:
    ladder = uplink_ladder(PLAIN)
    weak, strong = ladder.rung(10**-3.0), ladder.rung(1e5)
    assert weak is not None
    assert strong is not None
    assert (weak.blocks, strong.blocks) == (1, 273)
    assert ladder.rungs[0].sinr == pytest.approx(10 ** (MCS_TABLES["qam64"][0].sinr_db / 10) / 273)
    assert downlink_ladder(PLAIN).rung(10**-3.0) is None


@pytest.mark.parametrize("carrier", [Fr1MidBand(), Fr2()])
def test_overhead_is_what_38_306_assumes(carrier: Carrier) -> None:
    for uplink, ladder, share in (
        (False, downlink_ladder(carrier), carrier.downlink_share),
        (True, uplink_ladder(carrier), carrier.uplink_share),
    ):
        top = ladder.rungs[-1]
        peak_bps = peak_rate_bps(
            carrier.resource_blocks,
            carrier.subcarrier_spacing,
            top.layers,
            top.mcs.modulation_order,
            overhead(carrier.frequency, uplink=uplink),
        )
        assert top.bits / slot_s(carrier.subcarrier_spacing) == pytest.approx(peak_bps, rel=0.015)
        assert ladder.rate_bps[-1] <= share * peak_bps


def test_a_device_never_gets_more_than_it_supports() -> None:
    top = uplink_ladder(PLAIN).rungs[-1]
    assert top.bits == pytest.approx(peak_rate_bps(273, 30e3, 1, 6, 0.08) * slot_s(30e3))
    assert top.bits < transport_block_bits(resource_elements(273, 14, 12, 0), 6, 948 / 1024, 1)
