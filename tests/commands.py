"""Running the command line in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]


class Done(NamedTuple):
    """What a process has left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        assert self.code == 0, self.err
        (line,) = self.out.splitlines()
        return json.loads(line)


def environment(path: Path | str = ROOT, **variables: str) -> dict[str, str]:
    """Return this process's environment, with netfed found under ``path``."""
    return {**os.environ, "PYTHONPATH": str(path), **variables}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "netfed", *map(str, arguments)]


def netfed(*arguments: object, cwd: Path, env: Mapping[str, str] | None = None, **popen: Any) -> Done:
    """Run ``netfed`` with some arguments to its end."""
    done = subprocess.run(
        command(*arguments),
        cwd=cwd,
        env=env or environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        **popen,
    )
    return Done(done.returncode, done.stdout, done.stderr)
