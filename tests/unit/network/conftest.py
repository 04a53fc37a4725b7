"""A small network to test links and computing on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from simpy import Environment

from netfed.network.network import Network
from netfed.network.spec import Devices, Fixed, LinkClass
from netfed.network.spec import Network as Kind
from netfed.network.topology import Hexagonal
from netfed.recorder import Recorder
from netfed.streams import Streams

FIXED = Fixed(
    uplink=LinkClass(rate=10e6, latency=0.005),
    downlink=LinkClass(rate=40e6, latency=0.005),
    backhaul=LinkClass(rate=20e6, latency=0.010),
)


@pytest.fixture
def build() -> Callable[..., Network]:
    """Return a function that builds a network: of constant rates and one base station, and without a meter, unless
    told otherwise.
    """

    def build_network(
        kind: Kind = FIXED,
        base_stations: int = 1,
        seed: int = 1,
        count: int = 4,
        meter: float | str | None = None,
        **devices: Any,
    ) -> Network:
        env = Environment()
        if "meter" in vars(kind):
            kind = replace(kind, meter=meter)
        return Network(
            env, kind, Hexagonal(base_stations), Devices(count, **devices), Streams(seed), Recorder(lambda: env.now)
        )

    return build_network
