"""The events of a run as columns: one wide schema, so that any two parts of any two runs fit together."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterator
from functools import cache
from types import NoneType
from typing import Any

from netfed.errors import SimulationError
from netfed.recorder import Row, Scalar

COLUMNS: dict[str, type[float] | type[int] | type[str] | type[bool]] = {
    "t_s": float,
    "kind": str,
    "device": int,
    "version": int,
    "cell": int,
    "sector": int,
    "edge": int,
    "link": str,
    "start_s": float,
    "bits": float,
    "payload_bits": float,
    "delivered": bool,
    "cause": str,
    "energy_j": float,
    "airtime_s": float,
    "backhaul_s": float,
    "core_s": float,
    "latency_s": float,
    "busy": float,
    "backlog_bits": float,
    "transfers": int,
    "staleness": int,
}
"""Fields beyond these, a plug-in's say, go into the column ``more``, as JSON."""

_CASTS: dict[str, Callable[[Any], Scalar]] = {
    name: operator.index if column is int else column for name, column in COLUMNS.items()
}


def typed(row: Row) -> Row:
    """Give each field of a row, which is changed, the type of its column, so that it is read back as it was written.

    Raises:
        SimulationError: A field is not of its column's type.
    """
    absent, foreign = _amiss(tuple(row), tuple(map(type, row.values())))
    for name in absent:
        del row[name]
    for name in foreign:
        row[name] = _cast(row, name, row[name])
    return row


@cache
def _amiss(names: tuple[str, ...], types: tuple[type, ...]) -> tuple[list[str], list[str]]:
    """Return which fields are None, and which are not of their columns' types: rows are many, and of few kinds."""
    kinds = dict(zip(names, types, strict=True))
    absent = [name for name, kind in kinds.items() if kind is NoneType]
    return absent, [name for name in COLUMNS if name in kinds and kinds[name] not in (NoneType, COLUMNS[name])]


def _cast(row: Row, name: str, value: Scalar) -> Scalar:
    try:
        return _CASTS[name](value)
    except (TypeError, ValueError):
        raise SimulationError(f"event {row.get('kind')!r}: {name} is a number, not {value!r}") from None


def to_table(rows: list[Row]) -> Any:
    """Return typed rows as a `pyarrow.Table`."""
    import pyarrow as pa

    arrow = {float: pa.float64(), int: pa.int64(), str: pa.string(), bool: pa.bool_()}
    wide = pa.array(rows, pa.struct([(name, arrow[column]) for name, column in COLUMNS.items()]))
    known = set().union(*rows) <= COLUMNS.keys()
    more = pa.nulls(len(rows), pa.string()) if known else pa.array(map(_more, rows), pa.string())
    return pa.table([*wide.flatten(), more], [*COLUMNS, "more"])


def _more(row: Row) -> str | None:
    if row.keys() <= COLUMNS.keys():
        return None
    return json.dumps({name: value for name, value in row.items() if name not in COLUMNS})


def to_parquet(rows: list[Row]) -> bytes:
    """Return typed rows as a Parquet file."""
    import pyarrow.parquet as pq
    from pyarrow import BufferOutputStream

    sink = BufferOutputStream()
    repeated = [name for name, column in COLUMNS.items() if column is not float]
    pq.write_table(to_table(rows), sink, compression="zstd", use_dictionary=repeated, write_statistics=False)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def from_parquet(data: bytes) -> Any:
    """Return the content of a Parquet file as a `pyarrow.Table`."""
    import pyarrow.parquet as pq
    from pyarrow import BufferReader

    return pq.read_table(BufferReader(data))


def to_rows(data: bytes) -> Iterator[Row]:
    """Yield the rows that `to_parquet` was given."""
    for wide in from_parquet(data).to_pylist():
        more = json.loads(wide.pop("more") or "{}")
        yield {**{name: value for name, value in wide.items() if value is not None}, **more}
