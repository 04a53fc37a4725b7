"""WHERE independent computations run. A value depends on its recipe alone, never on who is computed beside it.

One BLAS thread each: two would change the bits, and slow a single client's step down. ``torch.set_num_threads`` binds
the calling thread only, so each thread that computes calls it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from netfed.errors import ScenarioError
from netfed.plugin import Plugin

if TYPE_CHECKING:
    from netfed.graph import Chain

Call = Callable[[], Any]
Workers = Annotated[int, Field(ge=1, le=1024)] | None
Window = Annotated[int, Field(ge=1, le=1000)]


@dataclass(frozen=True)
class Survey:
    """What the choice of an executor rests on.

    Attributes:
        refuse: Tries it on a device (``cpu``, ``cuda``); returns why clients cannot train in lanes, None if they can.
        step_flops: Floating-point operations of one training step.
        numbers: Of which each lane has its own: parameters that train, and buffers.
    """

    refuse: Callable[[str], str | None]
    step_flops: float
    numbers: int


class Executor(Plugin):
    """How nodes are computed.

    Attributes:
        lazy: Compute only what is read. False computes whatever is planned: the same values, more work.
        window: Aggregations whose values are computed together.
    """

    lazy: bool
    window: int

    @property
    def numerics(self) -> str:
        """Executors of one name give the same bits: it goes into the namespace of the store."""
        return "one client at a time"

    def serving(self, together: int, survey: Callable[[], Survey]) -> Executor:
        """Return the executor that serves a task: this one, or the one that a rule chooses.

        Args:
            together: Clients that usually train from the same version.
            survey: Looks at the task's model and rule, if asked to.

        Raises:
            ScenarioError: This one cannot.
        """
        return self

    def pool(self, workers: int | None = None) -> Pool:
        """Return what runs calls.

        Args:
            workers: Threads, instead of the scenario's number.
        """
        raise NotImplementedError


class Pool:
    """Runs calls side by side: in the calling thread, and in others if it is to be more than one.

    Args:
        workers: Threads, the calling one among them.

    Attributes:
        workers: As given.
        cpu_s: CPU seconds spent inside calls, over all threads.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.cpu_s = 0.0
        self._others = ThreadPoolExecutor(max(workers - 1, 1), "netfed", initializer=_one_blas_thread)

    def __call__(self, calls: Sequence[Call]) -> list[Any]:
        """Run calls that do not depend on each other; return their results in order. The first that raises ends it."""
        _one_blas_thread()
        todo = deque(enumerate(calls))
        results: dict[int, Any] = {}
        others = [self._others.submit(_work_off, todo, results) for _ in range(min(self.workers, len(calls)) - 1)]
        try:
            self.cpu_s += _work_off(todo, results)
        finally:
            wait(others)
        self.cpu_s += sum(other.result() for other in others)
        return [results[place] for place in range(len(calls))]


def _work_off(todo: deque[tuple[int, Call]], results: dict[int, Any]) -> float:
    """Run calls until none is left, beside other threads that do the same; return the CPU seconds of this one.

    Args:
        todo: Calls that nobody has begun, each with its place.
        results: By place.
    """
    start_s = time.thread_time()
    try:
        for place, call in iter(partial(_take, todo), None):
            results[place] = call()
    except BaseException:
        todo.clear()
        raise
    return time.thread_time() - start_s


def _take(todo: deque[tuple[int, Call]]) -> tuple[int, Call] | None:
    try:
        return todo.popleft()
    except IndexError:
        return None


def _cores() -> int:
    """Cores that this process may use, where the system tells; else all."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _one_blas_thread() -> None:
    import torch

    torch.set_num_threads(1)
    torch.backends.mha.set_fastpath_enabled(False)  # it reads weights past the layers that an adapter has replaced


@dataclass(frozen=True)
class Serial(Executor, kind="serial"):
    """One after the other, in the calling thread: the reference."""

    lazy: bool = True
    window: Window = 1

    def pool(self, workers: int | None = None) -> Pool:
        return Pool(1)


@dataclass(frozen=True)
class Threads(Executor, kind="threads"):
    """One client per thread (PyTorch lets go of the interpreter lock inside its kernels).

    Attributes:
        workers: Threads; null means as many as the process may use cores.
    """

    workers: Workers = None
    lazy: bool = True
    window: Window = 1

    def pool(self, workers: int | None = None) -> Pool:
        return Pool(workers or self.workers or _cores())


@dataclass(frozen=True)
class Cohort(Executor, kind="cohort"):
    """Clients that train from one model, side by side: their weights are stacked, a lane each (`learning.lanes`).

    What is not training runs as under ``threads``, and so does, in lanes of its own, each worker's part of a cohort.
    A value depends neither on the number of workers nor on who shares its stack: a trial of the scenario's own shapes
    shows that before the run, or the scenario is refused. It differs from that of ``threads`` by rounding: of outputs,
    that is. AdamW divides by the size of gradients, so that a parameter whose gradient is zero but for rounding, and on
    which no output depends (the bias of attention's keys, say), may end anywhere within its steps.

    Attributes:
        workers: Threads; null means as many as the process may use cores.
        width: Most clients in one stack: memory grows with it.
        device: Where stacks are trained, ``cpu`` or ``cuda``.
    """

    workers: Workers = None
    width: Annotated[int, Field(ge=2, le=4096)] = 64
    device: Literal["cpu", "cuda"] = "cpu"
    lazy: bool = True
    window: Window = 1

    @property
    def numerics(self) -> str:
        if self.device == "cpu":
            return "clients in lanes"
        import torch

        return f"clients in lanes on {torch.cuda.get_device_name()}"

    def serving(self, together: int, survey: Callable[[], Survey]) -> Executor:
        if self.device == "cuda":
            _exact_cuda()
        if refusal := survey().refuse(self.device):
            raise ScenarioError(f"executor: clients cannot train in lanes: {refusal}; choose threads")
        return self

    def pool(self, workers: int | None = None) -> Pool:
        return _CohortPool(workers or self.workers or _cores(), self.width, self.device)


def _exact_cuda() -> None:
    """Let convolutions on CUDA compute in full precision, and the same bits every time.

    Raises:
        ScenarioError: There is no CUDA device.
    """
    import torch

    if not torch.cuda.is_available():
        raise ScenarioError("executor.device: PyTorch finds no CUDA device here; take cpu, or a PyTorch built for CUDA")
    torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32 = True, False


FEWEST_TOGETHER = 4
"""Clients that usually train from the same version, from which on lanes pay: one that has nobody beside it is computed
twice."""
MOST_FLOPS, MOST_NUMBERS = 1e8, 200_000
"""Floating-point operations of a training step, and numbers of a lane, up to which lanes pay on a CPU (measured:
`tests/benchmarks/test_cohort.py`). What a step costs beside its arithmetic is then shared by all lanes; above, one
client at a time keeps its weights in a core's cache, and a client per core is as fast or faster."""


@dataclass(frozen=True)
class Auto(Executor, kind="auto"):
    """``cohort`` on the CPU where several clients train from one model, models and steps are small and every layer can
    be stacked, else ``threads``.

    Decided by what is counted, never by what is timed.

    Attributes:
        workers: Threads; null means as many as the process may use cores.
    """

    workers: Workers = None
    lazy: bool = True
    window: Window = 1

    def serving(self, together: int, survey: Callable[[], Survey]) -> Executor:
        threads = Threads(self.workers, self.lazy, self.window)
        if together < FEWEST_TOGETHER:
            return threads
        found = survey()
        if found.step_flops > MOST_FLOPS or found.numbers > MOST_NUMBERS or found.refuse("cpu"):
            return threads
        return Cohort(self.workers, lazy=self.lazy, window=self.window)


class _CohortPool(Pool):
    """Runs trainings that may share a stack together, and everything else as it comes."""

    def __init__(self, workers: int, width: int, device: str) -> None:
        super().__init__(workers)
        self._width = width
        self._device = device

    def __call__(self, calls: Sequence[Any]) -> list[Any]:
        """Run chains that do not depend on each other; return their values in order."""
        teams = self._teams(calls)
        together = [partial(_run_together, [calls[place] for place in team], self._device) for team in teams]
        values: dict[int, Any] = {}
        for team, results in zip(teams, super().__call__(together), strict=True):
            values.update(zip(team, results, strict=True))
        return [values[place] for place in range(len(calls))]

    def _teams(self, chains: Sequence[Chain]) -> list[list[int]]:
        """Divide chains into what runs together: equal parts, one for each thread at least, none above the width."""
        alike: dict[object, list[int]] = {}
        for place, chain in enumerate(chains):
            key = _lane_key(chain)
            shared = place if key is None else (key, *map(id, chain.values))
            alike.setdefault(shared, []).append(place)
        teams = []
        for places in alike.values():
            parts = min(len(places), max(self.workers, -(-len(places) // self._width)))
            teams += [places[part::parts] for part in range(parts)]
        return teams


def _run_together(chains: Sequence[Chain], device: str) -> list[Any]:
    first = chains[0]
    if _lane_key(first) is None:
        return [first()]
    trainings: list[Any] = [chain.compute for chain in chains]
    try:
        values = trainings[0].together(trainings, device, *first.values)
    except Exception:
        return [_run_alone(chain, device) for chain in chains]
    return [chain.after(value) for chain, value in zip(chains, values, strict=True)]


def _run_alone(chain: Chain, device: str) -> list[Any]:
    """Run what failed in company by itself, to the same bits: the failure is then its own."""
    training: Any = chain.compute
    chain.compute = lambda *values: training.together([training], device, *values)[0]
    return chain()


def _lane_key(chain: Chain) -> Hashable | None:
    """Return what the first steps of chains that may run together have in common; None: it runs by itself.

    Such a step is an object with ``lane_key`` and ``together(steps, device, *values)``, which returns their values.
    """
    return getattr(chain.compute, "lane_key", None)
