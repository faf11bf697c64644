"""A progress bar for the points of a run."""

import sys
from collections.abc import Mapping
from typing import Any, TextIO

from tqdm import tqdm

__all__ = ["ScanProgress"]


class ScanProgress:
    """Shows how many of a run's points are measured, and the time left.

    Parameters
    ----------
    file : text file, optional
        Where the bar goes; stderr by default. A file that is no terminal gets no bar.
    """

    def __init__(self, file: TextIO | None = None):
        self._file = file
        self._bar: tqdm | None = None
        self._stream: str | None = None

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Follow one document."""
        if name == "start":
            self._close()
            out = self._file or sys.stderr
            self._bar = tqdm(
                total=doc.get("num_points"),
                desc=f"scan {doc.get('scan_id', '')}".strip(),
                unit="point",
                file=out,
                disable=not out.isatty(),
            )
        elif name == "descriptor" and doc.get("name") == "primary":
            self._stream = doc["uid"]
        elif self._bar is not None and name == "event" and doc["descriptor"] == self._stream:
            self._bar.update()
        elif self._bar is not None and name == "event_page" and doc["descriptor"] == self._stream:
            self._bar.update(len(doc["seq_num"]))
        elif name == "stop":
            self._close()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = self._stream = None
