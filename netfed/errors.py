"""Whose fault it is: the user's, ours, or the simulated world's."""

from __future__ import annotations

import errno

_LONGEST = 500


def printable(line: str) -> str:
    """Return a line as a terminal shows it: what cannot be printed is escaped, the middle of a long line left out."""
    line = line if line.isprintable() else ascii(line)[1:-1]
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST // 2]} ... {line[-_LONGEST // 2 :]}"


class ScenarioError(Exception):
    """The user's mistake. ``lines`` are ready to print, one per mistake: ``file:line:col: path: message``."""

    def __init__(self, *lines: str) -> None:
        self.lines = tuple(map(printable, lines))
        super().__init__("\n".join(self.lines))


class RunFailed(Exception):
    """The run cannot go on: it diverged, or no device is left. ``str`` says what happened, where, and what to do."""


class ComputationFailed(RunFailed):
    """A node's computation raised: a model, a plug-in, or netfed itself. ``__cause__`` is what it raised."""


class MisshapenError(Exception):
    """An update does not have the names, shapes and types of the model."""


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


_IN_WORDS = {
    errno.EACCES: "no permission; change it, or name another",
    errno.EISDIR: "is a folder; name a file",
    errno.ENOENT: "no such file or folder",
    errno.ENOTDIR: "leads through a file; name a folder",
    errno.EEXIST: "is a file; name a folder",
    errno.EROFS: "this disk is read-only; name another folder",
    errno.ENAMETOOLONG: "the name is too long",
}


def in_words(error: OSError) -> str:
    """Return what an error of the file system means to a user, and what to do."""
    return _IN_WORDS.get(error.errno or 0, error.strerror or "cannot be used")
