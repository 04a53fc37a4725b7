from __future__ import annotations

import os
import threading
import time
from functools import partial

import pytest
import torch

from netfed.learning import executors
from netfed.learning.executors import Serial, Threads


def burn(cpu_s: float) -> float:
    end_s = time.thread_time() + cpu_s
    while time.thread_time() < end_s:
        pass
    return cpu_s


@pytest.mark.parametrize("pool", [Serial().pool(), Threads(workers=3).pool()], ids=["serial", "threads"])
def test_results_come_in_order_and_errors_through(pool: executors.Pool) -> None:
    assert list(pool([partial(pow, base, 2) for base in range(50)])) == [base**2 for base in range(50)]
    assert list(pool([])) == []
    with pytest.raises(ZeroDivisionError):
        list(pool([partial(divmod, 1, 0)]))


def test_serial_runs_in_the_calling_thread() -> None:
    assert set(Serial().pool(workers=4)([threading.get_ident] * 3)) == {threading.get_ident()}


def test_every_thread_that_computes_has_one_blas_thread() -> None:
    before = torch.get_num_threads()
    try:
        barrier = threading.Barrier(4)

        def threads() -> tuple[int, int]:
            barrier.wait(10)
            return threading.get_ident(), torch.get_num_threads()

        torch.set_num_threads(2)
        pool = Threads(workers=4).pool()
        assert torch.get_num_threads() == 1
        torch.set_num_threads(2)
        seen = list(pool([threads] * 4))
        assert len({ident for ident, _ in seen}) == 4
        assert {count for _, count in seen} == {1}
        torch.set_num_threads(2)
        assert list(Serial().pool()([torch.get_num_threads])) == [1]
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("executor", "workers", "width"), [(Threads(workers=3), None, 3), (Threads(workers=3), 2, 2), (Threads(), 5, 5)]
)
def test_as_many_threads_as_asked_for(executor: Threads, workers: int | None, width: int) -> None:
    barrier = threading.Barrier(width)
    assert sorted(executor.pool(workers)([partial(barrier.wait, 10)] * width)) == list(range(width))
    idents = set(executor.pool(workers)([lambda: (time.sleep(0.002), threading.get_ident())[1]] * 30))
    assert len(idents) <= width


def test_by_default_as_many_threads_as_cores_that_the_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 3, 5}, raising=False)
    barrier = threading.Barrier(3)
    assert len(list(Threads().pool()([partial(barrier.wait, 10)] * 3))) == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert executors._cores() == 2
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert executors._cores() == 1


@pytest.mark.parametrize("executor", [Serial(), Threads(workers=2)], ids=["serial", "threads"])
def test_cpu_time_of_all_threads_is_counted_and_waiting_is_not(executor: Serial | Threads) -> None:
    pool = executor.pool()
    list(pool([partial(burn, 0.05), partial(burn, 0.03), partial(time.sleep, 0.2)]))
    assert 0.08 <= pool.cpu_s < 0.15
    list(pool([partial(burn, 0.02)]))
    assert 0.1 <= pool.cpu_s < 0.18
