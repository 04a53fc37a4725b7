"""The link budget of a device, item by item: what its rates are made of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from netfed.network.link_adaptation.harq import mean_submissions, mean_transmissions
from netfed.network.radio.channel import Term
from netfed.network.radio.power import dbm, decibels, linear, watts
from netfed.network.traffic import Direction

if TYPE_CHECKING:
    from netfed.network.air_interface import AirInterface
    from netfed.network.radio_access import RadioAccess


def terms(radio: RadioAccess, device_id: int, now_s: float) -> list[Term]:
    """Return what the rates of a device would be made of, if it were alone with what loads the cells anyway.

    Args:
        radio: In which nobody takes part yet.
        device_id: Whose.
        now_s: At what simulated time.
    """
    air, load, carrier = radio.air, radio.load, radio.air.carrier
    ids = np.array([device_id])
    gain_db = air.gain_db(ids, now_s)
    gain, cells = linear(gain_db), np.argmax(gain_db, axis=1)
    load.begin(now_s)
    load.measure_interference(gain, cells)
    signals = air.signals(gain, cells, load.share["downlink"], load.interference_w)
    power_w = air.device_power_w(gain, cells)
    (cell,), (position_m,) = cells.tolist(), air.trajectories.positions_m(ids, now_s)
    base_station, sector = divmod(cell, radio.sectors)
    beam_db = 10 * math.log10(carrier.beam_gain)
    served_gain = gain[0, cell] * carrier.beam_gain
    down_w = served_gain * watts(carrier.transmit_power) / max(signals.down[0], 1e-30)
    up_w = served_gain * power_w[0] / max(signals.up[0], 1e-30)
    return [
        Term("base station", base_station, "", "strongest cell: 3GPP TS 38.304, clause 5.2.3"),
        Term("sector", sector, "", ""),
        Term("east", float(position_m[0]), "m", ""),
        Term("north", float(position_m[1]), "m", ""),
        *air.channel.budget(position_m, air.surroundings.of(ids), cell, now_s),
        Term("gain of beams", beam_db, "dB", "columns of antennas, and the device's"),
        Term("transmit power, down", carrier.transmit_power, "dBm", "carrier.transmit_power"),
        Term("noise, down", dbm(air.noise_w["downlink"]), "dBm", "-174 dBm/Hz and carrier.device_noise_figure"),
        Term("noise and interference, down", dbm(down_w), "dBm", "what others transmit in the cells, besides"),
        Term("SINR, down", decibels(signals.down[0]), "dB", "3GPP TR 38.901, clause 7.8.1"),
        *_rate_terms(air, "downlink", signals.down[0], signals.down_bps[0]),
        Term("transmit power, up", dbm(power_w[0]), "dBm", "3GPP TS 38.213, clause 7.1.1"),
        Term("noise, up", dbm(air.noise_w["uplink"]), "dBm", "-174 dBm/Hz and carrier.noise_figure"),
        Term("noise and interference, up", dbm(up_w), "dBm", "what devices of others transmit, besides"),
        Term("SINR, up", decibels(signals.up[0]), "dB", "over the whole carrier"),
        *_rate_terms(air, "uplink", signals.up[0], signals.up_bps[0]),
    ]


def _rate_terms(air: AirInterface, direction: Direction, sinr: float, rate_bps: float) -> list[Term]:
    way, clause = ("down", "clause 5.3.2.2") if direction == "downlink" else ("up", "clause 5.4.2.2")
    limit = air.carrier.transmissions
    rung = air.ladders[direction].rung(sinr)
    if rung is None:
        return [Term(f"rate, {way}", 0.0, "bit/s", "the SINR is too low for any MCS")]
    return [
        Term(f"MCS, {way}", rung.mcs.index, "", "3GPP TS 38.214, clauses 5.1.3.1 and 6.1.4.1, at a BLER of 10 %"),
        Term(f"layers, {way}", rung.layers, "", ""),
        Term(f"resource blocks, {way}", rung.blocks, "", "3GPP TS 38.101-1 and -2, table 5.3.2-1"),
        Term(f"airtime, {way}", rung.blocks / air.carrier.resource_blocks, "", "of the cell's; the rest is for others"),
        Term(f"HARQ transmissions, {way}", mean_transmissions(limit), "", f"of a block: 3GPP TS 38.321, {clause}"),
        Term(f"RLC submissions, {way}", mean_submissions(limit), "", "of a block: 3GPP TS 38.322, clause 5.3.2"),
        Term(f"rate, {way}", float(rate_bps), "bit/s", "3GPP TS 38.214, clause 5.1.3.2, and retransmissions"),
    ]
