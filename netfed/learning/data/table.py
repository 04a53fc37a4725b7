"""A user's own data: a table in a CSV or Parquet file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from netfed.errors import ScenarioError
from netfed.files import FromFile
from netfed.learning.data.spec import Dataset, Examples
from netfed.spelling import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pyarrow import ChunkedArray
    from pyarrow import Table as Columns

    from netfed.streams import Streams


@dataclass(frozen=True)
class Table(FromFile, Dataset, kind="table"):
    """Your own data: a file with one example a row, and the names of the columns in the first line if it is CSV.

    Attributes:
        path: A ``.csv`` or ``.parquet`` file; a relative path starts at the folder of the scenario that names it.
        label: Column of the class: text, whole numbers or booleans; classes are numbered in their sorted order.
        client: Column of who each example is from, for the partition ``natural``.
        features: Columns of numbers or booleans that the model sees; null means all but label and client.
        standardise: Shift and scale each feature to mean 0 and standard deviation 1 over the whole table.
        sha256: Of the file; filled in when the scenario is read, and compared when a run is built.
    """

    label: str
    client: str | None = None
    features: tuple[str, ...] | None = None
    standardise: bool = True

    def __post_init__(self) -> None:
        if self.features == ():
            raise ValueError("features is empty: name at least one column; null means all")
        if self.label in (*(self.features or ()), self.client):
            raise ValueError(f"column {self.label!r} is the label: it cannot be a feature or the client as well")
        if Path(self.path).suffix not in (".csv", ".parquet"):
            raise ValueError(f"path {self.path!r} ends neither in .csv nor in .parquet")
        if self.sha256 is None:
            self._bytes()

    @property
    def tells_clients(self) -> bool:
        """Whether a column of clients is named."""
        return self.client is not None

    def load(self, _streams: Streams) -> Examples:
        """Return inputs of shape [row, feature], in the order of the file.

        Raises:
            ScenarioError: File or column are missing, or hold what they cannot; or the file is not what it was when the
                scenario was read.
        """
        import numpy as np

        columns = self._columns()
        names = self.features or [name for name in columns.column_names if name not in (self.label, self.client)]
        if not names or not len(columns):
            raise ScenarioError(f"task.dataset: {self.path} has {len(columns)} rows and {len(names)} features")
        labels, classes = self._groups(columns, "label", self.label)
        clients = None if self.client is None else self._groups(columns, "client", self.client)[0]
        inputs = np.stack([self._numbers(columns, name) for name in names], axis=1)
        if self.standardise:
            deviation = inputs.std(axis=0)
            inputs = (inputs - inputs.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
        return Examples(inputs.astype(np.float32), labels, classes, clients)

    def _columns(self) -> Columns:
        import pyarrow as pa
        from pyarrow import csv, parquet

        try:
            file = pa.BufferReader(self._bytes())
        except ValueError as error:
            raise ScenarioError(f"task.dataset.path: {error}") from error
        try:
            return csv.read_csv(file) if self.path.endswith(".csv") else parquet.read_table(file)
        except (OSError, pa.ArrowException) as error:
            raise ScenarioError(f"task.dataset.path: {self.path}: {' '.join(str(error).split())}") from error

    def _groups(self, columns: Columns, key: str, name: str) -> tuple[NDArray[np.int64], int]:
        """Return the number of each row's group in the sorted order of the groups, and how many there are."""
        import numpy as np
        from pyarrow import types

        column = self._column(columns, key, name)
        if not any(
            fits(column.type) for fits in (types.is_integer, types.is_boolean, types.is_string, types.is_large_string)
        ):
            raise self._mistake(key, name, f"is {column.type}: write whole numbers or text")
        values = column.to_numpy()
        if empty := int((values == "").sum()) if values.dtype == object else 0:
            raise self._mistake(key, name, _empty(empty))
        groups, group = np.unique(values, return_inverse=True)
        return group.astype(np.int64), len(groups)

    def _numbers(self, columns: Columns, name: str) -> NDArray[np.float64]:
        import numpy as np
        from pyarrow import types

        column = self._column(columns, "features", name)
        if not any(fits(column.type) for fits in (types.is_integer, types.is_boolean, types.is_floating)):
            raise self._mistake("features", name, f"is {column.type}, not numbers: list the columns that are")
        numbers: NDArray[np.float64] = column.to_numpy().astype(np.float64)
        if not np.isfinite(numbers).all():
            raise self._mistake("features", name, f"is not finite in row {np.isfinite(numbers).argmin() + 1}")
        return numbers

    def _column(self, columns: Columns, key: str, name: str) -> ChunkedArray:
        from pyarrow import types

        if columns.column_names.count(name) != 1:
            found = "is there more than once" if name in columns.column_names else "does not exist"
            raise self._mistake(key, name, found + did_you_mean(name, {*columns.column_names} - {name}))
        column = columns[name]
        if column.null_count:
            raise self._mistake(key, name, _empty(column.null_count))
        return column.cast(column.type.value_type) if types.is_dictionary(column.type) else column

    def _mistake(self, key: str, column: str, what: str) -> ScenarioError:
        return ScenarioError(f"task.dataset.{key}: column {column!r} of {self.path} {what}")


def _empty(cells: int) -> str:
    return f"has {cells} empty cells: fill them in, or delete their rows"
