"""What the server makes of a mean update: the next version of the model is the present one plus a step.

The mean update is a step already; to an optimiser it is the negative of a gradient (Reddi et al., "Adaptive federated
optimization", ICLR 2021, arXiv:2003.00295, algorithm 1). Only what devices train is stepped: buffers, BatchNorm's
running statistics among them, are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from netfed.plugin import Plugin

if TYPE_CHECKING:
    from torch import Tensor

Decay = Annotated[float, Field(ge=0, lt=1)]
LearningRate = Annotated[float, Field(gt=0, le=1000)]


class ServerOptimizer(Plugin):
    """Turns mean updates into steps, one parameter at a time: element by element, in float64."""

    def start(self) -> dict[str, float]:
        """Return what is remembered of every element before the first step, by name; nothing, if nothing is."""
        return {}

    def remember(self, mean: Tensor, past: Mapping[str, Tensor | float]) -> dict[str, Tensor]:
        """Return what is remembered now.

        Args:
            mean: The mean update of a parameter, of any shape.
            past: What was remembered before.
        """
        return {}

    def step(self, mean: Tensor, memory: Mapping[str, Tensor]) -> Tensor:
        """Return what is added to a parameter.

        Args:
            mean: Its mean update.
            memory: What is remembered now.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class Mean(ServerOptimizer, kind="mean"):
    """The step is the mean update: FedAvg (McMahan et al., AISTATS 2017, arXiv:1602.05629, algorithm 1)."""

    def step(self, mean: Tensor, memory: Mapping[str, Tensor]) -> Tensor:
        """Return the mean update."""
        return mean


@dataclass(frozen=True)
class Momentum(ServerOptimizer, kind="momentum"):
    """FedAvgM: heavy-ball momentum of mean updates (Hsu, Qi and Brown 2019, arXiv:1909.06335).

    Attributes:
        momentum: Share of the last velocity that is kept; 0.9 is the value of Reddi et al. too.
        learning_rate: Of the server.
    """

    momentum: Decay = 0.9
    learning_rate: LearningRate = 1.0

    def start(self) -> dict[str, float]:
        """Return a velocity of zero."""
        return {"velocity": 0.0}

    def remember(self, mean: Tensor, past: Mapping[str, Tensor | float]) -> dict[str, Tensor]:
        """Return the velocity."""
        return {"velocity": self.momentum * past["velocity"] + mean}

    def step(self, mean: Tensor, memory: Mapping[str, Tensor]) -> Tensor:
        """Return a step along the velocity."""
        return self.learning_rate * memory["velocity"]


@dataclass(frozen=True)
class Adaptive(ServerOptimizer):
    """What Adam and Yogi have in common: mean updates over the root of their squares (Reddi et al., algorithm 2).

    There is no bias correction. There is no learning rate for all tasks either: Reddi et al. tune it for each.

    Attributes:
        learning_rate: Of the server.
        betas: Decay of the means of updates and of their squares (their experiments take 0.9 and 0.99).
        tau: Added to the root; the smaller, the more adaptive. Squares begin at its own.
    """

    learning_rate: LearningRate
    betas: tuple[Decay, Decay] = (0.9, 0.99)
    tau: Annotated[float, Field(gt=0, le=1)] = 1e-3

    def start(self) -> dict[str, float]:
        """Return a mean of zero, and squares of ``tau``."""
        return {"mean": 0.0, "squares": self.tau**2}

    def remember(self, mean: Tensor, past: Mapping[str, Tensor | float]) -> dict[str, Tensor]:
        """Return the mean of updates, and that of their squares."""
        for_mean, for_squares = self.betas
        return {
            "mean": for_mean * past["mean"] + (1 - for_mean) * mean,
            "squares": self.squares(past["squares"], mean.square(), for_squares),
        }

    def squares(self, past: Tensor | float, square: Tensor, beta: float) -> Tensor:
        """Return what the squares have become.

        Args:
            past: What they were.
            square: Of the mean update.
            beta: Decay.
        """
        raise NotImplementedError

    def step(self, mean: Tensor, memory: Mapping[str, Tensor]) -> Tensor:
        """Return the mean of updates over the root of their squares, times the learning rate."""
        return self.learning_rate * memory["mean"] / (memory["squares"].sqrt() + self.tau)


@dataclass(frozen=True)
class Adam(Adaptive, kind="adam"):
    """FedAdam (Reddi et al., ICLR 2021, arXiv:2003.00295, algorithm 2): squares are forgotten at a steady rate."""

    def squares(self, past: Tensor | float, square: Tensor, beta: float) -> Tensor:
        """Return the decayed mean of squares."""
        return beta * past + (1 - beta) * square


@dataclass(frozen=True)
class Yogi(Adaptive, kind="yogi"):
    """FedYogi (Reddi et al., ICLR 2021, arXiv:2003.00295, algorithm 2): squares move by the size of the last one only,
    up or down, so that they shrink slowly after a large update.
    """

    def squares(self, past: Tensor | float, square: Tensor, beta: float) -> Tensor:
        """Return the squares, moved towards the last one."""
        return past - (1 - beta) * square * (past - square).sign()
