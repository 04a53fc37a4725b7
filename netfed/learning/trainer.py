"""Plans training as graph nodes; does it when they are read."""

from __future__ import annotations

import copy
import dataclasses
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import torch
from torch import nn

from netfed.errors import ComputationFailed, ScenarioError
from netfed.graph import SCALARS, Graph, Node, digest
from netfed.layout import Layout
from netfed.learning.adapters import Adapter
from netfed.learning.cohort import lane_batch, train_together
from netfed.learning.cost import Cost, step_cost
from netfed.learning.draws import JobDraws, probe, seeded
from netfed.learning.lanes import Stack
from netfed.learning.memory import peak_bytes
from netfed.learning.models.spec import Model
from netfed.learning.rules.backprop import Backprop
from netfed.learning.rules.spec import Rule
from netfed.learning.task import Classification, TaskExamples
from netfed.learning.tensors import TENSORS, Tensors, layout_of
from netfed.plugin import plain
from netfed.streams import Streams


class Client(Protocol):
    """Who trains: a device in one of its participations."""

    @property
    def id(self) -> int: ...

    @property
    def draw(self) -> int: ...


class Update(NamedTuple):
    """A device's planned training.

    Attributes:
        delta: Its value: what training adds to the model, by name.
        cost: FLOPs and bytes moved, counted from the real model.
        examples: On which it trains.
    """

    delta: Node
    cost: Cost
    examples: int


class Trainer:
    """Local training, its reference lines and evaluation, for one task.

    Args:
        graph: Where the nodes live.
        task: Data and loss.
        model: Architecture.
        adapter: What trains.
        rule: How it trains.
        pretraining: How the cloud trains the whole model beforehand; None starts from random weights.
        streams: Seeds of weights, batch order and dropout.

    Attributes:
        base: Node of the weights that devices start from, all of them.
        initial: Node of version 0: what is trained and sent.
        layout: Shapes of what is trained and sent, parameters then buffers.
        frozen: Shapes of what a device is sent once.
        epochs: Local passes over a device's data in one participation.

    Raises:
        ScenarioError: Model, adapter and data do not fit; the message says how.
    """

    def __init__(
        self,
        graph: Graph,
        task: Classification,
        model: Model,
        adapter: Adapter,
        rule: Rule,
        pretraining: Rule | None,
        streams: Streams,
    ) -> None:
        self._graph = graph
        self._task = task
        self._rule = rule
        self.epochs = rule.epochs
        self._pretraining = pretraining
        self._streams = streams
        self._local = threading.local()
        self._step_costs: dict[tuple[bool, int], Cost] = {}
        self._costs: dict[int, Cost] = {}

        self._plain = model.build(task.shape, task.classes, streams.seed("model"))
        self._adapted = copy.deepcopy(self._plain)
        adapter.attach(self._adapted, streams.seed("adapter"))
        batch = task.pool().inputs[: rule.batch_size]
        plain_draws, adapted_draws = (probe(module, batch) for module in (self._plain, self._adapted))
        self._draws = plain_draws or adapted_draws
        _require_gradients(self._adapted, batch)

        trained = [name for name, parameter in self._adapted.named_parameters() if parameter.requires_grad]
        buffers = [name for name, _ in self._adapted.named_buffers() if name in self._adapted.state_dict()]
        state = self._adapted.state_dict()
        self.layout = layout_of({name: state[name] for name in [*trained, *buffers]}, trained)
        self.frozen: Layout = layout_of(_besides(self._adapted, self.layout), ())

        initial = [plain(model), task.shape, task.classes, streams.seed("model")]
        if pretraining is None:
            self.base = graph.node("initial", initial, (), partial(_state, self._plain))
        else:
            recipe = [*initial, plain(pretraining), task.cloud.digest, streams.seed("pretraining")]
            self.base = graph.node("pretrained", recipe, (), self._pretrain, TENSORS, "pre-training")
        adapted = [plain(adapter), streams.seed("adapter")]
        self._lane_batch = lane_batch(task, rule)
        self._learner = digest(adapted, plain(rule), self._lane_batch)
        self.initial = graph.node("model", adapted, (self.base,), self._adopt, TENSORS)

    def begin(self, device: Client, model: Node) -> Update:
        """Plan a device's local training of ``model``: nothing is computed before the delta is read."""
        share = self._task.share(device.id)
        seed = self._streams.seed("training", device.id, device.draw)
        delta = self._graph.node(
            "update",
            [self._learner, share.digest, seed],
            (self.base, model),
            LocalTraining(self, self._rule, share, seed),
            label=f"training on device {device.id}, draw {device.draw}",
            fallible=True,
        )
        examples = len(share)
        return Update(delta, self.cost(examples), examples)

    def data(self, device: Client) -> TaskExamples:
        """Return a device's training examples."""
        return self._task.share(device.id)

    def gather(self, devices: Sequence[int]) -> TaskExamples:
        """Return several devices' training examples in one place."""
        return self._task.gather(devices)

    def begin_centrally(self, examples: TaskExamples, draw: int, model: Node) -> Update:
        """Plan a training of ``model`` on gathered examples; see `begin`."""
        seed = self._streams.seed("central", draw)
        recipe = [self._learner, examples.digest, seed]
        train = partial(self.train, self._rule, examples, seed)
        delta = self._graph.node("update", recipe, (self.base, model), train, label=f"central training {draw}")
        return Update(delta, self.cost(len(examples)), len(examples))

    def evaluation(self, model: Node) -> Node:
        """Plan the evaluation of a model; its value is ``{"accuracy": ..., "loss": ...}``."""
        reads = (self.base, model)
        return self._graph.node("evaluation", [self._task.tests.digest], reads, self._evaluate, SCALARS)

    def own_evaluation(self, model: Node, device: int) -> Node:
        """Plan the evaluation of a model on one device's own tests; its value is as of `evaluation`, not stored."""
        recipe, evaluate = [self._task.tests.digest, device], partial(self._evaluate, device=device)
        return self._graph.node("evaluation", recipe, (self.base, model), evaluate)

    def central(self, epochs: int) -> Node:
        """Plan the reference line of all devices' data in one place; its value is an evaluation."""
        pool = self._task.pool()
        seed = self._streams.seed("central")
        rule = dataclasses.replace(self._rule, epochs=epochs)
        delta = self._graph.node(
            "reference",
            [self._learner, pool.digest, seed, epochs],
            (self.base, self.initial),
            partial(self.train, rule, pool, seed),
            label="training of the central reference",
        )
        model = self._graph.node("model", ["central"], (self.initial, delta), _sum, TENSORS)
        return self.evaluation(model)

    def local(self, device: int, epochs: int) -> Node:
        """Plan the reference line of one device that learns alone; its value is an evaluation on its own tests."""
        share = self._task.share(device)
        seed = self._streams.seed("local", device)
        rule = dataclasses.replace(self._rule, epochs=epochs)
        return self._graph.node(
            "reference",
            [self._learner, share.digest, seed, epochs, self._task.tests.digest, device],
            (self.base, self.initial),
            partial(self._train_and_test, rule, share, seed, device),
            SCALARS,
            f"training of the local reference on device {device}",
        )

    def cost(self, examples: int) -> Cost:
        """Return what one participation computes, counted from real steps of the real model."""
        if examples not in self._costs:
            self._costs[examples] = self._cost(self._adapted, self._rule, examples)
        return self._costs[examples]

    def pretraining_cost(self) -> Cost:
        """Return what the cloud computes before version 0."""
        if self._pretraining is None:
            return Cost(0.0, 0.0)
        return self._cost(self._plain, self._pretraining, len(self._task.cloud))

    def peak_bytes(self) -> int:
        """Return what a device holds at once while it trains: the whole model, and what two batches add to it."""
        weights = sum(spec.bytes for layout in (self.layout, self.frozen) for spec in layout.values())
        return weights + peak_bytes(self._epoch(self._adapted, self._rule, self._lane_batch, 2))

    def _cost(self, module: nn.Module, rule: Rule, examples: int) -> Cost:
        full, rest = divmod(examples, rule.batch_size)
        cost = self._step_cost(module, rule, rule.batch_size) * full if full else Cost(0.0, 0.0)
        if rest:
            cost = cost + self._step_cost(module, rule, rest)
        return cost * rule.epochs

    def _step_cost(self, module: nn.Module, rule: Rule, batch: int) -> Cost:
        """Count a step in full swing: what two batches take beyond one (the first begins what the optimiser keeps)."""
        key = (module is self._plain, batch)
        if key not in self._step_costs:
            one, two = (self._epoch_cost(module, rule, batch, batches) for batches in (1, 2))
            self._step_costs[key] = Cost(two.flops - one.flops, two.bytes - one.bytes)
        return self._step_costs[key]

    def _epoch_cost(self, module: nn.Module, rule: Rule, batch: int, batches: int) -> Cost:
        try:
            return step_cost(self._epoch(module, rule, batch, batches))
        except Exception as error:
            raise ComputationFailed(f"training on {batch} examples at once: {type(error).__name__}: {error}") from error

    def _epoch(self, module: nn.Module, rule: Rule, batch: int, batches: int) -> Callable[[], None]:
        """Return an epoch of a copy of the module on some batches."""
        pool = self._task.pool()
        index = torch.arange(batch * batches) % len(pool)
        inputs, labels = pool.inputs[index], pool.labels[index]
        once = dataclasses.replace(rule, epochs=1, batch_size=batch)
        return partial(self._fit, Replica(module), once, inputs, labels, 0)

    def _replica(self, module: nn.Module) -> Replica:
        """This thread's own copy: training changes parameters in place."""
        replicas: dict[bool, Replica] = self._local.__dict__.setdefault("replicas", {})
        key = module is self._plain
        if key not in replicas:
            replicas[key] = Replica(module)
        return replicas[key]

    def _fit(self, replica: Replica, rule: Rule, inputs: torch.Tensor, labels: torch.Tensor, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        if not replica.module.training:
            replica.module.train()
        if self._draws:
            with JobDraws(generator):
                rule.fit(replica.module, replica.parameters, inputs, labels, self._task.loss, generator)
        else:
            rule.fit(replica.module, replica.parameters, inputs, labels, self._task.loss, generator)

    def train(self, rule: Rule, examples: TaskExamples, seed: int, base: Tensors, model: Tensors) -> Tensors:
        """Train ``model`` on ``examples``, with all randomness from ``seed``; return what that adds to it."""
        replica = self._replica(self._adapted)
        replica.load(base, model)
        self._fit(replica, rule, examples.inputs, examples.labels, seed)
        return {name: (replica.tensors[name].detach() - value).contiguous() for name, value in model.items()}

    def train_together(
        self, trainings: Sequence[LocalTraining], device: str, base: Tensors, model: Tensors
    ) -> list[Tensors]:
        """Return what `train` does for each of the trainings, whose rules are equal, but for rounding."""
        rule = dataclasses.replace(trainings[0].rule, batch_size=self._lane_batch)
        assert isinstance(rule, Backprop)
        stacks: dict[str, Stack] = self._local.__dict__.setdefault("stacks", {})
        if device not in stacks:
            stacks[device] = Stack(self._adapted, list(self.layout), device)
        shares = [training.examples for training in trainings]
        seeds = [training.seed for training in trainings]
        return train_together(stacks[device], rule, self._task.slopes, base, model, shares, seeds)

    def _train_and_test(
        self, rule: Rule, examples: TaskExamples, seed: int, device: int, base: Tensors, model: Tensors
    ) -> Mapping[str, float]:
        self.train(rule, examples, seed, base, model)
        return self._task.evaluate(self._replica(self._adapted).module, device)

    def _evaluate(self, base: Tensors, model: Tensors, device: int | None = None) -> Mapping[str, float]:
        replica = self._replica(self._adapted)
        replica.load(base, model)
        return self._task.evaluate(replica.module, device)

    def _pretrain(self) -> Tensors:
        assert self._pretraining is not None
        replica = self._replica(self._plain)
        replica.load(_state(self._plain), {})
        cloud = self._task.cloud
        self._fit(replica, self._pretraining, cloud.inputs, cloud.labels, self._streams.seed("pretraining"))
        return _state(replica.module)

    def _adopt(self, base: Tensors) -> Tensors:
        state = self._adapted.state_dict()
        return {name: base.get(name, state[name]).detach().clone().contiguous() for name in self.layout}

    @property
    def data_bits(self) -> int:
        """Size of all examples: the devices', the cloud's and the tests."""
        return sum(examples.bits for examples in (self._task.pool(), self._task.cloud, self._task.tests))


@dataclasses.dataclass(frozen=True)
class LocalTraining:
    """A device's training, as a function of the base and the model that it starts from.

    Attributes:
        trainer: Trains.
        rule: How.
        examples: On what.
        seed: Of all its randomness.
    """

    trainer: Trainer
    rule: Rule
    examples: TaskExamples
    seed: int

    def __call__(self, base: Tensors, model: Tensors) -> Tensors:
        return self.trainer.train(self.rule, self.examples, self.seed, base, model)

    @property
    def lane_key(self) -> Rule | None:
        """Trainings of equal keys, from the same model, may run `together`; None: this one runs alone."""
        return self.rule if type(self.rule) is Backprop else None  # what a subclass changes, lanes would not do

    @staticmethod
    def together(trainings: Sequence[LocalTraining], device: str, base: Tensors, model: Tensors) -> list[Tensors]:
        """Return the value of each, computed side by side."""
        return trainings[0].trainer.train_together(trainings, device, base, model)


class Replica:
    """A module whose tensors are overwritten for each job.

    Args:
        module: What is copied.

    Attributes:
        module: The copy.
        tensors: Its parameters and buffers, by name.
        parameters: Those that train.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = copy.deepcopy(module).to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.tensors: dict[str, Any] = dict(self.module.state_dict(keep_vars=True))
        self.parameters = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        self._base: Tensors | None = None

    def load(self, base: Tensors, model: Tensors) -> None:
        """Copy a model's values in; those of the base too, unless they are there already. No gradient is left."""
        for parameter in self.parameters:
            parameter.grad = None
        with torch.no_grad():
            if base is not self._base:
                for name, value in base.items():
                    self.tensors[name].copy_(value)
                self._base = base
            for name, value in model.items():
                self.tensors[name].copy_(value)


def _require_gradients(module: nn.Module, inputs: torch.Tensor) -> None:
    """Refuse a module with a parameter that would train but that its outputs do not depend on.

    Raises:
        ScenarioError: Names the parameter: of a low-rank adapter of a layer whose weight the module reads by itself,
            past the layer's forward (``nn.MultiheadAttention.out_proj``), say.
    """
    twin = copy.deepcopy(module).train()
    trained = {name: parameter for name, parameter in twin.named_parameters() if parameter.requires_grad}
    with seeded(0):
        outputs = twin(inputs)
    if outputs.requires_grad:
        outputs.sum().backward()
    for name, parameter in trained.items():
        if parameter.grad is None:
            raise ScenarioError(f"adapter: {name} would train, but the outputs of the model do not depend on it")


def _state(module: nn.Module) -> Tensors:
    return {name: tensor.detach().clone().contiguous() for name, tensor in module.state_dict().items()}


def _besides(module: nn.Module, names: Collection[str]) -> Tensors:
    """Return what a module has besides some tensors, each under its first name: tied ones have several."""
    state = module.state_dict(keep_vars=True)
    first: dict[int, str] = {}
    for name in [*names, *state]:
        first.setdefault(id(state[name]), name)
    return {name: state[name].detach() for name in first.values() if name not in names}


def _sum(model: Tensors, delta: Tensors) -> Tensors:
    return {name: value + delta[name] for name, value in model.items()}
