"""A progress bar for the points of a run."""

import logging
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from tqdm import tqdm

__all__ = ["ScanProgress"]

logger = logging.getLogger(__name__)


class ScanProgress:
    """Shows how many of a run's points are measured, and the time left.

    A bar is never worth a scan: nothing is raised into the RunEngine. The first trouble is
    logged, and with it the bar of that run is gone.

    Parameters
    ----------
    file : text file, optional
        Where the bar goes; stderr by default. A file that is no terminal gets no bar.
    """

    def __init__(self, file: TextIO | None = None):
        self._file = file
        self._bar: tqdm | None = None
        self._stream: str | None = None
        self._told = False

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Follow one document; never raises."""
        try:
            self._follow(name, doc)
        except Exception as error:
            bar, self._bar, self._stream = self._bar, None, None
            if bar is not None:
                bar.disable = True  # its end would write once more
            if not self._told:
                self._told = True
                logger.warning("no progress bar, the scan goes on without: %r", error)

    def _follow(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "start":
            self._close()
            self._open(doc)
        elif name == "descriptor" and doc.get("name") == "primary":
            self._stream = doc["uid"]
        elif name == "stop":
            self._close()
        elif self._bar is not None and doc.get("descriptor") == self._stream:
            if name == "event":
                self._bar.update()
            elif name == "event_page":
                self._bar.update(len(doc["seq_num"]))

    def _open(self, doc: Mapping[str, Any]) -> None:
        out = self._file or sys.stderr
        if out is None:  # a program without a console
            return
        total = doc.get("num_points")
        known = isinstance(total, int) and not isinstance(total, bool) and total >= 0
        self._bar = tqdm(
            total=total if known else None,
            desc=f"scan {doc.get('scan_id', '')}".strip(),
            unit="point",
            file=out,
            disable=not out.isatty(),
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = self._stream = None
