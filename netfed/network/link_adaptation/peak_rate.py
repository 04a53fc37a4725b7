"""The most that a device supports: TS 38.306, clause 4.1.2."""

from __future__ import annotations

from netfed.network.link_adaptation.numerology import (
    FR1_UP_TO_HZ,
    SUBCARRIERS_PER_BLOCK,
    SYMBOLS_PER_SLOT,
    slot_s,
)

_HIGHEST_CODE_RATE = 948 / 1024


def peak_rate_bps(
    blocks: int,
    subcarrier_spacing_hz: float,
    layers: int,
    modulation_order: int,
    overhead: float,
    *,
    carriers: int = 1,
    scaling: float = 1.0,
) -> float:
    """Return the highest data rate of a device, all of the time being for one direction.

    Args:
        blocks: Resource blocks of a carrier.
        subcarrier_spacing_hz: Of a carrier.
        layers: Most spatial layers.
        modulation_order: Highest, in bits.
        overhead: Share of the resource elements that carries no data, as `overhead` gives it.
        carriers: How many there are, all alike.
        scaling: By which the device says that it supports less: 1, 0.8, 0.75 or 0.4.
    """
    symbols_per_s = SYMBOLS_PER_SLOT / slot_s(subcarrier_spacing_hz)
    elements_per_s = blocks * SUBCARRIERS_PER_BLOCK * symbols_per_s
    bits = layers * modulation_order * scaling * _HIGHEST_CODE_RATE
    return carriers * bits * elements_per_s * (1 - overhead)


def overhead(frequency_hz: float, *, uplink: bool) -> float:
    """Return the share of the resource elements that carries no data, as TS 38.306 assumes it."""
    if frequency_hz <= FR1_UP_TO_HZ:
        return 0.08 if uplink else 0.14
    return 0.10 if uplink else 0.18
