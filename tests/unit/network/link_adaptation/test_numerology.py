from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netfed.network.link_adaptation.numerology import resource_blocks, slot_s

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "network.json").read_text())["vectors"]
BLOCKS = [vector for vector in VECTORS if vector["group"] == "n-prb"]


@pytest.mark.parametrize("vector", BLOCKS, ids=lambda vector: vector["name"])
def test_channels_hold_as_many_blocks_as_the_vectors_say(vector: dict[str, Any]) -> None:
    spacing_hz = vector["inputs"]["scs_khz"] * 1e3
    frequency_hz = 28e9 if spacing_hz > 60e3 else 3.5e9
    found = {
        bandwidth_mhz: resource_blocks(float(bandwidth_mhz) * 1e6, spacing_hz, frequency_hz)
        for bandwidth_mhz in vector["expected"]
    }
    assert found == vector["expected"]


@pytest.mark.parametrize(("frequency_hz", "blocks"), [(3.5e9, 135), (7.125e9, 135), (7.75e9, 132), (28e9, 132)])
def test_60_khz_has_two_tables(frequency_hz: float, blocks: int) -> None:
    assert resource_blocks(100e6, 60e3, frequency_hz) == blocks


@pytest.mark.parametrize("frequency_hz", [3.5e9, 28e9, 60e9])
@pytest.mark.parametrize("spacing_khz", [15, 30, 60, 120, 480, 960])
@pytest.mark.parametrize("bandwidth_mhz", [3, 5, 10, 20, 50, 100, 200, 400, 800, 1600, 2000])
def test_blocks_fit_their_channel(frequency_hz: float, spacing_khz: int, bandwidth_mhz: int) -> None:
    try:
        blocks = resource_blocks(bandwidth_mhz * 1e6, spacing_khz * 1e3, frequency_hz)
    except ValueError:
        return
    assert 0.75 < blocks * 12 * spacing_khz / (bandwidth_mhz * 1e3) < 0.99


def test_what_is_no_channel_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"no subcarrier spacing of 120 kHz at 3\.5 GHz: there are 15, 30, 60 kHz"):
        resource_blocks(100e6, 120e3, 3.5e9)
    with pytest.raises(ValueError, match=r"no channel of 100 MHz .* at 60 GHz: there are 400, 800, 1600 MHz"):
        resource_blocks(100e6, 480e3, 60e9)


@pytest.mark.parametrize("spacing_hz", [480e3, 960e3])
def test_wide_spacings_are_of_frequency_range_2_2(spacing_hz: float) -> None:
    for frequency_hz in (7.75e9, 28e9, 52.5e9):
        with pytest.raises(ValueError, match=r"no subcarrier spacing of .* there are 60, 120 kHz"):
            resource_blocks(400e6, spacing_hz, frequency_hz)
    for frequency_hz in (52.6e9, 60e9, 140e9):
        assert resource_blocks(400e6, spacing_hz, frequency_hz) == 66 * 480e3 / spacing_hz
    with pytest.raises(ValueError, match=r"no subcarrier spacing of 60 kHz at 60 GHz: there are 120, 480, 960 kHz"):
        resource_blocks(200e6, 60e3, 60e9)


def test_a_slot_is_a_millisecond_at_15_khz() -> None:
    assert slot_s(15e3) == pytest.approx(1e-3)
    assert slot_s(120e3) == pytest.approx(0.125e-3)
