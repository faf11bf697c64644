"""Which journals may go: the old ones, and only those whose run is whole elsewhere."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from beamline_ophyd.data import ScanData
from beamline_ophyd.formats.earlier import look_in
from beamline_ophyd.formats.journal import dumps, read_journal
from beamline_ophyd.formats.run import Run, builder_from
from beamline_ophyd.serving import DataFolder, connect

from .journal import Journal

__all__ = [
    "JournalPruning",
    "spent_journals",
    "whole_elsewhere",
    "whole_in_files",
    "whole_in_tiled",
]

DAY_S = 86400.0

FIRST_S = 60.0
"""After its start a session has other things to do."""

EVERY_S = 6 * 3600.0

logger = logging.getLogger(__name__)

Complete = Callable[[Run], bool]


def spent_journals(
    paths: Iterable[Path],
    complete: Complete,
    *,
    keep_days: float | None,
    keep_bytes: int | None,
) -> Iterator[Path]:
    """Journals that are older than the days, or beyond the bytes, from the oldest on.

    A journal stays in any case that cannot be read, has no stop document, or whose run is not
    complete elsewhere.

    Parameters
    ----------
    complete : callable
        Whether a run is whole in all places that it should be in.
    keep_days, keep_bytes : float, int, optional
        Age in days and size of all journals together that are kept; None keeps any.
    """
    found = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in paths)
    excess = 0 if keep_bytes is None else sum(size for _, size, _ in found) - keep_bytes
    for modified, size, path in found:
        is_old = keep_days is not None and time.time() - modified > keep_days * DAY_S
        if (is_old or excess > 0) and _is_complete(path, complete):
            excess -= size
            yield path


def whole_in_files(folder: str | Path) -> Complete:
    """A check that all that a run's documents say is in a finished NeXus file below a folder."""
    look = look_in([Path(folder)], finished_files=True)

    def complete(run: Run) -> bool:
        found = look(run.uid)
        return bool(found) and _holds(found[-1], run)

    return complete


def whole_in_tiled(
    uri: str | None = None, api_key: str | None = None, *, folder: str | Path | None = None
) -> Complete:
    """A check that Tiled has a run with its stop document and every event of every stream.

    While the server cannot be asked, no run is complete.

    Parameters
    ----------
    uri, api_key, folder
        As for :func:`~beamline_ophyd.serving.connect`.
    """

    def complete(run: Run) -> bool:
        try:
            with connect(uri, api_key, folder=folder) as client:
                found = ScanData.from_tiled(client.runs[run.uid]).run
        except Exception as error:  # away, not there, not readable: the journal stays
            logger.debug("run %s is not known to be whole in Tiled: %s", run.uid, error)
            return False
        return (
            found.stop is not None
            and run.stop is not None
            and found.stop.get("uid") == run.stop.get("uid")
            and all(
                name in found.streams
                and len(found.streams[name]) == len(stream)
                and stream.columns.keys() <= found.streams[name].columns.keys()
                for name, stream in run.streams.items()
                if len(stream)
            )
        )

    return complete


def whole_elsewhere(served: DataFolder, server: tuple[str, str | None] | None = None) -> Complete:
    """A check that a run is whole in its file, and in Tiled where a session puts it there.

    Parameters
    ----------
    served : DataFolder
        Of the session; its Tiled server counts from its first start on, also while it is off.
    server : (str, str), optional
        Address and key of another server.
    """
    in_files = whole_in_files(served.files)
    in_tiled = whole_in_tiled(*server) if server else whole_in_tiled(folder=served.root)

    def complete(run: Run) -> bool:
        has_tiled = server is not None or served.config.exists()
        return in_files(run) and (not has_tiled or in_tiled(run))

    return complete


class JournalPruning:
    """Removes old journals now and then, on a thread of its own, while no run goes on.

    Parameters
    ----------
    journal : Journal
    complete : callable
        Whether a run is whole in every other place, such as :func:`whole_elsewhere` makes.
    keep_days, keep_bytes : float, int, optional
        Age in days and size of all journals together that are kept; where both are None
        nothing is ever removed, and there is no thread.
    first_s, every_s : float
        Time in s to the first pass, and between passes.

    Attributes
    ----------
    removed : list of Path
        Journals that have gone so far.
    """

    def __init__(
        self,
        journal: Journal,
        complete: Complete,
        *,
        keep_days: float | None = None,
        keep_bytes: int | None = None,
        first_s: float = FIRST_S,
        every_s: float = EVERY_S,
    ) -> None:
        self.removed: list[Path] = []
        self._journal = journal
        self._prune: Callable[[], list[Path]] = lambda: journal.prune(
            complete, keep_days=keep_days, keep_bytes=keep_bytes
        )
        self._pauses = (first_s, every_s)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        if keep_days is not None or keep_bytes is not None:
            self._thread = threading.Thread(target=self._run, name="journal pruning", daemon=True)
            self._thread.start()

    def close(self, timeout: float | None = None) -> bool:
        """End the thread; False when `timeout` seconds were not enough for a pass to end."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join(timeout)
        return self._thread is None or not self._thread.is_alive()

    def _run(self) -> None:
        pause, every_s = self._pauses
        while not self._ended.wait(pause):
            if self._journal.busy:
                pause = min(FIRST_S, every_s)
                continue
            pause = every_s
            try:
                gone = self._prune()
            except Exception as error:  # a folder that is away: what is not removed stays
                logger.warning("old journals are not removed: %s", error)
                continue
            self.removed += gone
            for path in gone:
                logger.info("journal %s is removed: its run is whole elsewhere", path)


def _holds(found: Run, run: Run) -> bool:
    """Whether a run has all that another one has, whose start document may have left words out."""
    mine, theirs = ([dumps(item) for item in one.documents()][1:] for one in (run, found))
    return mine == theirs and _says(found.start, run.start)


def _says(found: Any, wanted: Any) -> bool:
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return all(key in found and _says(found[key], item) for key, item in wanted.items())
    return dumps(found) == dumps(wanted)


def _is_complete(path: Path, complete: Complete) -> bool:
    try:
        run = builder_from(read_journal(path)).snapshot()
        return run.stop is not None and complete(run)
    except (OSError, ValueError):
        return False
