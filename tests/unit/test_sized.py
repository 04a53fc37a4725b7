"""Sizes and times in place of values."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from netfed.network.profiles import PROFILES
from netfed.sized import NOTHING, Aggregator, Coder, Trainer
from netfed.task import Nothing, Work

WORK = Work(2e9, 1e8)
PHONE, VEHICLE = PROFILES["phone"], PROFILES["vehicle"]


def test_counted_work_takes_each_device_its_own_time_and_a_time_is_the_same_on_all() -> None:
    counted, timed = (Trainer(Nothing(1e6, 1e6, compute)) for compute in (WORK, 0.3))
    assert counted.begin(PHONE, NOTHING).cost is WORK
    assert counted.begin(VEHICLE, NOTHING) == counted.begin(PHONE, NOTHING)
    for device in (PHONE, VEHICLE):
        assert device.duration_s(timed.begin(device, NOTHING).cost) == pytest.approx(0.3)


def test_the_first_model_brings_what_is_frozen_and_every_later_one_is_whole() -> None:
    coder = Coder(Nothing(5e6, 500e3, WORK, frozen=20e6))
    receiver = SimpleNamespace(held=-1)
    assert coder.encode_model(NOTHING, receiver).bits == 200_000_000
    coder.delivered(receiver, NOTHING)
    assert [coder.encode_model(NOTHING, receiver).bits for _ in range(2)] == [40_000_000] * 2
    assert coder.encode(NOTHING, receiver).bits == 4_000_000  # type: ignore[arg-type]


def test_payloads_of_one_version_have_the_same_content_and_those_of_two_have_not() -> None:
    coder = Coder(Nothing(5e6, 500e3, WORK, frozen=20e6))
    new, old = SimpleNamespace(held=-1), SimpleNamespace(held=0)
    first, again, later = (coder.encode_model(NOTHING, receiver).content for receiver in (old, old, new))
    assert first == again != later
    coder.publish(NOTHING, NOTHING)
    assert coder.encode_model(NOTHING, old).content != first
    same = Coder(Nothing(5e6, 500e3, WORK))
    assert same.encode_model(NOTHING, new).content == same.encode_model(NOTHING, old).content
    assert coder.encode(NOTHING, new).content is None  # type: ignore[arg-type]


def test_a_part_of_a_byte_is_sent_as_a_byte() -> None:
    assert Coder(Nothing(2.5, 0.1, WORK)).encode(NOTHING, SimpleNamespace()).bits == 8  # type: ignore[arg-type]


def test_whatever_is_made_of_nothing_is_nothing() -> None:
    aggregator = Aggregator()
    mean = aggregator.mean([NOTHING] * 3, [NOTHING] * 3, [0.2, 0.3, 0.5])
    assert {*mean, *aggregator.mean_of_models([object()], NOTHING)} == {NOTHING}
    assert aggregator.step(object(), NOTHING, mean, None) == (NOTHING, None)
    assert aggregator.mix(NOTHING, NOTHING, mean, 0.5) is NOTHING
    assert NOTHING.settled
    assert NOTHING.value is None
