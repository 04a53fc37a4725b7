"""Bad updates: told by what they are, and kept out of the mean."""

from __future__ import annotations

import math
import statistics
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from netfed.errors import ComputationFailed, MisshapenError
from netfed.layout import Layout
from netfed.learning.tensors import Tensors

HUGE = 100.0
"""How many times the median norm of the updates in one mean an update may have. Where shares are skewed and most
devices fit theirs already, honest updates of the others have come to 14 times the median. One that comes alone has
nothing to be compared with."""


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


def judge(updates: Mapping[int, Tensors], norms: Sequence[float], layout: Layout) -> dict[int, Fault]:
    """Return what is wrong with updates, by place.

    Args:
        updates: By place.
        norms: In the same order, of what is trained in each.
        layout: Of an update.
    """
    faults: dict[int, Fault] = {}
    buffers = [name for name, spec in layout.items() if not spec.trained and spec.dtype == "float32"]
    for (place, update), norm in zip(updates.items(), norms, strict=True):
        if not (math.isfinite(norm) and all(_is_finite(update[name]) for name in buffers)):
            names = ", ".join(name for name in layout if not _is_finite(update[name]))
            faults[place] = _fault("not-finite", f"there are numbers that are not finite in {names}")
    sound = {place: norm for place, norm in zip(updates, norms, strict=True) if place not in faults}
    limit = HUGE * statistics.median(sound.values()) if sound else 0.0
    for place, norm in sound.items():
        if norm > limit > 0:
            faults[place] = _fault("huge", f"its norm is {norm:.3g}, {HUGE * norm / limit:.0f} times the median")
    return faults


def _failure(failed: ComputationFailed) -> Fault:
    if isinstance(failed.__cause__, MisshapenError):
        return _fault("misshapen", str(failed.__cause__))
    lines = "".join(traceback.format_exception(failed.__cause__ or failed))
    return {**_fault("failed", str(failed)), "traceback": lines}


def _is_finite(tensor: Tensor) -> bool:
    return bool(tensor.isfinite().all())


def _fault(cause: str, detail: str) -> Fault:
    return {"cause": cause, "detail": detail}
