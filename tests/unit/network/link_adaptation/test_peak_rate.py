from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from netfed.network.link_adaptation.peak_rate import overhead, peak_rate_bps

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "network.json").read_text())["vectors"]
PEAKS = [vector for vector in VECTORS if vector["group"] == "peak-rate"]


@pytest.mark.parametrize("vector", PEAKS, ids=lambda vector: vector["name"])
def test_peaks_are_what_the_vectors_say(vector: dict[str, Any]) -> None:
    inputs = vector["inputs"]
    rate_bps = peak_rate_bps(
        inputs["n_prb"],
        15e3 * 2 ** inputs["mu"],
        inputs["layers"],
        inputs["qm"],
        inputs["overhead"],
        carriers=inputs["carriers"],
        scaling=inputs["scaling"],
    )
    assert rate_bps / 1e6 == pytest.approx(vector["expected"]["rate_mbps"], rel=vector["tolerance"]["value"])


def test_a_device_may_say_that_it_supports_less() -> None:
    assert peak_rate_bps(273, 30e3, 4, 8, 0.14, scaling=0.4) == pytest.approx(0.4 * 2337e6, rel=1e-4)


def test_overhead_depends_on_direction_and_frequency_range() -> None:
    assert [overhead(frequency_hz, uplink=up) for frequency_hz in (3.5e9, 28e9) for up in (False, True)] == [
        *(0.14, 0.08),
        *(0.18, 0.10),
    ]
