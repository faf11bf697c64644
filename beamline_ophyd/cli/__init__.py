"""The command line: ``beamline COMMAND``.

Words for people go to stderr, output for programs (``--json``) to stdout; the exit code is
0 only for success. Commands stand in a module by subject, in the order in which help lists them.
"""

import logging
import os
import sys
from enum import StrEnum
from importlib.metadata import version
from typing import Annotated

import typer

from ._app import INTERRUPTED, app, say

# Help lists the commands in this order.
# isort: off
from . import _run, _session, _scan, _queue, _devices, _doctor, _plans, _files  # noqa: F401
# isort: on

__all__ = ["app", "main"]


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(version("beamline-ophyd"))
        raise typer.Exit


LOGGERS = ("beamline_ophyd", "bluesky", "ophyd", "tiled")
"""What ``--log-level`` is for: this project and the libraries that it is built on."""


class LogLevel(StrEnum):
    """How much is told, from all to little."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@app.callback()
def common(
    _: Annotated[
        bool,
        typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version."),
    ] = False,
    log_level: Annotated[
        LogLevel,
        typer.Option(envvar="BEAMLINE_LOG_LEVEL", help=f"How much {', '.join(LOGGERS)} tell."),
    ] = LogLevel.WARNING,
) -> None:
    """Take the options of no command."""
    for name in LOGGERS:
        logging.getLogger(name).setLevel(log_level.value.upper())


def main() -> None:
    """Run the command line; an expected error is one line, not a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except SystemExit as end:
        if end.code == INTERRUPTED:
            say("interrupted")
        raise
    except Exception as error:
        if os.environ.get("BEAMLINE_TRACEBACK"):
            raise
        say(f"{type(error).__name__}: {error}")
        sys.exit(1)
