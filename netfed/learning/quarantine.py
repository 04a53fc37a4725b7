"""Bad updates: told by what they are, and kept out of the mean."""

from __future__ import annotations

import math
import statistics
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch

from netfed.errors import ComputationFailed, MisshapenError
from netfed.layout import Layout
from netfed.learning.tensors import Tensors

HUGE = 10.0
"""How many times the median norm of the updates in one mean an update may have. One that comes alone has nothing to be
compared with."""


Fault = dict[str, str]
"""What is wrong with an update: ``cause`` (failed, misshapen, not-finite, huge) and ``detail``; where it failed, the
``traceback`` too."""
Faults = list[Fault | None]
"""Of each update; None: nothing is wrong with it."""


class Sifted(NamedTuple):
    """Updates of one mean.

    Attributes:
        good: Those that may enter it, in the order given, in float64.
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
    updates: list[Tensors | None] = []
    faults: Faults = []
    norms: list[float] = []
    for one in sent:
        update, fault, norm = _inspect(one, decode, layout)
        updates.append(update)
        faults.append(fault)
        norms.append(norm)
    sound = [norm for norm, fault in zip(norms, faults, strict=True) if fault is None]
    limit = HUGE * statistics.median(sound) if sound else 0.0
    for index, norm in enumerate(norms):
        if faults[index] is None and norm > limit > 0:
            faults[index] = _fault("huge", f"its norm is {norm:.3g}, {HUGE * norm / limit:.0f} times the median")
    good = [update for update, fault in zip(updates, faults, strict=True) if update is not None and fault is None]
    return Sifted(good, faults)


def _inspect(sent: Any, decode: Callable[[Any], Tensors], layout: Layout) -> tuple[Tensors | None, Fault | None, float]:
    """Return an update in float64, what is wrong with it taken by itself, and the norm of what is trained: counters
    among the buffers tell how long a device trained, not how far it came.
    """
    if isinstance(sent, ComputationFailed):
        if isinstance(sent.__cause__, MisshapenError):
            return None, _fault("misshapen", str(sent.__cause__)), 0.0
        lines = "".join(traceback.format_exception(sent.__cause__ or sent))
        return None, {**_fault("failed", str(sent)), "traceback": lines}, 0.0
    update = decode(sent)
    exact = {name: update[name].double() for name in layout}
    norms = dict(zip(exact, map(float, torch._foreach_norm(list(exact.values()))), strict=True))
    if not all(map(math.isfinite, norms.values())):
        names = ", ".join(name for name, norm in norms.items() if not math.isfinite(norm))
        return None, _fault("not-finite", f"there are numbers that are not finite in {names}"), 0.0
    return exact, None, math.hypot(*(norm for name, norm in norms.items() if layout[name].trained))


def _fault(cause: str, detail: str) -> Fault:
    return {"cause": cause, "detail": detail}
