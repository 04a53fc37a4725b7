"""Every registered kind keeps its family's contract, and the contracts notice what is broken."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest
import torch
from safetensors.torch import load
from torch import nn

import netfed.scenario  # registers every built-in kind
from netfed.client import participate
from netfed.codecs.float16 import BFloat16, Float16
from netfed.codecs.float32 import Float32
from netfed.codecs.qsgd import QSGD
from netfed.codecs.sign import SignSGD
from netfed.codecs.spec import Codec
from netfed.codecs.topk import TopK
from netfed.inbox import Inbox
from netfed.learning.adapters import Adapter, BiasOnly, Full, Head, LoRA
from netfed.learning.optimizers import SGD, AdamW
from netfed.learning.rules.backprop import Backprop
from netfed.learning.rules.spec import Rule
from netfed.learning.server import Adam, Momentum, Yogi
from netfed.learning.tensors import Safetensors
from netfed.network.spec import Fixed, LinkClass
from netfed.plugin import Plugin
from netfed.schemes.central import Central
from netfed.schemes.fedasync import FedAsync
from netfed.schemes.fedavg import FedAvg
from netfed.schemes.fedbuff import FedBuff
from netfed.schemes.hierarchical import Hierarchical
from netfed.schemes.local import Local
from netfed.schemes.spec import Scheme
from netfed.schemes.staleness import Constant, Hinge
from netfed.schemes.steps import collect, round_end, shares
from netfed.testing import check_adapter, check_codec, check_rule, check_scheme

CHECKS: dict[type[Plugin], Callable[[Any], None]] = {
    Codec: check_codec,
    Rule: check_rule,
    Adapter: check_adapter,
    Scheme: check_scheme,
}
SMALLEST: dict[type[Plugin], dict[str, list[Plugin]]] = {
    Codec: {
        "bfloat16": [BFloat16()],
        "float16": [Float16()],
        "float32": [Float32()],
        "qsgd": [
            QSGD(),
            QSGD(entry_bits=2),
            QSGD(entry_bits=2, bucket=1),
            QSGD(entry_bits=5, bucket=7),
            QSGD(entry_bits=32),
        ],
        "signsgd": [SignSGD()],
        "topk": [TopK(0.01), TopK(0.4), TopK(1.0)],
    },
    Rule: {
        "backprop": [
            Backprop(),
            Backprop(optimizer=SGD(momentum=0.9, weight_decay=0.01), batch_size=4, epochs=3),
            Backprop(optimizer=AdamW(), proximal=0.1),
        ]
    },
    Adapter: {
        "bias-only": [BiasOnly(), BiasOnly(norms=True, train_fully=("head",))],
        "full": [Full()],
        "head": [Head(), Head(("hidden",))],
        "lora": [LoRA(), LoRA(rank=1, alpha=2.0, targets=("hidden",), train_fully=("head",))],
    },
    Scheme: {
        "central": [Central(rounds=2, devices=12), Central(1, 1)],
        "fedasync": [FedAsync(aggregations=4, concurrency=3, alpha=0.6), FedAsync(2, 4, 1.0, Hinge(10.0, 1))],
        "fedavg": [
            FedAvg(rounds=2, cohort=2),
            FedAvg(rounds=3, cohort=4, over_selection=0.5, deadline=0.1, server=Adam(0.05)),
        ],
        "fedbuff": [
            FedBuff(aggregations=4, concurrency=3, buffer=2, server=Yogi(0.05)),
            FedBuff(1, 1, 1, Constant()),
        ],
        "hierarchical": [
            Hierarchical(rounds=2, cohort=6),
            Hierarchical(rounds=2, cohort=12, edge_rounds=3, deadline=0.1, server=Momentum()),
        ],
        "local": [Local(rounds=2, devices=12), Local(1, 1)],
    },
}
PLUGINS = [(family, plugin) for family, kinds in SMALLEST.items() for plugins in kinds.values() for plugin in plugins]


@pytest.mark.parametrize("family", CHECKS, ids=lambda family: family.__name__)
def test_every_registered_kind_is_checked(family: type[Plugin]) -> None:
    assert set(SMALLEST[family]) == {kind for kind in family.kinds if "." not in kind}
    for kind, plugins in SMALLEST[family].items():
        assert {type(plugin) for plugin in plugins} == {family.kinds[kind]}


@pytest.mark.parametrize(("family", "plugin"), PLUGINS, ids=[str(plugin) for _, plugin in PLUGINS])
def test_contract(family: type[Plugin], plugin: Plugin) -> None:
    CHECKS[family](plugin)


def test_a_scheme_is_checked_in_a_world_of_the_authors_own() -> None:
    link = LinkClass(rate=1e6, latency=0.01)
    world = replace(netfed.testing._world(), network=Fixed(link, link, LinkClass(rate=1e9)))
    check_scheme(FedAvg(rounds=2, cohort=3, deadline=1.0), world)
    with pytest.raises(AssertionError, match="in the given world: not one update has arrived"):
        check_scheme(FedAvg(rounds=2, cohort=3, deadline=0.001), world)


def test_an_adapter_is_checked_on_a_module_of_the_authors_own() -> None:
    module = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))
    check_adapter(LoRA(targets=("3",), train_fully=("0",)), module, torch.randn(5, 1, 4, 4))


@pytest.fixture(autouse=True)
def kinds_of_this_module_only() -> Iterator[None]:
    before = {family: dict(family.kinds) for family in CHECKS}
    yield
    for family, kinds in before.items():
        family.kinds.clear()
        family.kinds.update(kinds)


# Each of the following breaks one promise.


def codecs() -> dict[str, Codec]:
    class Lies(Float32, kind="broken.lies"):
        def body_bytes(self, layout):
            return super().body_bytes(layout) - 1

    class HidesItsHeader(Float32, kind="broken.header"):
        def bits(self, layout):
            return 8 * self.body_bytes(layout)

    class ChangesTheUpdate(Float32, kind="broken.input"):
        def encode(self, tensors, layout, state, generator):
            body = super().encode(tensors, layout, state, generator)
            next(iter(tensors.values())).add_(1.0)
            return body

    class ChangesTheState(TopK, kind="broken.state"):
        def encode(self, tensors, layout, state, generator):
            encoded = super().encode(tensors, layout, state, generator)
            if state is not None:
                state["residual"].zero_()
            return encoded

    class DrawsFromTheProcess(Float32, kind="broken.draws"):
        def encode(self, tensors, layout, state, generator):
            noisy = {name: t + torch.rand(()) if t.is_floating_point() else t for name, t in tensors.items()}
            return super().encode(noisy, layout, state, generator)

    class Remembers(Float32, kind="broken.remembers"):
        seen: ClassVar[list[int]] = []

        def encode(self, tensors, layout, state, generator):
            self.seen.append(1)
            noisy = {name: t + len(self.seen) for name, t in tensors.items()}
            return super().encode(noisy, layout, state, generator)

    class Forgets(TopK, kind="broken.forgets"):
        def encode(self, tensors, layout, state, generator):
            return super().encode(tensors, layout, state, generator)[0], None

    class TurnsNames(Float32, kind="broken.order"):
        def decode(self, body, layout):
            return dict(reversed(super().decode(body, layout).items()))

    class Widens(Float32, kind="broken.dtype"):
        def decode(self, body, layout):
            return {
                name: t.double() if t.is_floating_point() else t for name, t in super().decode(body, layout).items()
            }

    class Divides(Float32, kind="broken.zero"):
        def encode(self, tensors, layout, state, generator):
            scaled = {name: t / t.abs().max() if t.is_floating_point() else t for name, t in tensors.items()}
            return super().encode(scaled, layout, state, generator)

    class Hides(Float32, kind="broken.hides"):
        def encode(self, tensors, layout, state, generator):
            tidy = {name: t.nan_to_num() for name, t in tensors.items()}
            return super().encode(tidy, layout, state, generator)

    class NeverForgets(TopK, kind="broken.spoilt"):
        def encode(self, tensors, layout, state, generator):
            body, after = super().encode(tensors, layout, state, generator)
            spoilt = not all(t.isfinite().all() for t in tensors.values())
            return body, {"residual": after["residual"] + float("nan")} if spoilt else after

    class Amplifies(QSGD, kind="broken.coarse"):
        amplifies = False

    class RoundsCounters(Float32, kind="broken.buffers"):
        def decode(self, body, layout):
            tensors = super().decode(body, layout)
            return {name: t.float().to(t.dtype) for name, t in tensors.items()}

    class HandsOver(Float32, kind="broken.hands"):
        sent: ClassVar[dict[str, torch.Tensor]] = {}

        def body_bytes(self, layout):
            return 1

        def encode(self, tensors, layout, state, generator):
            self.sent.update(tensors)
            return b"x", None

        def decode(self, body, layout):
            return {name: self.sent[name].clone() for name in layout}

    class DecodesAtRandom(Float32, kind="broken.noise"):
        def decode(self, body, layout):
            tensors = super().decode(body, layout)
            return {name: t + 1e-3 * torch.randn(()) if layout[name].trained else t for name, t in tensors.items()}

    return {
        "once another update is encoded": HandsOver(),
        "decode draws from a generator of the whole process": DecodesAtRandom(),
        "body_bytes says": Lies(),
        "bits is not the length": HidesItsHeader(),
        "changed the update": ChangesTheUpdate(),
        "changed the state": ChangesTheState(0.2),
        "generator of the whole process": DrawsFromTheProcess(),
        "it remembers": Remembers(),
        "if, and only if, it says stateful": Forgets(0.2),
        "the layout is": TurnsNames(),
        "float64.*the layout is": Widens(),
        "numbers are not finite": Divides(),
        "nobody could refuse it": Hides(),
        "after an update with nan, the next one": NeverForgets(0.2),
        "does not say amplifies": Amplifies(2),
        "a buffer is not what was sent": RoundsCounters(),
    }


def rules() -> dict[str, Rule]:
    class Sleeps(Backprop, kind="broken.sleeps"):
        def fit(self, module, parameters, inputs, labels, loss, generator):
            pass

    class DrawsFromTheProcess(Backprop, kind="broken.process"):
        def fit(self, module, parameters, inputs, labels, loss, generator):
            super().fit(module, parameters, inputs[torch.randperm(len(inputs))][:5], labels[:5], loss, generator)

    class DrawsFromPython(Backprop, kind="broken.python"):
        def fit(self, module, parameters, inputs, labels, loss, generator):
            super().fit(module, parameters, inputs * random.random(), labels, loss, generator)

    class DrawsByItself(Backprop, kind="broken.own"):
        def fit(self, module, parameters, inputs, labels, loss, generator):
            super().fit(module, parameters, inputs * random.SystemRandom().random(), labels, loss, generator)

    class TrainsAll(Backprop, kind="broken.all"):
        def fit(self, module, parameters, inputs, labels, loss, generator):
            with torch.no_grad():
                for parameter in module.parameters():
                    parameter.add_(0.1)

    class Thaws(Backprop, kind="broken.thaws"):
        def fit(self, module, parameters, inputs, labels, loss, generator):
            super().fit(module, parameters, inputs, labels, loss, generator)
            module.requires_grad_(True)

    class ChangesTheExamples(Backprop, kind="broken.examples"):
        def fit(self, module, parameters, inputs, labels, loss, generator):
            inputs.mul_(0.5)
            super().fit(module, parameters, inputs, labels, loss, generator)

    class Explodes(Backprop, kind="broken.explodes"):
        def fit(self, module, parameters, inputs, labels, loss, generator):
            with torch.no_grad():
                parameters[0].fill_(float("inf"))

    class CountsOnTheModule(Backprop, kind="broken.module"):
        def fit(self, module, parameters, inputs, labels, loss, generator):
            module.fits = getattr(module, "fits", 0) + 1
            super().fit(module, parameters, inputs * module.fits, labels, loss, generator)

    class HooksTheModule(Backprop, kind="broken.hook"):
        def fit(self, module, parameters, inputs, labels, loss, generator):
            module.hidden.register_forward_hook(lambda module, given, outputs: 0.9 * outputs)
            super().fit(module, parameters, inputs, labels, loss, generator)

    class RemembersThrough(Backprop, kind="broken.momentum"):
        def fit(self, module, parameters, inputs, labels, loss, generator):
            for parameter in parameters:
                parameter.velocity = getattr(parameter, "velocity", 0.0) + 1.0
            super().fit(module, parameters, inputs * parameters[0].velocity, labels, loss, generator)

    return {
        "changed nothing": Sleeps(),
        "trained before": CountsOnTheModule(),
        "it leaves a trace": HooksTheModule(),
        "elsewhere on a module": RemembersThrough(),
        "generator of the whole process": DrawsFromTheProcess(),
        "fit draws from a generator": DrawsFromPython(),
        "or draws by itself": DrawsByItself(),
        "changed hidden.bias, hidden.weight, which it was not given": TrainsAll(),
        "changed which parameters train": Thaws(),
        "changed the examples": ChangesTheExamples(),
        "not finite": Explodes(),
        "1 or more": Backprop(epochs=0),
    }


def adapters() -> dict[str, Adapter]:
    class Freezes(Adapter, kind="broken.freezes"):
        def attach(self, module, seed):
            module.requires_grad_(False)

    class Initialises(Adapter, kind="broken.outputs"):
        def attach(self, module, seed):
            nn.init.zeros_(module.head.weight)

    class Draws(LoRA, kind="broken.seed"):
        def attach(self, module, seed):
            super().attach(module, seed)
            nn.init.normal_(module.hidden.lora_a)

    class AddsIdleWeights(Full, kind="broken.idle"):
        def attach(self, module, seed):
            module.idle = nn.ParameterList([nn.Parameter(torch.zeros(2))])
            module.forward = lambda inputs: module.head(module.activation(module.hidden(inputs)))

    return {
        "nothing trains": Freezes(),
        "changed the module's outputs": Initialises(),
        "generator of the whole process": Draws(),
        "do not depend on idle.0": AddsIdleWeights(),
    }


def schemes() -> dict[str, Scheme]:
    @dataclass(frozen=True)
    class StopsEarly(FedAvg, kind="broken.early"):
        @property
        def versions(self):
            return self.rounds + 1

    @dataclass(frozen=True)
    class LosesSight(FedAvg, kind="broken.sight"):
        def run(self, sim):
            sim.tally["selected"] += 1
            yield from super().run(sim)

    @dataclass(frozen=True)
    class AsksNobody(FedAvg, kind="broken.nobody"):
        def run(self, sim):
            for _ in range(self.rounds):
                yield sim.env.timeout(1.0)
                sim.advance([], [])

    @dataclass(frozen=True)
    class Understates(FedAvg, kind="broken.understates"):
        @property
        def participations(self):
            return self.rounds

    @dataclass(frozen=True)
    class DrawsFromTheProcess(FedAvg, kind="broken.lottery"):
        def run(self, sim):
            yield sim.env.timeout(float(torch.rand(())))
            yield from super().run(sim)

    @dataclass(frozen=True)
    class ReadsTheExecutor(FedAvg, kind="broken.executor"):
        def run(self, sim):
            yield sim.env.timeout(1.0)
            yield sim.env.timeout(1.0 + len(sim.published))
            yield from super().run(sim)

    @dataclass(frozen=True)
    class ReadsWhatWasTrained(FedAvg, kind="broken.trained"):
        def run(self, sim):
            yield sim.env.timeout(2.0 if sim.trainer.initial.settled else 1.0)
            yield from super().run(sim)

    @dataclass(frozen=True)
    class Remembers(FedAvg, kind="broken.memory"):
        past: list[int] = field(default_factory=list)

        def run(self, sim):
            self.past.append(1)
            yield sim.env.timeout(float(len(self.past)))
            yield from super().run(sim)

    @dataclass(frozen=True)
    class Rounds(Scheme, kind="test.rounds"):
        rounds: int = 2
        cohort: int = 4
        versions = property(lambda self: self.rounds)
        clients = property(lambda self: self.cohort)
        participations = property(lambda self: self.rounds * self.cohort)

        def start(self, sim, device, inbox):
            return sim.start(device, inbox)

        def run(self, sim):
            for version in range(self.rounds):
                inbox = Inbox(sim.env)
                devices = yield from sim.select(self.cohort, version)
                clients = [self.start(sim, device, inbox) for device in sim.participants(devices, version)]
                arrivals = self.used((yield from collect(sim, inbox, self.cohort, round_end(sim, clients))))
                sim.advance(arrivals, shares([arrival.examples for arrival in arrivals]))

        def used(self, arrivals):
            return arrivals

    @dataclass(frozen=True)
    class Forgets(Rounds, kind="broken.forgets"):
        def used(self, arrivals):
            return arrivals[:-1]

    @dataclass(frozen=True)
    class Repeats(Rounds, kind="broken.repeats"):
        def used(self, arrivals):
            return [*arrivals, *arrivals[:1]]

    @dataclass(frozen=True)
    class Plays(Rounds, kind="broken.modest"):
        clients = property(lambda self: 3)

    @dataclass(frozen=True)
    class Bypasses(Rounds, kind="broken.bypass"):
        def start(self, sim, device, inbox):
            sim.tally["selected"] += 1
            return sim.env.process(participate(sim, device, sim.model, inbox))

    check_scheme(Rounds())
    return {
        "has arrived and is aggregated 0 times": Forgets(),
        "has arrived and is aggregated 2 times": Repeats(),
        "4 devices were at work at once whose updates arrived, clients says 3": Plays(),
        "began past `occupy`": Bypasses(),
        r"announced were \[0, 1, 2, 3\]": StopsEarly(2, 3),
        "were selected, but": LosesSight(2, 3),
        "not one update has arrived": AsksNobody(2, 3),
        "participations says 2": Understates(2, 3),
        "generator of the whole process": DrawsFromTheProcess(2, 3),
        "with the clock less far ahead it gives": ReadsTheExecutor(2, 3),
        "played eagerly it gives": ReadsWhatWasTrained(2, 3),
        "it remembers": Remembers(2, 3),
    }


BROKEN = {check_codec: codecs, check_rule: rules, check_adapter: adapters, check_scheme: schemes}


@pytest.mark.parametrize("check", BROKEN, ids=lambda check: check.__name__)
def test_what_is_broken_is_named(check: Callable[[Any], None]) -> None:
    for message, plugin in BROKEN[check]().items():
        with pytest.raises(AssertionError, match=message):
            check(plugin)


def test_a_store_that_rounds_states_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def rounded(form: Safetensors, data: bytes) -> dict[str, torch.Tensor]:
        return {name: tensor.half().float() for name, tensor in load(data).items()}

    monkeypatch.setattr(Safetensors, "load", rounded)
    with pytest.raises(AssertionError, match="the store changes the state"):
        check_codec(TopK(0.2))
