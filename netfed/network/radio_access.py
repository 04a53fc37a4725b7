"""Which cell serves a device, and how fast: looked at anew every so often, for the devices that take part.

In between nothing changes: a cell's load enters the interference at the next look, never at a flow's start or end. A
device that begins is looked at by itself.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from simpy import Event, Timeout

from netfed.network.backhaul import positions_m
from netfed.network.course import Course
from netfed.network.link_adaptation.rates import RateLadder, downlink_ladder, uplink_ladder
from netfed.network.link_adaptation.scheduler import scheduling_gain
from netfed.network.mobility.handover import RadioLinkFailure
from netfed.network.mobility.serving import Changes, ServingCells
from netfed.network.mobility.spec import Area, Static
from netfed.network.radio.channel import Channel, Term
from netfed.network.radio.power import linear, open_loop_power_w, thermal_noise_w, watts
from netfed.network.radio.sinr import downlink_sinr, uplink_interference_w, uplink_received_w, uplink_sinr
from netfed.network.radio.wraparound import Wraparound
from netfed.network.traffic import Direction

if TYPE_CHECKING:
    from netfed.network.cellular import Cellular
    from netfed.network.mobility.spec import Mobility
    from netfed.network.network import Network
    from netfed.network.transfer import Transfer

Floats = NDArray[np.floating[Any]]
Ids = NDArray[np.int64]

_SQRT_3 = 3**0.5
_WITHOUT_MCS = RadioLinkFailure(out_of_sync=-200.0, in_sync=-200.0)
"""A link fails where no MCS works, but at no SINR that any works at."""
_CROWD = 512
"""Devices that stand for those whom others serve: those with the least ids, where they are at first."""
_SILENCE_DB = -300.0
"""Gain from a cell that is out of order."""


class Signals(NamedTuple):
    """What devices and cells receive of each other at one moment.

    Attributes:
        down: SINR of each device, linear. [device]
        up: SINR of each device at its cell, linear. [device]
        down_bps: Rate while it has the cell for itself, whoever is sent to first. [device]
        up_bps: Likewise.
    """

    down: Floats
    up: Floats
    down_bps: NDArray[np.float64]
    up_bps: NDArray[np.float64]


class RadioAccess:
    """The radio of all cells and of the devices that take part.

    Args:
        kind: What the user wrote.
        network: Holds the devices, and their transfers.
        mobility: How devices move.
        spacing_m: Between base stations.

    Attributes:
        load: Share of its time in which each cell transmitted, from the last look but one to the last. [cell], by
            direction
    """

    def __init__(self, kind: Cellular, network: Network, mobility: Mobility, spacing_m: float) -> None:
        population, sites_m = network.population, positions_m(network.graph)
        self._kind, self._network = kind, network
        self._carrier = carrier = kind.carrier
        streams = population.streams
        area = Area.around(sites_m, spacing_m / _SQRT_3)
        self._trajectories = mobility.trajectories(population.position_m, area, streams)
        wraparound = Wraparound(len(sites_m), spacing_m) if kind.wraparound else None
        self._channel = Channel(kind.propagation, kind.antenna, sites_m, carrier.frequency, streams, wraparound)
        self._surroundings = kind.buildings.surround(
            np.arange(len(population)), kind.propagation, carrier.frequency, streams
        )
        handover = kind.handover if kind.handover.failure else replace(kind.handover, failure=_WITHOUT_MCS)
        self._serving = ServingCells(handover, len(population), self._channel.cells)
        self._interval_s = kind.refresh
        if not isinstance(mobility, Static):
            self._interval_s = kind.handover.interval_s(kind.refresh)
        self._ladders: dict[Direction, RateLadder] = {
            "downlink": downlink_ladder(carrier),
            "uplink": uplink_ladder(carrier),
        }
        self._noise_w: dict[Direction, float] = {
            "downlink": thermal_noise_w(carrier.occupied_hz, carrier.device_noise_figure),
            "uplink": thermal_noise_w(carrier.occupied_hz, carrier.noise_figure),
        }
        self.load = {direction: np.zeros(self._channel.cells) for direction in self._ladders}
        self._others = Course(kind.background.left() if kind.background else (), self._hear)
        self._others_share = 0.0
        self._silent = np.zeros((len(kind.outages), self._channel.cells), np.bool_)
        self._outages = [
            Course(outages.of_cell(streams, number, cell), partial(self._hear_of_outage, number, cell))
            for number, outages in enumerate(kind.outages)
            for cell in range(self._channel.cells)
            if outages.hits_cell(cell)
        ]
        self._interference_w = np.zeros(self._channel.cells)
        self._diversity = {direction: np.ones(self._channel.cells) for direction in self._ladders}
        self._busy_s, self._measured_s = self._transmitted_s(), network.env.now
        self._gap_until_s: dict[int, float] = {}
        self._active: dict[int, None] = {}
        self._next_look: Event | None = None

    def attach(self, ids: Ids) -> None:
        """Let devices that begin look for their cells; they are served by the strongest, at the rates of now."""
        if not len(ids):
            return
        now_s = self._network.env.now
        gain_db = self._gain_db(ids, now_s)
        gain, cells = linear(gain_db), self._serving.attach(now_s, ids, gain_db)
        if not self._active:
            self._begin(now_s)
            self._measure_interference(gain, cells)
        self._serve(ids, cells, self._signals(gain, cells))

    def join(self, device_id: int) -> None:
        """Look at a device from now on."""
        self._active[device_id] = None
        if self._next_look is None:
            self._plan_look()

    def leave(self, device_id: int) -> None:
        """Look at a device no longer."""
        del self._active[device_id]
        self._gap_until_s.pop(device_id, None)
        self._serving.release(np.array([device_id]))

    def gap_s(self, device_id: int) -> float:
        """Return how long a device that changes cells is still without service."""
        return max(0.0, self._gap_until_s.get(device_id, 0.0) - self._network.env.now)

    def budget(self, device_id: int, now_s: float) -> list[Term]:
        """Return what the rates of a device would be made of, if it were alone with what loads the cells anyway.

        Args:
            device_id: Whose.
            now_s: At what simulated time.
        """
        carrier, ids = self._carrier, np.array([device_id])
        gain_db = self._gain_db(ids, now_s)
        gain, cells = linear(gain_db), np.argmax(gain_db, axis=1)
        self._begin(now_s)
        self._measure_interference(gain, cells)
        signals, power_w = self._signals(gain, cells), self._device_power_w(gain, cells)
        (cell,), (position_m,) = cells.tolist(), self._trajectories.positions_m(ids, now_s)
        base_station, sector = divmod(cell, self._kind.cells)
        beam_db = 10 * math.log10(carrier.beam_gain)
        served_gain = gain[0, cell] * carrier.beam_gain
        down_w = served_gain * watts(carrier.transmit_power) / max(signals.down[0], 1e-30)
        up_w = served_gain * power_w[0] / max(signals.up[0], 1e-30)
        return [
            Term("base station", base_station, "", "strongest cell: 3GPP TS 38.304, clause 5.2.3"),
            Term("sector", sector, "", ""),
            Term("east", float(position_m[0]), "m", ""),
            Term("north", float(position_m[1]), "m", ""),
            *self._channel.budget(position_m, self._surroundings.of(ids), cell, now_s),
            Term("gain of beams", beam_db, "dB", "columns of antennas, and the device's"),
            Term("transmit power, down", carrier.transmit_power, "dBm", "carrier.transmit_power"),
            Term("noise, down", dbm(self._noise_w["downlink"]), "dBm", "-174 dBm/Hz and carrier.device_noise_figure"),
            Term("noise and interference, down", dbm(down_w), "dBm", "what others transmit in the cells, besides"),
            Term("SINR, down", decibels(signals.down[0]), "dB", "3GPP TR 38.901, clause 7.8.1"),
            *self._rate_terms("downlink", signals.down[0], signals.down_bps[0]),
            Term("transmit power, up", dbm(power_w[0]), "dBm", "3GPP TS 38.213, clause 7.1.1"),
            Term("noise, up", dbm(self._noise_w["uplink"]), "dBm", "-174 dBm/Hz and carrier.noise_figure"),
            Term("noise and interference, up", dbm(up_w), "dBm", "what devices of others transmit, besides"),
            Term("SINR, up", decibels(signals.up[0]), "dB", "over the whole carrier"),
            *self._rate_terms("uplink", signals.up[0], signals.up_bps[0]),
        ]

    def _rate_terms(self, direction: Direction, sinr: float, rate_bps: float) -> list[Term]:
        way = "down" if direction == "downlink" else "up"
        rung = self._ladders[direction].rung(sinr)
        if rung is None:
            return [Term(f"rate, {way}", 0.0, "bit/s", "the SINR is too low for any MCS")]
        return [
            Term(f"MCS, {way}", rung.mcs.index, "", "3GPP TS 38.214, clauses 5.1.3.1 and 6.1.4.1, at a BLER of 10 %"),
            Term(f"layers, {way}", rung.layers, "", ""),
            Term(f"resource blocks, {way}", rung.blocks, "", "3GPP TS 38.101-1 and -2, table 5.3.2-1"),
            Term(f"rate, {way}", float(rate_bps), "bit/s", "3GPP TS 38.214, clause 5.1.3.2, and retransmissions"),
        ]

    def _plan_look(self) -> None:
        """Let the next look be at the next multiple of the interval."""
        now_s = self._network.env.now
        looks = math.floor(now_s / self._interval_s + 1e-9) + 1
        self._next_look = Timeout(self._network.env, max(0.0, looks * self._interval_s - now_s))
        self._next_look.callbacks.append(self._look)

    def _look(self, _: Event) -> None:
        """Measure everybody who is active; change the cells and rates of those for whom it is time.

        A link that no MCS works on, either way, fails like one out of sync: what it sends again and again never
        arrives (3GPP TS 38.331, clause 5.3.10.3).
        """
        self._next_look = None
        if not self._active:
            return
        now_s, ids = self._network.env.now, np.fromiter(self._active, np.int64, len(self._active))
        gain_db = self._gain_db(ids, now_s)
        gain, cells = linear(gain_db), self._serving.cell(ids)
        self._measure_load()
        self._measure_interference(gain, cells)
        signals = self._signals(gain, cells)
        linked = (signals.down_bps > 0) & (signals.up_bps > 0)
        changes = self._serving.update(now_s, ids, gain_db, np.where(linked, decibels(signals.down), -np.inf))
        if len(changes.ids):
            cells = self._serving.cell(ids)
            signals = self._signals(gain, cells)
        self._measure_diversity(signals)
        self._serve(ids, cells, signals)
        self._change_cells(changes)
        for transfer in self._network.transfers:
            transfer.retune(self._rate_bps(transfer))
        self._network.multicasts.adapt()
        self._plan_look()

    def _gain_db(self, ids: Ids, now_s: float) -> NDArray[np.float32]:
        """Return the gain between cells and devices. [device, cell]"""
        positions_m = self._trajectories.positions_m(ids, now_s)
        gain_db = self._channel.gain_db(positions_m, self._surroundings.of(ids), now_s)
        for outage in self._outages:
            outage.go_to(now_s)
        gain_db[:, self._silent.any(axis=0)] = _SILENCE_DB
        return gain_db

    def _device_power_w(self, gain: Floats, cells: Ids) -> Floats:
        """Return what devices transmit. [device]"""
        carrier = self._carrier
        return open_loop_power_w(
            gain[np.arange(len(gain)), cells],
            carrier.resource_blocks,
            carrier.subcarrier_spacing,
            carrier.power_target,
            carrier.path_loss_compensation,
            carrier.device_transmit_power,
        )

    def _signals(self, gain: Floats, cells: Ids) -> Signals:
        """Return what devices and their cells receive of each other, and the rates that this allows."""
        serving_gain, power_w = gain[np.arange(len(gain)), cells], self._device_power_w(gain, cells)
        noise_w, beam_gain = self._noise_w["uplink"], self._carrier.beam_gain
        down = downlink_sinr(
            gain,
            cells,
            watts(self._carrier.transmit_power),
            self.load["downlink"],
            self._noise_w["downlink"],
            beam_gain,
        )
        up = uplink_sinr(serving_gain, cells, power_w, self._interference_w, noise_w, beam_gain)
        return Signals(down, up, self._ladders["downlink"].rates_bps(down), self._ladders["uplink"].rates_bps(up))

    def _serve(self, ids: Ids, cells: Ids, signals: Signals) -> None:
        """Give devices their cells and rates."""
        population = self._network.population
        population.base_station[ids], population.sector[ids] = np.divmod(cells, self._kind.cells)
        population.rate_down_bps[ids] = signals.down_bps * self._diversity["downlink"][cells]
        population.rate_up_bps[ids] = signals.up_bps * self._diversity["uplink"][cells]

    def _change_cells(self, changes: Changes) -> None:
        """Record who changes cells, and let the transfers of these follow or break."""
        under_way: dict[int, list[Transfer]] = {}
        for transfer in self._network.transfers if len(changes.ids) else ():
            under_way.setdefault(transfer.device.id, []).append(transfer)
        for device_id, source, target, failed, until_s in zip(*(column.tolist() for column in changes), strict=True):
            base_station, sector = divmod(target, self._kind.cells)
            cause = "radio-link-failure" if failed else None
            self._gap_until_s[device_id] = until_s
            self._network.recorder.row(
                "handover", device=device_id, cell=base_station, cause=cause, source_cell=source, target_cell=target
            )
            for transfer in under_way.get(device_id, ()):
                if failed or self._kind.handover.transfers == "lose":
                    transfer.lose(cause or "handover")
                else:
                    gap_s = until_s - self._network.env.now
                    transfer.hand_over(base_station, sector, self._rate_bps(transfer), gap_s)
            if cause is None and self._kind.handover.transfers == "lose":
                cause = "handover"
            self._network.multicasts.change_cell(device_id, cause)

    def _rate_bps(self, transfer: Transfer) -> float:
        device = transfer.device
        return device.rate_up_bps if transfer.way.direction == "uplink" else device.rate_down_bps

    def _transmitted_s(self) -> dict[Direction, NDArray[np.float64]]:
        """Return for how long each cell has transmitted so far. [cell], by direction"""
        total_s = {direction: np.zeros(self._channel.cells) for direction in self._ladders}
        for span in (self._network.whole, self._network.access):
            for direction, ways in span.ways.items():
                airtime_s = {medium: medium.airtime_s() for medium in {way.medium: None for way in ways}}
                total_s[direction] += [airtime_s[way.medium][cell] for way in ways for cell in way.cells]
        return total_s

    def _hear(self, left: float) -> None:
        self._others_share = 1.0 - left

    def _hear_of_outage(self, number: int, cell: int, left: float) -> None:
        self._silent[number, cell] = left == 0

    def _begin(self, now_s: float) -> None:
        """Start from cells that serve nobody but others."""
        self._others.go_to(now_s)
        self.load = {direction: np.full(self._channel.cells, self._others_share) for direction in self._ladders}
        self._diversity = {direction: np.ones(self._channel.cells) for direction in self._ladders}
        self._busy_s, self._measured_s = self._transmitted_s(), now_s

    def _measure_load(self) -> None:
        """Take for each cell's load the share of the time since the last look in which it transmitted."""
        now_s = self._network.env.now
        if now_s == self._measured_s:  # somebody has begun at this very instant
            return
        self._others.go_to(now_s)
        before_s, since_s = self._busy_s, self._measured_s
        self._busy_s, self._measured_s = self._transmitted_s(), now_s
        for direction, busy_s in self._busy_s.items():
            share = (busy_s - before_s[direction]) / (self._measured_s - since_s)
            self.load[direction] = np.clip(self._others_share + share, 0.0, 1.0)

    def _measure_interference(self, gain: Floats, cells: Ids) -> None:
        """Let active devices interfere at the cells for as long as these serve them, and a crowd for the others."""
        own = self.load["uplink"] - self._others_share
        self._interference_w = uplink_interference_w(self._mean_received_w(gain, cells), own)
        if self._others_share:
            others = np.full(self._channel.cells, self._others_share)
            self._interference_w += uplink_interference_w(self._crowd_w, others)

    @cached_property
    def _crowd_w(self) -> NDArray[np.float64]:
        """With what power cells receive the devices that others serve in each. [serving cell, receiving cell]"""
        gain_db = self._gain_db(np.arange(min(_CROWD, len(self._network.population))), 0.0)
        return self._mean_received_w(linear(gain_db), np.argmax(gain_db, axis=1))

    def _mean_received_w(self, gain: Floats, cells: Ids) -> NDArray[np.float64]:
        """Return with what power cells receive a device of each, in the mean. [serving cell, receiving cell]"""
        users = np.maximum(np.bincount(cells, minlength=self._channel.cells), 1)
        return uplink_received_w(gain, cells, self._device_power_w(gain, cells)) / users[:, None]

    def _measure_diversity(self, signals: Signals) -> None:
        """Take for each cell's gain by scheduling that of as many users as have something to send there."""
        received: dict[Direction, Floats] = {"downlink": signals.down, "uplink": signals.up}
        for direction, sinr in received.items():
            users = np.zeros(self._channel.cells)
            for transfer in self._network.transfers:
                if transfer.way.direction == direction and transfer.flow.left_bits is None:
                    users[transfer.way.base_station * self._kind.cells + transfer.sector] += 1
            if direction == "downlink":
                for multicast in self._network.multicasts.under_way:
                    users[multicast.way.base_station * self._kind.cells + multicast.sector] += 1
            self._diversity[direction] = scheduling_gain(
                self._kind.scheduler, users, max(float(np.median(sinr)), 1e-30)
            )


def decibels(ratio: Any) -> Any:
    """Return linear ratios in decibels. [...]"""
    return 10 * np.log10(np.maximum(ratio, 1e-30))


def dbm(power_w: Any) -> float:
    """Return a power in watts as decibels over a milliwatt."""
    return float(decibels(power_w)) + 30
