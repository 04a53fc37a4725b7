"""The scenario: what a user asks, as one tree of frozen dataclasses, and its way in from YAML and back."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from netfed import document, plugin, schema, sources
from netfed.codecs.downlink import Downlink
from netfed.codecs.float16 import BFloat16, Float16
from netfed.codecs.float32 import Float32
from netfed.codecs.qsgd import QSGD
from netfed.codecs.sign import SignSGD
from netfed.codecs.spec import Codec
from netfed.codecs.topk import TopK
from netfed.errors import ScenarioError
from netfed.learning.adapters import Adapter, Full
from netfed.learning.data.datasets import Digits, Synthetic
from netfed.learning.data.partitions import Dirichlet, Iid, Natural, Quantity, Shards
from netfed.learning.data.table import Table
from netfed.learning.executors import Auto, Executor
from netfed.learning.models.spec import Model
from netfed.learning.rules.backprop import Backprop
from netfed.learning.rules.spec import Rule
from netfed.loading import SHORT, Override, interpret
from netfed.network.cellular import Cellular
from netfed.network.diurnal import Diurnal, Eligible
from netfed.network.graph_file import GraphFile
from netfed.network.mobility.movements import Movements
from netfed.network.radio.indoor import DenseHigh, DenseLow, HighHigh, Office, SparseHigh, SparseLow
from netfed.network.radio.outdoor import RuralMacro, SuburbanMacro, UrbanMacro, UrbanMicro
from netfed.network.radio.sub_terahertz import SubTerahertz
from netfed.network.rate_trace import Csv, Lumos5G, Mahimahi, Ucc5G
from netfed.network.spec import Devices, Network
from netfed.network.topology import Hexagonal, Topology
from netfed.network.trace import Trace
from netfed.plugin import STRICT
from netfed.schemes.central import Central
from netfed.schemes.fedasync import FedAsync
from netfed.schemes.fedavg import FedAvg
from netfed.schemes.fedbuff import FedBuff
from netfed.schemes.hierarchical import Hierarchical
from netfed.schemes.local import Local
from netfed.schemes.spec import Scheme
from netfed.sources import EXTENDS, find
from netfed.task import Classification, Nothing, Task
from netfed.tree import Node
from netfed.validation import Problem, SpecError

BUILT_IN = (
    Backprop,
    BFloat16,
    Cellular,
    Central,
    Csv,
    DenseHigh,
    DenseLow,
    Digits,
    Dirichlet,
    Diurnal,
    Eligible,
    FedAsync,
    FedAvg,
    FedBuff,
    Float16,
    Float32,
    GraphFile,
    Hierarchical,
    HighHigh,
    Iid,
    Local,
    Lumos5G,
    Mahimahi,
    Movements,
    Natural,
    Office,
    QSGD,
    Quantity,
    RuralMacro,
    Shards,
    SignSGD,
    SparseHigh,
    SparseLow,
    SubTerahertz,
    SuburbanMacro,
    Synthetic,
    Table,
    TopK,
    Trace,
    Ucc5G,
    UrbanMacro,
    UrbanMicro,
)
"""Kinds that are defined beside their family rather than with it: to import them is to register them."""

_KEY = re.compile(r"([a-z_]+)(\.[a-z0-9_]+)*(?=: )")
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


LEARNING = (
    "model",
    "rule",
    "pretraining",
    "adapter",
    "codec",
    "downlink",
    "executor",
    "references",
    "evaluate_every",
    "on_bad_update",
)
"""Keys of a scenario that say how its task is learned. Of a task of which nothing is learned, it has none of them."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One question. The keys of a scenario file are the fields of this class.

    Attributes:
        netfed: Version of the format.
        name: Of the run.
        seed: The same seed is the same world.
        task: What is learned, from which data.
        model: What learns it. This key and `rule` may be missing where nothing is learned.
        pretraining: How the cloud trains the whole model first, in simulated time; null: it does not.
        adapter: What of the model is trained on devices.
        rule: How a device trains.
        scheme: Who trains when.
        codec: How an update is written into bits.
        downlink: How a model is, on its way down.
        topology: Where base stations are, and how they reach the cloud.
        devices: Who takes part.
        network: What carries the bits.
        executor: How this computer computes it all.
        references: Which lines to draw beside the result: ``pretrained`` (version 0), ``central`` (all devices' data in
            one place) and ``local`` (each device alone, the mean over at most 100 of them), the latter two given as
            many epochs per example as the scheme gives at the most.
        evaluate_every: Aggregations from one evaluation to the next; the last one is always evaluated. 0: none is.
        on_bad_update: What becomes of an update whose training failed, that is misshapen, has numbers that are not
            finite, or is huge, its norm more than a hundred times the median of those that it meets in a mean, or than
            that of what it was trained from (at a root mean square of 0.1 at the least, as adapters may start at zero):
            ``quarantine`` keeps it out of the mean and notes it, ``fail`` ends the run.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    netfed: Literal[1]
    name: Name
    task: Task
    model: Model | None = None
    rule: Rule | None = None
    scheme: Scheme
    devices: Devices
    network: Network
    seed: Annotated[int, Field(ge=0)] = 0
    pretraining: Rule | None = None
    adapter: Adapter = field(default_factory=Full)
    codec: Codec = field(default_factory=Float32)
    downlink: Downlink = field(default_factory=Downlink)
    topology: Topology = field(default_factory=Hexagonal)
    executor: Executor = field(default_factory=Auto)
    references: tuple[Literal["pretrained", "central", "local"], ...] = ()
    evaluate_every: Annotated[int, Field(ge=0)] = 1
    on_bad_update: Literal["quarantine", "fail"] = "quarantine"

    def __post_init__(self) -> None:
        if misfits := [*self._misfits(), *self.network.misfits(self.topology, self.devices)]:
            raise SpecError(misfits)

    def _misfits(self) -> Iterator[Problem]:
        """Yield what does not go together of scheme, devices and learning."""
        wanted, there = self.scheme.clients, self.devices.count
        if wanted > there:
            message = f"needs {wanted} devices at once, but devices.count is {there}"
            yield Problem(("scheme",), message, (("devices", "count"),))
        if isinstance(self.task, Nothing):
            yield from self._learning_of_nothing()
        else:
            yield from self._lack_of_learning()

    def _learning_of_nothing(self) -> Iterator[Problem]:
        if isinstance(self.scheme, Central | Local):
            message = f"{self.scheme.kind} needs something to learn, and there is nothing: task is none"
            yield Problem(("scheme",), message, (("task",),))
        if given := [name for name in LEARNING if self._is_given(name)]:
            message = f"nothing is learned where task is none: leave out {', '.join(given)}"
            yield Problem((given[0],), message, (("task",),))

    def _lack_of_learning(self) -> Iterator[Problem]:
        for name in ("model", "rule"):
            if getattr(self, name) is None:
                yield Problem((name,), "missing key")
        if self.pretraining is not None and isinstance(self.task, Classification) and self.task.split.cloud == 0:
            yield Problem(("pretraining",), "has no examples: task.split.cloud is 0", (("task", "split", "cloud"),))
        if "pretrained" in self.references and self.pretraining is None:
            message = "pretrained is version 0 after pretraining, and there is no pretraining"
            yield Problem(("references",), message, (("pretraining",),))

    def _is_given(self, name: str) -> bool:
        key = self.__dataclass_fields__[name]
        default = key.default if key.default_factory is MISSING else key.default_factory()
        return bool(getattr(self, name) != default)

    @property
    def learner(self) -> tuple[Model, Adapter, Rule]:
        """What learns the task, what of it trains, and how."""
        assert self.model is not None
        assert self.rule is not None
        return self.model, self.adapter, self.rule


@dataclass(frozen=True)
class Reading:
    """A scenario together with what it was read from.

    Attributes:
        scenario: What is asked.
        source: The file as it was written.
        document: What the file, those it extends, the short form if asked for, and the overrides come to; each part of
            it remembers where it was written.
    """

    scenario: Scenario
    source: str
    document: Node

    def locate(self, error: ScenarioError) -> ScenarioError:
        """Return an error of which each line that begins with a key of the scenario also says where that is written."""
        return ScenarioError(*map(self._located, error.lines))

    def _located(self, line: str) -> str:
        key = _KEY.match(line)
        if key is None or key[1] not in Scenario.__dataclass_fields__:
            return line
        return f"{self.document.position(tuple(key[0].split('.')))}: {line}"


def read(path: str | Path, *, sets: Sequence[str] = (), short: bool = False, seed: int | None = None) -> Reading:
    """Read a scenario file; see `load`. What is returned knows where each value comes from."""
    file = find(path)
    return _read(sources.text(file), file, sets, short, seed)


def load(path: str | Path, *, sets: Sequence[str] = (), short: bool = False, seed: int | None = None) -> Scenario:
    """Read a scenario file.

    Args:
        path: A file, or the name of a scenario that comes with netfed.
        sets: Overrides, each ``a.b=c``: keys and list indices with dots, then a value in YAML.
        short: Merge in the overrides that stand under ``short:`` in the file.
        seed: Override of the seed.

    Raises:
        ScenarioError: One line for each mistake.
    """
    return read(path, sets=sets, short=short, seed=seed).scenario


def loads(
    text: str | bytes, name: str, *, sets: Sequence[str] = (), short: bool = False, seed: int | None = None
) -> Scenario:
    """Read the text of a scenario file; ``name`` is its path, for messages and what it extends. See `load`."""
    return _read(text, Path(name), sets, short, seed).scenario


def _read(text: str | bytes, file: Path, sets: Sequence[str], short: bool, seed: int | None) -> Reading:
    overrides = [Override(f"--set {assignment}", assignment) for assignment in sets]
    if seed is not None:
        overrides.append(Override(f"--seed {seed}", f"seed={seed}"))
    scenario, merged = interpret(Scenario, sources.documents(text, file), overrides, short=short)
    return Reading(scenario, text.decode() if isinstance(text, bytes) else text, merged)


def tree(scenario: Scenario) -> dict[str, Any]:
    """Return the scenario as plain data with every default filled in, without keys that it cannot have."""
    unfit = LEARNING if isinstance(scenario.task, Nothing) else ()
    return {name: value for name, value in plugin.write(scenario).items() if name not in unfit}


def resolved(scenario: Scenario) -> str:
    """Return the scenario as YAML with every default filled in; `loads` makes an equal scenario of it."""
    return document.write(tree(scenario))


def digest(scenario: Scenario) -> str:
    """Return the SHA-256, in hexadecimal digits, of the resolved scenario."""
    return hashlib.sha256(resolved(scenario).encode()).hexdigest()


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of scenario files, for editors."""
    return schema.of_documents(Scenario, EXTENDS, SHORT)
