"""Files that a scenario names: found once, and pinned by what they say."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_BYTES = 1_000_000_000


@dataclass(frozen=True, kw_only=True)
class FromFile:
    """A spec that goes on in a file of its own.

    Attributes:
        path: Of the file: from the folder of the scenario that names it, or from the present folder if an override
            does. Once read, it is absolute.
        sha256: Of the file's bytes, in hexadecimal digits. Filled in when it is first read: whoever goes on with a run,
            or repeats it, has the same file.
    """

    path: str
    sha256: str | None = None

    def _bytes(self) -> bytes:
        """Return what the file says, and pin it.

        Raises:
            ValueError: It cannot be read, is too large, or is not the file that it was.
        """
        path = Path(self.path).absolute()
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from error
        if len(data) > MAX_BYTES:
            raise ValueError(f"{path}: more than {MAX_BYTES} bytes")
        digest = hashlib.sha256(data).hexdigest()
        if self.sha256 not in (None, digest):
            raise ValueError(f"{path}: its sha256 is {digest}: it is not the file that was read before")
        object.__setattr__(self, "path", str(path))
        object.__setattr__(self, "sha256", digest)
        return data

    def _text(self) -> str:
        """Return what the file says as text, and pin it.

        Raises:
            ValueError: As for its bytes, or they are not UTF-8.
        """
        try:
            return self._bytes().decode()
        except UnicodeDecodeError as error:
            raise ValueError(f"{self.path}: byte {error.start} is not UTF-8") from error


def parse_json(text: str) -> Any:
    """Return what a text in JSON says.

    Raises:
        JSONDecodeError: It is not JSON.
        ValueError: It is more than Python reads.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except ValueError as error:
        raise ValueError("an integer has too many digits") from error
