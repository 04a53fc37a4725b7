"""Rates over time as they were measured, from the formats in which such traces are published.

Light to import: arrays come in inside methods.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from netfed.files import FromFile
from netfed.plugin import Plugin
from netfed.units import Seconds

if TYPE_CHECKING:
    from netfed.network.steps import Steps
    from netfed.network.traffic import Direction

_PACKET_BITS = 1500 * 8
_UCC_TIME = "%Y.%m.%d_%H.%M.%S"


class RateTrace(Plugin):
    """A rate over time.

    Attributes:
        repeat: Whether the trace begins anew when it ends; if not, its last rate goes on.
    """

    repeat: bool

    def steps(self, direction: Literal["uplink", "downlink"]) -> Steps:
        """Return the rate of one direction.

        Raises:
            ValueError: The trace has none of that direction.
        """
        raise NotImplementedError


def by_direction(uplink: RateTrace | None, downlink: RateTrace | None) -> dict[Direction, Steps]:
    """Return the rates of those directions that have a trace.

    Raises:
        ValueError: A trace does not say what it should.
    """
    traces: dict[Direction, RateTrace | None] = {"uplink": uplink, "downlink": downlink}
    return {direction: trace.steps(direction) for direction, trace in traces.items() if trace is not None}


@dataclass(frozen=True)
class TraceFile(FromFile, RateTrace):
    """A trace in a file: what all kinds have in common.

    Attributes:
        path: Of the file: a relative path starts at the folder of the scenario that names it.
        repeat: Whether the trace begins anew when it ends; if not, its last rate goes on.
        begins: Moment of the trace at which all who follow it are when the simulation begins; null: each device, and
            each of ``all`` cells, at one of its own, drawn uniformly, and cells that are named at 0 s.
        sha256: Of the file; filled in when it is first read.
    """

    repeat: bool = True
    begins: Seconds | None = None

    def __post_init__(self) -> None:
        if self.begins is not None and not 0 <= self.begins < math.inf:
            raise ValueError("begins must be 0 s or more")
        self._text()

    def _steps(self, start_s: Sequence[float], rate_bps: Sequence[float]) -> Steps:
        """Return steps from the moments at which rows were measured; the last lasts as long as the one before it."""
        from netfed.network.steps import Steps

        last_s = start_s[-1] - start_s[-2] if len(start_s) > 1 else 1.0
        moments_s = [moment_s - start_s[0] for moment_s in start_s]
        return self._checked(Steps(moments_s, rate_bps, moments_s[-1] + last_s, self.repeat, self.begins))

    def _checked(self, steps: Steps) -> Steps:
        if steps.period_bits == 0 or not (self.repeat or steps.rate_bps[-1] > 0):
            raise ValueError(f"{self.path}: {'every' if self.repeat else 'the last'} rate is 0: nothing would arrive")
        return steps

    def _rows(self, *columns: str) -> Iterator[tuple[str, list[str]]]:
        """Yield the place of each row of a CSV file, and its fields in these columns.

        Raises:
            ValueError: A column is missing, a row is too short, or there is none.
        """
        rows = csv.reader(self._text().splitlines())
        header = [name.strip().lstrip("\ufeff") for name in next(rows, [])]
        for name in columns:
            if name not in header:
                raise ValueError(f"{self.path}:1: no column {name!r}: the first line names the columns")
        indices = [header.index(name) for name in columns]
        any_row = False
        for row in rows:
            if not row:
                continue
            place = f"{self.path}:{rows.line_num}"
            if len(row) <= max(indices):
                raise ValueError(f"{place}: {len(row)} fields, not {len(header)}")
            any_row = True
            yield place, [row[index].strip() for index in indices]
        if not any_row:
            raise ValueError(f"{self.path}: no rows")


@dataclass(frozen=True)
class Csv(TraceFile, kind="csv"):
    """A CSV file with the columns ``t_s`` (seconds, ascending) and ``rate_bps``; others are ignored.

    A rate holds until the next row, the last as long as the one before it.
    """

    def steps(self, direction: Literal["uplink", "downlink"]) -> Steps:
        """Return the rate, which is that of either direction."""
        start_s, rate_bps = [], []
        for place, (moment, rate) in self._rows("t_s", "rate_bps"):
            start_s.append(_number(moment, place, "t_s"))
            rate_bps.append(_number(rate, place, "rate_bps"))
            _require_later(start_s, place)
        return self._steps(start_s, rate_bps)


@dataclass(frozen=True)
class Mahimahi(TraceFile, kind="mahimahi"):
    """A trace for ``mm-link``: each line is a millisecond at which a packet of 1500 bytes can leave.

    Netravali et al., "Mahimahi: accurate record-and-replay for HTTP", USENIX ATC 2015. The last line is where the trace
    ends and, as there, begins anew. As bits are a fluid here, packets are counted in intervals.

    Attributes:
        interval: In which packets are counted.
    """

    interval: Seconds = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.001 <= self.interval < math.inf:
            raise ValueError("interval must be 1 ms or more")

    def steps(self, direction: Literal["uplink", "downlink"]) -> Steps:
        """Return the rate, which is that of either direction."""
        import numpy as np

        from netfed.network.steps import Steps

        moments_ms: list[int] = []
        for line, text in enumerate(self._text().splitlines(), start=1):
            if not text.strip():
                continue
            if not (text.strip().isascii() and text.strip().isdigit()):
                raise ValueError(f"{self.path}:{line}: {text.strip()[:32]!r} is no whole number of milliseconds")
            if moments_ms and int(text) < moments_ms[-1]:
                raise ValueError(f"{self.path}:{line}: {int(text)} ms comes after {moments_ms[-1]} ms")
            moments_ms.append(int(text))
        if not moments_ms or moments_ms[-1] == 0:
            raise ValueError(f"{self.path}: a trace ends at its last line, which must be 1 ms or more")
        end_s = moments_ms[-1] / 1000
        bounds_s = np.append(np.arange(0.0, end_s, self.interval), end_s)
        # What leaves at millisecond m is of the one that ends there: bounds are included below, excluded above.
        middles_s = (np.maximum(moments_ms, 1) - 0.5) / 1000
        packets, _ = np.histogram(middles_s, bounds_s)
        rates_bps = packets * _PACKET_BITS / np.diff(bounds_s)
        return self._checked(Steps(bounds_s[:-1], rates_bps, end_s, self.repeat, self.begins))


@dataclass(frozen=True)
class Ucc5G(TraceFile, kind="ucc-5g"):
    """A CSV file of the 5G data set of University College Cork.

    Raca et al., "Beyond throughput, the next generation: a 5G dataset with channel and context metrics", MMSys 2020.
    Of its columns, ``Timestamp`` (2019.12.16_13.40.04), ``DL_bitrate`` and ``UL_bitrate`` (kbit/s) are read. Rows of
    one second are averaged, rows without a number left out. What was measured is what an application got: take files
    of downloads, not of pauses, for the capacity of a link.
    """

    def steps(self, direction: Literal["uplink", "downlink"]) -> Steps:
        """Return the rate of one direction."""
        start_s: list[float] = []
        rates_bps: list[list[float]] = []
        for place, (moment, rate) in self._rows("Timestamp", "UL_bitrate" if direction == "uplink" else "DL_bitrate"):
            if rate in ("", "-"):
                continue
            moment_s = _timestamp_s(moment, place)
            rate_bps = 1e3 * _number(rate, place, "bitrate")
            if start_s and moment_s == start_s[-1]:
                rates_bps[-1].append(rate_bps)
                continue
            start_s.append(moment_s)
            rates_bps.append([rate_bps])
            _require_later(start_s, place)
        if not start_s:
            raise ValueError(f"{self.path}: no row has a rate for the {direction}")
        return self._steps(start_s, [math.fsum(rates) / len(rates) for rates in rates_bps])


@dataclass(frozen=True)
class Lumos5G(TraceFile, kind="lumos5g"):
    """A CSV file of the Lumos5G data set: its column ``Throughput`` (Mbit/s, downlink), a second a row.

    Narayanan et al., "Lumos5G: mapping and predicting commercial mmWave 5G throughput", IMC 2020. Runs follow each
    other as they do in the file.
    """

    def steps(self, direction: Literal["uplink", "downlink"]) -> Steps:
        """Return the rate of the downlink.

        Raises:
            ValueError: The uplink is asked for.
        """
        if direction == "uplink":
            raise ValueError(f"{self.path}: Lumos5G measured the downlink: take another trace for the uplink")
        rates_bps = [1e6 * _number(rate, place, "Throughput") for place, (rate,) in self._rows("Throughput")]
        return self._steps([float(second) for second in range(len(rates_bps))], rates_bps)


def _number(text: str, place: str, name: str) -> float:
    """Return a number that is 0 or more.

    Raises:
        ValueError: It is none.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ValueError(f"{place}: {name} {text[:32]!r} is no number from 0 up")
    return number


def _timestamp_s(text: str, place: str) -> float:
    try:
        return (datetime.strptime(text, _UCC_TIME) - datetime(1970, 1, 1)).total_seconds()
    except ValueError as error:
        raise ValueError(f"{place}: Timestamp {text[:32]!r} is not written like 2019.12.16_13.40.04") from error


def _require_later(moments_s: Sequence[float], place: str) -> None:
    if len(moments_s) > 1 and moments_s[-1] <= moments_s[-2]:
        raise ValueError(f"{place}: it is not later than the row before it")
