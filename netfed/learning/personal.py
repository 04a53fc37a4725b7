"""Models of devices that each keep their own, side by side: stacked under each name. [device, ...]"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch

from netfed.graph import SCALARS, Graph, Node
from netfed.learning.aggregate import add
from netfed.learning.tensors import TENSORS, Tensors
from netfed.learning.trainer import Trainer


class PersonalModels:
    """Plans the models of the devices 0, 1, ...

    Args:
        graph: Where the nodes live.
        trainer: Plans their evaluation.
        devices: How many there are.

    Attributes:
        initial: Node of the models before any training: all alike.
    """

    def __init__(self, graph: Graph, trainer: Trainer, devices: int) -> None:
        self._graph = graph
        self._trainer = trainer
        self._devices = devices
        self.initial = graph.node("models", ["alike", devices], (trainer.initial,), partial(_alike, devices), TENSORS)

    def own(self, models: Node, device: int) -> Node:
        """Plan a device's own model."""
        return self._graph.node("own", [device], (models,), partial(_own, device))

    def advance(self, models: Node, updates: Mapping[int, Node]) -> Node:
        """Plan the models after updates of some of them, by device."""
        devices = sorted(updates)
        reads = (models, *(updates[device] for device in devices))
        return self._graph.node("models", ["updated", devices], reads, partial(_updated, devices), TENSORS)

    def evaluation(self, models: Node) -> Node:
        """Plan the mean over devices of each one's evaluation on its own tests; see `Trainer.evaluation`."""
        scores = [self._trainer.own_evaluation(self.own(models, device), device) for device in range(self._devices)]
        return self._graph.node("evaluation", ["mean"], scores, _mean_score, SCALARS)


def _alike(devices: int, model: Tensors) -> Tensors:
    return {name: torch.stack([value] * devices) for name, value in model.items()}


def _own(device: int, models: Tensors) -> Tensors:
    return {name: value[device] for name, value in models.items()}


def _updated(devices: Sequence[int], models: Tensors, *updates: Tensors) -> Tensors:
    after = {name: value.clone() for name, value in models.items()}
    for device, update in zip(devices, updates, strict=True):
        for name, value in add(_own(device, models), update).items():
            after[name][device] = value
    return after


def _mean_score(*scores: Mapping[str, float]) -> Mapping[str, float]:
    return {name: math.fsum(score[name] for score in scores) / len(scores) for name in scores[0]}
