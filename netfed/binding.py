"""Keys that a run never felt: with another value, up to a point, it would have gone the same way."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple

from netfed.critical_path import BACKHAUL, CORE, DEVICES, SHARE
from netfed.tree import Node

SHARED = "multicast"
"""What shows that a transmission had several receivers."""


class _Key(NamedTuple):
    """A key, how a run shows that it has felt it (any of these), what to say if it has not, and what is none."""

    path: str
    felt_by: set[str]
    otherwise: str
    none: object = None


_KEYS = (
    _Key("scheme.deadline", {"late"}, "no update was late"),
    _Key("scheme.over_selection", {"dismissed"}, "nobody was dismissed"),
    _Key("devices.dropout.download", {"dropout-download"}, "it struck nobody"),
    _Key("devices.dropout.compute", {"dropout-compute"}, "it struck nobody"),
    _Key("devices.dropout.upload", {"dropout-upload"}, "it struck nobody"),
    _Key("devices.availability", {"unavailable", DEVICES}, "nobody left, and no round waited for devices"),
    _Key("devices.battery", {"battery"}, "none ran empty"),
    _Key("devices.weight", {SHARE, BACKHAUL}, "no transfer waited for another", 1),
    _Key("network.uplink.loss", {"loss-uplink"}, "no upload broke"),
    _Key("network.downlink.loss", {"loss-downlink"}, "no download broke"),
    _Key(
        "network.backhaul.loss",
        {"loss-uplink", "loss-downlink", "loss-backhaul-uplink", "loss-backhaul-downlink"},
        "no transfer broke",
    ),
    _Key("network.uplink.limit", {f"uplink {CORE}"}, "it held no transfer up"),
    _Key("network.downlink.limit", {f"downlink {CORE}"}, "it held no transfer up"),
    _Key("network.backhaul.rate", {BACKHAUL}, "no transfer waited for the backhaul"),
    _Key("network.delivery", {SHARED}, "no two devices of a cell began to receive the same payload at the same moment"),
)
_OFF: tuple[object, ...] = (None, 0, {"kind": "always"}, "unicast")
_AIR = _Key("network.kind", {SHARE}, "no transfer waited for its cell's airtime: a fixed network would do the same")


def unfelt(resolved: Node, felt: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield each key that is set and was not felt, and what shows it.

    Args:
        resolved: The scenario as it ran.
        felt: What anything was lost to, what anybody waited for, as it is and with the link before it, and `SHARED`.
    """
    network = resolved.find(["network", "kind"])
    keys = (*_KEYS, _AIR) if network is not None and network.value == "fluid" else _KEYS
    for path, felt_by, otherwise, none in keys:
        node = resolved.find(path.split("."))
        if node is not None and node.plain() not in (*_OFF, none) and not felt_by & set(felt):
            yield path, otherwise
