from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import pytest
import torch

from netfed.errors import ComputationFailed
from netfed.graph import BEFORE, Chain, Step
from netfed.learning import executors
from netfed.learning.executors import Cohort, Serial, Threads


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


@pytest.mark.parametrize("executor", [Serial(), Threads(2), Cohort(2)], ids=["serial", "threads", "cohort"])
def test_cpu_time_of_all_threads_is_counted_and_waiting_is_not(executor: Serial | Threads | Cohort) -> None:
    def chain(call: Callable[[float], object], duration_s: float) -> Chain:
        return Chain([("", call, [duration_s], False)])

    pool = executor.pool()
    list(pool([chain(burn, 0.05), chain(burn, 0.03), chain(time.sleep, 0.2)]))
    assert 0.08 <= pool.cpu_s < 0.15
    list(pool([chain(burn, 0.02)]))
    assert 0.1 <= pool.cpu_s < 0.18


class Doubling:
    """Doubles its value, and notes with whom."""

    companies: ClassVar[list[int]] = []

    def __init__(self, lane_key: object = "a") -> None:
        self.lane_key = lane_key

    def __call__(self, value: int) -> int:
        raise AssertionError("never alone")

    def together(self, trainings: Sequence[Doubling], device: str, value: int) -> list[int]:
        Doubling.companies.append(len(trainings))
        assert device == "cpu"
        assert {training.lane_key for training in trainings} == {self.lane_key}
        return [2 * value + place for place in range(len(trainings))]


def doublings(count: int, value: int, lane_key: object = "a") -> list[Chain]:
    more: Step = ("adding", lambda doubled, one: doubled + one, [BEFORE, 1], False)
    return [Chain([(f"training {place}", Doubling(lane_key), [value], False), more]) for place in range(count)]


@pytest.mark.parametrize(
    ("workers", "width", "companies"), [(1, 64, [10]), (2, 64, [5, 5]), (3, 64, [3, 3, 4]), (1, 4, [3, 3, 4])]
)
def test_a_cohort_is_divided_among_threads_and_by_width(workers: int, width: int, companies: list[int]) -> None:
    Doubling.companies.clear()
    values = list(Cohort(workers, width).pool()(doublings(10, 500)))
    assert sorted(Doubling.companies) == companies
    assert [doubled + 1 for doubled, _ in values] == [after for _, after in values]
    assert {doubled // 500 for doubled, _ in values} == {2}


def test_only_what_starts_alike_runs_together_and_the_rest_as_it_comes() -> None:
    Doubling.companies.clear()
    lone = [Chain([("evaluation", pow, [3, 2], False)])]
    chains = [*doublings(3, 500), *lone, *doublings(2, 500, "b"), *doublings(4, 501), *lone]
    values = list(Cohort(1).pool()(chains))
    assert sorted(Doubling.companies) == [2, 3, 4]
    assert values[3] == values[-1] == [9]
    assert [doubled for doubled, *_ in values[6:10]] == [1002, 1003, 1004, 1005]


class Failing(Doubling):
    """Does not double 13."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def together(self, trainings: Sequence[Any], device: str, value: int) -> list[int]:
        assert all(training.number != 13 for training in trainings)
        return [value * training.number for training in trainings]


@pytest.mark.parametrize("fallible", [True, False])
def test_of_a_cohort_only_the_client_that_fails_does(fallible: bool) -> None:
    chains = [Chain([(f"training {number}", Failing(number), [2], fallible)]) for number in (11, 13, 17)]
    if fallible:
        (eleven,), (thirteen,), (seventeen,) = Cohort(1).pool()(chains)
        assert (eleven, seventeen) == (22, 34)
        assert isinstance(thirteen, ComputationFailed)
        assert str(thirteen).startswith("training 13: AssertionError")
    else:
        with pytest.raises(ComputationFailed, match=r"training 13: AssertionError"):
            Cohort(1).pool()(chains)


def test_the_first_that_raises_keeps_the_others_from_beginning() -> None:
    begun: list[int] = []
    calls = [partial(begun.append, 0), partial(divmod, 1, 0), *[partial(begun.append, place) for place in range(9)]]
    with pytest.raises(ZeroDivisionError):
        Serial().pool()(calls)
    assert begun == [0]
