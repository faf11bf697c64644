"""Runs and NXxas files into Tiled, without ever making the scan wait."""

import contextlib
import logging
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from beamline_ophyd.formats.problems import Problem
from beamline_ophyd.serving.link import Link

from ._exit import Turn, at_exit
from ._tiled_feed import FILE, OPEN, HasPaths, TiledFeed
from ._worker import DocumentWorker

__all__ = ["TiledPublisher"]

_LOADED_FIRST = (
    "concurrent.futures.thread",
    "concurrent.futures.process",
    "tiled.client.constructors",
)

logger = logging.getLogger(__name__)


class TiledPublisher:
    """Puts runs into Tiled while they are measured, and NXxas files when they are done.

    A callback for ``RE.subscribe``, to be subscribed after the journal. On the RunEngine's
    thread it only queues. A thread of its own sends points in batches, by count or by age, so
    that they can be read within about a second.

    While the server is away nothing waits and nothing is lost: the journal has it. The user is
    told once (logger ``beamline_ophyd.callbacks.tiled``), the server is looked for again after
    growing pauses, and when it is back, what it lacks is sent from the journal, also in the
    middle of a run, and the user is told.

    Parameters
    ----------
    uri : str, optional
        Address of the server. By default as :func:`~beamline_ophyd.serving.connect` finds it.
    api_key : str, optional
        The writer's key; by default from the environment or the data folder.
    folder : path, optional
        Data folder of a server on this machine, instead of the two above.
    journal : Journal, optional
        Without one, a run during which the server was away stays incomplete in Tiled.
    batch_size : int
        Points in one request, at most.
    batch_age_s : float
        Longest time for which a point waits for others.
    timeout_s : float
        For each step of a request; a server that takes longer counts as away.
    first_pause_s, longest_pause_s : float
        Pause before the server is looked for again; doubles each time.
    capacity : int
        Points that may wait in memory; beyond it, the run is sent from the journal at its end.

    Attributes
    ----------
    problems : list of Problem
        All that went wrong, also what has been mended since.

    Examples
    --------
    >>> publisher = TiledPublisher(journal=journal)  # doctest: +SKIP
    >>> RE.subscribe(publisher)  # doctest: +SKIP
    >>> publisher.wait(timeout=10)  # doctest: +SKIP
    True
    """

    def __init__(
        self,
        uri: str | None = None,
        api_key: str | None = None,
        *,
        folder: str | Path | None = None,
        journal: HasPaths | None = None,
        batch_size: int = 100,
        batch_age_s: float = 0.25,
        timeout_s: float = 5.0,
        first_pause_s: float = 1.0,
        longest_pause_s: float = 30.0,
        capacity: int = 100_000,
    ) -> None:
        self._timeout_s = timeout_s
        self._has_journal = journal is not None
        self._link = Link(
            uri,
            api_key,
            folder,
            timeout_s=timeout_s,
            first_pause_s=first_pause_s,
            longest_pause_s=longest_pause_s,
            on_away=self._tell_away,
            on_back=self._tell_back,
        )
        self._feed = TiledFeed(
            self._link, journal, batch_size=max(1, batch_size), retry_s=first_pause_s
        )
        self._worker = DocumentWorker(
            self._feed.handle,
            name="tiled publisher",
            tick=self._feed.tick,
            tick_interval=batch_age_s,
            capacity=capacity,
            gather=0.9 * batch_age_s,
        )
        self._feed.marks = self._worker
        self.problems: list[Problem] = self._worker.problems
        self._left = False
        at_exit(self, Turn.PUBLISHER)
        # What cannot be loaded any more once the interpreter is ending. The rest of Tiled's client
        # takes a second to load, and does so on the publisher's thread, before a scan.
        for module in _LOADED_FIRST:
            with contextlib.suppress(ImportError):  # which the publisher's thread will tell
                import_module(module)
        self._worker.put(OPEN, {})

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document; returns at once and never raises."""
        self._worker.put(name, doc)

    def register_file(self, uid: str, path: str | Path, start: Any = None) -> None:
        """Make the closed NXxas file of a run readable in Tiled; returns at once, never raises.

        Fits ``NXxasWriter(on_file=publisher.register_file)``.

        Parameters
        ----------
        uid : str
            Uid of the run, which becomes the key of the file.
        path : path
            The file, inside the folder of files that the server may read.
        start : mapping, optional
            Start document; not needed.
        """
        self._worker.put(FILE, {"uid": uid, "path": Path(path), "sweep": None})

    def register_sweep_file(self, uid: str, path: str | Path, sweep: int) -> None:
        """Make the closed file of one sweep of a run readable in Tiled, like that of the run.

        Fits ``NXxasWriter(repeats="files", on_sweep_file=publisher.register_sweep_file)``.

        Parameters
        ----------
        uid : str
            Uid of the run; the key of the file is ``UID_sweep_1`` and so on.
        path : path
            The file, inside the folder of files that the server may read.
        sweep : int
            Number of the sweep, from 1.
        """
        self._worker.put(FILE, {"uid": uid, "path": Path(path), "sweep": sweep})

    def note_gap(self, uid: str) -> None:
        """Send a run from its journal when it ends: points were dropped on their way here."""
        self._worker.mark_gap(uid)

    @property
    def away(self) -> bool:
        """Whether the server could not be used when it was last needed."""
        return self._link.away

    @property
    def published(self) -> tuple[str, ...]:
        """Uids of the runs that are in Tiled, complete."""
        return tuple(self._feed.published)

    @property
    def registered(self) -> tuple[str, ...]:
        """Keys of the files that can be read in Tiled: uids of runs, and ``UID_sweep_1``, ..."""
        return tuple(self._feed.registered)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all that was handed over is in Tiled, or given up and in `problems`.

        Returns
        -------
        bool
            False when `timeout` seconds were not enough, for example with the server away.
        """
        self._feed.hurry.set()
        return self._worker.wait(timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Finish what can be finished within `timeout` seconds, and end the thread.

        Returns
        -------
        bool
            False when something is not in Tiled. It is in the journal; `problems` says which.
        """
        self._feed.hurry.set()
        self._left = True
        done = self._worker.close(timeout)
        self._feed.ended.set()
        if not done:
            self._worker.close(2 * self._timeout_s)
        left = self._feed.leave("the publisher was closed before the server took it")
        self._link.close()
        return done and not left

    def leave(self, timeout: float) -> None:
        """The interpreter ends: finish, but do not wait for a server that is away."""
        if not self._left:
            self._feed.last_try.set()
            self.close(timeout)

    def _tell_away(self, reason: str) -> None:
        kept = (
            "all that is measured is in the journal and follows when Tiled is back"
            if self._has_journal
            else "points measured meanwhile will be missing there, since there is no journal"
        )
        message = f"Tiled cannot be used: {reason.rstrip('.')}. The scan goes on; {kept}"
        self.problems.append(Problem("", message))
        logger.warning(message)

    def _tell_back(self, uri: str) -> None:
        logger.warning("Tiled at %s can be used again; what it lacks is sent from the journal", uri)
