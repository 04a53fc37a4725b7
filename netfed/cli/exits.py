"""Exit codes, and which of them an error means.

0 done; 1 a bug in netfed, the only one with a traceback (or, by `doctor`, a computer on which no run can succeed, or
vectors that do not hold); 2 the user's mistake; 3 the run failed; 4 stopped, and can be resumed; 5 a run folder is
missing, damaged or of another version; 6 no space left; 130 interrupted.
"""

from __future__ import annotations

import errno
import traceback

from netfed import __version__
from netfed.errors import ComputationFailed, RunFailed, RunFolderError, ScenarioError, in_words

DONE, BUG, MISTAKE, FAILED, STOPPED, BAD_FOLDER, NO_SPACE = range(7)
UNFIT, INTERRUPTED = 1, 130


def verdict(error: Exception) -> tuple[int, str]:
    """Return the exit code for an error, and what to tell the user."""
    from netfed.runfolder import RunFolderInUseError

    if isinstance(error, ScenarioError | RunFolderInUseError):
        return MISTAKE, str(error)
    if isinstance(error, ComputationFailed) and error.__cause__ is not None:
        return FAILED, f"{''.join(traceback.format_exception(error.__cause__))}\nthe run failed: {error}"
    if isinstance(error, RunFailed):
        return FAILED, "\n".join([*getattr(error, "__notes__", ()), f"the run failed: {error}"])
    if isinstance(error, RunFolderError):
        return BAD_FOLDER, str(error)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return NO_SPACE, f"{error.filename or 'store'}: {error.strerror}; what was committed is safe"
    if isinstance(error, OSError) and error.filename is not None:
        return MISTAKE, f"{error.filename}: {in_words(error)}"
    report = "".join(traceback.format_exception(error))
    return (
        BUG,
        f"{report}\nThis is a bug in netfed {__version__} or in a plug-in: please report it with the lines above.",
    )
