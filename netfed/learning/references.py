"""The lines that a result is read against."""

from __future__ import annotations

import math
from collections.abc import Iterable

from netfed.graph import Graph, Node
from netfed.learning.trainer import Trainer

_LOCAL_DEVICES = 100


def reference_lines(
    names: Iterable[str], trainer: Trainer, graph: Graph, devices: int, participations: int
) -> dict[str, float]:
    """Compute reference lines, side by side, each given as many epochs per example as the scheme gives at the most.

    Arguments are as of `planned`; the graph computes what that plans.

    Returns:
        Accuracy by name.
    """
    lines = planned(names, trainer, devices, participations)
    graph.settle([node for line in lines.values() for node in line])
    return {
        name: math.fsum(score["accuracy"] for score in graph.read(line)) / len(line) for name, line in lines.items()
    }


def planned(names: Iterable[str], trainer: Trainer, devices: int, participations: int) -> dict[str, list[Node]]:
    """Plan reference lines: the accuracy of one is the mean of its evaluations.

    Args:
        names: ``pretrained`` (version 0), ``central`` (all devices' data in one place) or ``local`` (each device alone,
            the mean over at most 100 of them).
        trainer: Plans them.
        devices: How many there are.
        participations: How many updates the scheme aggregates at the most.
    """
    epochs = max(1, round(participations / devices * trainer.epochs))
    plans = {
        "pretrained": lambda: [trainer.evaluation(trainer.initial)],
        "central": lambda: [trainer.central(epochs)],
        "local": lambda: [trainer.local(device, epochs) for device in range(min(devices, _LOCAL_DEVICES))],
    }
    return {name: plans[name]() for name in names}
