"""What tests of whole simulations share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("netfed", deadline=None)  # the first example may import what the others have
settings.load_profile("netfed")

SMALL = """\
netfed: 1
name: small
seed: 3
task:
  dataset: digits
  split: {cloud: 0.2, devices: 0.6, test: 0.2}
  partition: iid
model: {kind: mlp, hidden: [16]}
rule: {kind: backprop, learning_rate: 0.1, batch_size: 8}
scheme: {kind: fedavg, rounds: 3, cohort: 4}
devices: {count: 8}
network: ideal
executor: serial
"""

NOTHING = """\
netfed: 1
name: nothing
seed: 3
task: {kind: none, download: 40 kB, upload: 10 kB, compute: {flops: 50 MFLOP, bytes: 20 MB}}
scheme: {kind: fedavg, rounds: 3, cohort: 4}
devices: {count: 8, speed_spread: 0.5}
network:
  kind: fluid
  uplink: {rate: 1 Mbit/s, spread: 0.5, latency: 5 ms, loss: 0.1}
  downlink: {rate: 10 Mbit/s, spread: 0.5, latency: 5 ms, loss: 0.1}
  backhaul: {rate: 20 Mbit/s, latency: 10 ms, loss: 0.02}
"""

FIXED = "network={kind: fixed, uplink: {rate: 1 Mbit/s}, downlink: {rate: 10 Mbit/s}, backhaul: {rate: 1 Gbit/s}}"
LOSSY = (
    "network={kind: fluid, uplink: {rate: 1 Mbit/s, spread: 0.5, latency: 5 ms, loss: 0.1},"
    " downlink: {rate: 10 Mbit/s, spread: 0.5, latency: 5 ms, loss: 0.1},"
    " backhaul: {rate: 20 Mbit/s, latency: 10 ms, loss: 0.02}}"
)
DROPOUT = "devices.dropout={download: 0.03, compute: 0.05, upload: 0.05}"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--regold", action="store_true", help="rewrite the golden traces; the diff is the review")
    parser.addoption("--brief", action="store_true", help="fewer seeds and pairs in claims and benchmarks, as in CI")


@dataclass
class Played:
    """A simulation that has ended, with its rows."""

    experiment: Any
    rounds: list[dict[str, Any]]
    events: list[dict[str, Any]]

    @property
    def sim(self) -> Any:
        return self.experiment.simulation

    @property
    def summary(self) -> dict[str, Any]:
        return self.experiment.summary()

    @property
    def model(self) -> dict[str, Any]:
        return self.sim.graph.read([self.sim.model.weights])[0]

    @property
    def results(self) -> tuple[Any, ...]:
        """All that must not depend on the executor, the store, or laziness."""
        summary = self.summary
        accounts = ("torch_s", "jobs", "reference_jobs")
        return self.rounds, self.events, {name: value for name, value in summary.items() if name not in accounts}


Play = Callable[..., Played]
Build = Callable[..., Any]


@pytest.fixture
def brief(request: pytest.FixtureRequest) -> bool:
    """Whether there is no time for all seeds and pairs."""
    return bool(request.config.getoption("--brief"))


@pytest.fixture
def pairs(brief: bool) -> int:
    """How often a benchmark alternates."""
    return 3 if brief else 7


@pytest.fixture
def no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait for the disk: a kill, unlike a power cut, loses nothing that was written."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def one_blas_thread() -> Iterator[None]:
    """Compute in one thread, as clients do: others would spin for a core that two processes of pytest contend for."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def built(tmp_path: Path, no_fsync: None) -> Build:
    """Return a function that builds the experiment of a small scenario, parts of it replaced."""
    from netfed.build import build
    from netfed.scenario import loads

    def built(*sets: str, **parts: Any) -> Any:
        return build(replace(loads(SMALL, "test.yaml", sets=sets), **parts), tmp_path / "store")

    return built


@pytest.fixture
def play(tmp_path: Path, no_fsync: None) -> Play:
    """Return a function that plays a scenario: ``play("a.b=c", ..., store=..., workers=..., text=...)``."""
    from netfed.build import build
    from netfed.scenario import loads

    stores = iter(range(1_000_000))

    def play(*sets: str, store: Path | None = None, workers: int | None = None, text: str = SMALL) -> Played:
        scenario = loads(text, "test.yaml", sets=sets)
        experiment = build(scenario, store or tmp_path / f"store-{next(stores)}", workers)
        windows = list(experiment.windows())
        return Played(
            experiment,
            [row for window in windows for row in window.rounds],
            [row for window in windows for row in window.events],
        )

    return play
