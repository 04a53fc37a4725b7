"""Bad updates: told by what they are, and kept out of the mean."""

from __future__ import annotations

import math
import statistics
import traceback
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any, NamedTuple

import torch

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


class Sifted(NamedTuple):
    """Updates of one mean.

    Attributes:
        good: Those that may enter it, in the order given.
        faults: What is wrong with each.
    """

    good: list[Tensors]
    faults: Faults


def sift(sent: Sequence[Any], decode: Callable[[Any], Tensors], layout: Layout) -> Sifted:
    """Tell good updates from bad ones.

    Args:
        sent: What came of each, or why there is nothing (`ComputationFailed`).
        decode: Makes an update of what was sent.
        layout: Of an update.
    """
    faults: Faults = [_failure(one) if isinstance(one, ComputationFailed) else None for one in sent]
    updates = {place: decode(one) for place, one in enumerate(sent) if faults[place] is None}
    trained = [spec.trained for spec in layout.values()]
    norms: dict[int, float] = {}
    for place, parts in zip(updates, _norms(list(updates.values()), layout), strict=True):
        if all(map(math.isfinite, parts)):
            norms[place] = math.hypot(*compress(parts, trained))
        else:
            names = ", ".join(name for name, norm in zip(layout, parts, strict=True) if not math.isfinite(norm))
            faults[place] = _fault("not-finite", f"there are numbers that are not finite in {names}")
    limit = HUGE * statistics.median(norms.values()) if norms else 0.0
    for place, norm in norms.items():
        if norm > limit > 0:
            faults[place] = _fault("huge", f"its norm is {norm:.3g}, {HUGE * norm / limit:.0f} times the median")
    return Sifted([update for place, update in updates.items() if faults[place] is None], faults)


def _failure(failed: ComputationFailed) -> Fault:
    if isinstance(failed.__cause__, MisshapenError):
        return _fault("misshapen", str(failed.__cause__))
    lines = "".join(traceback.format_exception(failed.__cause__ or failed))
    return {**_fault("failed", str(failed)), "traceback": lines}


def _norms(updates: Sequence[Tensors], layout: Layout) -> list[list[float]]:
    """Return, of each update, the norms of its tensors: in their own precision, and in float64 where that overflows."""
    tensors = [update[name] for update in updates for name in layout]
    if not tensors:
        return []
    real = [tensor if tensor.is_floating_point() else tensor.double() for tensor in tensors]
    norms: list[float] = torch.stack(torch._foreach_norm(real)).tolist()
    for place, norm in enumerate(norms):
        if not math.isfinite(norm):
            norms[place] = float(tensors[place].double().norm())
    return [norms[first : first + len(layout)] for first in range(0, len(norms), len(layout))]


def _fault(cause: str, detail: str) -> Fault:
    return {"cause": cause, "detail": detail}
