from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from netfed.network.link_adaptation.mcs import MCS_TABLES, McsTable, shannon_sinr_db

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "network.json").read_text())["vectors"]
THRESHOLDS = [vector for vector in VECTORS if vector["group"] == "mcs-threshold"]
BY_SIONNA: dict[str, McsTable] = {
    "PDSCH_table1": "qam64",
    "PDSCH_table2": "qam256",
    "PDSCH_table3": "qam64-low-se",
    "PDSCH_table4": "qam1024",
    "PUSCH_table1": "qam64-transform-precoded",
}


@pytest.mark.parametrize("vector", THRESHOLDS, ids=lambda vector: vector["name"])
def test_a_scheme_is_what_the_vectors_say(vector: dict[str, Any]) -> None:
    inputs, expected = vector["inputs"], vector["expected"]
    mcs = MCS_TABLES[BY_SIONNA[inputs["table"]]][inputs["mcs"]]
    assert mcs.index == inputs["mcs"]
    assert mcs.modulation_order == inputs["qm"]
    assert mcs.sinr_db == pytest.approx(expected["sinr_db"], abs=1e-9)
    # Sionna's thresholds are of Table 6.1.4.1-1, but the vectors name the rates of 5.1.3.1-1, which differ from MCS 17.
    another_table = inputs["table"] == "PUSCH_table1" and inputs["mcs"] >= 17
    assert mcs.efficiency == pytest.approx(expected["se_bit_per_re"], abs=0.35 if another_table else 6e-5)


def test_all_vectors_are_asked() -> None:
    assert len(THRESHOLDS) == 116


@pytest.mark.parametrize(
    ("table", "last", "efficiencies"),
    [
        ("qam64", 28, {0: 0.2344, 16: 2.5703, 17: 2.5664, 28: 5.5547}),
        ("qam256", 27, {0: 0.2344, 19: 5.1152, 20: 5.3320, 27: 7.4063}),
        ("qam64-low-se", 28, {0: 0.0586, 14: 1.1758, 15: 1.3281, 28: 4.5234}),
        ("qam1024", 26, {0: 0.2344, 22: 7.4063, 23: 7.8662, 26: 9.2578}),
        ("qam64-transform-precoded", 27, {0: 0.2344, 16: 2.5703, 17: 2.7305, 27: 5.5547}),
    ],
)
def test_efficiencies_are_those_of_38_214(table: McsTable, last: int, efficiencies: dict[int, float]) -> None:
    assert MCS_TABLES[table][-1].index == last
    for index, efficiency in efficiencies.items():
        assert MCS_TABLES[table][index].efficiency == pytest.approx(efficiency, abs=6e-5)


@pytest.mark.parametrize("table", MCS_TABLES)
def test_thresholds_never_fall(table: McsTable) -> None:
    assert all(low.sinr_db <= high.sinr_db for low, high in pairwise(MCS_TABLES[table]))


@pytest.mark.parametrize("table", MCS_TABLES)
def test_every_threshold_is_above_shannons_bound_by_a_plausible_gap(table: McsTable) -> None:
    for mcs in MCS_TABLES[table]:
        assert 0.4 < mcs.sinr_db - shannon_sinr_db(mcs.efficiency) < 2.7


def test_a_scheme_without_a_threshold_keeps_the_gap_of_its_modulation() -> None:
    gaps = [mcs.sinr_db - shannon_sinr_db(mcs.efficiency) for mcs in MCS_TABLES["qam64"][:10]]
    assert gaps[:3] == pytest.approx([sum(gaps[3:]) / 7] * 3)


def test_a_modulation_without_a_threshold_keeps_the_gap_of_the_nearest() -> None:
    gaps = [mcs.sinr_db - shannon_sinr_db(mcs.efficiency) for mcs in MCS_TABLES["qam1024"][15:]]
    assert gaps[7:] == pytest.approx([sum(gaps[:7]) / 7] * 5)
