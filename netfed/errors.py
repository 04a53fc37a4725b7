"""Whose fault it is: the user's, ours, or the simulated world's."""

from __future__ import annotations


class ScenarioError(Exception):
    """The user's mistake. ``lines`` are ready to print, one per mistake: ``file:line:col: path: message``."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


class RunFailed(Exception):
    """The run cannot go on: it diverged, or no device is left. ``str`` says what happened, where, and what to do."""


class ComputationFailed(RunFailed):
    """A node's computation raised: a model, a plug-in, or netfed itself. ``__cause__`` is what it raised."""


class RunFolderError(Exception):
    """A run folder is missing, damaged, or written by another version. ``str`` names the file and the remedy."""


class SimulationError(Exception):
    """Ours: netfed, or a plug-in, broke one of its own invariants."""


class ParticipationLost(Exception):
    """The simulated world's: this participation ends here. ``cause`` is a short slug for the records."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


class TransferLost(ParticipationLost):
    """The link lost the transfer."""


class Dropped(ParticipationLost):
    """The device left, or was dismissed, in mid-phase."""
