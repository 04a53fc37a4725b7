from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from netfed.network.link_adaptation.rates import downlink_ladder, uplink_ladder
from netfed.network.radio.carrier import Carrier, Fr1MidBand, Nr
from netfed.plugin import plain, read

PRESETS = {name: kind() for name, kind in Carrier.kinds.items() if name != "nr"}
OWN = {"frequency": "2 GHz", "bandwidth": "20 MHz", "subcarrier_spacing": "15 kHz", "transmit_power": "46 dBm"}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_whole(name: str) -> None:
    carrier = PRESETS[name]
    assert Carrier._read(name) == carrier
    assert Carrier._read(plain(carrier)) == carrier
    assert downlink_ladder(carrier).rate_bps[-1] > uplink_ladder(carrier).rate_bps[-1] > 10e6
    assert "3GPP" in str(type(carrier).__doc__) or "ITU-R" in str(type(carrier).__doc__)


@pytest.mark.parametrize(
    ("name", "blocks", "duplex"),
    [
        ("fr1-3500mhz", 273, "tdd"),
        ("fr3-7ghz", 264, "tdd"),
        ("fr3-15ghz", 264, "tdd"),
        ("fr2-28ghz", 264, "tdd"),
        ("sub-thz-140ghz", 148, "tdd"),
    ],
)
def test_presets_hold_what_their_channels_hold(name: str, blocks: int, duplex: str) -> None:
    assert (PRESETS[name].resource_blocks, PRESETS[name].duplex) == (blocks, duplex)


def test_presets_are_ordered_by_frequency_and_bandwidth() -> None:
    for key in ("frequency", "occupied_hz"):
        ranked = sorted(PRESETS.values(), key=lambda carrier: getattr(carrier, key))
        names = [carrier.kind for carrier in ranked]
        assert [name[:3] for name in names] == ["fr1", "fr3", "fr3", "fr2", "sub"]


def test_a_preset_may_be_changed_key_by_key() -> None:
    assert Carrier._read({"kind": "fr1-3500mhz", "bandwidth": "20 MHz"}) == replace(Fr1MidBand(), bandwidth=20e6)


def test_a_carrier_of_ones_own() -> None:
    carrier = read(Nr, OWN)
    assert carrier.resource_blocks == 106
    assert carrier.occupied_hz == pytest.approx(19.08e6)
    assert carrier.duplex == "fdd"
    assert carrier.transmit_power == 46.0
    assert read(Nr, OWN | {"uplink_mcs": "qam64-transform-precoded"}).uplink_layers == 1


def test_beams_add_up_in_decibels() -> None:
    assert replace(Fr1MidBand(), columns=8, device_gain=5.0).beam_gain == pytest.approx(8 * 10**0.5)
    assert Nr(2e9, 20e6, 15e3, 46.0).beam_gain == 1.0


def test_the_tdd_pattern_leaves_out_the_guard() -> None:
    # DDDSU, S being 10 downlink, 2 guard and 2 uplink symbols
    carrier = Fr1MidBand()
    assert carrier.downlink_share == pytest.approx(52 / 70)
    assert carrier.uplink_share == pytest.approx(16 / 70)
    assert 1 - carrier.downlink_share - carrier.uplink_share == pytest.approx(2 / 70)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"bandwidth": "17 MHz"}, "no channel of 17 MHz with 15 kHz spacing at 2 GHz: there are 3, 5, 10"),
        ({"subcarrier_spacing": "120 kHz"}, "no subcarrier spacing of 120 kHz at 2 GHz"),
        ({"frequency": "0 Hz"}, "frequency must be more than 0 Hz"),
        ({"downlink_share": 0.8, "uplink_share": 0.3}, "or add up to 1 at the most"),
        ({"downlink_share": 0.8}, "or add up to 1 at the most"),
        ({"uplink_share": 0.0}, "must be more than 0"),
        ({"uplink_mcs": "qam16"}, "qam64-transform-precoded"),
        ({"downlink_mcs": "qam64-transform-precoded"}, "downlink_mcs: qam64-transform-precoded is for uplinks"),
        ({"uplink_mcs": "qam64-transform-precoded", "uplink_layers": 2}, "uplink_layers must be 1 with qam64-tr"),
        ({"extra_overhead": 7}, "6, 12 or 18"),
        ({"columns": 0}, "greater than or equal to 1"),
        ({"noise_figure": "5"}, "unit missing"),
        ({"transmit_power": "46 dB"}, "unknown unit 'dB'"),
    ],
)
def test_what_cannot_be_is_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        read(Nr, OWN | keys)
