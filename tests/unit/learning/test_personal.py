from __future__ import annotations

from pathlib import Path

import pytest
import torch

from netfed.graph import SCALARS, Graph, Node, Store
from netfed.learning.personal import PersonalModels

INITIAL = {"weight": torch.tensor([1.0, 2.0]), "count": torch.tensor(3)}


class Trainer:
    """As much of a trainer as personal models know."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.initial = graph.node("initial", [], (), lambda: INITIAL)

    def own_evaluation(self, model: Node, device: int) -> Node:
        def score(model):
            return {"accuracy": model["weight"][0].item(), "loss": float(device)}

        return self.graph.node("evaluation", [device], (model,), score)


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return Graph(Store(tmp_path, "n"), lambda chains: [chain() for chain in chains])


@pytest.fixture
def personal(graph: Graph) -> PersonalModels:
    return PersonalModels(graph, Trainer(graph), 3)


def updated(graph: Graph, personal: PersonalModels) -> Node:
    update = {"weight": torch.tensor([0.5, -1.0]), "count": torch.tensor(2)}
    node = graph.node("update", [], (), lambda: update)
    return personal.advance(personal.initial, {2: node, 0: node})


def test_who_has_no_update_keeps_the_model(graph: Graph, personal: PersonalModels) -> None:
    (models,) = graph.read([updated(graph, personal)])
    assert models["weight"].tolist() == [[1.5, 1.0], [1.0, 2.0], [1.5, 1.0]]
    assert models["count"].tolist() == [5, 3, 5]
    assert models["count"].dtype == torch.int64
    assert graph.read([personal.initial])[0]["weight"].tolist() == [[1.0, 2.0]] * 3


def test_each_has_its_own(graph: Graph, personal: PersonalModels) -> None:
    models = updated(graph, personal)
    first, second = graph.read([personal.own(models, 0), personal.own(models, 1)])
    assert first["weight"].tolist() == [1.5, 1.0]
    assert second["count"].item() == 3


def test_the_score_is_the_mean_of_each_ones_own(graph: Graph, personal: PersonalModels) -> None:
    evaluation = personal.evaluation(updated(graph, personal))
    assert evaluation.form is SCALARS
    assert graph.read([evaluation]) == [{"accuracy": 4 / 3, "loss": 1.0}]
