"""Contracts that every plug-in must keep, for the tests of those who write one.

Each function tries a plug-in and raises `AssertionError` at the first promise that it breaks; the message says which::

    from netfed.testing import check_codec


    def test_my_codec() -> None:
        check_codec(MyCodec(levels=4))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from netfed.layout import Layout, TensorSpec

if TYPE_CHECKING:
    import torch
    from simpy import Process
    from torch.nn import Module

    from netfed.client import Arrival
    from netfed.codecs.spec import Codec
    from netfed.learning.adapters import Adapter
    from netfed.learning.aggregate import Average
    from netfed.learning.rules.spec import Rule
    from netfed.learning.tensors import Tensors
    from netfed.learning.trainer import Replica
    from netfed.network.population import Device
    from netfed.scenario import Scenario
    from netfed.schemes.spec import Scheme
    from netfed.simulation import Inspection, Simulation

T = TypeVar("T")

_LAYOUTS: dict[str, Layout] = {
    "weights and biases": {
        "0.weight": TensorSpec((7, 5), "float32", True),
        "0.bias": TensorSpec((7,), "float32", True),
        "1.weight": TensorSpec((3, 7), "float32", True),
    },
    "buffers": {
        "conv.weight": TensorSpec((4, 1, 3, 3), "float32", True),
        "norm.running_mean": TensorSpec((4,), "float32", False),
        "norm.num_batches_tracked": TensorSpec((), "int64", False),
        "norm.weight": TensorSpec((4,), "float32", True),
    },
    "a single number": {"scale": TensorSpec((), "float32", True)},
    "an empty tensor": {
        "none": TensorSpec((0, 3), "float32", True),
        "weight": TensorSpec((41, 29), "float32", True),
        "nothing": TensorSpec((0,), "float32", False),
    },
}


def check_codec(codec: Codec) -> None:
    """Make sure that a codec does what `Codec` promises, on layouts with and without buffers.

    Bits are those of the bytes that it really makes. Its bytes and its next state are functions of update, state and
    generator; it changes none of them but the generator. What it decodes has the layout's names, shapes and types, is
    finite, and carries buffers as they were; it follows from the bytes alone, whatever was encoded since. Its state
    comes back from the store as it went in. An update that is not finite is not finite when it is decoded, so that the
    receiver can refuse it, and spoils no later one. In the mean what is decoded is nearer to the update than nothing
    is, unless the codec says that it amplifies.
    """
    for name, layout in _LAYOUTS.items():
        _check_codec(codec, layout, f"codec {codec.kind}, layout with {name}")


def check_rule(rule: Rule) -> None:
    """Make sure that a rule trains what it is given, and that only its arguments decide how.

    It changes the parameters that it is given and nothing else. Where it ends is a function of the weights, the data
    and its generator, whatever the same module was trained for before: each thread trains one client after the other
    on one module, whose tensors alone are overwritten in between.
    """
    from netfed.learning.tensors import tensors_digest

    where = f"rule {rule.kind}"
    _expect(rule.batch_size >= 1 and rule.epochs >= 1, f"{where}: batch_size and epochs are 1 or more")

    before = dict(_perceptron().state_dict())
    for given in (set(before), {"head.weight", "head.bias"}):
        after = _repeatable(f"{where}: fit", partial(_fit_anew, rule, given, where), tensors_digest)
        replica = _replica(given)
        for _ in range(2):
            again = tensors_digest(_fit(rule, replica, where)) == tensors_digest(after)
            _expect(
                again, f"{where}: fit ends elsewhere on a module that has been trained before: it leaves a trace there"
            )
        changed = {
            name for name in before if tensors_digest({name: before[name]}) != tensors_digest({name: after[name]})
        }
        _expect(changed <= given, f"{where}: fit changed {_listed(changed - given)}, which it was not given to train")
        _expect(bool(changed), f"{where}: fit changed nothing")
        _expect(
            all(after[name].isfinite().all() for name in after), f"{where}: fit ended in numbers that are not finite"
        )


def check_adapter(adapter: Adapter, module: Module | None = None, inputs: Any = None) -> None:
    """Make sure that an adapter leaves a module's outputs as they are, and makes something trainable.

    Where it ends is a function of module and seed. Outputs depend on everything that it trains.

    Args:
        adapter: To be checked.
        module: What to attach it to, with ``inputs`` for it; by default a perceptron with the linear layers ``hidden``
            and ``head``.
        inputs: A batch.  # [example, ...]
    """
    import copy

    import torch

    from netfed.learning.tensors import tensors_digest

    where = f"adapter {adapter.kind}"
    plain, batch = (_perceptron(), _examples()[0]) if module is None else (module, inputs)

    def attached(seed: int) -> Module:
        adapted = copy.deepcopy(plain)
        adapter.attach(adapted, seed)
        return adapted

    def identity(adapted: Module) -> object:
        return tensors_digest(dict(adapted.state_dict())), _trained(adapted)

    with torch.no_grad():
        expected = copy.deepcopy(plain).eval()(batch)
    for seed in (0, 2**64 - 1):
        adapted = _repeatable(f"{where}: attach", partial(attached, seed), identity)
        with torch.no_grad():
            same = torch.equal(adapted.eval()(batch), expected)
        _expect(same, f"{where}: attach changed the module's outputs")
        trained = _trained(adapted)
        _expect(bool(trained), f"{where}: nothing trains after attach")
        parameters = dict(adapted.named_parameters())
        gradients = torch.autograd.grad(adapted(batch).sum(), [parameters[name] for name in trained], allow_unused=True)
        idle = {name for name, gradient in zip(trained, gradients, strict=True) if gradient is None}
        _expect(not idle, f"{where}: the outputs do not depend on {_listed(idle)}, which trains")


def check_scheme(scheme: Scheme, world: Scenario | None = None) -> None:
    """Make sure that a scheme plays to its last version, the same way every time, and accounts for everybody.

    Versions advance by one, from 0 to ``scheme.versions``. Who was selected arrived, was late, was lost or was
    dismissed; no more updates arrive than ``scheme.participations``, and no more devices are at work at once whose
    updates arrive than ``scheme.clients``. What has arrived is aggregated, once, if the scheme takes means by
    `Simulation.mean` (`advance` and `mix` do), and of devices that began by `Simulation.occupy` (`start` does). Lazy or
    eager, and however far the clock runs ahead of the tensors, the results are the same.

    Args:
        scheme: To be checked.
        world: What it plays in; its own scheme and executor do not matter. By default two worlds of twelve devices, one
            without losses and one with losses, dropout, and devices that are not always available.
    """
    from netfed.learning.executors import Serial

    worlds = (
        {"the given world": world} if world else {"a world without losses": _world(), "a rough world": _rough_world()}
    )
    for name, scenario in worlds.items():
        where = f"scheme {scheme.kind} in {name}"
        lazy, eager = (
            partial(_play, replace(scenario, scheme=scheme, executor=executor))
            for executor in (Serial(), Serial(lazy=False))
        )
        results = _repeatable(where, lazy, lambda results: results)
        _check_accounts(scheme, results, where)
        _expect(eager() == results, f"{where}: played eagerly it gives other results")
        _expect(lazy(ahead=0) == results, f"{where}: with the clock less far ahead it gives other results")


def _check_codec(codec: Codec, layout: Layout, where: str) -> None:
    from netfed.learning.tensors import TENSORS, tensors_digest

    state: Tensors | None = None
    for step in range(3):
        update = _tensors(layout, step)
        body, next_state = _repeatable(
            f"{where}: encode",
            partial(_encode, codec, update, layout, state, where),
            lambda made: (made[0], None if made[1] is None else tensors_digest(made[1])),
        )
        _expect((next_state is not None) == codec.stateful, f"{where}: a state if, and only if, it says stateful")
        announced = codec.body_bytes(layout)
        _expect(len(body) == announced, f"{where}: a body of {len(body)} bytes, body_bytes says {announced}")
        payload = codec.serialise(body, layout)
        _expect(codec.bits(layout) == 8 * len(payload), f"{where}: bits is not the length of the payload")

        decode = partial(codec.decode, codec.parse(payload, layout), layout)
        decoded = _repeatable(f"{where}: decode", decode, tensors_digest)
        codec.encode(_tensors(layout, step, seed=8), layout, state, _generator())
        apart = tensors_digest(decode()) == tensors_digest(decoded)
        _expect(apart, f"{where}: decode gives something else once another update is encoded: not all is in the body")
        shapes = {
            name: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch.")) for name, tensor in decoded.items()
        }
        wanted = {name: (spec.shape, spec.dtype) for name, spec in layout.items()}
        _expect(list(shapes.items()) == list(wanted.items()), f"{where}: decoded {shapes}, the layout is {wanted}")
        _expect(all(tensor.isfinite().all() for tensor in decoded.values()), f"{where}: decoded numbers are not finite")
        buffers = [name for name, spec in layout.items() if not spec.trained]
        exact = all(tensors_digest({name: decoded[name]}) == tensors_digest({name: update[name]}) for name in buffers)
        _expect(exact, f"{where}: a buffer is not what was sent")

        if next_state is not None:
            state = TENSORS.load(TENSORS.dump(next_state))
            _expect(tensors_digest(state) == tensors_digest(next_state), f"{where}: the store changes the state")
    _check_not_finite(codec, layout, state, where)
    _check_error(codec, layout, where)


def _check_not_finite(codec: Codec, layout: Layout, state: Tensors | None, where: str) -> None:
    trained = next(name for name, spec in layout.items() if spec.trained and spec.numel)
    for bad in (float("nan"), float("inf"), -float("inf")):
        update = _tensors(layout, 0)
        update[trained].view(-1)[-1] = bad
        body, next_state = codec.encode(update, layout, state, _generator())
        visible = not codec.decode(body, layout)[trained].isfinite().all()
        _expect(visible, f"{where}: an update with {bad} is finite when it is decoded: nobody could refuse it")
        body, _ = codec.encode(_tensors(layout, 0), layout, next_state, _generator())
        recovered = all(tensor.isfinite().all() for tensor in codec.decode(body, layout).values())
        _expect(recovered, f"{where}: after an update with {bad}, the next one is not finite")


def _check_error(codec: Codec, layout: Layout, where: str) -> None:
    generator, update = _generator(), _tensors(layout, 0)
    sent = {name: update[name].double() for name, spec in layout.items() if spec.trained}
    size = sum(float(value.square().sum()) for value in sent.values())
    errors = []
    for _ in range(8):
        decoded = codec.decode(codec.encode(update, layout, None, generator)[0], layout)
        errors.append(sum(float((decoded[name] - value).square().sum()) for name, value in sent.items()))
    bounded = sum(errors) < 8 * size
    _expect(bounded or codec.amplifies, f"{where}: the error is larger than the update, but it does not say amplifies")


def _encode(
    codec: Codec, update: Tensors, layout: Layout, state: Tensors | None, where: str
) -> tuple[bytes, Tensors | None]:
    import copy

    from netfed.learning.tensors import tensors_digest

    given, remembered = copy.deepcopy((update, state))
    encoded = codec.encode(given, layout, remembered, _generator())
    _expect(tensors_digest(given) == tensors_digest(update), f"{where}: encode changed the update that it was given")
    same = tensors_digest(remembered or {}) == tensors_digest(state or {})
    _expect(same, f"{where}: encode changed the state that it was given")
    return encoded


def _check_accounts(scheme: Scheme, results: dict[str, Any], where: str) -> None:
    versions = [row["version"] for row in results["rounds"]]
    expected = list(range(scheme.versions + 1))
    _expect(versions == expected, f"{where}: published the versions {versions}, announced were {expected}")
    updates = results["summary"]["updates"]
    ends = sum(updates[end] for end in ("arrived", "late", "lost", "dismissed"))
    _expect(updates["selected"] == ends, f"{where}: {updates['selected']} were selected, but {ends} accounted for")
    _expect(updates["arrived"] > 0, f"{where}: not one update has arrived")
    limit = scheme.participations
    _expect(updates["arrived"] <= limit, f"{where}: {updates['arrived']} updates arrived, participations says {limit}")
    if results["means"]:
        for device, times in results["aggregated"]:
            _expect(times == 1, f"{where}: an update of device {device} has arrived and is aggregated {times} times")
        unseen = results["unseen"]
        _expect(not unseen, f"{where}: updates of devices {_listed(unseen)} are aggregated that began past `occupy`")
        at_once = results["at_once"]
        _expect(
            at_once <= scheme.clients,
            f"{where}: {at_once} devices were at work at once whose updates arrived, clients says {scheme.clients}",
        )


class _Witness:
    """Follows participations through a simulation.

    Args:
        sim: One that has not begun.
    """

    def __init__(self, sim: Simulation) -> None:
        self._occupy, self._accept, self._mean = sim.occupy, sim.accept, sim.mean
        sim.occupy, sim.accept, sim.mean = self.occupy, self.accept, self.mean  # type: ignore[method-assign]
        self._course: list[tuple[int, int, bool]] = []
        self._accepted: list[Arrival] = []
        self._meant: list[Arrival] = []
        self._means = 0

    def occupy(self, device: Device, part: Generator[Any, Any, None]) -> Process:
        """Note that a device begins, and that it ends."""
        client = self._occupy(device, part)
        self._course.append((device.id, device.draw, True))
        client.callbacks.append(lambda _: self._course.append((device.id, device.draw, False)))
        return client

    def accept(self, arrival: Arrival) -> None:
        """Note an update that has arrived; its device has ended then at the latest."""
        self._accept(arrival)
        self._accepted.append(arrival)
        self._course.append((arrival.device.id, arrival.device.draw, False))

    def mean(self, arrivals: Sequence[Arrival], weights: Sequence[float]) -> tuple[Average, Inspection]:
        """Note updates that are aggregated."""
        self._means += 1
        self._meant += arrivals
        return self._mean(arrivals, weights)

    def account(self) -> dict[str, Any]:
        """Return how many means there were, how often each arrival has entered them, who began unseen, and how many
        were at work at once whose updates arrived.
        """
        begun = {(device, draw) for device, draw, begins in self._course if begins}
        arrived = {(arrival.device.id, arrival.device.draw) for arrival in self._accepted}
        at_work: set[tuple[int, int]] = set()
        at_once = 0
        for device, draw, begins in self._course:
            (at_work.add if begins else at_work.discard)((device, draw))
            at_once = max(at_once, len(at_work & arrived))
        times = Counter(map(id, self._meant))
        return {
            "means": self._means,
            "aggregated": [(arrival.device.id, times[id(arrival)]) for arrival in self._accepted],
            "unseen": sorted(
                {str(one.device.id) for one in self._meant if (one.device.id, one.device.draw) not in begun}
            ),
            "at_once": at_once,
        }


def _play(scenario: Scenario, ahead: int | None = None) -> dict[str, Any]:
    """Return all results of a run in an empty store: what it took to compute them left out."""
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from netfed.build import build

    with TemporaryDirectory(prefix="netfed-contract-") as store:
        experiment = build(scenario, Path(store))
        if ahead is not None:
            experiment.ahead = ahead
        witness = _Witness(experiment.simulation)
        windows = list(experiment.windows())
        summary = experiment.summary()
    for account in ("jobs", "reference_jobs", "torch_s"):
        del summary[account]
    return {
        "rounds": [row for window in windows for row in window.rounds],
        "events": [row for window in windows for row in window.events],
        "summary": summary,
        **witness.account(),
    }


def _world() -> Scenario:
    from netfed.learning.data.datasets import Synthetic
    from netfed.learning.data.partitions import Iid
    from netfed.learning.data.spec import Split
    from netfed.learning.models.spec import MLP
    from netfed.learning.rules.backprop import Backprop
    from netfed.network.spec import Devices, Ideal
    from netfed.network.topology import Hexagonal
    from netfed.scenario import Scenario
    from netfed.schemes.fedavg import FedAvg
    from netfed.task import Classification

    data = Synthetic(examples=200, classes=4, side_pixels=3, noise=1.0)
    return Scenario(
        netfed=1,
        name="contract",
        task=Classification(data, Split(cloud=0.0, devices=0.8, test=0.2), Iid()),
        model=MLP((6,)),
        rule=Backprop(batch_size=8),
        scheme=FedAvg(rounds=1, cohort=1),
        devices=Devices(count=12, speed_spread=0.5),
        network=Ideal(),
        topology=Hexagonal(base_stations=2),
    )


def _rough_world() -> Scenario:
    from netfed.network.availability import Windows
    from netfed.network.spec import Dropout, Fluid, LinkClass

    link = LinkClass(rate=1e6, spread=0.7, latency=0.005, loss=0.15)
    calm = _world()
    return replace(
        calm,
        network=Fluid(uplink=link, downlink=link, backhaul=LinkClass(rate=3e6, latency=0.01)),
        devices=replace(
            calm.devices,
            dropout=Dropout(download=0.05, compute=0.05, upload=0.05),
            availability=Windows(period=0.5, duration=0.3),
        ),
    )


def _perceptron() -> Module:
    from collections import OrderedDict

    from torch import nn

    from netfed.learning.draws import seeded

    with seeded(0):
        layers = OrderedDict(hidden=nn.Linear(6, 5), activation=nn.Tanh(), head=nn.Linear(5, 3))
    return nn.Sequential(layers)


def _examples() -> tuple[Any, Any]:
    """Return inputs [example, 6] and labels [example] of three classes."""
    import torch

    return torch.randn(21, 6, generator=_generator()), torch.arange(21) % 3


def _fit_anew(rule: Rule, given: Iterable[str], where: str) -> Tensors:
    """Train a new perceptron's parameters of the given names, and return all of its tensors."""
    return _fit(rule, _replica(given), where)


def _fit(rule: Rule, replica: Replica, where: str) -> Tensors:
    """Train a replica of a perceptron from its first weights, and return all of its tensors."""
    from torch.nn.functional import cross_entropy

    module, (inputs, labels) = replica.module.train(), _examples()
    replica.load({}, _state(_perceptron()))
    trained = _trained(module)
    before = inputs.clone(), labels.clone()
    rule.fit(module, replica.parameters, inputs, labels, cross_entropy, _generator())
    _expect(inputs.equal(before[0]) and labels.equal(before[1]), f"{where}: fit changed the examples")
    _expect(_trained(module) == trained, f"{where}: fit changed which parameters train")
    return _state(module)


def _state(module: Module) -> Tensors:
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def _replica(given: Iterable[str]) -> Replica:
    """Return a perceptron of which the parameters of the given names train."""
    from netfed.learning.trainer import Replica

    module = _perceptron()
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in given)
    return Replica(module)


def _trained(module: Module) -> list[str]:
    return [name for name, parameter in module.named_parameters() if parameter.requires_grad]


def _tensors(layout: Layout, step: int, seed: int = 7) -> Tensors:
    """Return an update; the second one of a seed of 7 is zero."""
    import torch

    scale, generator = (1.0, 0.0 if seed == 7 else 1.0, 1e-3)[step], _generator(seed)
    return {
        name: scale * torch.randn(spec.shape, generator=generator)
        if spec.dtype == "float32"
        else torch.tensor(2**40 + step)
        for name, spec in layout.items()
    }


def _generator(seed: int = 7) -> torch.Generator:
    import torch

    return torch.Generator().manual_seed(seed)


def _repeatable(what: str, compute: Callable[[], T], identity: Callable[[T], object]) -> T:
    """Compute something, and expect it to be the same again, whatever the generators of the process hold."""
    from netfed.learning.draws import seeded

    with seeded(1):
        first = compute()
        expected = identity(first)
    with seeded(1):
        again = identity(compute())
    with seeded(2):
        elsewhere = identity(compute())
    _expect(again == expected, f"{what} gives something else for the same arguments: it remembers, or draws by itself")
    _expect(elsewhere == expected, f"{what} draws from a generator of the whole process, not from its own")
    return first


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _expect(kept: Any, broken: str) -> None:
    if not kept:
        raise AssertionError(broken)
