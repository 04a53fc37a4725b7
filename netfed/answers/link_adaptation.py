"""Modulation and coding, transport blocks, resource blocks and peak rates."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from netfed.vectors import Found, Inputs

if TYPE_CHECKING:
    from netfed.network.link_adaptation.mcs import McsTable

_MCS_TABLES: dict[str, McsTable] = {
    "PDSCH_table1": "qam64",
    "PDSCH_table2": "qam256",
    "PDSCH_table3": "qam64-low-se",
    "PDSCH_table4": "qam1024",
    "PUSCH_table1": "qam64-transform-precoded",
}


def mcs(inputs: Inputs) -> Found:
    from netfed.network.link_adaptation.mcs import MCS_TABLES

    table = _MCS_TABLES.get(inputs["table"])
    schemes = {mcs.index: mcs for mcs in MCS_TABLES[table]} if table is not None else {}
    mcs = schemes.get(inputs["mcs"])
    return None if mcs is None else {"se_bit_per_re": mcs.efficiency, "sinr_db": mcs.sinr_db}


def transport_block(inputs: Inputs) -> Found:
    from netfed.network.link_adaptation.transport_block import resource_elements, transport_block_bits

    elements = resource_elements(inputs["n_prb"], inputs["n_symb"], inputs["n_dmrs_re_per_prb"], inputs["n_oh"])
    return {"tbs_bits": transport_block_bits(elements, inputs["qm"], inputs["code_rate"], inputs["layers"])}


def resource_blocks(inputs: Inputs) -> Found:
    """All channels of one subcarrier spacing, by their bandwidth in MHz: up to 60 kHz those of frequency range 1."""
    from netfed.network.link_adaptation.numerology import resource_blocks

    spacing_khz, found = inputs["scs_khz"], {}
    frequency_hz = 3.5e9 if spacing_khz <= 60 else 28e9
    for bandwidth_mhz in (3, *range(5, 101, 5), 200, 400, 800, 1600, 2000):
        with suppress(ValueError):
            found[str(bandwidth_mhz)] = resource_blocks(bandwidth_mhz * 1e6, spacing_khz * 1e3, frequency_hz)
    return found


def peak_rate(inputs: Inputs) -> Found:
    from netfed.network.link_adaptation.peak_rate import peak_rate_bps

    rate_bps = peak_rate_bps(
        inputs["n_prb"],
        15e3 * 2 ** inputs["mu"],
        inputs["layers"],
        inputs["qm"],
        inputs["overhead"],
        carriers=inputs["carriers"],
        scaling=inputs["scaling"],
    )
    return {"rate_mbps": rate_bps / 1e6}
