"""How an error is told to the person at the keyboard: in its own words, `%tb` for the rest.

A plan runs inside preprocessors inside the RunEngine, so that the traceback of a misspelt edge
has a hundred lines, of which the last says it all. ``%load_ext beamline_ophyd.console`` in a
profile that does not call :func:`beamline_ophyd.session.start`, which does the same.
"""

import logging
import sys
from types import TracebackType
from typing import Any

from bluesky.utils import RequestAbort, RequestStop

__all__ = ["load_ipython_extension", "tell_errors_briefly"]

TELLING = ("beamline_ophyd", "bluesky", "ophyd", "ophyd_async")
"""Packages that raise errors in words."""

BUGS = (AssertionError, AttributeError, LookupError, NameError, TypeError)
"""Errors that tell little without the place."""


def tell_errors_briefly() -> None:
    """Tell errors in their own words, where the caller runs in IPython or Jupyter."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    if shell is not None:
        load_ipython_extension(shell)


def load_ipython_extension(shell: Any) -> None:
    """Show the errors of plans and devices without traceback, which `%tb` shows.

    Anything else, such as an error in a user's own plan, keeps its traceback.
    """
    logging.getLogger("bluesky").addFilter(_without_traceback)
    shell.set_custom_exc((Exception,), _show)


def _show(
    shell: Any,
    kind: type[BaseException],
    error: BaseException,
    traceback: TracebackType | None,
    tb_offset: int | None = None,
) -> None:
    shell.showtraceback(
        (kind, error, traceback),
        tb_offset=tb_offset,
        exception_only=not isinstance(error, BUGS) and _raised_by(traceback) in TELLING,
    )


def _raised_by(traceback: TracebackType | None) -> str:
    """The package whose line raised an error."""
    module = ""
    while traceback is not None:
        module = str(traceback.tb_frame.f_globals.get("__name__", ""))
        traceback = traceback.tb_next
    return module.partition(".")[0]


def _without_traceback(record: logging.LogRecord) -> bool:
    """Drop the traceback of a run that ended early: IPython shows it, an abort has none to show."""
    if record.msg == "Run aborted" and record.exc_info:
        asked = isinstance(record.exc_info[1], RequestAbort | RequestStop)
        record.exc_info = None
        return not asked
    # bluesky closes the trace of a run once more when the run is aborted.
    return record.msg != "No open traces left to close!"
