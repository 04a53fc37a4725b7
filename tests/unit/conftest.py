"""What unit tests share: the command line, called in this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from netfed.cli import main


@pytest.fixture(autouse=True)
def quick(no_fsync: None) -> None:
    """Unit tests do not wait for the disk."""


class Done(NamedTuple):
    """What a command has left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))


Netfed = Callable[..., Done]


@pytest.fixture
def netfed(capsys: pytest.CaptureFixture[str]) -> Netfed:
    """Return a function that runs ``netfed`` with some arguments."""

    def call(*arguments: object) -> Done:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        return Done(int(stop.value.code or 0), shown.out, shown.err)

    return call
