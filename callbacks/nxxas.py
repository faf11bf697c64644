"""NXxas files from documents, written while the run goes on."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from beamline_ophyd.formats.documents import RunIndex
from beamline_ophyd.formats.earlier import look_in
from beamline_ophyd.formats.journal import read_journal
from beamline_ophyd.formats.measurement import read_metadata
from beamline_ophyd.formats.names import safe_file_name
from beamline_ophyd.formats.problems import OutputError, Problem
from beamline_ophyd.formats.run import builder_from

from ._exit import Turn, at_exit
from ._live_file import LiveFile
from ._naming import DEFAULT_TEMPLATE, FileNames
from ._output import Style
from ._room import check_folder
from ._worker import DocumentWorker
from .journal import JournalPlace

__all__ = ["NXxasWriter", "rebuild"]

FLUSH_BYTES_PER_S = 50e6
"""Rate at which files are brought to disk at most: above 25 MB that takes longer pauses.

By size, not by the time that a flush took: on a busy machine that is mostly waiting, and a
small file would fall behind."""

FLUSH_INTERVAL_S = 0.5

QUEUE_POINTS = 1_000_000
"""Points that may wait for the writer: a fly scan's pages come faster than they are written."""

MAX_UNWRITTEN = 20
"""Ended runs kept in memory because their files could not be written."""

MAX_COMPLETED = 4
"""Files of ended runs that may be on their way to the disk while the next run is written."""

RETRY_S = 5.0
"""Pause before a finished file that could not be written is tried again."""

logger = logging.getLogger(__name__)


class NXxasWriter:
    """Writes each run to a NeXus file of its own, off the RunEngine's thread.

    While the run goes on, ``NAME.nxs.part`` in the folder is a whole, valid file of all
    but the last `flush_interval` seconds, whoever reads it and whatever happens to the
    process. At the stop document it gets its final name.

    Absorption spectra follow NXxas and powder patterns NXmonopd, maps are gridded, and any
    other run becomes a plain entry; see :mod:`beamline_ophyd.formats.nexus`. Which data key
    is energy, I0 and so on comes from the start document's contract
    (:mod:`beamline_ophyd.metadata`), else from `mapping`, else from the run's hints and the
    usual names.

    The writer never raises into the RunEngine and never makes it wait. Trouble is logged
    and kept in :attr:`problems`; a disk that is full or away is tried again at every
    flush and after the run every few seconds, and :func:`rebuild` makes the file from the
    run's journal at any later time.

    Parameters
    ----------
    folder : path
        Where the files go. It must exist; see :meth:`preflight`.
    template : str
        File name, with fields such as ``{scan_id}``, ``{title}`` (sample, element and edge, else
        the plan's name), ``{sample}``, ``{date}``, ``{uid8}``; ``/`` makes subfolders.
    mode : {"w-", "w", "a"}
        What to do with an existing file: take the next free name, replace it, or add the run
        to it as a further entry (entry, entry_1, ...) when it has ended; until then it has a
        ``.part`` of its own. With "a" a template such as ``{date}_{sample}`` brings the runs of
        a sample into one file, with "w-" each run, repeats included, has a file.
    compression : int
        gzip level of large arrays, 0 to 9.
    flush_interval : float
        Longest time, in s, by which the file is behind the run. Files of tens of
        megabytes take longer to write and are behind by up to twenty times that long.
    definition : str
        Application definition of absorption spectra: NXxas, or of the drafts NXxas_trans,
        NXxas_tfy, NXxas_pfy, NXxas_tey and NXxas_herfd the one that fits all of them. A
        spectrum that it does not fit is written as NXxas, and a problem tells why.
    mapping : mapping, optional
        Role to data key, and ``mode``, for absorption runs of plans that say neither:
        ``{"energy": "mono_energy", "i0": "I0", "itrans": "It"}``.
    repeats : {"merged", "entries", "files"}
        What becomes of the sweeps of a spectrum beside their merge, which is the entry that a
        program opens by itself: nothing, or an entry ``entry_sweep_1``, ... each in the same
        file, there as soon as it has a point, or at the end of the run a file
        ``NAME_sweep_1.nxs``, ... each.
    external_links : bool
        Whether to link to data in other HDF5 files, such as the images of an area detector.
        The link is relative where that is below the folder of the files or beside it. They are
        named in any case. The Tiled server of this project refuses files that hold
        links into others.
    join : bool
        Whether the file of a run that continues another shows the spectrum of both. The
        earlier run is looked for in the folders of the files and of the journal; a problem
        tells where it is not found.
    journal : Journal, optional
        From which points are filled in that had to be dropped when the writer could not
        keep up. Subscribe the journal before the writer.
    on_file : callable, optional
        ``on_file(uid, path, start_document)`` on the writer's thread, once a file has its
        final name.
    on_sweep_file : callable, optional
        ``on_sweep_file(uid, path, sweep)`` after that, for the file of each sweep, from 1,
        where `repeats` is "files".

    Attributes
    ----------
    files : dict
        Run uid to the path of its finished file.
    sweep_files : dict
        Run uid to the paths of the files of its sweeps, where `repeats` is "files".

    Examples
    --------
    >>> import tempfile
    >>> writer = NXxasWriter(tempfile.mkdtemp(), template="{title}")
    >>> writer("start", {"uid": "3f2a", "time": 1.7e9, "plan_name": "count"})
    >>> writer("stop", {"uid": "7", "run_start": "3f2a", "time": 1.7e9, "exit_status": "success"})
    >>> writer.wait(timeout=30.0)
    True
    >>> writer.files["3f2a"].name
    'count.nxs'
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        template: str = DEFAULT_TEMPLATE,
        mode: str = "w-",
        compression: int = 4,
        flush_interval: float = FLUSH_INTERVAL_S,
        definition: str = "NXxas",
        mapping: Mapping[str, Any] | None = None,
        repeats: str = "merged",
        external_links: bool = False,
        join: bool = True,
        journal: JournalPlace | None = None,
        on_file: Callable[[str, Path, Mapping[str, Any]], None] | None = None,
        on_sweep_file: Callable[[str, Path, int], None] | None = None,
    ) -> None:
        if not 0 < flush_interval < math.inf:
            raise ValueError(f"flush_interval is {flush_interval!r}; give seconds, more than 0")
        self.folder = Path(folder).expanduser().absolute()
        self.files: dict[str, Path] = {}
        self.sweep_files: dict[str, tuple[Path, ...]] = {}
        self._names = FileNames(template)
        self._style = Style.checked(mode, compression, definition, mapping, external_links, repeats)
        self._journal = journal
        folders = [self.folder] if journal is None else [self.folder, journal.folder]
        self._look = look_in(folders) if join else None
        self._on_file = on_file
        self._on_sweep_file = on_sweep_file
        self._live: dict[str, LiveFile] = {}
        self._completed: dict[str, None] = {}
        """Runs whose files are whole and on their way to the disk, the oldest first."""
        self._index = RunIndex()
        self._rest_until = 0.0
        self._closed = False
        self._flush_interval = flush_interval
        self._worker = DocumentWorker(
            self._handle,
            name="NXxas writer",
            tick=self._flush,
            tick_interval=flush_interval / 2,
            capacity=QUEUE_POINTS,
            gather=flush_interval / 5,
        )
        at_exit(self, Turn.WRITER)

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document; returns at once and never raises."""
        self._worker.put(name, doc)

    @property
    def problems(self) -> list[Problem]:
        """What went wrong so far."""
        return self._worker.problems

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all documents so far are handled.

        Returns
        -------
        bool
            Whether all of them are on disk; False also when `timeout` seconds were too short.
        """
        done = self._worker.wait(timeout)
        return done and not any(live.dirty for live in list(self._live.values()))

    def close(self, timeout: float | None = None) -> bool:
        """Finish all files, those of runs without stop document too, and end the thread.

        Returns
        -------
        bool
            False when `timeout` seconds were not enough.
        """
        if not self._closed:
            self._closed = True
            self._worker.put("close", {})
        return self._worker.close(timeout)

    def leave(self, timeout: float) -> None:
        """The interpreter ends: a run that is still open ends as 'unknown'."""
        if not self._closed and self._worker.used:
            self.close(timeout)

    def note_gap(self, uid: str) -> None:
        """Take a run from its journal when it ends: points were dropped on their way here."""
        self._worker.mark_gap(uid)

    def preflight(self, md: Mapping[str, Any], *, num_points: int) -> None:
        """Check before a run opens that its file can be written.

        Parameters
        ----------
        md : mapping
            What is known of the start document.
        num_points : int
            Events that the run will have.

        Raises
        ------
        OutputError
            When the folder is missing, not writable or too full, or the file exists.
        """
        check_folder(self.folder, num_points)
        path = self._names.path_if_known(md)
        keeps = not (self._style.overwrite or self._style.append)
        if path is not None and keeps and (self.folder / path).exists():
            raise OutputError(
                f"file {self.folder / path} exists already and the writer's mode is 'w-'; move "
                "it away, use mode='w' to replace it or 'a' to add to it, or a template with "
                "{uid8} or {scan_id}"
            )

    def _handle(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "close":
            for run in list(self._live):
                self._complete(run)
            return
        run = self._index.run_of(name, doc)
        if name == "start" and run is not None and run not in self._live:
            report = partial(self._worker.report, run)
            self._live[run] = LiveFile(
                self.folder, self._name(run, doc), self._style, report, look=self._look
            )
        if run is None or run not in self._live:
            raise LookupError("it belongs to no run that is open; it is not written")
        live = self._live[run]
        live.add(name, doc)
        if name == "start":
            self._check_start(run, live)
        elif name == "stop":
            self._index.forget(run)
            self._complete(run)

    def _name(self, run: str, start: Mapping[str, Any]) -> Path:
        try:
            return self._names.path(start)
        except Exception as error:
            name = Path(f"{safe_file_name(run)}.nxs")
            message = f"the file is called {name}: its name cannot be made, {error!r}"
            self._worker.report(run, message, error)
            return name

    def _check_start(self, run: str, live: LiveFile) -> None:
        about, trouble = read_metadata(live.start)
        if trouble:
            self._worker.report(run, trouble)
        if about.xafs is not None and not (about.element and about.edge):
            logger.warning(
                "NXxas writer: run %s does not say its edge, so the file lacks fields that the "
                'draft of NXxas requires; give md={"Element": {"symbol": "Fe", "edge": "K"}}',
                run,
            )
        if live.final.exists() and not (self._style.overwrite or self._style.append):
            logger.warning("NXxas writer: %s exists; the next free name is taken", live.final)

    def _complete(self, run: str) -> None:
        """Write a run that is over; its name waits for the disk, and for nothing else to do."""
        live = self._live[run]
        live.ended = True
        try:
            if self._worker.has_gap(run):
                self._heal(run, live)
            live.complete()
        except Exception as error:
            self._failed(run, live, error)
            return
        self._completed[run] = None
        if len(self._completed) > MAX_COMPLETED:
            self._finish(next(iter(self._completed)))
        self._worker.tick_again(0.0)

    def _failed(self, run: str, live: LiveFile, error: Exception) -> None:
        live.release()
        self._worker.report(run, self._unwritten(run, live, error), error)
        self._let_go()
        self._worker.tick_again(RETRY_S)

    def _finish(self, run: str) -> None:
        """Give the file of a completed run its name."""
        del self._completed[run]
        live = self._live[run]
        try:
            path = live.finish()
        except Exception as error:
            self._failed(run, live, error)
            return
        self._retry_journal()
        self._live.pop(run)
        self.files[run] = path
        if live.sweep_files:
            self.sweep_files[run] = tuple(live.sweep_files.values())
        logger.info("NXxas writer: %s, %d points", path, live.points)
        self._tell("on_file", self._on_file, run, path, live.start)
        for sweep, place in live.sweep_files.items():
            self._tell("on_sweep_file", self._on_sweep_file, run, place, sweep)
        self._worker.forget(run)  # last: what is told of the run before is told once

    def _tell(
        self, what: str, told: Callable[..., None] | None, run: str, path: Path, about: Any
    ) -> None:
        if told is None:
            return
        try:
            told(run, path, about)
        except Exception as error:  # whose it is, is not known here
            self._worker.report(run, f"{what} for {path}: {error!r}", error)

    def _unwritten(self, run: str, live: LiveFile, error: Exception) -> str:
        message = f"file {live.final} could not be written: {error}; it is tried again"
        if self._journal is None:
            return message
        journal = str(self._journal.path(run))
        return f"{message}, and rebuild({journal!r}, FOLDER) makes it at any time"

    def _let_go(self) -> None:
        """Keep no more ended runs in memory than some: their journals hold them too."""
        ended = [r for r, live in self._live.items() if live.ended and r not in self._completed]
        for run in ended[:-MAX_UNWRITTEN]:
            self._live.pop(run)

    def _heal(self, run: str, live: LiveFile) -> None:
        """Take the run from its journal: points were dropped on the way to this thread."""
        found, why = None, "no journal is known"
        if self._journal is not None:
            try:
                report = partial(self._worker.report, run)
                found = builder_from(read_journal(self._journal.path(run)), report)
                why = f"the journal {self._journal.path(run)} holds no more of them"
            except Exception as error:  # what was not dropped is written in any case
                why = f"its journal is not readable: {error!r}"
        # Monitors and the rest were dropped no less than the points of the scan.
        if found is not None and found.start is not None and found.events() > live.events:
            live.restart(found)
        else:
            self._worker.report(run, f"points are missing in {live.final}: {why}")

    def _flush(self) -> float | None:
        """Bring every file that changed to disk; called by age, on the writer's thread."""
        for run in list(self._completed):
            self._finish(run)
        rest = self._rest_until - time.monotonic()
        if rest > 0:
            return rest
        began, written = time.monotonic(), 0
        for run, live in list(self._live.items()):
            if live.ended:
                self._complete(run)
            elif live.dirty:
                written += self._save(run, live)
        for run in list(self._completed):
            self._finish(run)
        self._retry_journal()
        now, promised = time.monotonic(), self._flush_interval
        # A document may wait for one flush to end and then for its own to be over, and the
        # thread for a busy machine to wake it.
        self._worker.tick_interval = max(promised / 2, 0.9 * promised - 2 * (now - began))
        self._rest_until = now + written / FLUSH_BYTES_PER_S - self._worker.tick_interval
        return None

    def _retry_journal(self) -> None:
        """A journal whose disk was full has no thread of its own to look for room."""
        if self._journal is not None and not self._journal.retry():
            self._worker.tick_again(RETRY_S)

    def _save(self, run: str, live: LiveFile) -> int:
        try:
            return live.save()
        except Exception as error:
            message = f"{live.final} is not up to date: {error}; tried again with later points"
            self._worker.report(run, message, error)
            return 0


def rebuild(journal_path: str | Path, folder: str | Path, **options: Any) -> Path:
    """Make the file of a run from its journal, in this thread.

    Parameters
    ----------
    journal_path : path
        Also of a journal that was cut short: the file then says that the run's end is
        unknown.
    folder : path
        Where the file goes.
    **options
        ``template``, ``mode``, ``compression``, ``definition``, ``mapping``,
        ``repeats``, ``external_links``, ``join`` of :class:`NXxasWriter`.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    OutputError
        When the journal holds no run, or the folder cannot take the file.
    """
    journal, folder = Path(journal_path).absolute(), Path(folder).absolute()
    contents = read_journal(journal)
    names = FileNames(options.pop("template", DEFAULT_TEMPLATE))
    style = Style.checked(
        options.pop("mode", "w-"),
        options.pop("compression", 4),
        options.pop("definition", "NXxas"),
        options.pop("mapping", None),
        options.pop("external_links", False),
        options.pop("repeats", "merged"),
    )
    look = look_in([folder, journal.parent]) if options.pop("join", True) else None
    if options:
        raise TypeError(f"rebuild() got unknown options {', '.join(options)}")
    builder = builder_from(contents)
    if builder.start is None:
        raise OutputError(f"journal {journal_path} holds no start document; nothing to rebuild")
    check_folder(folder, builder.points())
    live = LiveFile(folder, names.path(builder.start), style, look=look)
    live.restart(builder)
    return live.finish(("unknown", "the journal ends before the run's stop document"))
