from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from netfed.errors import ScenarioError
from netfed.learning.data.datasets import Digits
from netfed.learning.data.partitions import Iid, Natural
from netfed.learning.data.shares import Shares, deal
from netfed.learning.data.spec import Examples, Hands, Split
from netfed.learning.data.table import Table
from netfed.plugin import read, write
from netfed.streams import Streams
from netfed.task import Classification

WORLD = Streams(7)
ROWS = """\
x,on,city,y,user
1,true,Graz,no,u2
3,false,Linz,yes,u10
8,true,Graz,no,u2
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(path: str, **keys: Any) -> Table:
    return Table(path=path, **{"label": "y", **keys})


def load(text: str, path: str = "data.csv", **keys: Any) -> Examples:
    Path(path).write_text(text)
    return table(path, **keys).load(WORLD)


def test_a_row_is_an_example() -> None:
    examples = load(ROWS, features=("x", "on"), client="user", standardise=False)
    assert examples.inputs.dtype == np.float32
    assert examples.inputs.tolist() == [[1, 1], [3, 0], [8, 1]]
    assert examples.labels.tolist() == [0, 1, 0]
    assert examples.classes == 2
    assert examples.clients is not None
    assert examples.clients.tolist() == [1, 0, 1]
    assert examples.take(np.array([1])).clients == [0]


def test_by_default_all_columns_but_label_and_client_are_features() -> None:
    rows = "user,b,a,y\n5,1,2,0\n7,3,4,1\n"
    assert load(rows, client="user", standardise=False).inputs.tolist() == [[1, 2], [3, 4]]
    assert load(rows, standardise=False).inputs.tolist() == [[5, 1, 2], [7, 3, 4]]
    assert load(rows).clients is None


def test_features_are_standardised_and_constants_are_zero() -> None:
    inputs = load("x,one,y\n1,1,0\n3,1,1\n8,1,0\n").inputs
    assert inputs[:, 0] == pytest.approx((np.array([1, 3, 8]) - 4) / np.std([1, 3, 8]))
    assert inputs[:, 1].tolist() == [0, 0, 0]


def test_classes_are_sorted_as_numbers_or_as_text() -> None:
    assert load("x,y\n1,10\n1,9\n1,-1\n").labels.tolist() == [2, 1, 0]
    assert load("x,y\n1,a10\n1,a9\n1,a1\n").labels.tolist() == [1, 2, 0]
    assert load("x,y\n1,true\n1,false\n").labels.tolist() == [1, 0]


def test_parquet_is_read_too() -> None:
    columns = {"x": pa.array([1, 2, 4], pa.int8()), "y": pa.array(["b", "a", "b"]).dictionary_encode()}
    parquet.write_table(pa.table(columns), "data.parquet")
    examples = table("data.parquet", standardise=False).load(WORLD)
    assert examples.inputs.tolist() == [[1], [2], [4]]
    assert examples.labels.tolist() == [1, 0, 1]


@pytest.mark.parametrize(
    ("text", "keys", "message"),
    [
        (ROWS, {}, r"task\.dataset\.features: column 'city' of .*/data\.csv is string, not numbers: list the columns"),
        (ROWS, {"features": ("x", "onn")}, "features: column 'onn' of .*/data.csv does not exist, did you mean 'on'"),
        (ROWS, {"label": "yy"}, r"task\.dataset\.label: column 'yy' of .*/data\.csv does not exist, did you mean 'y'"),
        (ROWS, {"client": "users"}, r"task\.dataset\.client: column 'users' .* does not exist, did you mean 'user'"),
        ("x,y\n1,0.5\n", {}, "label: column 'y' of .*/data.csv is double: write whole numbers or text"),
        ("x,y\n1,0\n,1\n", {}, "column 'x' of .*/data.csv has 1 empty cells"),
        ("x,y,c\n1,0,a\n2,1,\n3,1,\n", {"client": "c"}, "column 'c' of .*/data.csv has 2 empty cells"),
        ("x,y\n1,a\n2,\n", {}, r"task\.dataset\.label: column 'y' of .*/data.csv has 1 empty cells"),
        ("x,y\n1,0\n1e999,1\n", {}, "column 'x' of .*/data.csv is not finite in row 2"),
        ("x,x,y\n1,1,0\n", {}, "column 'x' of .*/data.csv is there more than once"),
        ("x,y\n", {}, "data.csv has 0 rows and 1 features"),
        ("y\n1\n", {}, "data.csv has 1 rows and 0 features"),
        ("x,y\n1\n", {}, r"task\.dataset\.path: .*/data\.csv: .*Expected 2 columns"),
        ("", {}, r"task\.dataset\.path: .*/data\.csv: Empty CSV"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_a_line(text: str, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ScenarioError, match=message) as raised:
        load(text, **keys)
    assert len(raised.value.lines) == 1
    assert "\n" not in str(raised.value)


def test_a_file_that_is_missing_or_no_table_is_named(folder: Path) -> None:
    with pytest.raises(ValueError, match=f"{folder / 'there.csv'}: No such file"):
        table("there.csv")
    Path("junk.parquet").write_text("not a table")
    with pytest.raises(ScenarioError, match=r"task\.dataset\.path: .*/junk\.parquet: "):
        table("junk.parquet").load(WORLD)


def test_a_file_is_pinned_when_the_scenario_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("data.csv").write_text("x,y\n1,0\n2,1\n")
    written = write(read(Table, {"path": "data.csv", "label": "y"}))
    monkeypatch.chdir("/")
    again = read(Table, written)
    assert again == read(Table, {"path": str(folder / "data.csv"), "label": "y"})
    assert again.load(WORLD).labels.tolist() == [0, 1]
    (folder / "data.csv").write_text("x,y\n1,0\n2,0\n")
    with pytest.raises(ScenarioError, match=r"task\.dataset\.path: .*data\.csv: .* not the file that was read before"):
        read(Table, written).load(WORLD)
    (folder / "data.csv").unlink()
    assert read(Table, written) == again, "results are read without their data"
    with pytest.raises(ScenarioError, match=r"task\.dataset\.path: .*data\.csv: No such file") as raised:
        again.load(WORLD)
    assert len(raised.value.lines) == 1


def test_what_the_scenario_alone_shows_is_refused_at_once() -> None:
    Path("a.csv").touch()
    assert read(Table, {"path": "a.csv", "label": "y", "features": ["b", "c"]}) == table("a.csv", features=("b", "c"))
    for keys, message in (
        ({"path": "a.xlsx"}, r"ends neither in \.csv nor in \.parquet"),
        ({"path": "a.csv", "client": "y"}, "'y' is the label"),
        ({"path": "a.csv", "features": ["x", "y"]}, "'y' is the label"),
        ({"path": "a.csv", "features": []}, "features is empty"),
    ):
        with pytest.raises(ValueError, match=message):
            read(Table, {"label": "y", **keys})


def test_what_does_not_go_with_a_dataset_is_refused_at_once() -> None:
    split = Split(0, 0.5, 0.5)
    Path("a.csv").touch()
    Classification(table("a.csv", client="user"), split, Natural())
    for dataset in (table("a.csv"), Digits()):
        with pytest.raises(ValueError, match="partition natural needs clients"):
            Classification(dataset, split, Natural())
    with pytest.raises(ValueError, match="hands are for pictures"):
        Classification(table("a.csv"), split, Iid(), Hands())


def dealt(text: str, **keys: Any) -> Shares:
    load(text, client="user")
    return deal(table("data.csv", client="user"), Split(0, 0.75, 0.25), Natural(), None, 4, WORLD)


def test_a_table_feeds_the_natural_partition_and_its_bytes_the_keys() -> None:
    rows = ["x,z,y,user", *(f"{row},{row % 3},{row % 2},{row % 4}" for row in range(40))]
    shares = dealt("\n".join(rows))
    for device in range(4):
        clients = shares.shard(device).clients
        assert clients is not None
        assert len(np.unique(clients)) == 1
    assert dealt("\n".join(rows)).shard_digests == shares.shard_digests
    changed = dealt("\n".join([*rows[:-1], "1000,0,1,3"]))
    assert not set(changed.shard_digests) & set(shares.shard_digests), "standardised: one cell moves every example"


def test_nobody_writes_a_table_by_hand() -> None:
    load("x,y\n" + "1,0\n2,1\n" * 20)
    with pytest.raises(ScenarioError, match=r"task\.hands: only pictures .* dataset table has none"):
        deal(table("data.csv"), Split(0, 0.5, 0.5), Iid(), Hands(tests=2), 2, WORLD)
