"""Keys that cannot matter in a scenario, or that take a model beyond its range: no mistake, but worth a word."""

from __future__ import annotations

import math
from collections.abc import Iterator

from netfed.codecs.qsgd import QSGD
from netfed.errors import printable
from netfed.network.availability import Windows
from netfed.network.cellular import Cellular
from netfed.network.radio.buildings import FLOOR_M
from netfed.scenario import LEARNING, Reading, Scenario
from netfed.schemes.fedavg import FedAvg
from netfed.task import Classification, Nothing

_PROPAGATION = "network.propagation"
_NEAR = 0.01
"""Share of devices that may be too near to a base station without a word: a few always are."""


def notes(reading: Reading) -> list[str]:
    """Return a line for each key that is worth a word: ``file:line:col: key: why``.

    It cannot matter, and was written; or the propagation does not hold for it: of a default it is the propagation that
    is noted.
    """
    found = []
    for key, why in idle(reading.scenario):
        node = reading.document.find(key.split("."))
        if node is not None:
            found.append((node.position(()), f"{key}: {why}"))
    for key, why in out_of_range(reading.scenario):
        written = key if reading.document.find(key.split(".")) is not None else _PROPAGATION
        node = reading.document.find(written.split("."))
        if node is not None:
            found.append((node.position(()), f"{written}: {why}"))
    return [printable(f"{mark}: {note}") for mark, note in sorted(found)]


def out_of_range(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield each key that takes a cellular network to where its propagation does not hold, and how."""
    network, spacing_m = scenario.network, scenario.topology.spacing
    if not isinstance(network, Cellular):
        return
    model = network.propagation
    validity, kind = model.validity, model.kind
    floors = model.floors[1] if network.buildings.indoor > 0 else 1
    tallest_m = model.device_height + FLOOR_M * (floors - 1)
    edge_m = spacing_m / math.sqrt(3)
    for excess in validity.excesses(edge_m, model.base_station_height, tallest_m, los=False):
        holds = f"{kind} holds for {excess.range}"
        if excess.of == "base station height":
            yield f"{_PROPAGATION}.base_station_height", holds
        elif excess.of == "device height":
            yield f"{_PROPAGATION}.device_height", f"devices are up to {tallest_m:g} m high: {holds}"
        elif excess.value_m > excess.most_m:
            yield "topology.spacing", f"devices are up to {excess.value_m:.0f} m away: {holds}"
    hexagon_m2 = spacing_m**2 * math.sqrt(3) / 2
    blind_m = validity.blind_m(model.base_station_height - model.device_height)
    near = min(math.pi * blind_m**2 / hexagon_m2, 1.0)
    if near > _NEAR:
        nearer = f"{near:.0%} of the devices are nearer than {blind_m:.2g} m"
        yield "topology.spacing", f"{nearer}, from which on {kind} holds"


def idle(scenario: Scenario) -> Iterator[tuple[str, str]]:
    """Yield each key that cannot matter in this scenario, and why."""
    scheme, network, devices = scenario.scheme, scenario.network, scenario.devices
    if network.kind != "cellular":
        why = f"in a network of kind {network.kind} no rate depends on where devices are"
        yield "topology.spacing", why
        if devices.mobility.kind != "static":
            yield "devices.mobility", why
    else:
        yield "network.carrier.transmissions", "what HARQ does not send again RLC does, which takes as much airtime"
    if network.kind in ("ideal", "fixed"):
        why = f"in a network of kind {network.kind} no transfer slows another down"
        if scheme.kind != "hierarchical" and network.delivery == "unicast":
            yield "topology.base_stations", why
        yield "devices.weight", why
    elif 1 in devices.weights.values() and network.delivery == "unicast":
        yield "devices.weight", "all devices weigh the same, so nobody gets more than others"
    if isinstance(scenario.task, Classification) and scenario.pretraining is None and scenario.task.split.cloud > 0:
        yield "task.split.cloud", "nobody learns from the cloud's share, since there is no pretraining"
    if isinstance(scheme, FedAvg) and scheme.over_selection and scheme.cohort == devices.count:
        yield "scheme.over_selection", "the cohort is every device already"
    if isinstance(scenario.task, Nothing):
        for key in LEARNING:
            yield key, "nothing is learned where task is none"
        yield "devices.memory", "nothing is learned where task is none, so that no device has too little"
    if scheme.kind == "local":
        unused = ["codec", "downlink", "devices.availability", "devices.dropout.download", "devices.dropout.upload"]
        unused.append("devices.weight")
        for key in unused + ["network"] * (network.kind != "ideal"):
            yield key, "with the scheme local, devices neither send nor receive"
    if scheme.kind == "central":
        yield "codec", "with the scheme central, devices send their examples as they are"
        for key in ("downlink", "network.delivery", "devices.dropout.download", "devices.dropout.compute"):
            yield key, "with the scheme central, devices only upload"
    several = isinstance(network.background, tuple)
    for index, background in enumerate(network.every_background):
        if background.most() == 0:
            yield "network.background" + (f".{index}" if several else ""), "others take nothing"
    availability = devices.availability
    if isinstance(availability, Windows) and availability.duration == availability.period:
        yield "devices.availability", "windows that touch are always open"
    if isinstance(scenario.codec, QSGD) and scenario.codec.entry_bits == 32:
        yield "codec.bucket", "entries of 32 bits are the floats themselves, which need no norm"
