"""A page for people beside each finished file, made while nobody waits for it."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from beamline_ophyd.formats.problems import Problem

from ._worker import DocumentWorker

__all__ = ["ReportWriter"]

DEADLINE_S = 120.0
"""Longest time for one page: a second or two, more on a busy machine or for a long run."""


class ReportWriter:
    """Makes the page of each file that it is told of: ``NAME.html`` beside ``NAME.nxs``.

    The pages are drawn in a process of their own with low priority, so that they take no time
    from a scan, whatever is in a file. What cannot be made is logged and kept in
    :attr:`problems`; ``beamline report FILE`` makes a page at any time.

    Examples
    --------
    >>> reports = ReportWriter()
    >>> writer = NXxasWriter("files", on_file=reports)  # doctest: +SKIP

    Attributes
    ----------
    pages : dict
        Run uid to the path of its page.
    """

    def __init__(self) -> None:
        self.pages: dict[str, Path] = {}
        self._worker = DocumentWorker(self._handle, name="report")

    def __call__(self, uid: str, path: str | Path, start: Mapping[str, Any] | None = None) -> None:
        """Take a finished file; returns at once and never raises."""
        self._worker.put("file", {"uid": uid, "path": str(path)})

    @property
    def problems(self) -> list[Problem]:
        """What went wrong, with the run's uid."""
        return list(self._worker.problems)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for the pages of all files so far; False when `timeout` seconds were not enough."""
        return self._worker.wait(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Make the pages that are still wanted; False when `timeout` seconds were not enough."""
        return self._worker.close(timeout)

    def _handle(self, _: str, file: Mapping[str, Any]) -> None:
        uid, path = str(file["uid"]), file["path"]
        try:
            self.pages[uid] = _drawn(path)
        except _NotDrawnError as error:
            self._worker.report(
                uid, f"no page was made of {path}: {error}; `beamline report {path}` tries again"
            )


class _NotDrawnError(Exception):
    """Says why there is no page."""


def _drawn(path: str) -> Path:
    """The page of a file, made by another process."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "beamline_ophyd.report", path],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
            start_new_session=True,  # Ctrl-C at the prompt pauses a scan and is not meant for it
        )
    except subprocess.TimeoutExpired:
        raise _NotDrawnError(f"it took more than {DEADLINE_S:.0f} s") from None
    except OSError as error:
        raise _NotDrawnError(str(error)) from error
    if done.returncode:
        words = done.stderr.strip().splitlines()
        raise _NotDrawnError(words[-1] if words else f"its process ended with {done.returncode}")
    return Path(done.stdout.strip())
