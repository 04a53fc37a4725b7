"""Run folders written by hand, for all that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netfed.results import Results, load
from netfed.runfolder import RunFolder

SUMMARY: dict[str, Any] = {
    "rounds": 2,
    "sim_time_s": 180.0,
    "metric": {"name": "accuracy", "first": 0.5, "last": 0.8, "best": 0.8},
    "references": {"local": 0.6, "central": 0.9},
    "bits": {"up": 16e6, "down": 32e6, "backhaul": 48e6, "lost": 8e3},
    "energy_j": 3000.0,
    "energy_parts_j": {"transmit": 2000.0, "compute": 1000.0, "cloud": 7.0},
    "updates": {"selected": 8, "arrived": 3, "late": 2, "lost": 1, "dismissed": 0},
    "losses": {"late": 2, "dropout-compute": 1},
    "jobs": {"planned": 8, "trained": 3, "reused": 0, "skipped": 5},
    "wall_s": 4.0,
    "torch_s": 3.0,
    "model_digest": "e" * 64,
}


def record(
    out: Path,
    rounds: list[dict[str, Any]],
    events: list[dict[str, Any]],
    summary: dict[str, Any] | None = SUMMARY,
    *,
    scheme: str = "fedavg",
    resolved: str = "name: toy\n",
) -> Results:
    """Write a run folder and read it; without a summary the run has only begun."""
    settings = {"scheme": scheme, "seed": 1, "scenario_digest": "d" * 64, "source": resolved, "resolved": resolved}
    with RunFolder.create(out, "toy", **settings) as folder:
        folder.record(rounds, events)
        if summary is None:
            folder.commit({})
        else:
            folder.finish(summary, {}, {})
    return load(folder.path)


def a_round(version: int, t_s: float, accuracy: float | None, **more: Any) -> dict[str, Any]:
    costs = {
        "bits_up": 8e6 * version,
        "bits_down": 16e6 * version,
        "energy_j": 1500.0 * version,
        "selected": 4 * version,
    }
    return {"t_s": t_s, "kind": "round", "version": version, "accuracy": accuracy, **costs, **more}


def transfer(device: int, link: str, start_s: float, t_s: float, cause: str | None = None) -> dict[str, Any]:
    row = {"t_s": t_s, "kind": "transfer", "device": device, "link": link, "start_s": start_s, "bits": 8e3, "cell": 2}
    return {**row, "energy_j": 0.5, **({"cause": cause} if cause else {})}


def participation(device: int, at_s: float) -> list[dict[str, Any]]:
    """One second down, two seconds of computation, three up."""
    return [
        transfer(device, "downlink", at_s, at_s + 1),
        {"t_s": at_s + 3, "kind": "compute", "device": device, "start_s": at_s + 1, "energy_j": 0.1},
        transfer(device, "uplink", at_s + 3, at_s + 6),
        {"t_s": at_s + 6, "kind": "arrival", "device": device, "version": 0, "staleness": 0},
    ]


def lost(t_s: float, cause: str, device: int = 9) -> dict[str, Any]:
    return {"t_s": t_s, "kind": "lost", "device": device, "version": 0, "cause": cause}


def link(cell: int, name: str, start_s: float, t_s: float, busy: float, **more: Any) -> dict[str, Any]:
    row = {"t_s": t_s, "kind": "link", "start_s": start_s, "link": name, "cell": cell, "sector": 0, "busy": busy}
    return {**row, "bits": 8e3, "backlog_bits": 0, "transfers": 0, **more}


ROUNDS = [a_round(0, 0.0, 0.5), a_round(1, 10.0, None), a_round(2, 180.0, 0.8)]
EVENTS = [
    *participation(3, 0.0),
    *participation(1, 2.0),
    transfer(9, "uplink", 8.0, 10.0, "late"),
    lost(10.0, "late"),
    *participation(5, 20.0),
    lost(90.0, "dropout-compute", 4),
    lost(180.0, "late", 4),
]
