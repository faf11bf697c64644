"""What a scan took: remembered for the next estimate, and told in one line."""

import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

from beamline_ophyd.metadata import RESULT_STREAM, WORDS_KEY, RunMetadata
from beamline_ophyd.timing import learn, save_timing

__all__ = ["ScanSummary", "TimingMemory"]

logger = logging.getLogger(__name__)


class _Follower:
    """Follows one scan at a time; nothing is raised into the RunEngine."""

    def __init__(self) -> None:
        self._start: Mapping[str, Any] | None = None
        self._about: RunMetadata | None = None
        self._stream: str | None = None
        self._events: list[Mapping[str, Any]] = []
        self._results: str | None = None
        self._found: str | None = None

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Follow one document; never raises."""
        try:
            self._follow(name, doc)
        except Exception as error:
            logger.warning("%s did not follow a %s: %r", type(self).__name__, name, error)

    def _follow(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "start":
            self._start, self._stream, self._events = doc, None, []
            self._results = self._found = None
            self._about = RunMetadata.from_start(doc)
        elif name == "descriptor" and doc.get("name") == "primary":
            self._stream = doc["uid"]
        elif name == "descriptor" and doc.get("name") == RESULT_STREAM:
            self._results = doc["uid"]
        elif name == "event" and doc["descriptor"] == self._stream:
            self._events.append(doc)
        elif name == "event" and doc["descriptor"] == self._results:
            self._found = doc["data"].get(WORDS_KEY)
        elif name == "stop" and self._start is not None:
            known = self._about is not None and self._about.xafs is not None
            if self._about is not None and (known or self._found):
                self._end(self._start, self._about, doc)
            self._start, self._events = None, []

    def _end(
        self, start: Mapping[str, Any], about: RunMetadata, stop: Mapping[str, Any]
    ) -> None: ...


class TimingMemory(_Follower):
    """Keeps what scans took in a file, from which the next estimate learns.

    Parameters
    ----------
    path : path
        JSON file; made where it is not there.
    """

    def __init__(self, path: str | Path):
        super().__init__()
        self._path = Path(path)

    def _end(self, start: Mapping[str, Any], about: RunMetadata, stop: Mapping[str, Any]) -> None:
        roles = about.xafs.roles if about.xafs else None
        if roles is None or roles.dwell is None:
            return
        settle_s = float((start.get("plan_args") or {}).get("settle_time", 0.0))
        timing = learn(
            [event["time"] for event in self._events],
            [event["data"][roles.energy] for event in self._events],
            [event["data"][roles.dwell] for event in self._events],
            settle_s,
        )
        if timing is not None:
            save_timing(self._path, roles.energy, timing)


class ScanSummary(_Follower):
    """Tells in one line how a scan ended, and in another what it found.

    Parameters
    ----------
    file : text file, optional
        Where the line goes; stderr by default.
    """

    def __init__(self, file: TextIO | None = None):
        super().__init__()
        self._file = file

    def _end(self, start: Mapping[str, Any], about: RunMetadata, stop: Mapping[str, Any]) -> None:
        out = self._file or sys.stderr
        key = about.xafs.quality_key if about.xafs else None
        bad = sum(bool(key and event["data"].get(key)) for event in self._events)
        plan = str(start.get("plan_name", "")) if about.xafs is None or self._found else ""
        what = " ".join(filter(None, [plan, _edge(about), about.sample_name]))
        words = [f"scan {start.get('scan_id', '')} {what}: {len(self._events) - bad}"]
        words += [f"of {start.get('num_points', '?')} points"]
        words += [f"in {stop['time'] - start['time']:.0f} s"]
        words += [f"({bad} bad, kept and marked)"] if bad else []
        words += [f"- {stop['exit_status']}"]
        words += [f"({reason})"] if (reason := stop.get("reason")) else []
        if out is not None:
            out.write(" ".join(words) + "\n")
            out.write(f"{self._found}\n" if self._found else "")
            out.flush()


def _edge(about: RunMetadata) -> str:
    return f"{about.element}-{about.edge}" if about.element else ""
