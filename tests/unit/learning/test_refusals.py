"""What a model, or what an adapter makes of it, may not do; and what keys must hold."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from netfed.errors import ScenarioError
from netfed.learning.adapters import LoRA
from netfed.learning.draws import probe
from netfed.learning.trainer import _require_gradients
from tests.conftest import Play

BATCH = torch.rand(4, 6, generator=torch.Generator().manual_seed(0))


class DropsAlways(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(self.head(x), 0.5, training=True)


class Counts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)
        self.register_buffer("seen", torch.zeros(()), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen += 1
        return self.head(x) * self.seen


class Attends(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x[:, None], x[:, None], x[:, None], need_weights=False)[0].squeeze(1)


def test_a_model_that_draws_while_it_is_evaluated_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"DropsAlways\) draws"):
        probe(DropsAlways(), BATCH)


def test_a_model_with_a_memory_outside_its_state_dict_is_refused() -> None:
    with pytest.raises(ScenarioError, match="Counts gives other outputs"):
        probe(Counts(), BATCH)


def test_an_adapter_without_effect_is_refused() -> None:
    model = Attends()
    LoRA(2).attach(model, 0)
    with pytest.raises(ScenarioError, match=r"attention\.out_proj\.lora_a would train"):
        _require_gradients(model, BATCH)


def test_the_shape_of_the_task_is_part_of_every_key(play: Play, tmp_path: Path) -> None:
    """Two tasks whose seeded weights differ only by the number of classes share a store, and nothing in it."""
    synthetic = "task.dataset={kind: synthetic, examples: 200, side_pixels: 8, classes: %d}"
    ten, five = (play(synthetic % classes, store=tmp_path / "shared") for classes in (10, 5))
    assert [list(played.model.values())[-1].shape[0] for played in (ten, five)] == [10, 5]
