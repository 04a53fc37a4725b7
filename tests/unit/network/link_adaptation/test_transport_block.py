from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netfed.network.link_adaptation.mcs import MCS_TABLES
from netfed.network.link_adaptation.transport_block import resource_elements, transport_block_bits

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "network.json").read_text())["vectors"]
SIZES = [vector for vector in VECTORS if vector["group"] == "tbs"]
SCHEMES = st.sampled_from([mcs for table in MCS_TABLES.values() for mcs in table])


@pytest.mark.parametrize("vector", SIZES, ids=lambda vector: vector["name"])
def test_blocks_are_as_large_as_the_vectors_say(vector: dict[str, Any]) -> None:
    inputs = vector["inputs"]
    elements = resource_elements(inputs["n_prb"], inputs["n_symb"], inputs["n_dmrs_re_per_prb"], inputs["n_oh"])
    bits = transport_block_bits(elements, inputs["qm"], inputs["code_rate"], inputs["layers"])
    assert bits == vector["expected"]["tbs_bits"]


@pytest.mark.parametrize(
    ("elements", "order", "rate_1024", "layers", "bits"),
    [
        (156, 2, 30, 1, 24),  # the smallest
        (156 * 40, 2, 308, 1, 3752),  # the largest but one of the table
        (156 * 100, 2, 120, 1, 3752),  # from the table, whatever the code rate
        (6360, 2, 308, 1, 3840),  # just past the table
        (156 * 66, 2, 193, 1, 3848),  # two code blocks, at a code rate of 1/4 or less
        (156 * 200, 2, 308, 1, 18960),  # three code blocks
    ],
)
def test_sizes_follow_38_214(elements: int, order: int, rate_1024: int, layers: int, bits: int) -> None:
    assert transport_block_bits(elements, order, rate_1024 / 1024, layers) == bits


@given(SCHEMES, st.integers(1, 273), st.integers(1, 4))
def test_a_size_is_near_what_its_scheme_says(mcs: Any, blocks: int, layers: int) -> None:
    elements = resource_elements(blocks, 13, 12, 0)
    bits = transport_block_bits(elements, mcs.modulation_order, mcs.code_rate, layers)
    assert bits % 8 == 0
    assert bits == pytest.approx(elements * mcs.efficiency * layers, rel=0.05, abs=24)


def test_elements_are_what_signals_leave() -> None:
    assert resource_elements(10, 13, 12, 6) == 10 * (13 * 12 - 12 - 6)
    assert resource_elements(10, 14, 0, 0) == 10 * 156
