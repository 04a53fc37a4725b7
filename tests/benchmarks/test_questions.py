"""What the scenarios that ask a question find, in three seeds: ``pytest -s -m question`` prints the tables."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from netfed.results import Results, load
from netfed.run import begin, play
from netfed.scenario import find
from netfed.scenario import load as load_scenario

SEEDS = (1, 2, 3)


def played(name: str, seed: int, folder: Path, *sets: str) -> Results:
    """Play a scenario that comes with netfed; runs in one folder share a store."""
    scenario = load_scenario(name, sets=sets, seed=seed)
    with begin(scenario, find(name).read_text(), folder, folder / "store") as run:
        play(run)
    return load(run.path)


AVERAGED = 5
"""Evaluations: a single one is a few points off, and which is the first above a target is a matter of rounding."""


def reached(results: Results, accuracy: float) -> float:
    """Return when, in simulated seconds, the mean of five accuracies in a row is so high; inf if it never is."""
    moments_s, scores = results.rounds["t_s"], [score or 0.0 for score in results.rounds["accuracy"]]
    for end in range(AVERAGED, len(scores) + 1):
        if sum(scores[end - AVERAGED : end]) >= AVERAGED * accuracy:
            return float(moments_s[end - 1])
    return math.inf


@pytest.mark.question
def test_stragglers(tmp_path: Path) -> None:
    """Waiting for the slowest takes more than twice as long as a deadline, or as FedBuff, which is first."""
    target = 0.8
    schemes = {
        "wait": ["scheme.deadline=null"],
        "deadline": [],
        "fedbuff": ["scheme={kind: fedbuff, aggregations: 200, concurrency: 20, buffer: 10}"],
    }
    print(f"\nsimulated seconds to {target:.0%} (and the last accuracy)\n| seed | {' | '.join(schemes)} |")
    print("| --- " * (1 + len(schemes)) + "|")
    for seed in SEEDS:
        runs = {name: played("stragglers", seed, tmp_path, *sets) for name, sets in schemes.items()}
        took_s = {name: reached(run, target) for name, run in runs.items()}
        cells = (f"{took_s[name]:.1f} ({run.rounds['accuracy'][-1]:.3f})" for name, run in runs.items())
        print(f"| {seed} | {' | '.join(cells)} |", flush=True)
        assert took_s["fedbuff"] < took_s["deadline"] < 0.5 * took_s["wait"]


@pytest.mark.question
def test_compression(tmp_path: Path) -> None:
    """Over a slow uplink both codecs are far ahead of float32; over a fast one neither is."""
    target = 0.9
    codecs = {"float32": "float32", "qsgd": "{kind: qsgd, entry_bits: 8}", "topk": "{kind: topk, fraction: 0.1}"}
    rates = ("1 Mbit/s", "10 Mbit/s", "100 Mbit/s")
    print(f"\nsimulated seconds to {target:.0%}\n| seed | uplink | {' | '.join(codecs)} |")
    print("| --- " * (2 + len(codecs)) + "|")
    for seed in SEEDS:
        took_s: dict[tuple[str, str], float] = {}
        for rate in rates:
            for name, codec in codecs.items():
                run = played("compression", seed, tmp_path, f"codec={codec}", f"network.uplink.rate={rate}")
                assert rate == "1 Mbit/s" or run.outcome["jobs"]["trained"] == 0
                took_s[rate, name] = reached(run, target)
            cells = " | ".join(f"{took_s[rate, name]:.2f}" for name in codecs)
            print(f"| {seed} | {rate} | {cells} |", flush=True)
        for name in ("qsgd", "topk"):
            ratio = {rate: took_s[rate, name] / took_s[rate, "float32"] for rate in rates}
            assert ratio["1 Mbit/s"] < 0.5
            assert ratio["10 Mbit/s"] < 0.9
            assert ratio["100 Mbit/s"] > 0.9
