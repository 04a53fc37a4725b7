"""One round of each scheme as a story in text. ``pytest --regold`` rewrites it; the diff is the review."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NOTHING, Play, Played

HERE = Path(__file__).parent
WORLD = (
    "seed=12",
    "rule.epochs=100",
    "devices={count: 8, speed_spread: 0.5, dropout: {compute: 0.15}}",
    "network={kind: fluid, uplink: {rate: 1 Mbit/s, spread: 0.5, latency: 5 ms, loss: 0.1},"
    " downlink: {rate: 10 Mbit/s, spread: 0.5, latency: 5 ms, loss: 0.05},"
    " backhaul: {rate: 4 Mbit/s, latency: 10 ms}}",
    "topology={kind: hexagonal, base_stations: 2}",
)
SCHEMES = {
    "fedavg": "scheme={kind: fedavg, rounds: 1, cohort: 4, over_selection: 0.5, deadline: 150 ms}",
    "fedasync": "scheme={kind: fedasync, aggregations: 3, concurrency: 3, alpha: 0.6}",
    "fedbuff": "scheme={kind: fedbuff, aggregations: 2, concurrency: 4, buffer: 2}",
    "hierarchical": "scheme={kind: hierarchical, rounds: 1, edge_rounds: 2, cohort: 4, deadline: 110 ms}",
}


def told(row: dict[str, Any]) -> str:
    """One row in words."""
    device = f"device {row['device']}" if "device" in row else ""
    match row["kind"]:
        case "transfer":
            what = f"{row['bits']:>6} of {row['payload_bits']} bits since {1e3 * row['start_s']:.3f} ms, "
            what += "delivered" if row["delivered"] else row["cause"]
            backhaul, _, direction = row["link"].rpartition("-")
            where, device = f"{direction} {row['cell']}", device or backhaul
        case "compute":
            where, what = "compute", f"since {1e3 * row['start_s']:.3f} ms"
            what += f", {row['cause']}" if row.get("cause") else ""
        case "arrival":
            where, what = "arrival", f"of version {row['version']}, staleness {row['staleness']}"
        case "lost":
            where, what = "lost", f"with version {row['version']}: {row['cause']}"
        case "round":
            counts = ", ".join(f"{row[name]} {name}" for name in ("arrived", "late", "lost", "dismissed"))
            where, what = f"VERSION {row['version']}", counts
        case other:
            where, what = other, str(row)
    return f"{1e3 * row['t_s']:9.3f} ms  {where:<11}{device:<10}{what}".rstrip()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_trace(play: Play, scheme: str, request: pytest.FixtureRequest) -> None:
    compare(play(*WORLD, SCHEMES[scheme]), scheme, request)


def test_trace_of_a_network_without_learning(play: Play, request: pytest.FixtureRequest) -> None:
    compare(play("scheme.rounds=1", "task.frozen=20 kB", text=NOTHING), "network-only", request)


def compare(played: Played, name: str, request: pytest.FixtureRequest) -> None:
    order = {id(row): index for index, row in enumerate(played.events)}
    events = [row for row in played.events if row["kind"] != "link"]
    rows = sorted([*events, *played.rounds], key=lambda row: (row["t_s"], order.get(id(row), len(order))))
    trace = "\n".join(map(told, rows)) + "\n"
    golden = HERE / f"{name}.txt"
    if request.config.getoption("--regold"):
        golden.write_text(trace)
    assert trace == golden.read_text()
