"""A progress bar for the points of a run."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm
from tqdm.utils import ObjectWrapper

from beamline_ophyd.timing import in_words

from ._time_left import TimeLeft

__all__ = ["ScanProgress"]

logger = logging.getLogger(__name__)

KNOWN = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
UNKNOWN = "{desc}: {n_fmt}{unit} [{elapsed}]"


class ScanProgress:
    """Shows how many of a run's points are measured, and the time left.

    A point counts when it is measured well: what is taken again moves the bar once. The time
    left is made up point by point, of dwell time, settling, motion and overhead as past scans
    had them, and follows the pace of the scan.

    A bar is never worth a scan: nothing is raised into the RunEngine. The first trouble is
    logged, and with it the bar of that run is gone.

    Parameters
    ----------
    file : text file, optional
        Where the bar goes; stderr by default. A file that is no terminal gets no bar.
    memory : path, optional
        What past scans took, as :class:`~beamline_ophyd.callbacks.TimingMemory` keeps it; with
        it the time left is known from the begin.
    """

    def __init__(self, file: TextIO | None = None, memory: str | Path | None = None):
        self._file = file
        self._memory = memory
        self._bar: tqdm | None = None
        self._terminal: _Terminal | None = None
        self._left: TimeLeft | None = None
        self._stream: str | None = None
        self._told = False

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Follow one document; never raises."""
        try:
            self._follow(name, doc)
            if self._terminal is not None and self._terminal.trouble is not None:
                raise self._terminal.trouble
        except Exception as error:
            bar, self._bar, self._stream = self._bar, None, None
            self._terminal = None
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
                self._point(doc["seq_num"], doc["data"], doc["time"])
            elif name == "event_page":
                for row, number in enumerate(doc["seq_num"]):
                    data = {key: column[row] for key, column in doc["data"].items()}
                    self._point(number, data, doc["time"][row])

    def _point(self, seq_num: int, data: Mapping[str, Any], when: float) -> None:
        assert self._bar is not None
        assert self._left is not None
        good = self._left.event(seq_num, data, when)
        self._tell_time_left()
        if good:
            self._bar.update()

    def _tell_time_left(self) -> None:
        assert self._bar is not None
        assert self._left is not None
        if (seconds := self._left.seconds) is not None:
            self._bar.set_postfix_str(f"{in_words(seconds)} left", refresh=False)

    def _open(self, doc: Mapping[str, Any]) -> None:
        out = self._file or sys.stderr
        if out is None or not out.isatty():  # a program without a console
            return
        self._left = TimeLeft(doc, self._memory)
        total = self._left.total
        self._terminal = _Terminal(out)
        self._bar = tqdm(
            total=total,
            desc=f"scan {doc.get('scan_id', '')}".strip(),
            unit="point",
            file=self._terminal,
            bar_format=UNKNOWN if total is None else KNOWN,
        )
        self._tell_time_left()
        self._bar.refresh()

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = self._stream = self._left = None


class _Terminal(ObjectWrapper):
    """A file that raises nothing into tqdm, and whose `write` is looked up at each use.

    tqdm holds its lock while it writes and does not let go of it when that fails; its own
    thread would then keep the program from ending. And it keeps the `write` of the begin, which in
    IPython is the cell's own and of no use when a paused scan is ended after the last cell.
    """

    trouble: Exception | None

    def __init__(self, file: TextIO) -> None:
        super().__init__(file)
        self.wrapper_setattr("trouble", None)

    def write(self, text: str) -> int:
        try:
            return self._wrapped.write(text)
        except Exception as error:
            self.wrapper_setattr("trouble", error)
            return 0

    def flush(self) -> None:
        try:
            self._wrapped.flush()
        except Exception as error:
            self.wrapper_setattr("trouble", error)

    def __eq__(self, other: object) -> bool:
        return self._wrapped is getattr(other, "_wrapped", other)

    def __hash__(self) -> int:
        return hash(self._wrapped)
