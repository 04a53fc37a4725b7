"""How far a run has come: told while it plays, and kept in ``status.json``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    Attributes:
        version: Of the global model.
        versions: At the end of the run.
        t_s: Simulated time of the last aggregation.
        metric: Its name and its last value; None while there is none.
        bits: Sent so far, both directions.
        lost: Updates lost so far; those that were late or dismissed are not among them.
        trained: Local trainings done so far.
        torch_s: CPU seconds spent on computing values so far.
    """

    version: int
    versions: int
    t_s: float
    metric: tuple[str, float | None]
    bits: int
    lost: int
    trained: int
    torch_s: float
