"""Bad updates: told by what they are, and kept out of the mean."""

from __future__ import annotations

import math
import statistics
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from netfed.errors import ComputationFailed, MisshapenError
from netfed.layout import Layout
from netfed.learning.tensors import Tensors

HUGE = 100.0
"""How many times the median norm of the updates in one mean an update may have, and how many times the norm of what it
was trained from, which tells where few meet. Where shares are skewed and most devices fit theirs already, honest
updates of the others have come to 14 times the median; a head alone, trained by AdamW for 50 epochs at a rate of 0.1,
has come to 25 times what it was."""

ORDINARY = 0.1
"""Root mean square that what is trained is taken to have at the least: adapters and biases may start at zero. It is
that of a layer of 200 inputs as it is initialised (He et al., ICCV 2015, arXiv:1502.01852, equation 10)."""


Fault = dict[str, str]
"""What is wrong with an update: ``cause`` (failed, misshapen, not-finite, huge) and ``detail``; where it failed, the
``traceback`` too."""
Faults = list[Fault | None]
"""Of each update; None: nothing is wrong with it."""


def unpack(sent: Sequence[Any], decode: Callable[[Any], Tensors]) -> tuple[dict[int, Tensors], dict[int, Fault]]:
    """Return the updates that were sent, and what is wrong with those that are none, by place.

    Args:
        sent: What came of each, or why there is nothing (`ComputationFailed`).
        decode: Makes an update of what was sent; raises `MisshapenError` if it is none of the model's.
    """
    updates: dict[int, Tensors] = {}
    faults: dict[int, Fault] = {}
    for place, one in enumerate(sent):
        if isinstance(one, ComputationFailed):
            faults[place] = _failure(one)
            continue
        try:
            updates[place] = decode(one)
        except MisshapenError as error:
            faults[place] = _fault("misshapen", str(error))
    return updates, faults


class Judge:
    """Tells what is wrong with updates by their numbers.

    Args:
        layout: Of an update.
    """

    def __init__(self, layout: Layout) -> None:
        self._names = list(layout)
        self._trained = [name for name, spec in layout.items() if spec.trained]
        self._buffers = [name for name, spec in layout.items() if not spec.trained and spec.dtype == "float32"]
        self._ordinary = ORDINARY * math.sqrt(sum(layout[name].numel for name in self._trained))

    def faults(
        self, updates: Mapping[int, Tensors], norms: Sequence[float], origins: Sequence[Tensors]
    ) -> dict[int, Fault]:
        """Return what is wrong with updates, by place.

        Args:
            updates: By place.
            norms: In the same order, of what is trained in each.
            origins: What was trained from in each place.
        """
        faults: dict[int, Fault] = {}
        for (place, update), norm in zip(updates.items(), norms, strict=True):
            if not (math.isfinite(norm) and all(_is_finite(update[name]) for name in self._buffers)):
                names = ", ".join(name for name in self._names if not _is_finite(update[name]))
                faults[place] = _fault("not-finite", f"there are numbers that are not finite in {names}")
        sound = {place: norm for place, norm in zip(updates, norms, strict=True) if place not in faults}
        median = statistics.median(sound.values()) if sound else 0.0
        for place, norm in sound.items():
            if norm > HUGE * median > 0:
                faults[place] = _huge(norm, median, "the median")
            elif norm > HUGE * self._ordinary and norm > HUGE * (start := self._norm(origins[place])):
                faults[place] = _huge(norm, max(start, self._ordinary), "that of what it was trained from")
        return faults

    def _norm(self, model: Tensors) -> float:
        """Return the norm of what is trained."""
        return math.hypot(*(float(torch.linalg.vector_norm(model[name].double())) for name in self._trained))


def _failure(failed: ComputationFailed) -> Fault:
    if isinstance(failed.__cause__, MisshapenError):
        return _fault("misshapen", str(failed.__cause__))
    lines = "".join(traceback.format_exception(failed.__cause__ or failed))
    return {**_fault("failed", str(failed)), "traceback": lines}


def _huge(norm: float, scale: float, of: str) -> Fault:
    return _fault("huge", f"its norm is {norm:.3g}, {norm / scale:.0f} times {of}")


def _is_finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())


def _fault(cause: str, detail: str) -> Fault:
    return {"cause": cause, "detail": detail}
