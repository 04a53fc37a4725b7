"""Error feedback: what compression leaves out of one upload is added to the next (Seide et al., INTERSPEECH 2014)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netfed.codecs.entries import flatten

if TYPE_CHECKING:
    from torch import Tensor

    from netfed.codecs.spec import State, Tensors
    from netfed.layout import Layout


def wanted(tensors: Tensors, layout: Layout, state: State | None) -> Tensor:
    """Return what should arrive: the trained entries and what is still owed of earlier ones.  # float32 [entry]"""
    entries = flatten(tensors, layout)
    return entries if state is None else entries + state["residual"]


def owed(residual: Tensor) -> State:
    """Return the state to go on from: what was wanted less what was sent.

    What is not finite is forgotten: the receiver sees it in this upload, and no later one shall suffer from it.
    """
    return {"residual": residual.nan_to_num(0.0, 0.0, 0.0)}
