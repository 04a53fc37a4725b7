"""WHERE independent computations run. A value depends on its recipe alone: every executor gives the same bits.

One BLAS thread each: two would change the bits, and slow a single client's step down. ``torch.set_num_threads`` binds
the calling thread only, so each thread that computes calls it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field

from netfed.plugin import Plugin

Call = Callable[[], Any]


class Executor(Plugin):
    """How nodes are computed.

    Attributes:
        lazy: Compute only what is read. False computes whatever is planned: the same values, more work.
        window: Aggregations by which the clock may run ahead of the tensors.
    """

    numerics: ClassVar[str] = "one client at a time"
    """Executors of one name give the same bits: it goes into the namespace of the store."""

    lazy: bool
    window: int

    def pool(self, workers: int | None = None) -> Pool:
        """Return what runs calls.

        Args:
            workers: Threads, instead of the scenario's number.
        """
        raise NotImplementedError


class Pool:
    """Runs calls and counts their CPU time.

    Attributes:
        cpu_s: CPU seconds spent inside calls, over all threads.
    """

    def __init__(
        self, run: Callable[[Callable[[Call], tuple[Any, float]], Sequence[Call]], Iterable[tuple[Any, float]]]
    ) -> None:
        self._run = run
        self.cpu_s = 0.0

    def __call__(self, calls: Sequence[Call]) -> Iterator[Any]:
        """Run calls that do not depend on each other; yield their results in order."""
        for value, cpu_s in self._run(_timed, calls):
            self.cpu_s += cpu_s
            yield value


def _timed(call: Call) -> tuple[Any, float]:
    start_s = time.thread_time()
    return call(), time.thread_time() - start_s


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
    window: Annotated[int, Field(ge=1, le=1000)] = 1

    def pool(self, workers: int | None = None) -> Pool:
        _one_blas_thread()
        return Pool(map)


@dataclass(frozen=True)
class Threads(Executor, kind="threads"):
    """One client per thread (PyTorch lets go of the interpreter lock inside its kernels).

    Attributes:
        workers: Threads; null means as many as the process may use cores.
    """

    workers: Annotated[int, Field(ge=1, le=1024)] | None = None
    lazy: bool = True
    window: Annotated[int, Field(ge=1, le=1000)] = 1

    def pool(self, workers: int | None = None) -> Pool:
        from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

        _one_blas_thread()
        threads = ThreadPoolExecutor(workers or self.workers or _cores(), "netfed", initializer=_one_blas_thread)

        def run(timed: Callable[[Call], tuple[Any, float]], calls: Sequence[Call]) -> Iterator[tuple[Any, float]]:
            futures = [threads.submit(timed, call) for call in calls]
            wait(futures, return_when=FIRST_EXCEPTION)  # wakes this thread once, not once for each call
            return (future.result() for future in futures)

        return Pool(run)
