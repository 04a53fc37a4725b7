from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from netfed.codecs.float32 import Float32
from netfed.codecs.spec import Codec
from netfed.errors import ScenarioError
from netfed.learning.adapters import Adapter
from netfed.learning.rules.spec import Rule
from netfed.network.availability import Availability
from netfed.schemes.spec import Scheme


@dataclass(frozen=True)
class EightBits(Codec, kind="acme.eight-bits"):
    """Every trained tensor as bytes between its least and its largest entry; buffers as they are."""

    def body_bytes(self, layout: Any) -> int:
        trained = sum(spec.numel + 8 for spec in layout.values() if spec.trained)
        return trained + Float32().body_bytes(buffers(layout))

    def encode(self, tensors: Any, layout: Any, state: Any, generator: Any) -> tuple[bytes, None]:
        import torch

        body = []
        for name in (name for name, spec in layout.items() if spec.trained):
            low, high = (
                torch.stack([tensors[name].min(), tensors[name].max()]) if tensors[name].numel() else torch.zeros(2)
            )
            levels = ((tensors[name] - low) / (high - low).clamp(min=1e-30) * 255).round().to(torch.uint8)
            body += [torch.stack([low, high]).numpy().tobytes(), levels.numpy().tobytes()]
        return b"".join(body) + Float32().encode(tensors, buffers(layout), None, generator)[0], None

    def decode(self, body: bytes, layout: Any) -> Any:
        import torch

        tensors, at = {}, 0
        for name, spec in layout.items():
            if spec.trained:
                low, high = torch.frombuffer(bytearray(body[at : at + 8]), dtype=torch.float32)
                levels = torch.tensor(list(body[at + 8 : at + 8 + spec.numel]), dtype=torch.float32).reshape(spec.shape)
                tensors[name], at = low + levels / 255 * (high - low), at + 8 + spec.numel
        tensors |= Float32().decode(body[at:], buffers(layout))
        return {name: tensors[name] for name in layout}


def buffers(layout: Any) -> Any:
    return {name: spec for name, spec in layout.items() if not spec.trained}


@dataclass(frozen=True)
class Signs(Rule, kind="acme.signs"):
    """Steps of one size, each against the sign of its gradient."""

    learning_rate: Annotated[float, Field(gt=0)] = 0.01
    batch_size: Annotated[int, Field(ge=1)] = 16
    epochs: Annotated[int, Field(ge=1)] = 1

    def fit(self, module: Any, parameters: Any, inputs: Any, labels: Any, loss: Any, generator: Any) -> None:
        import torch

        for _ in range(self.epochs):
            for part in torch.randperm(len(labels), generator=generator).split(self.batch_size):
                gradients = torch.autograd.grad(loss(module(inputs[part]), labels[part]), parameters)
                with torch.no_grad():
                    for parameter, gradient in zip(parameters, gradients, strict=True):
                        parameter -= self.learning_rate * gradient.sign()


@dataclass(frozen=True)
class LastLayers(Adapter, kind="acme.last-layers"):
    """The last parameters of the model train.

    Attributes:
        parameters: How many of them.
    """

    parameters: Annotated[int, Field(ge=1)] = 2

    def attach(self, module: Any, seed: int) -> None:
        every = list(module.parameters())
        if len(every) < self.parameters:
            raise ScenarioError(f"adapter.parameters: the model has {len(every)}")
        for parameter in every[: -self.parameters]:
            parameter.requires_grad_(False)


@dataclass(frozen=True)
class Patient(Scheme, kind="acme.patient"):
    """Synchronous rounds that wait for everybody, and turn the slowest client's update away."""

    rounds: Annotated[int, Field(ge=1)] = 2
    cohort: Annotated[int, Field(ge=2)] = 3

    @property
    def clients(self) -> int:
        return self.cohort

    @property
    def versions(self) -> int:
        return self.rounds

    @property
    def participations(self) -> int:
        return self.rounds * self.cohort

    def run(self, sim: Any) -> Any:
        from netfed.inbox import Inbox
        from netfed.schemes.steps import collect, dismiss, round_end, shares

        for version in range(self.rounds):
            inbox = Inbox(sim.env)
            devices = yield from sim.select(self.cohort, version)
            clients = [sim.start(device, inbox) for device in sim.participants(devices, version)]
            yield round_end(sim, clients)
            arrivals = yield from collect(sim, inbox, len(inbox.items) - 1)
            yield from dismiss(sim, clients, inbox, "dismissed")
            sim.advance(arrivals, shares([arrival.examples for arrival in arrivals]))


@dataclass(frozen=True)
class Corner(Availability, kind="acme.corner"):
    """Devices can be reached until noon, so to speak: for the first half of the time given.

    Attributes:
        noon: When that is, in seconds.
    """

    noon: Annotated[float, Field(gt=0)] = 1000.0

    def window(self, phase: Any, now_s: float) -> Any:
        import numpy as np

        start_s = now_s if now_s < self.noon else np.inf
        return np.full(phase.shape, start_s), np.full(phase.shape, self.noon if now_s < self.noon else np.inf)
