from __future__ import annotations

from dataclasses import astuple, dataclass

import pytest

from netfed.network.profiles import CLOUD, PROFILES, Profile


@dataclass(frozen=True)
class Cost:
    flops: float
    bytes: float


PROFILE = Profile(flops_per_s=10.0, bytes_per_s=2.0, compute_w=1, transmit_w=1, receive_w=1, idle_w=1, memory_bytes=1)


@pytest.mark.parametrize(("cost", "duration_s"), [(Cost(100.0, 4.0), 10.0), (Cost(100.0, 40.0), 20.0)])
def test_the_slower_of_arithmetic_and_memory_decides(cost: Cost, duration_s: float) -> None:
    assert PROFILE.duration_s(cost) == duration_s


@pytest.mark.parametrize("name", PROFILES)
def test_built_in_devices_draw_least_while_they_wait(name: str) -> None:
    profile = PROFILES[name]
    assert min(astuple(profile)) > 0
    assert profile.idle_w < profile.receive_w < profile.transmit_w
    assert profile.idle_w < profile.compute_w


def test_hardware_gets_faster_from_board_to_cloud() -> None:
    ranked = [*(PROFILES[name] for name in ("iot-board", "phone", "gateway", "edge-box", "vehicle")), CLOUD]
    assert sorted(ranked, key=lambda profile: profile.flops_per_s) == ranked
    ranked = [*(PROFILES[name] for name in ("iot-board", "gateway", "phone", "edge-box", "vehicle")), CLOUD]
    assert sorted(ranked, key=lambda profile: profile.bytes_per_s) == ranked
