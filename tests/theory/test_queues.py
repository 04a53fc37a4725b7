"""Transfers that arrive at random at one cell stay as long as queueing theory says, in the mean.

Means are plain ones over batches that share no draw and each begin with an empty cell; the first arrivals, which find
it emptier than it will be, are not counted. A few seconds here; ``pytest -s -m question`` takes minutes and prints the
table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from simpy import Environment, Event

from netfed.answers import ANSWERS
from netfed.network.flows import Shared
from netfed.streams import Streams
from netfed.vectors import evaluate, read

Floats = NDArray[np.float64]

VECTORS = Path(__file__).parents[1] / "vectors" / "network.json"
RATE_BPS = 1e9
EMPTIER, BATCHES, QUANTILE = 500, 40, 2.708
"""Arrivals that are not counted; how many batches there are; of Student's t, for 99 % and one degree less."""


def deterministic(uniform: Callable[[str], Floats]) -> Floats:
    return np.ones_like(uniform("size"))


def exponential(uniform: Callable[[str], Floats]) -> Floats:
    return -np.log(uniform("size"))


def hyperexponential(uniform: Callable[[str], Floats]) -> Floats:
    """Two exponential phases, each with half of the work; the squared coefficient of variation is 2."""
    rare = (1 - math.sqrt(1 / 3)) / 2
    share = np.where(uniform("phase") < rare, rare, 1 - rare)
    return exponential(uniform) / (2 * share)


@dataclass(frozen=True)
class Kind:
    """Transfers of one kind: they arrive as a Poisson process."""

    load: float
    mean_s: float = 1.0
    weight: float = 1.0

    @property
    def rate_per_s(self) -> float:
        return self.load / self.mean_s


@dataclass(frozen=True)
class Queue:
    """What arrives at a cell.

    Attributes:
        law: Draws what transfers take alone, relative to the mean of their kind.
        kinds: One or two.
        departures: So many tell the mean within 3 %.
    """

    law: Callable[[Callable[[str], Floats]], Floats]
    kinds: tuple[Kind, ...]
    departures: int

    @property
    def load(self) -> float:
        return sum(kind.load for kind in self.kinds)

    @property
    def stays_s(self) -> list[float]:
        """How long transfers stay, in the mean, by kind.

        One kind: E[S] / (1 - rho), whatever the law (Kleinrock, Queueing Systems II, 1976, section 4.4). Two kinds of
        exponential size under discriminatory processor sharing: Fayolle, Mitrani and Iasnogorodski, Sharing a processor
        among many job classes, Journal of the ACM 27(3), 1980.
        """
        if len(self.kinds) == 1:
            return [self.kinds[0].mean_s / (1 - self.load)]
        one, two = self.kinds
        between = sum(kind.weight * (1 - kind.load) / kind.mean_s for kind in self.kinds)
        more = (two.weight - one.weight) / between
        return [(one.mean_s + two.load * more) / (1 - self.load), (two.mean_s - one.load * more) / (1 - self.load)]

    def batch(self, index: int, count: int) -> list[float]:
        """Return how long transfers of one batch stayed, in the mean, by kind."""
        streams = Streams(seed=1)
        uniform = partial(streams.uniform, entity=np.arange(EMPTIER + count), index=index)
        rates_per_s = np.array([kind.rate_per_s for kind in self.kinds])
        gaps_s = -np.log(uniform("gap")) / rates_per_s.sum()
        shares = np.cumsum(rates_per_s) / rates_per_s.sum()
        kinds = np.searchsorted(shares[:-1], uniform("kind"))
        sizes_s = self.law(uniform) * np.array([kind.mean_s for kind in self.kinds])[kinds]
        weights = np.array([kind.weight for kind in self.kinds])[kinds]
        stays_s, kinds = played_s(gaps_s, sizes_s, weights)[EMPTIER:], kinds[EMPTIER:]
        return [float(stays_s[kinds == kind].mean()) for kind in range(len(self.kinds))]


def two_kinds(load: float) -> tuple[Kind, Kind]:
    return Kind(load / 2), Kind(load / 2, mean_s=0.5, weight=4.0)


QUEUES = {
    "deterministic, 0.5": Queue(deterministic, (Kind(0.5),), 500_000),
    "exponential, 0.5": Queue(exponential, (Kind(0.5),), 600_000),
    "hyperexponential, 0.5": Queue(hyperexponential, (Kind(0.5),), 800_000),
    "deterministic, 0.8": Queue(deterministic, (Kind(0.8),), 2_000_000),
    "exponential, 0.8": Queue(exponential, (Kind(0.8),), 5_000_000),
    "hyperexponential, 0.8": Queue(hyperexponential, (Kind(0.8),), 6_000_000),
    "two kinds, 0.5": Queue(exponential, two_kinds(0.5), 800_000),
    "two kinds, 0.8": Queue(exponential, two_kinds(0.8), 5_000_000),
}


def played_s(gaps_s: Floats, sizes_s: Floats, weights: Floats) -> Floats:
    """Return how long each transfer stays in a cell. [transfer]"""
    env = Environment()
    cell = Shared(env, math.inf)
    ends_s = np.empty(len(gaps_s))

    def note(transfer: int, _: Event) -> None:
        ends_s[transfer] = env.now

    def source() -> Generator[Event, Any, None]:
        bits = np.ceil(sizes_s * RATE_BPS).astype(int)
        arrivals = zip(gaps_s.tolist(), bits.tolist(), weights.tolist(), strict=True)
        for transfer, (gap_s, size_bits, weight) in enumerate(arrivals):
            yield env.timeout(gap_s)
            flow = cell.start(size_bits, RATE_BPS, weight=weight)
            flow.finished.callbacks.append(partial(note, transfer))

    env.process(source())
    env.run()
    return ends_s - np.cumsum(gaps_s)


def compare(name: str, departures: int, widest: float) -> None:
    """Make sure that the 99 % interval of each mean contains theory, and is narrower than a share of it."""
    theory_s = np.array(QUEUES[name].stays_s)
    batches_s = np.array([QUEUES[name].batch(index, departures // BATCHES) for index in range(BATCHES)])
    mean_s, half_s = batches_s.mean(axis=0), QUANTILE * batches_s.std(axis=0, ddof=1) / math.sqrt(BATCHES)
    for theory, mean, half in zip(theory_s, mean_s, half_s, strict=True):
        print(f"\n| {name} | {departures:,} | {theory:.3f} | {mean:.3f} ± {half:.3f} |", flush=True)
    assert np.all(np.abs(mean_s - theory_s) < half_s)
    assert np.all(2 * half_s < widest * theory_s)


@pytest.mark.parametrize("name", [name for name, queue in QUEUES.items() if queue.load == 0.5])
def test_mean_stay(name: str) -> None:
    compare(name, departures=20_000, widest=0.2)


@pytest.mark.question
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", QUEUES)
def test_mean_stay_within_3_percent(name: str) -> None:
    compare(name, QUEUES[name].departures, widest=0.03)


def test_a_busy_cell_of_the_vectors_keeps_transfers_as_long_as_theory_says() -> None:
    chosen = [vector for vector in read(VECTORS) if vector.name in ("ps-queue-017", "dps-queue-001")]
    for score in evaluate(chosen, ANSWERS).values():
        assert (score.hold, score.missed) == (1, {})
