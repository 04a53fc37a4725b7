"""Which cell serves a device, and when another one does."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from netfed.network.mobility.handover import Handover
from netfed.network.mobility.records import Records

Floats = NDArray[np.floating]
Flags = NDArray[np.bool_]
Ids = NDArray[np.int64]

_MEASUREMENT_S = 0.2
"""The time between samples that a filter coefficient is meant for: an intra-frequency layer-1 measurement period (TS
38.331, clause 5.5.3.2; TS 38.133, clause 9.2.5)."""

_ROUNDING_S = 1e-6
"""What clocks may be wrong by: a handover is not put off by a sample for that."""


class Changes(NamedTuple):
    """Who changes cells. [change] each

    Attributes:
        ids: Of the devices, in the order in which they were given.
        source: The cell that has served it.
        target: The cell that will; after a failure it may be the same.
        failed: Whether its radio link has failed: then nothing is carried over.
        until_s: When the new cell begins to serve it.
    """

    ids: Ids
    source: Ids
    target: Ids
    failed: Flags
    until_s: NDArray[np.float64]


class ServingCells:
    """The serving cells of those devices that are active, by event A3 and radio-link failure.

    Args:
        handover: When devices change cells.
        devices: How many devices there are.
        cells: How many cells there are.
    """

    def __init__(self, handover: Handover, devices: int, cells: int) -> None:
        self._handover = handover
        self._filtered = handover.filter_coefficient > 0
        record = [
            ("cell", np.int32),
            ("until_s", np.float64),
            ("failing_s", np.float64),
            ("measured_s", np.float64),
            ("rsrp_dbm", np.float32, (cells if self._filtered else 0,)),
            ("better_s", np.float64, (cells,)),
        ]
        self._records = Records(devices, np.dtype(record))

    def attach(self, now_s: float, ids: Ids, rsrp_dbm: Floats) -> Ids:
        """Let devices become active: each is served by its strongest cell, as an idle device chooses it.

        Args:
            now_s: The present.
            ids: Different ones; who is active already starts afresh.
            rsrp_dbm: What they receive. [device, cell]

        Returns:
            The cells. [device]
        """
        rows, _ = self._records.claim(ids)
        state = np.zeros(len(ids), self._records.table.dtype)
        state["cell"] = np.argmax(rsrp_dbm, axis=1)
        state["until_s"] = state["measured_s"] = now_s
        state["failing_s"] = state["better_s"] = np.inf
        if self._filtered:
            state["rsrp_dbm"] = rsrp_dbm
        self._records.table[rows] = state
        return state["cell"].astype(np.int64)

    def release(self, ids: Ids) -> None:
        """Let devices become idle: nothing more is known of them."""
        self._records.release(ids)

    def cell(self, ids: Ids) -> Ids:
        """Return the serving cells of active devices. [device]

        Raises:
            SimulationError: One is not active.
        """
        rows = self._records.rows(ids)
        return np.asarray(self._records.table["cell"][rows], np.int64)

    def update(self, now_s: float, ids: Ids, rsrp_dbm: Floats, sinr_db: Floats | None = None) -> Changes:
        """Look at a sample, and change the cells of those for whom it is time.

        Args:
            now_s: The present.
            ids: Different ones, and active.
            rsrp_dbm: What they receive. [device, cell]
            sinr_db: That of their serving cells; None: no link fails. [device]

        Returns:
            Who changes. While a device is between cells its samples are not looked at.

        Raises:
            SimulationError: One is not active.
        """
        rows = self._records.rows(ids)
        state = self._records.table[rows]
        rsrp_dbm = self._smoothed_dbm(now_s, state, rsrp_dbm)
        connected = state["until_s"] <= now_s + _ROUNDING_S
        failed = self._link_fails(now_s, connected, state, sinr_db)
        reported = self._reported(now_s, connected, state, rsrp_dbm)
        changing = np.flatnonzero(failed | reported.any(axis=1))
        failed = failed[changing]
        candidates = reported[changing] | failed[:, None]
        failure = self._handover.failure
        delay_s = np.where(failed, failure.reestablishment if failure else 0.0, self._handover.interruption)
        changes = Changes(
            ids=np.asarray(ids)[changing],
            source=state["cell"][changing].astype(np.int64),
            target=np.argmax(np.where(candidates, rsrp_dbm[changing], -np.inf), axis=1),
            failed=failed,
            until_s=now_s + delay_s,
        )
        state["cell"][changing] = changes.target
        state["until_s"][changing] = changes.until_s
        state["failing_s"][changing] = state["better_s"][changing] = np.inf
        self._records.table[rows] = state
        return changes

    def _smoothed_dbm(self, now_s: float, state: NDArray[np.void], rsrp_dbm: Floats) -> Floats:
        """Return what a sample comes to after layer-3 filtering, at whatever times samples are taken."""
        if not self._filtered:
            return rsrp_dbm
        forgotten = 1 - 2 ** (-self._handover.filter_coefficient / 4)
        kept = forgotten ** ((now_s - state["measured_s"][:, None]) / _MEASUREMENT_S)
        state["rsrp_dbm"] = kept * state["rsrp_dbm"] + (1 - kept) * rsrp_dbm
        state["measured_s"] = now_s
        return np.asarray(state["rsrp_dbm"])

    def _reported(self, now_s: float, connected: Flags, state: NDArray[np.void], rsrp_dbm: Floats) -> Flags:
        """Return which cells have been better than the serving one for long enough. [device, cell]"""
        margin_db = self._handover.offset + self._handover.hysteresis
        serving_dbm = np.take_along_axis(rsrp_dbm, state["cell"][:, None].astype(np.int64), axis=1)
        better = (rsrp_dbm > serving_dbm + margin_db) & connected[:, None]
        state["better_s"] = np.where(better, np.minimum(state["better_s"], now_s), np.inf)
        return np.asarray(state["better_s"] <= now_s - self._handover.time_to_trigger + _ROUNDING_S)

    def _link_fails(self, now_s: float, connected: Flags, state: NDArray[np.void], sinr_db: Floats | None) -> Flags:
        """Return whose link has been failing for long enough. [device]"""
        failure = self._handover.failure
        if failure is None or sinr_db is None:
            return np.zeros(len(state), np.bool_)
        failing_s = np.where(sinr_db > failure.in_sync, np.inf, state["failing_s"])
        failing_s = np.where(sinr_db < failure.out_of_sync, np.minimum(failing_s, now_s), failing_s)
        state["failing_s"] = np.where(connected, failing_s, np.inf)
        return np.asarray(state["failing_s"] <= now_s - failure.after + _ROUNDING_S)
