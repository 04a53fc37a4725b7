"""What a scenario says about what is learned. Light to import."""

from __future__ import annotations

from dataclasses import dataclass

from netfed.learning.data.partitions import Natural
from netfed.learning.data.spec import Dataset, Hands, Partition, Split
from netfed.learning.data.table import Table
from netfed.plugin import Plugin
from netfed.units import Bytes, Flops, Seconds


class Task(Plugin, default="classification"):
    """What is learned."""


@dataclass(frozen=True)
class Classification(Task, kind="classification"):
    """To tell classes apart, from labelled examples that devices hold.

    Attributes:
        dataset: All examples.
        split: Which share goes to the cloud, to the devices, and to the test.
        partition: How the devices' share is divided among them.
        hands: How differently they write.
    """

    dataset: Dataset
    split: Split
    partition: Partition
    hands: Hands | None = None

    def __post_init__(self) -> None:
        if isinstance(self.partition, Natural) and not self.dataset.tells_clients:
            raise ValueError("partition natural needs clients: dataset {kind: table, client: COLUMN}, for example")
        if isinstance(self.dataset, Table) and self.hands is not None:
            raise ValueError("hands are for pictures, and a table has none: leave hands out")


@dataclass(frozen=True)
class Work:
    """What a participation computes; how long that takes a device is a matter of its profile and speed.

    Attributes:
        flops: Floating-point operations.
        bytes: Moved between memory and processor.
    """

    flops: Flops
    bytes: Bytes


@dataclass(frozen=True)
class Nothing(Task, kind="none"):
    """Nothing: payloads have sizes and no content, and training takes its time. For studies of the network alone.

    Attributes:
        download: Size of a model, each time that it is sent.
        upload: Of an update.
        compute: Work of a participation, or the time that it takes on any device.
        frozen: Size of what a device is sent besides, once, with its first model.
    """

    download: Bytes
    upload: Bytes
    compute: Seconds | Work
    frozen: Bytes = 0.0

    def __post_init__(self) -> None:
        compute = (self.compute.flops, self.compute.bytes) if isinstance(self.compute, Work) else (self.compute,)
        for name, amounts in {"download": (self.download,), "upload": (self.upload,), "compute": compute}.items():
            if not min(amounts) > 0:
                raise ValueError(f"{name} must be more than 0")
