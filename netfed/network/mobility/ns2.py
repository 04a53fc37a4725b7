"""Movement files of ns-2, as ``setdest`` writes them. Light to import."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from netfed.network.mobility.track import Track, finite

_NODE = r"\$node_\((?P<node>[^()\s]+)\)"
_PLACE = re.compile(rf"{_NODE}\s+set\s+(?P<axis>[XYZ])_\s+(?P<at>\S+)")
_ORDER = re.compile(
    rf'\$ns_\s+at\s+(?P<time>\S+)\s+"{_NODE}\s+setdest\s+(?P<x>\S+)\s+(?P<y>\S+)\s+(?P<speed>[^\s"]+)\s*"'
)


class _Order(NamedTuple):
    """To go straight to a place from some moment on."""

    time_s: float
    x_m: float
    y_m: float
    speed_m_per_s: float


def read(data: bytes, path: str) -> dict[str, Track]:
    """Return the movement of each node, in the order in which they appear. Lines about anything else are ignored.

    Raises:
        ValueError: Names the line that is wrong.
    """
    places: dict[str, dict[str, float]] = {}
    orders: dict[str, list[_Order]] = defaultdict(list)
    try:
        lines = data.decode().splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is not UTF-8") from error
    for number, line in enumerate(map(str.strip, lines), start=1):
        if line.startswith("#") or "$node_(" not in line:
            continue
        place, order = _place(line), _order(line)
        if place:
            node, axis, at_m = place
            places.setdefault(node, {})[axis] = at_m
        elif order:
            orders[order[0]].append(order[1])
        else:
            known = '$node_(0) set X_ 1.0, or $ns_ at 2.0 "$node_(0) setdest 3.0 4.0 5.0"'
            raise ValueError(f"{path}:{number}: expected {known} (metres, seconds, metres per second)")
    for node in places | orders:
        if not {"X", "Y"} <= set(places.get(node, ())):
            raise ValueError(f"{path}: $node_({node}) has no place to start from: set its X_ and Y_")
    if not places:
        raise ValueError(f"{path}: no nodes: the file has no line like $node_(0) set X_ 1.0")
    return {node: _track(its["X"], its["Y"], orders[node]) for node, its in places.items()}


def _place(line: str) -> tuple[str, str, float] | None:
    found = _PLACE.fullmatch(line)
    at_m = finite(found["at"]) if found else None
    return None if found is None or at_m is None else (found["node"], found["axis"], at_m)


def _order(line: str) -> tuple[str, _Order] | None:
    found = _ORDER.fullmatch(line)
    if found is None:
        return None
    time_s, x_m, y_m, speed_m_per_s = (finite(found[name]) for name in ("time", "x", "y", "speed"))
    if time_s is None or x_m is None or y_m is None or speed_m_per_s is None or min(time_s, speed_m_per_s) < 0:
        return None
    return found["node"], _Order(time_s, x_m, y_m, speed_m_per_s)


def _track(x_m: float, y_m: float, orders: Iterable[_Order]) -> Track:
    """Return where a node turns, stops or starts: an order holds until it is carried out or the next one comes."""
    track = [(0.0, x_m, y_m)]
    carried_out = _Order(0.0, x_m, y_m, 0.0)
    for order in [*sorted(orders, key=lambda order: order.time_s), None]:
        until_s = math.inf if order is None else order.time_s
        _carry_out(carried_out, until_s, track)
        carried_out = order or carried_out
    return track


def _carry_out(order: _Order, until_s: float, track: Track) -> None:
    """Add to a track what a node does on an order, from the last moment of the track on."""
    begin_s, x_m, y_m = track[-1]
    distance_m = math.hypot(order.x_m - x_m, order.y_m - y_m)
    if distance_m and order.speed_m_per_s:
        arrival_s = begin_s + distance_m / order.speed_m_per_s
        reached_s = min(arrival_s, until_s)
        if begin_s < reached_s < math.inf:
            share = (reached_s - begin_s) / (arrival_s - begin_s)
            track.append((reached_s, x_m + share * (order.x_m - x_m), y_m + share * (order.y_m - y_m)))
    last_s, x_m, y_m = track[-1]
    if last_s < until_s < math.inf:
        track.append((until_s, x_m, y_m))
