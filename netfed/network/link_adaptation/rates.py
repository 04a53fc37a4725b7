"""Bits per second of a device that has its cell for itself, by its SINR."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from netfed.network.link_adaptation.harq import mean_submissions, mean_transmissions
from netfed.network.link_adaptation.mcs import MCS_TABLES, Mcs
from netfed.network.link_adaptation.numerology import SYMBOLS_PER_SLOT, slot_s
from netfed.network.link_adaptation.peak_rate import overhead, peak_rate_bps
from netfed.network.link_adaptation.transport_block import resource_elements, transport_block_bits

if TYPE_CHECKING:
    from netfed.network.radio.carrier import Carrier

CONTROL_SYMBOLS = 1
"""OFDM symbols of a downlink slot that carry PDCCH, of 1 to 3 (TS 38.211, clause 7.3.2.2). With these and one symbol of
reference signals a slot has 14 % of overhead down and 7 % up; TS 38.306, clause 4.1.2, assumes 14 % and 8 %."""

REFERENCE_ELEMENTS = 12
"""Resource elements of a block and slot that carry demodulation reference signals: one front-loaded symbol (TS 38.211,
clause 7.4.1.1)."""


class Rung(NamedTuple):
    """A way to fill a slot.

    Attributes:
        sinr: From which on it works, linear.
        bits: What the slot then carries.
        layers: Spatial layers.
        blocks: Resource blocks.
        mcs: Modulation and coding scheme.
    """

    sinr: float
    bits: float
    layers: int
    blocks: int
    mcs: Mcs


class RateLadder:
    """The rates that a device can have, each from some SINR on.

    Of the ways that its SINR allows, a device fills its slots in the one that carries most: it has the highest rate
    that it can have while it is alone. Of those that carry as much, it is the one on the fewest resource blocks.

    Args:
        ways: In any order.
        slots_per_s: For this direction, transmissions that fail not counted.
        blocks: Resource blocks of the carrier.

    Attributes:
        rungs: From the lowest SINR to the highest.
        sinr: What each needs. [rung]
        rate_bps: What it gives; before the first rung, 0. [rung + 1]
        allocation: The share of the resource blocks that it takes; before the first rung, 1. [rung + 1]
    """

    def __init__(self, ways: Iterable[Rung], slots_per_s: float, blocks: int) -> None:
        self.rungs: list[Rung] = []
        best = 0.0, 0
        for way in sorted(ways, key=lambda way: (way.sinr, -way.bits, way.blocks)):
            if (way.bits, -way.blocks) > best:
                self.rungs.append(way)
                best = way.bits, -way.blocks
        self.sinr = np.array([rung.sinr for rung in self.rungs], np.float32)
        self.rate_bps = np.array([0.0, *(rung.bits * slots_per_s for rung in self.rungs)])
        self.allocation = np.array([1.0, *(rung.blocks / blocks for rung in self.rungs)])

    def rates_bps(self, sinr: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return each device's rate.

        Args:
            sinr: At full power over the whole carrier in one layer, linear. [device]
        """
        rates_bps: NDArray[np.float64] = self.rate_bps[np.searchsorted(self.sinr, sinr, side="right")]
        return rates_bps

    def allocations(self, sinr: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the share of the resource blocks that each device takes.

        Args:
            sinr: At full power over the whole carrier in one layer, linear. [device]
        """
        allocations: NDArray[np.float64] = self.allocation[np.searchsorted(self.sinr, sinr, side="right")]
        return allocations

    def scheduled_bps(
        self, rate_bps: NDArray[np.float64], allocation: NDArray[np.float64] | float, gain: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return what rates are worth to a scheduler that sends to devices at their best moments.

        At the best of moments there is no faster way than the last rung: no gain brings a device beyond it, nor one
        that is on a share of the resource blocks beyond that share of it.

        Args:
            rate_bps: Of each device at its mean channel. [device]
            allocation: The share of the resource blocks that it then takes. [device]
            gain: By which its cell's airtime is worth more, 1 or more (`scheduling_gain`). [device]
        """
        most_bps = np.maximum(rate_bps, allocation * self.rate_bps[-1])
        return np.asarray(np.minimum(rate_bps * gain, most_bps))

    def rung(self, sinr: float) -> Rung | None:
        """Return how a device transmits; None where it cannot."""
        reached = int(np.searchsorted(self.sinr, np.float32(sinr), side="right"))
        return self.rungs[reached - 1] if reached else None


def downlink_ladder(carrier: Carrier) -> RateLadder:
    """Return the rates of a downlink.

    The base station spreads its power over the whole carrier and over as many layers as pay, of equal strength.
    """
    return _ladder(carrier, uplink=False, allocations=[carrier.resource_blocks])


def uplink_ladder(carrier: Carrier) -> RateLadder:
    """Return the rates of an uplink.

    A device that is too weak for the whole carrier gathers its power on a half of it, a quarter and so on, down to one
    resource block, in one layer: who lacks power for that on all blocks has none for two. Where power control would
    have it transmit less on fewer blocks, commands from the base station are taken to make up for it (TS 38.213,
    clause 7.1.1). Others have the other blocks at the same time (TS 38.214, clause 6.1.2.2).
    """
    blocks = carrier.resource_blocks
    return _ladder(carrier, uplink=True, allocations=[blocks >> halvings for halvings in range(blocks.bit_length())])


def _ladder(carrier: Carrier, *, uplink: bool, allocations: Sequence[int]) -> RateLadder:
    share = carrier.uplink_share if uplink else carrier.downlink_share
    transmissions = mean_transmissions(carrier.transmissions) * mean_submissions(carrier.transmissions)
    slots_per_s = share / slot_s(carrier.subcarrier_spacing) / transmissions
    return RateLadder(_ways(carrier, uplink, allocations), slots_per_s, carrier.resource_blocks)


def _ways(carrier: Carrier, uplink: bool, allocations: Sequence[int]) -> Iterator[Rung]:
    """Yield each choice of layers, resource blocks and MCS.

    Total power is the same for all of them: more layers have less of it each, fewer blocks have more.
    A small transport block is rounded up to 24 bits, and so coded more weakly than its MCS says: no more is counted
    than the MCS says, nor more than the device supports (TS 38.214, clause 5.1.3).
    """
    table = MCS_TABLES[carrier.uplink_mcs if uplink else carrier.downlink_mcs]
    most_layers = carrier.uplink_layers if uplink else carrier.downlink_layers
    symbols = SYMBOLS_PER_SLOT - (0 if uplink else CONTROL_SYMBOLS)
    supported_bits = slot_s(carrier.subcarrier_spacing) * peak_rate_bps(
        carrier.resource_blocks,
        carrier.subcarrier_spacing,
        most_layers,
        max(mcs.modulation_order for mcs in table),
        overhead(carrier.frequency, uplink=uplink),
    )
    for layers in range(1, most_layers + 1):
        for blocks in allocations if layers == 1 else allocations[:1]:
            elements = resource_elements(blocks, symbols, REFERENCE_ELEMENTS, carrier.extra_overhead)
            power_share = layers * blocks / carrier.resource_blocks
            for mcs in table:
                block_bits = transport_block_bits(elements, mcs.modulation_order, mcs.code_rate, layers)
                nominal_bits = elements * layers * mcs.efficiency
                bits = min(block_bits, nominal_bits, supported_bits)
                yield Rung(power_share * 10 ** (mcs.sinr_db / 10), bits, layers, blocks, mcs)
