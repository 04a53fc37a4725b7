from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netfed.network.availability import Windows
from netfed.network.battery import Battery, Charging
from netfed.network.cellular import Cellular, Session
from netfed.network.radio.carrier import Fr3Lower
from netfed.network.radio.outdoor import UrbanMacro
from netfed.network.rate_trace import Lumos5G
from netfed.network.spec import Devices, Dropout, Fixed, Fluid, Ideal, LinkClass, Network
from netfed.network.topology import Hexagonal
from netfed.plugin import read, write

LINK = LinkClass(rate=1e6)
CHARGING = {"power": "10 W", "period": "24 h", "duration": "8 h"}


def test_checking_a_scenario_needs_no_heavy_import() -> None:
    code = "import sys, netfed.network.spec; print({'numpy', 'simpy', 'networkx', 'torch'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Hexagonal(base_stations=0), "base_stations must be at least 1"),
        (
            lambda: Hexagonal(base_stations=10**10),
            "10000000000 base stations are more than the 100000 that fit in memory",
        ),
        (lambda: Hexagonal(spacing=0.0), "spacing must be more than 0 m"),
        (lambda: Dropout(upload=1.5), "upload must be from 0 to 1"),
        (lambda: Windows(period=10.0, duration=11.0), r"duration must be .* at most period \(10 s\)"),
        (lambda: Windows(period=10.0, duration=0.0), "duration must be more than 0 s"),
        (lambda: Windows(period=0.0, duration=0.0), "period must be more than 0 s"),
        (lambda: Charging(power=0.0, period=1.0, duration=1.0), "power must be more than 0 W"),
        (lambda: Charging(power=1.0, period=1.0, duration=2.0), "duration must be"),
        (lambda: Battery(capacity=0.0), "capacity must be more than 0 J"),
        (lambda: Battery(capacity=1.0, initial=(0.9, 0.5)), "initial must be two shares from 0 to 1, the least first"),
        (lambda: Battery(capacity=1.0, minimum=0.0), "minimum must be more than 0"),
        (lambda: Battery(capacity=1.0, background=-1.0), "background must be 0 W or more"),
        (lambda: Battery(1.0, charging=Charging(1.0, 2.0, 1.0), background=1.0), "must be more than the background's"),
        (lambda: Battery(capacity=1.0, initial=(0.0, 0.1)), "no device ever has the minimum charge"),
        (lambda: LinkClass(rate=0.0), "rate must be more than 0 bit/s"),
        (lambda: LinkClass(rate=1.0, spread=-1.0), "spread must be 0 or more"),
        (lambda: LinkClass(rate=1.0, latency=-1.0), "latency must be 0 s or more"),
        (lambda: LinkClass(rate=1.0, loss=2.0), "loss must be from 0 to 1"),
        (lambda: Devices(count=0), "count must be at least 1"),
        (lambda: Devices(count=1, speed_spread=-0.1), "speed_spread must be 0 or more"),
        (lambda: Devices(count=1, profile="fone"), "is none of phone, iot-board, .*, vehicle, did you mean 'phone'"),
        (lambda: Devices(count=1, profile={"phone": 0.5, "tank": 0.5}), "profile: 'tank' is none of phone"),
        (lambda: Devices(count=1, profile={"phone": 0.5}), "profile: the shares add up to 0.5, not to 1"),
        (lambda: Devices(count=1, profile={"phone": 1.5, "vehicle": -0.5}), "profile: the share of 'phone'"),
        (lambda: Devices(count=1, weight=0.0), "weight: 0 is not from 0.001 to 1000"),
        (lambda: Devices(count=1, weight={1.0: 0.5, math.nan: 0.5}), "weight: nan is not from 0.001 to 1000"),
        (lambda: Devices(count=1, weight={1.0: 0.5, 4.0: 0.1}), "weight: the shares add up to 0.6, not to 1"),
        (lambda: Devices(count=1, weight={1.0: 1.5, 4.0: -0.5}), "weight: the share of 1 must be from 0 to 1"),
        (lambda: Fixed(LINK, LINK, LinkClass(rate=1e6, spread=0.1)), "backhaul: spread is for access links only"),
        (lambda: Fluid(LINK, LINK, LinkClass(rate=1e6, limit=1e6)), "backhaul: limit is for access links only"),
        (lambda: Cellular(UrbanMacro(), Fr3Lower(), LinkClass(1e6, limit=1e6)), "backhaul: limit is for access links"),
        (lambda: Cellular(UrbanMacro(), Fr3Lower(), LinkClass(1e6, spread=0.1)), "backhaul: spread is for access"),
        (lambda: Session(limit=0.0), "limit must be more than 0 bit/s"),
        (lambda: Fluid(LinkClass(rate=math.inf), LINK, LINK), "uplink: rate must be finite"),
    ],
)
def test_refuses_what_makes_no_sense(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("spec", "tree"),
    [
        (Hexagonal, {"base_stations": 7, "spacing": "500 m"}),
        (Devices, {"count": 3, "profile": {"phone": 0.5, "vehicle": 0.5}, "dropout": {"upload": 0.1}}),
        (Devices, {"count": 3, "weight": {"1": 0.9, "0.1": 0.1}}),
        (Devices, {"count": 3, "availability": {"kind": "windows", "period": "24 h", "duration": "8 h"}}),
        (Devices, {"count": 3, "battery": {"capacity": "15.4 Wh", "initial": [0.3, 1.0], "charging": CHARGING}}),
        (Fluid, {key: {"rate": "20 Mbit/s", "latency": "5 ms"} for key in ("uplink", "downlink", "backhaul")}),
        (Ideal, {}),
    ],
)
def test_is_written_as_it_was_read(spec: type, tree: dict[str, Any]) -> None:
    value = read(spec, tree)
    assert read(spec, write(value)) == value


def test_a_weight_has_one_share() -> None:
    for equal in ({"1": 0.3, "1.0": 0.7}, {"4": 0.2, "4.0": 0.5, "1": 0.3}):
        with pytest.raises(ValueError, match=r"weight: .* and .*\.0 are the same"):
            read(Devices, {"count": 3, "weight": equal})


def test_kinds_have_names() -> None:
    assert Network.kinds == {"ideal": Ideal, "fixed": Fixed, "fluid": Fluid, "cellular": Cellular}


def test_shares_of_profiles() -> None:
    assert Devices(count=1, profile="vehicle").shares == {"vehicle": 1.0}
    assert Devices(count=1, profile={"phone": 0.25, "vehicle": 0.75}).shares == {"phone": 0.25, "vehicle": 0.75}


def test_a_trace_must_say_what_is_asked_of_it(tmp_path: Path) -> None:
    (tmp_path / "lumos.csv").write_text("Throughput\n100\n")
    trace = Lumos5G(path=str(tmp_path / "lumos.csv"))
    assert list(Devices(count=1, downlink=trace).rates()) == ["downlink"]
    with pytest.raises(ValueError, match="take another trace for the uplink"):
        Devices(count=1, uplink=trace)
