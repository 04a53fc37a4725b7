"""A cellular network to test on, and devices that take part in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from netfed.errors import TransferLost
from netfed.network.cellular import Cellular
from netfed.network.network import Network
from netfed.network.population import Device
from netfed.network.radio.carrier import Fr3Lower
from netfed.network.radio.outdoor import UrbanMacro
from netfed.network.spec import LinkClass

BACKHAUL = LinkClass(rate=math.inf)
URBAN = Cellular(propagation=UrbanMacro(), carrier=Fr3Lower(), backhaul=BACKHAUL)
Build = Callable[..., Network]


class Payload:
    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.content = "version 1"


def begin(network: Network, ids: list[int]) -> None:
    network.attach(np.array(ids))
    for device in ids:
        network.join(device)


def sent(network: Network, device: int, bits: int, direction: str = "uplink") -> Any:
    """Start a transfer; the value of the process is its duration, or what it was lost to."""

    def sending() -> Any:
        start_s = network.env.now
        try:
            yield from getattr(network, direction)(Device(network.population, device, 0)).send(Payload(bits))
        except TransferLost as loss:
            return loss.cause
        return network.env.now - start_s

    return network.env.process(sending())


def gains_db(network: Network, ids: list[int], now_s: float) -> Any:
    return network.radio_access.air.gain_db(np.array(ids), now_s)
