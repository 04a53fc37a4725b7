"""Availability as it was observed. Light to import: arrays come in inside methods."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from netfed.files import FromFile, parse_json
from netfed.network.availability import Availability
from netfed.units import Seconds

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

_COLUMNS = ("device", "start", "end")

Window = tuple[float, float]


@dataclass(frozen=True)
class Trace(FromFile, Availability, kind="trace"):
    """Devices can be reached when those of a file could.

    A CSV file with the columns ``device`` (any name), ``start`` and ``end`` (seconds, the end excluded); others are
    ignored. Each row is a window of one traced device, in any order; windows that touch or overlap are one. Each device
    of the scenario is given one of the traced devices, all of them as likely, and keeps it.

    Or a JSON file of what FedScale has (Lai et al., ICML 2022, arXiv:2105.11367): a mapping of clients, each with as
    many starts, ``active``, as ends, ``inactive``; what else it says is ignored, so that the time at which FedScale
    begins anew, ``finish_time``, is to be written here as ``period``. FedScale publishes its traces as a pickle, which
    may run any code when it is read: netfed does not read it. Turn it into JSON where that can do no harm, by
    ``json.dump(pickle.load(...), ...)``.

    Attributes:
        path: Of the file: a relative path starts at the folder of the scenario that names it.
        period: After which the trace begins anew; null: no window follows the last.
        sha256: Of the file; filled in when it is first read.
    """

    period: Seconds | None = None

    def __post_init__(self) -> None:
        if self.period == 0:
            raise ValueError("period must be more than 0 s; null means that the trace is not repeated")
        _ = self._table

    def window(
        self, phase: NDArray[float64], now_s: float | NDArray[float64]
    ) -> tuple[NDArray[float64], NDArray[float64]]:
        """Return each device's present or next window in the trace that its phase gives it."""
        import numpy as np

        table = self._table
        trace = np.floor(phase * (len(table.first) - 1)).astype(np.int64)
        end = table.first[trace + 1]
        gone = np.isinf(now_s)
        now_s = np.where(gone, 0.0, now_s)
        begun_s = 0.0 if self.period is None else np.floor(now_s / self.period) * self.period
        rank = np.searchsorted(table.moments_s, now_s - begun_s, side="right")
        index = np.searchsorted(table.keys, trace * (len(table.moments_s) + 1) + rank)
        # Where the sum rounds so that the window ends now, it is over.
        index += (index < end) & (begun_s + table.end_s[np.minimum(index, len(table.end_s) - 1)] <= now_s)
        over = index >= end
        index = np.where(over, table.first[trace], index)
        begun_s = begun_s + np.where(over, math.inf if self.period is None else self.period, 0.0)
        begun_s = np.where(gone, math.inf, begun_s)
        return begun_s + table.start_s[index], begun_s + table.end_s[index]

    @cached_property
    def _table(self) -> _Table:
        import numpy as np

        text = self._text()
        read = _read_json if text.lstrip().startswith("{") else _read_csv
        traces = [_merged(windows, self.period) for windows in read(text, self.path, self.period).values()]
        counts = [len(windows) for windows in traces]
        start_s, end_s = np.array([window for windows in traces for window in windows], np.float64).T.copy()
        moments_s, rank = np.unique(end_s, return_inverse=True)
        keys = np.repeat(np.arange(len(traces)), counts) * (len(moments_s) + 1) + rank
        return _Table(np.concatenate(([0], np.cumsum(counts))), start_s, end_s, moments_s, keys)


class _Table(NamedTuple):
    """The windows of all traces, one trace after the other.

    Attributes:
        first: Where each trace starts, and where the last ends. [trace + 1]
        start_s: Ascending within a trace. [window]
        end_s: Likewise. [window]
        moments_s: All different ends, ascending. [moment]
        keys: Trace and moment of each window's end in one number: ascending. [window]
    """

    first: NDArray[int64]
    start_s: NDArray[float64]
    end_s: NDArray[float64]
    moments_s: NDArray[float64]
    keys: NDArray[int64]


def _read_csv(text: str, path: str, period_s: float | None) -> dict[str, list[Window]]:
    """Return the windows of each traced device, both as in the file.

    Raises:
        ValueError: Names the line that is wrong.
    """
    rows = csv.reader(text.splitlines())
    header = [name.strip() for name in next(rows, [])]
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise ValueError(f"{path}:1: no column {missing[0]!r}: the first line names device, start and end")
    if twice := [name for name in _COLUMNS if header.count(name) > 1]:
        raise ValueError(f"{path}:1: there is more than one column {twice[0]!r}")
    columns = [header.index(name) for name in _COLUMNS]
    traces: dict[str, list[Window]] = {}
    for row in _complete(rows, len(header), path):
        device, start, end = (row[column].strip() for column in columns)
        window = _window(start, end, f"{path}:{rows.line_num}", period_s)
        traces.setdefault(device, []).append(window)
    if not traces:
        raise ValueError(f"{path}: no windows")
    return traces


def _read_json(text: str, path: str, period_s: float | None) -> dict[str, list[Window]]:
    """Return the windows of each client; see `_read_csv`.

    Raises:
        ValueError: Names the line, or the client, that is wrong.
    """
    try:
        clients = parse_json(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}:{error.lineno}: {error.msg}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    traces = {}
    for name, client in clients.items():
        match client:
            case {"active": [*starts], "inactive": [*ends]} if len(starts) == len(ends):
                place = f"{path}: client {_said(name)}"
                windows = [_window(*bounds, place, period_s) for bounds in zip(starts, ends, strict=True)]
            case _:
                raise ValueError(f"{path}: client {_said(name)} must have two lists, active and inactive, equally long")
        if windows:
            traces[name] = windows
    if not traces:
        raise ValueError(f"{path}: no windows")
    return traces


def _window(start: object, end: object, place: str, period_s: float | None) -> Window:
    start_s, end_s = _seconds(start), _seconds(end)
    if not 0 <= start_s < end_s < math.inf:
        wrong = f"start {_said(start)} and end {_said(end)}"
        raise ValueError(f"{place}: {wrong} must be seconds, and the end after the start")
    if period_s is not None and end_s > period_s:
        raise ValueError(f"{place}: ends at {end_s:g} s, after the period of {period_s:g} s")
    return start_s, end_s


def _said(written: object) -> str:
    return repr(written)[:40]


def _complete(rows: Iterable[list[str]], width: int, path: str) -> Iterator[list[str]]:
    """Yield the rows that are not blank."""
    line = 1
    try:
        for line, row in enumerate(rows, start=2):
            if row and len(row) != width:
                raise ValueError(f"{path}:{line}: {len(row)} fields, not {width}")
            if row:
                yield row
    except csv.Error as error:
        raise ValueError(f"{path}:{line + 1}: {error}") from error


def _seconds(written: object) -> float:
    try:
        return float(str(written))
    except ValueError:
        return math.nan


def _merged(windows: list[Window], period_s: float | None) -> list[Window]:
    """Return windows in order, those that touch as one; the last may reach into the next period."""
    merged: list[Window] = []
    for start_s, end_s in sorted(windows):
        if merged and start_s <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end_s))
        else:
            merged.append((start_s, end_s))
    if merged[0][0] == 0 and merged[-1][1] == period_s:
        merged[-1] = (merged[-1][0], math.inf if len(merged) == 1 else period_s + merged[0][1])
    return merged
