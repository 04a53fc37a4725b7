"""The link budget of a device, item by item: what its rates are made of."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from netfed.network.link_adaptation.harq import mean_submissions, mean_transmissions
from netfed.network.radio.channel import Term
from netfed.network.radio.power import dbm, decibels, linear, watts
from netfed.network.traffic import Direction

if TYPE_CHECKING:
    from netfed.network.air_interface import AirInterface, Ids
    from netfed.network.radio_access import RadioAccess


def terms(radio: RadioAccess, device_id: int, now_s: float) -> list[Term]:
    """Return what the rates of a device would be made of, if it were alone with what loads the cells anyway.

    Where all cells are out of order, it is the budget of the one that would serve, up to its gain.

    Args:
        radio: In which nobody takes part yet.
        device_id: Whose.
        now_s: At what simulated time.
    """
    air, ids = radio.air, np.array([device_id])
    channel_db, silent = air.channel_gain_db(ids, now_s), air.out_of_order(now_s)
    strongest = int(np.argmax(channel_db))
    cell = strongest if silent.all() else int(np.argmax(air.gain_db(ids, now_s)))
    (position_m,) = air.trajectories.positions_m(ids, now_s)
    base_station, sector = divmod(cell, radio.sectors)
    which = "would serve if it was in order" if silent.all() else "strongest cell: 3GPP TS 38.304, clause 5.2.3"
    return [
        Term("base station", base_station, "", which),
        Term("sector", sector, "", ""),
        *_outage_terms(radio.sectors, strongest, silent),
        Term("east", float(position_m[0]), "m", ""),
        Term("north", float(position_m[1]), "m", ""),
        *air.channel.budget(position_m, air.surroundings.of(ids), cell, now_s),
        *(_unserved_terms() if silent.all() else _served_terms(radio, ids, now_s)),
    ]


def _outage_terms(sectors: int, strongest: int, silent: NDArray[np.bool_]) -> list[Term]:
    """Return which cells the device does without.

    Args:
        sectors: Of a base station.
        strongest: Cell, if none was out of order.
        silent: Which are. [cell]
    """
    count = int(silent.sum())
    if not silent[strongest]:
        return [Term("cells out of order", count, "", "network.outages: weaker than this one")] if count else []
    base_station, sector = divmod(strongest, sectors)
    what = f"network.outages: base station {base_station}, sector {sector}, would be the strongest"
    return [Term("cells out of order", count, "", "network.outages: all" if silent.all() else what)]


def _unserved_terms() -> list[Term]:
    return [Term(f"rate, {way}", 0.0, "bit/s", "no cell serves it: network.outages") for way in ("down", "up")]


def _served_terms(radio: RadioAccess, ids: Ids, now_s: float) -> list[Term]:
    """Return what follows from the gain of the cell that serves a device.

    Args:
        radio: In which nobody takes part yet.
        ids: Of the device. [1]
        now_s: At what simulated time.
    """
    air, load, carrier = radio.air, radio.load, radio.air.carrier
    gain_db = air.gain_db(ids, now_s)
    gain, cells = linear(gain_db), np.argmax(gain_db, axis=1)
    load.begin(now_s)
    load.measure_interference(gain, cells)
    signals = air.signals(gain, cells, load.share["downlink"], load.interference_w)
    power_w = air.device_power_w(gain, cells)
    beam_db = 10 * math.log10(carrier.beam_gain)
    served_gain = gain[0, cells[0]] * carrier.beam_gain
    down_w = served_gain * watts(carrier.transmit_power) / max(signals.down[0], 1e-30)
    up_w = served_gain * power_w[0] / max(signals.up[0], 1e-30)
    return [
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
