"""The scenario: what a user asks, as one tree of frozen dataclasses, and its way in from YAML and back."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from netfed import document, plugin
from netfed.codecs.float32 import Float32
from netfed.codecs.spec import Codec
from netfed.codecs.topk import TopK
from netfed.errors import ScenarioError
from netfed.learning.adapters import Adapter, Full
from netfed.learning.data.spec import Dataset, Hands, Partition, Split
from netfed.learning.executors import Executor, Threads
from netfed.learning.models.spec import Model
from netfed.learning.rules.backprop import Backprop
from netfed.learning.rules.spec import Rule
from netfed.loading import SHORT, Override, interpret
from netfed.network.spec import Devices, Network, Topology
from netfed.plugin import STRICT
from netfed.schemes.fedavg import FedAvg
from netfed.schemes.fedbuff import FedBuff
from netfed.schemes.spec import Scheme
from netfed.spelling import did_you_mean

BUILT_IN = (Backprop, FedAvg, FedBuff, Float32, TopK)
"""Kinds that are defined beside their family rather than with it: to import them is to register them."""

_IN_WHEEL, _IN_CHECKOUT = Path(__file__).parent / "scenarios", Path(__file__).parents[1] / "scenarios"

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


@dataclass(frozen=True)
class TaskSpec:
    """What is learned, and who holds which examples of it.

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


@dataclass(frozen=True)
class Scenario:
    """One question. The keys of a scenario file are the fields of this class.

    Attributes:
        netfed: Version of the format.
        name: Of the run.
        seed: The same seed is the same world.
        task: What is learned, from which data.
        model: What learns it.
        pretraining: How the cloud trains the whole model first, in simulated time; null: it does not.
        adapter: What of the model is trained on devices.
        rule: How a device trains.
        scheme: Who trains when.
        codec: How an update is written into bits.
        topology: Where base stations are.
        devices: Who takes part.
        network: What carries the bits.
        executor: How this computer computes it all.
        references: Which lines to draw beside the result: ``pretrained`` (version 0), ``central`` (all devices' data in
            one place) and ``local`` (each device alone, the mean over at most 100 of them), the latter two given as
            many epochs per example as the scheme gives at the most.
        evaluate_every: Aggregations from one evaluation to the next; the last one is always evaluated. 0: none is.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    netfed: Literal[1]
    name: Name
    task: TaskSpec
    model: Model
    rule: Rule
    scheme: Scheme
    devices: Devices
    network: Network
    seed: Annotated[int, Field(ge=0)] = 0
    pretraining: Rule | None = None
    adapter: Adapter = field(default_factory=Full)
    codec: Codec = field(default_factory=Float32)
    topology: Topology = field(default_factory=Topology)
    executor: Executor = field(default_factory=Threads)
    references: tuple[Literal["pretrained", "central", "local"], ...] = ()
    evaluate_every: Annotated[int, Field(ge=0)] = 1

    def __post_init__(self) -> None:
        wanted, there = self.scheme.clients, self.devices.count
        if wanted > there:
            raise ValueError(f"scheme needs {wanted} devices at once, but devices.count is {there}")
        if self.pretraining is not None and self.task.split.cloud == 0:
            raise ValueError("pretraining has no examples: task.split.cloud is 0")
        if "pretrained" in self.references and self.pretraining is None:
            raise ValueError("references: pretrained is version 0 after pretraining, and there is no pretraining")


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
    file = find(path)
    try:
        with file.open("rb") as stream:
            text = stream.read(document.MAX_BYTES + 1)
    except OSError as error:
        raise ScenarioError(f"{file}: {error.strerror}") from error
    return loads(text, str(file), sets=sets, short=short, seed=seed)


def loads(
    text: str | bytes, name: str, *, sets: Sequence[str] = (), short: bool = False, seed: int | None = None
) -> Scenario:
    """Read the text of a scenario file; ``name`` is for messages. See `load`."""
    overrides = [Override(f"--set {assignment}", assignment) for assignment in sets]
    if seed is not None:
        overrides.append(Override(f"--seed {seed}", f"seed={seed}"))
    return interpret(Scenario, document.read(text, name), overrides, short=short)


def find(path: str | Path) -> Path:
    """Return the file at ``path``, or else the scenario of that name that comes with netfed.

    Raises:
        ScenarioError: There is neither.
    """
    folder = _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT
    shipped = {file.stem: file for file in folder.glob("*.yaml")}
    if str(path) in shipped and not Path(path).is_file():
        return shipped[str(path)]
    if not Path(path).exists():
        near = did_you_mean(str(path), shipped) or f" (scenarios that come with netfed: {', '.join(sorted(shipped))})"
        raise ScenarioError(f"{path}: no such file{near}")
    return Path(path)


def resolved(scenario: Scenario) -> str:
    """Return the scenario as YAML with every default filled in; `loads` makes an equal scenario of it."""
    return document.write(plugin.write(scenario))


def digest(scenario: Scenario) -> str:
    """Return the SHA-256, in hexadecimal digits, of the resolved scenario."""
    return hashlib.sha256(resolved(scenario).encode()).hexdigest()


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of scenario files, for editors."""
    schema = plugin.describe(Scenario)
    schema["properties"][SHORT] = {"type": "object", "description": "overrides that --short merges in"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
