"""Which cell serves a device, and how fast: looked at anew every so often, for the devices that take part.

In between nothing changes: a cell's load enters the interference at the next look, never at a flow's start or end. A
device that begins is looked at by itself, and the load is measured then, too, if nobody was looked at for so long.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from simpy import Event, Timeout

from netfed.network.air_interface import AirInterface, Floats, Ids, Signals
from netfed.network.cell_load import CellLoad
from netfed.network.mobility.handover import RadioLinkFailure
from netfed.network.mobility.serving import Changes, ServingCells
from netfed.network.mobility.spec import Static
from netfed.network.radio.power import decibels, linear

if TYPE_CHECKING:
    from netfed.network.cellular import Cellular
    from netfed.network.mobility.spec import Mobility
    from netfed.network.network import Network
    from netfed.network.transfer import Transfer

_WITHOUT_MCS = RadioLinkFailure(out_of_sync=-200.0, in_sync=-200.0)
"""A link fails where no MCS works, but at no SINR that any works at."""


class RadioAccess:
    """The cells, and the devices that take part.

    Args:
        kind: What the user wrote.
        network: Holds the devices, and their transfers.
        mobility: How devices move.
        spacing_m: Between base stations.

    Attributes:
        air: The radio between the two.
        load: Of the cells.
        sectors: Cells of a base station.
    """

    def __init__(self, kind: Cellular, network: Network, mobility: Mobility, spacing_m: float) -> None:
        self._kind, self._network = kind, network
        self.air = AirInterface(kind, network, mobility, spacing_m)
        self.load = CellLoad(kind, network, self.air)
        self.sectors = kind.cells
        handover = kind.handover if kind.handover.failure else replace(kind.handover, failure=_WITHOUT_MCS)
        self._serving = ServingCells(handover, len(network.population), self.air.cells)
        self._interval_s = kind.refresh
        if not isinstance(mobility, Static):
            self._interval_s = kind.handover.interval_s(kind.refresh)
        self._gap_until_s: dict[int, float] = {}
        self._active: dict[int, None] = {}
        self._next_look: Event | None = None

    def attach(self, ids: Ids) -> None:
        """Let devices that begin look for their cells; they are served by the strongest, at the rates of now."""
        if not len(ids):
            return
        now_s = self._network.env.now
        gain_db = self.air.gain_db(ids, now_s)
        gain, cells = linear(gain_db), self._serving.attach(now_s, ids, gain_db)
        if not self._active:
            self.load.resume(self._interval_s)
            self.load.measure_interference(gain, cells)
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
        gain_db = self.air.gain_db(ids, now_s)
        gain, cells = linear(gain_db), self._serving.cell(ids)
        self.load.measure()
        self.load.measure_interference(gain, cells)
        signals = self._signals(gain, cells)
        linked = (signals.down_bps > 0) & (signals.up_bps > 0)
        changes = self._serving.update(now_s, ids, gain_db, np.where(linked, decibels(signals.down), -np.inf))
        if len(changes.ids):
            cells = self._serving.cell(ids)
            signals = self._signals(gain, cells)
        self.load.measure_diversity(ids, signals)
        self._serve(ids, cells, signals)
        self._change_cells(changes)
        for transfer in self._network.transfers:
            transfer.retune(*transfer.device.radio(transfer.way.direction))
        self._network.multicasts.adapt()
        self._plan_look()

    def _signals(self, gain: Floats, cells: Ids) -> Signals:
        return self.air.signals(gain, cells, self.load.share["downlink"], self.load.interference_w)

    def _serve(self, ids: Ids, cells: Ids, signals: Signals) -> None:
        """Give devices their cells and rates. Who gains by scheduling does so on the resource blocks that it is on."""
        population, ladders = self._network.population, self.air.ladders
        gain_down, gain_up = (self.load.diversity[direction][cells] for direction in ("downlink", "uplink"))
        population.base_station[ids], population.sector[ids] = np.divmod(cells, self.sectors)
        population.rate_down_bps[ids] = ladders["downlink"].scheduled_bps(signals.down_bps, 1.0, gain_down)
        population.rate_up_bps[ids] = ladders["uplink"].scheduled_bps(signals.up_bps, signals.allocation_up, gain_up)
        population.allocation_up[ids] = signals.allocation_up

    def _change_cells(self, changes: Changes) -> None:
        """Record who changes cells, and let the transfers of these follow or break."""
        under_way: dict[int, list[Transfer]] = {}
        for transfer in self._network.transfers if len(changes.ids) else ():
            under_way.setdefault(transfer.device.id, []).append(transfer)
        for device_id, source, target, failed, until_s in zip(*(column.tolist() for column in changes), strict=True):
            base_station, sector = divmod(target, self.sectors)
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
                    radio_bps, allocation = transfer.device.radio(transfer.way.direction)
                    transfer.hand_over(base_station, sector, radio_bps, gap_s, allocation)
            if cause is None and self._kind.handover.transfers == "lose":
                cause = "handover"
            self._network.multicasts.change_cell(device_id, cause)
