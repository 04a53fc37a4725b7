"""The command line. Data goes to stdout, text to stderr; verbs import what they need, so that help is instant."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from netfed import __version__
from netfed.cli.computer import doctor
from netfed.cli.exits import DONE, verdict
from netfed.cli.insight import explain
from netfed.cli.link import explain_link
from netfed.cli.live import stop, watch
from netfed.cli.play import resume, run
from netfed.cli.runs import ls, report, show, verify
from netfed.cli.scenarios import check, config, init, schema
from netfed.errors import ScenarioError

_EMPTY_OPTION = re.compile(r"--[a-z-]+=")

app = typer.Typer(
    name="netfed",
    help="Federated learning over simulated mobile networks: real training, real bytes, simulated time.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for verb in (
    *(run, resume, check, config, init, schema, explain_link),
    *(ls, show, explain, watch, stop, report, verify, doctor),
):
    app.command()(verb)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        _check(sys.argv[1:] if arguments is None else arguments)
        app(arguments, prog_name="netfed")
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the reader has had enough: `netfed show | head`
    except Exception as error:
        code, message = verdict(error)
        print(message, file=sys.stderr)
        sys.exit(code)
    sys.exit(DONE)


def _check(arguments: Sequence[str]) -> None:
    """Refuse what Typer takes without a word.

    Raises:
        ScenarioError: An argument is empty, which would be the present folder; or a shell is named for completion,
            which is that of the shell it is asked from.
    """
    if empty := [place for place, word in enumerate(arguments, start=1) if not word or _EMPTY_OPTION.fullmatch(word)]:
        raise ScenarioError(f"argument {empty[0]} is empty: write . for the present folder")
    first, *more = arguments or ("",)
    if more and first in ("--show-completion", "--install-completion"):
        raise ScenarioError(f"{first} {more[0]}: {first} is for the shell that it is asked from; leave out {more[0]!r}")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"netfed {__version__}")
        raise typer.Exit


@app.callback()
def _netfed(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
