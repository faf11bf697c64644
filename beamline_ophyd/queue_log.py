"""What became of the rows of a sheet: kept beside it, line by line, and told as a report.

A line is on the disk before the scan goes on, so that a program that is killed loses none; a row
that began and never ended was interrupted. Rows are known by what they measure, not by their
number: rows may be added, moved and corrected between two runs of a sheet.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from .sheet import Row, Sheet

__all__ = ["Outcome", "QueueLog", "QueueReport"]

DONE = "done"
WAITING = "waiting"
INTERRUPTED = "interrupted"
SKIPPED = "skipped"


class QueueLog:
    """The log of a sheet.

    Parameters
    ----------
    path : path
        Made at the first line; by default of a sheet see :meth:`beside`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path).expanduser()
        self._file: TextIO | None = None

    @classmethod
    def beside(cls, sheet: str | Path) -> "QueueLog":
        """The log that is kept beside a sheet: ``foils.csv`` has ``foils.csv.queue.jsonl``."""
        path = Path(sheet).expanduser()
        return cls(path.with_name(path.name + ".queue.jsonl"))

    @contextlib.contextmanager
    def held(self) -> Iterator["QueueLog"]:
        """Open for writing, and keep others from running the same queue meanwhile.

        Raises
        ------
        ValueError
            When it cannot be written, or somebody else runs the queue.
        """
        try:
            file = self.path.open("a+", encoding="utf-8")
        except OSError as error:
            raise ValueError(
                f"the queue's log {self.path} cannot be written: {error.strerror}; name another "
                "with state="
            ) from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ValueError(
                    f"the queue of {self.path} is being run by another program; let that one "
                    "end, or stop it"
                ) from error
            self._file = file
            self._end_line(file)
            try:
                yield self
            finally:
                self._file = None
                if not os.fstat(file.fileno()).st_size:
                    self.path.unlink(missing_ok=True)  # a plan that was only looked at

    def began(self, row: Row, uid: str) -> None:
        """A row's run has opened."""
        self._write(row, uid=uid)

    def ended(self, row: Row, status: str, reason: str = "", uid: str | None = None) -> None:
        """A row has ended: "done", "failed", "stopped" or "aborted"."""
        self._write(row, status=status, reason=reason, **({} if uid is None else {"uid": uid}))

    def report(self, sheet: Sheet) -> "QueueReport":
        """What became of the rows of a sheet so far.

        Raises
        ------
        ValueError
            When the log is there and cannot be read.
        """
        kept = self._outcomes()
        outcomes = []
        for row in sheet.rows:
            words = {"row": row.number, "sample": row.sample, "edge": row.edge}
            found = kept.get(row.key) or Outcome(status=SKIPPED if row.skip else WAITING)
            outcomes.append(Outcome(**{**asdict(found), **words}))
        return QueueReport(str(sheet.path), tuple(outcomes))

    def outcome(self, row: Row) -> "Outcome | None":
        """What became of a row; None where it has not begun."""
        return self._outcomes().get(row.key)

    def _outcomes(self) -> dict[str, "Outcome"]:
        """Key of a row to the last that is known of it."""
        found: dict[str, dict[str, Any]] = {}
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(
                f"the queue's log {self.path} cannot be read: {error}; move it away to begin anew"
            ) from error
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                key, when = str(entry["key"]), float(entry["time"])
            except (ValueError, TypeError, KeyError):
                continue  # cut short when the program was killed
            row = found.setdefault(key, {"runs": ()})
            if "status" in entry:
                row |= {"status": str(entry["status"]), "reason": str(entry.get("reason", ""))}
                row["ended"] = when
            else:
                row |= {"status": INTERRUPTED, "reason": "", "began": when, "ended": None}
            if uid := entry.get("uid"):
                row["runs"] = (*(r for r in row["runs"] if r != uid), str(uid))
        return {key: Outcome(**row) for key, row in found.items()}

    def _write(self, row: Row, **words: Any) -> None:
        if self._file is None:
            raise RuntimeError("the log is not held")
        entry = {"key": row.key, "row": row.number, "sample": row.sample, "time": time.time()}
        self._file.write(json.dumps({**entry, **words}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    @staticmethod
    def _end_line(file: TextIO) -> None:
        """After a line that was cut short, the next one begins on its own."""
        size = os.fstat(file.fileno()).st_size
        if size and os.pread(file.fileno(), 1, size - 1) != b"\n":
            file.write("\n")


@dataclass(frozen=True)
class Outcome:
    """What became of one row.

    Attributes
    ----------
    status : str
        "done", "failed", "stopped", "aborted", "interrupted", "waiting" or "skipped".
    reason : str
        Why it failed or was aborted.
    runs : tuple of str
        Uids of its runs, in order; more than one where a run was continued or repeated.
    began, ended : float or None
        Time of the last run's begin, and of its end, in s since 1970.
    """

    row: int = 0
    sample: str = ""
    edge: str | float = ""
    status: str = WAITING
    reason: str = ""
    runs: tuple[str, ...] = ()
    began: float | None = None
    ended: float | None = None

    @property
    def seconds(self) -> float | None:
        """How long the last run took, where it ended."""
        return None if self.began is None or self.ended is None else self.ended - self.began


@dataclass(frozen=True)
class QueueReport:
    """What became of the rows of a sheet; as text, or as plain JSON."""

    sheet: str
    rows: tuple[Outcome, ...]

    @property
    def finished(self) -> bool:
        """Whether every row is done, or left out."""
        return all(row.status in (DONE, SKIPPED) for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON."""
        rows = [
            {**asdict(row), "runs": list(row.runs), "seconds": row.seconds} for row in self.rows
        ]
        return {"sheet": self.sheet, "finished": self.finished, "rows": rows}

    def __str__(self) -> str:
        table = [("row", "sample", "edge", "how it ended", "time", "run")]
        for row in self.rows:
            took = "" if row.seconds is None else f"{row.seconds:.0f} s"
            status = f"{row.status}: {row.reason}" if row.reason else row.status
            runs = ", ".join(uid[:8] for uid in row.runs)
            table.append((str(row.row), row.sample, str(row.edge), status, took, runs))
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)).rstrip()
            for line in table
        ]
        done = sum(row.status == DONE for row in self.rows)
        wanted = sum(row.status != SKIPPED for row in self.rows)
        return "\n".join([*lines, f"{done} of {wanted} rows of {self.sheet} are done"])
