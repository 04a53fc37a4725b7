"""The events of a run as columns: one wide schema, so that any two parts of any two runs fit together."""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator
from typing import Any

from netfed.errors import SimulationError
from netfed.recorder import Row, Scalar

COLUMNS: dict[str, type[float] | type[int] | type[str] | type[bool]] = {
    "t_s": float,
    "kind": str,
    "device": int,
    "version": int,
    "cell": int,
    "link": str,
    "start_s": float,
    "bits": float,
    "payload_bits": float,
    "delivered": bool,
    "cause": str,
    "energy_j": float,
    "staleness": int,
}
"""Fields beyond these, a plug-in's say, go into the column ``more``, as JSON."""

_FITTING: dict[tuple[Any, ...], list[str]] = {}
"""By names and types of a row's fields: the names of those that have a value, where all types are right."""


def typed(row: Row) -> Row:
    """Give each field the type of its column, so that a row read back is the row that was written.

    Raises:
        SimulationError: A field is not of its column's type.
    """
    shape = (*row, *map(type, row.values()))
    if shape not in _FITTING:
        fitting = all(
            value is None or type(value) is COLUMNS.get(name, type(value)) for name, value in row.items()
        )
        if not fitting:
            return {name: _as_column(row, name, value) for name, value in row.items() if value is not None}
        _FITTING[shape] = [name for name, value in row.items() if value is not None]
    names = _FITTING[shape]
    return row if len(names) == len(row) else {name: row[name] for name in names}


def to_table(rows: list[Row]) -> Any:
    """Return typed rows as a `pyarrow.Table`."""
    import pyarrow as pa

    arrow = {float: pa.float64(), int: pa.int64(), str: pa.string(), bool: pa.bool_()}
    columns = {name: pa.array([row.get(name) for row in rows], arrow[column]) for name, column in COLUMNS.items()}
    others = [{name: value for name, value in row.items() if name not in COLUMNS} for row in rows]
    columns["more"] = pa.array([json.dumps(other) if other else None for other in others], pa.string())
    return pa.table(columns)


def to_parquet(rows: list[Row]) -> bytes:
    """Return typed rows as a Parquet file."""
    import pyarrow.parquet as pq
    from pyarrow import BufferOutputStream

    sink = BufferOutputStream()
    pq.write_table(to_table(rows), sink, compression="zstd")
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


def _as_column(row: Row, name: str, value: Any) -> Scalar:
    column = COLUMNS.get(name)
    try:
        if column is float:
            return float(value)
        if column is int:
            return operator.index(value)
    except (TypeError, ValueError):
        raise SimulationError(f"event {row.get('kind')!r}: {name} is a number, not {value!r}") from None
    return value if column is None else column(value)
