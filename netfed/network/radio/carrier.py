"""What a cell and its devices transmit on. Light to import: no arrays here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from netfed.network.link_adaptation.mcs import McsTable
from netfed.network.link_adaptation.numerology import SUBCARRIERS_PER_BLOCK, resource_blocks
from netfed.plugin import Plugin
from netfed.units import DecibelMilliwatts, Decibels, Fraction, Hertz

Layers = Annotated[int, Field(ge=1, le=8)]

_TRANSFORM_PRECODED: McsTable = "qam64-transform-precoded"


@dataclass(frozen=True)
class Carrier(Plugin):
    """A carrier, and the radios at its two ends.

    Attributes:
        frequency: At its middle.
        bandwidth: Of the channel, guard bands included.
        subcarrier_spacing: 15 kHz times a power of two.
        transmit_power: Of a cell, over the whole carrier.
        noise_figure: Of the base station's receivers.
        columns: Of antennas that a cell has side by side. Its beam makes a device's signal stronger by as much, both
            ways; in the mean over where they point, the beams of other cells are as strong as a single column.
        device_transmit_power: The most a device transmits.
        device_noise_figure: Of its receiver.
        device_gain: Of its antennas towards its cell.
        power_target: What a device aims at to be received with, in a resource block of 15 kHz spacing.
        path_loss_compensation: The share of the path loss, in dB, that it makes up for.
        downlink_share: Of the time; in FDD both shares are 1.
        uplink_share: Of the time; in TDD they add up to less than 1 by the guard symbols.
        downlink_layers: Most spatial layers.
        uplink_layers: Most spatial layers.
        downlink_mcs: Table of modulation and coding schemes.
        uplink_mcs: The same for the other direction. ``qam64-transform-precoded`` is for DFT-s-OFDM, which downlinks do
            not have, and uplinks in one layer only (3GPP TS 38.211, clause 6.3.1.4).
        extra_overhead: Resource elements of a block and slot that carry no data, beside control and reference signals.
        transmissions: Of a transport block by HARQ at the most, the first included. RLC sends again what is lost then,
            which takes as much airtime: rates are the same, whatever the number.
    """

    frequency: Hertz
    bandwidth: Hertz
    subcarrier_spacing: Hertz
    transmit_power: DecibelMilliwatts
    noise_figure: Decibels = 5.0
    columns: Annotated[int, Field(ge=1, le=256)] = 1
    device_transmit_power: DecibelMilliwatts = 23.0
    device_noise_figure: Decibels = 9.0
    device_gain: Decibels = 0.0
    power_target: DecibelMilliwatts = -80.0
    path_loss_compensation: Fraction = 0.8
    downlink_share: Fraction = 1.0
    uplink_share: Fraction = 1.0
    downlink_layers: Layers = 1
    uplink_layers: Layers = 1
    downlink_mcs: McsTable = "qam256"
    uplink_mcs: McsTable = "qam64"
    extra_overhead: Literal[0, 6, 12, 18] = 0
    transmissions: Annotated[int, Field(ge=1, le=16)] = 4

    def __post_init__(self) -> None:
        if self.frequency <= 0:
            raise ValueError("frequency must be more than 0 Hz")
        if min(self.downlink_share, self.uplink_share) <= 0:
            raise ValueError("downlink_share and uplink_share must be more than 0")
        if self.duplex == "tdd" and self.downlink_share + self.uplink_share > 1:
            raise ValueError("downlink_share and uplink_share must be 1 both (FDD), or add up to 1 at the most (TDD)")
        if self.downlink_mcs == _TRANSFORM_PRECODED:
            raise ValueError(f"downlink_mcs: {_TRANSFORM_PRECODED} is for uplinks (3GPP TS 38.214, clause 6.1.4.1)")
        if self.uplink_mcs == _TRANSFORM_PRECODED and self.uplink_layers > 1:
            raise ValueError(
                f"uplink_layers must be 1 with {_TRANSFORM_PRECODED}: transform precoding is of a single layer"
                " (3GPP TS 38.211, clause 6.3.1.4)"
            )
        _ = self.resource_blocks

    @property
    def duplex(self) -> Literal["fdd", "tdd"]:
        """Whether the directions have a frequency each or take turns."""
        return "fdd" if self.downlink_share == self.uplink_share == 1 else "tdd"

    @property
    def resource_blocks(self) -> int:
        """How many there are."""
        return resource_blocks(self.bandwidth, self.subcarrier_spacing, self.frequency)

    @property
    def occupied_hz(self) -> float:
        """The bandwidth that its resource blocks fill."""
        return self.resource_blocks * SUBCARRIERS_PER_BLOCK * self.subcarrier_spacing

    @property
    def beam_gain(self) -> float:
        """By how much the beams at both ends make a served device's signal stronger, both ways; linear."""
        return float(self.columns * 10 ** (self.device_gain / 10))


@dataclass(frozen=True)
class Nr(Carrier, kind="nr"):
    """A carrier of your own: all of NR's keys, none of them chosen for you but by what is usual."""


_GUARD_SYMBOLS = 2
_PATTERN_SYMBOLS = 5 * 14
_DDDSU_DOWNLINK = (3 * 14 + 10) / _PATTERN_SYMBOLS
_DDDSU_UPLINK = (14 + 14 - 10 - _GUARD_SYMBOLS) / _PATTERN_SYMBOLS
"""Three downlink slots, one of 10 downlink, 2 guard and 2 uplink symbols, and an uplink slot: a common TDD pattern."""


@dataclass(frozen=True)
class Fr1MidBand(Carrier, kind="fr1-3500mhz"):
    """The middle of band n78, 3.3 to 3.8 GHz: what 5G macro cells have (3GPP TS 38.104, Table 5.2-1, 2018).

    49 dBm as in TR 38.901, Table 7.8-1, for macro cells at 6 GHz, which spread it over 20 MHz. Device: power class 3
    (TS 38.101-1, Table 6.2.1-1), noise figure of Table 7.8-1. Columns, layers, TDD pattern, power control and the noise
    figure of the base station are a choice.
    """

    frequency: Hertz = 3.55e9
    bandwidth: Hertz = 100e6
    subcarrier_spacing: Hertz = 30e3
    transmit_power: DecibelMilliwatts = 49.0
    columns: Annotated[int, Field(ge=1, le=256)] = 8
    downlink_share: Fraction = _DDDSU_DOWNLINK
    uplink_share: Fraction = _DDDSU_UPLINK
    downlink_layers: Layers = 4


@dataclass(frozen=True)
class Fr3Lower(Carrier, kind="fr3-7ghz"):
    """The middle of 7.125 to 8.4 GHz, which WRC-27 considers for IMT (ITU-R Resolution 256, WRC-23; 2023).

    No standard has chosen its radio yet. A proxy: the widest channel of 60 kHz spacing in TS 38.101-2, twice the
    columns of `Fr1MidBand` in the same width at half the wavelength, and its power.
    """

    frequency: Hertz = 7.75e9
    bandwidth: Hertz = 200e6
    subcarrier_spacing: Hertz = 60e3
    transmit_power: DecibelMilliwatts = 49.0
    columns: Annotated[int, Field(ge=1, le=256)] = 16
    downlink_share: Fraction = _DDDSU_DOWNLINK
    uplink_share: Fraction = _DDDSU_UPLINK
    downlink_layers: Layers = 4


@dataclass(frozen=True)
class Fr3Upper(Carrier, kind="fr3-15ghz"):
    """The middle of 14.8 to 15.35 GHz, which WRC-27 considers for IMT (ITU-R Resolution 256, WRC-23; 2023).

    No standard has chosen its radio yet. A proxy: the widest channel of 120 kHz spacing in TS 38.101-2, and power and
    noise figures halfway, in dB, between `Fr3Lower` and `Fr2`.
    """

    frequency: Hertz = 15.075e9
    bandwidth: Hertz = 400e6
    subcarrier_spacing: Hertz = 120e3
    transmit_power: DecibelMilliwatts = 45.0
    noise_figure: Decibels = 6.0
    columns: Annotated[int, Field(ge=1, le=256)] = 16
    downlink_share: Fraction = _DDDSU_DOWNLINK
    uplink_share: Fraction = _DDDSU_UPLINK
    downlink_layers: Layers = 2
    extra_overhead: Literal[0, 6, 12, 18] = 6


@dataclass(frozen=True)
class Fr2(Carrier, kind="fr2-28ghz"):
    """The middle of band n257, 26.5 to 29.5 GHz: 5G millimetre waves (3GPP TS 38.104, Table 5.2-2, 2018).

    35 dBm in 100 MHz as in TR 38.901, Table 7.8-1, for 30 GHz, and so 41 dBm in 400 MHz. Device: power class 3 (TS
    38.101-2, Table 6.2.1.3-2), noise figure of Table 7.8-1. Columns, the device's gain, layers, TDD pattern, power
    control and the noise figure of the base station are a choice.
    """

    frequency: Hertz = 28e9
    bandwidth: Hertz = 400e6
    subcarrier_spacing: Hertz = 120e3
    transmit_power: DecibelMilliwatts = 41.0
    noise_figure: Decibels = 7.0
    columns: Annotated[int, Field(ge=1, le=256)] = 16
    device_gain: Decibels = 5.0
    downlink_share: Fraction = _DDDSU_DOWNLINK
    uplink_share: Fraction = _DDDSU_UPLINK
    downlink_layers: Layers = 2
    downlink_mcs: McsTable = "qam64"
    extra_overhead: Literal[0, 6, 12, 18] = 6


@dataclass(frozen=True)
class SubTerahertz(Carrier, kind="sub-thz-140ghz"):
    """A hotspot at 140 GHz, in the D band, which Report ITU-R M.2541 (2024) considers for IMT.

    No standard has chosen its radio yet. A proxy: the widest channel of TS 38.101-2, at 960 kHz spacing; the 35 dBm
    that TR 38.901, Table 7.8-1, has above 6 GHz; the noise figure of 13 dB that a receiver had at 143 GHz ("Spectrum
    efficient D-band communication link for real-time multi-gigabit wireless transmission", IMS 2018). Columns, the
    device's power and gain, layers, TDD pattern and power control are a choice.
    """

    frequency: Hertz = 140e9
    bandwidth: Hertz = 2e9
    subcarrier_spacing: Hertz = 960e3
    transmit_power: DecibelMilliwatts = 35.0
    noise_figure: Decibels = 13.0
    columns: Annotated[int, Field(ge=1, le=256)] = 32
    device_noise_figure: Decibels = 13.0
    device_gain: Decibels = 15.0
    downlink_share: Fraction = _DDDSU_DOWNLINK
    uplink_share: Fraction = _DDDSU_UPLINK
    downlink_mcs: McsTable = "qam64"
    extra_overhead: Literal[0, 6, 12, 18] = 6
