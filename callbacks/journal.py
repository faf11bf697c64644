"""The journal: every document of a run on disk before anything else sees it."""

import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from beamline_ophyd.formats.documents import RunIndex, without
from beamline_ophyd.formats.journal import encode_line
from beamline_ophyd.formats.names import safe_file_name
from beamline_ophyd.formats.problems import OutputError, Problem

from ._exit import Turn, at_exit
from ._room import check_folder

if TYPE_CHECKING:
    from beamline_ophyd.formats.run import Run

__all__ = ["Journal", "JournalPlace"]

MAX_BACKLOG_BYTES = 64 * 2**20
"""Lines kept in memory, of all runs together, that cannot be written just now."""

MAX_REMEMBERED = 10_000

NEEDED = ("uid", "time", "xafs", "powder", "hints")
"""Words of a start document without which a run cannot be read back as what it is."""

logger = logging.getLogger(__name__)


class JournalPlace(Protocol):
    """What a writer of files needs of a journal."""

    folder: Path

    def path(self, uid: str) -> Path:
        """File of a run."""
        ...

    def retry(self) -> bool:
        """Try to write what is still in memory; whether nothing is."""
        ...


class Journal:
    """Writes every document of a run to ``FOLDER/<uid>.jsonl``, as it comes.

    A line is handed to the operating system on the calling thread, so it survives the
    death of the process, SIGKILL included. The files are readable by their owner only,
    unless told otherwise, and stay until :meth:`prune` is told what may go.
    Runs may nest and interleave. See :mod:`beamline_ophyd.formats.journal` for the form
    of a line and :func:`~beamline_ophyd.formats.journal.read_journal` to read one.

    The journal never raises into the RunEngine. While a line cannot be written (disk
    full, folder not writable) it is kept in memory and tried again with every later
    document of any run, by :meth:`retry`, :meth:`close` and at the end of the interpreter;
    a journal that is removed while its run goes on is written anew. Such trouble is
    logged once a run and kept in ``problems``.

    Parameters
    ----------
    folder : path
        Where the journals go; made when the first run starts.
    group_readable : bool
        Whether the group of the files may read them, which else only their owner may.
    leave_out : iterable of str
        Words of the start document that are not written, such as ``user`` or ``Sample.name``.
        What is made from the journal lacks them: a file that is rebuilt, and a run that is sent
        to a Tiled server that was away.

    Attributes
    ----------
    problems : list
        What went wrong, with the run's uid.
    listener : callable or None
        ``listener(uid, name, line)`` gets each line of a run, and must return at once; that of a
        start document is whole, whatever `leave_out` says. For :class:`Keeper`.

    Examples
    --------
    >>> import tempfile
    >>> journal = Journal(tempfile.mkdtemp())
    >>> journal("start", {"uid": "3f2a", "time": 1.5})
    >>> journal("stop", {"uid": "99c1", "run_start": "3f2a", "exit_status": "success"})
    >>> journal.path("3f2a").name
    '3f2a.jsonl'
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        group_readable: bool = False,
        leave_out: Iterable[str] = (),
    ) -> None:
        self._mode = 0o640 if group_readable else 0o600
        self._leave_out = (leave_out,) if isinstance(leave_out, str) else tuple(leave_out)
        for word in self._leave_out:
            if word.partition(".")[0] in NEEDED:
                raise ValueError(
                    f"leave_out names {word!r}, without which a run cannot be read back; give "
                    f"words that are none of {', '.join(NEEDED)}"
                )
        self.folder = Path(folder).expanduser().absolute()
        self.problems: list[Problem] = []
        self.listener: Callable[[str, str, bytes], None] | None = None
        self._lock = threading.RLock()
        self._index = RunIndex()
        self._open: dict[str, _RunFile] = {}
        self._paths: dict[str, Path] = {}
        _journals.add(self)
        at_exit(self, Turn.JOURNAL)

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Write a document; never raises."""
        try:
            with self._lock:
                self._write(name, doc)
        except Exception as error:
            self._report("", f"{name} document was not written: {error!r}", error)

    def path(self, uid: str) -> Path:
        """File of a run; for a run not seen by this journal, where its file would be."""
        with self._lock:
            return self._paths.get(uid) or self._path_for(uid)

    def preflight(self, *, num_points: int) -> None:
        """Check before a run opens that its journal can be written.

        Parameters
        ----------
        num_points : int
            Events that the run will have.

        Raises
        ------
        OutputError
            When the folder cannot be made, is not writable or too full.
        """
        try:
            _make_folder(self.folder, self._mode)
        except OSError as error:
            raise OutputError(
                f"journal folder {self.folder} cannot be made ({error.strerror}); move away what "
                "is in its place, change the permissions, or give another"
            ) from error
        check_folder(self.folder, num_points, kind="journal")

    @property
    def busy(self) -> bool:
        """Whether a run goes on, or has lines that are not on disk yet."""
        with self._lock:
            return bool(self._open)

    def retry(self) -> bool:
        """Try once more to write the lines that are still in memory.

        Returns
        -------
        bool
            Whether every line is on disk now.
        """
        with self._lock:
            for run, file in list(self._open.items()):
                if file.backlog and file.write() is None:
                    self._paths[run] = file.path
                    if file.ended:
                        self._end(run, file)
            return not any(file.backlog for file in self._open.values())

    def prune(
        self,
        complete: "Callable[[Run], bool]",
        *,
        keep_days: float | None = None,
        keep_bytes: int | None = None,
    ) -> list[Path]:
        """Remove journals whose run is whole elsewhere; without limits none is removed.

        Not from a RunEngine's callback: it reads journals and files.

        Parameters
        ----------
        complete : callable
            Whether a :class:`~beamline_ophyd.formats.run.Run` is whole in every place that it
            should be in, such as
            :func:`~beamline_ophyd.callbacks.retention.whole_in_files` tells of a folder of files
            and :func:`~beamline_ophyd.callbacks.retention.whole_in_tiled` of a server.
        keep_days : float, optional
            Days after which a journal may go.
        keep_bytes : int, optional
            Size of all journals together beyond which the oldest may go.

        Returns
        -------
        list of Path
            What was removed. A journal stays in any case that cannot be read, whose run has
            not ended or goes on here, or is not complete.
        """
        from .retention import spent_journals  # a journal alone loads no HDF5

        with self._lock:
            busy = {file.path for file in self._open.values()}
        paths = [path for path in self.folder.glob("*.jsonl") if path not in busy]
        removed = []
        for path in spent_journals(paths, complete, keep_days=keep_days, keep_bytes=keep_bytes):
            path.unlink()
            removed.append(path)
        return removed

    def close(self) -> bool:
        """Close the files of runs that are still open; their next document reopens them.

        Returns
        -------
        bool
            Whether every line is on disk. Those that are not stay in memory.
        """
        with self._lock:
            whole = self.retry()
            for run, file in list(self._open.items()):
                self._end(run, file)
            return whole

    def leave(self, timeout: float) -> None:
        """Give the lines in memory their last chance: the interpreter ends."""
        self.close()
        for run, file in self._open.items():
            self._report(run, f"{file.path}: {len(file.backlog)} bytes were never written")

    def _write(self, name: str, doc: Mapping[str, Any]) -> None:
        run = self._index.run_of(name, doc)
        if run is None:
            self._report("", f"a {name} document belongs to no run that is open; it is not kept")
            return
        whole = doc
        if name == "start" and self._leave_out:
            doc = without(doc, self._leave_out)
        file = self._open.get(run)
        if file is None:
            path = self._paths.get(run)
            file = _RunFile(path or self._path_for(run), fresh=path is None, mode=self._mode)
            self._open[run] = file
        waiting = sum(len(other.backlog) for other in self._open.values())
        line = encode_line(name, doc)
        error = file.add(line, room=MAX_BACKLOG_BYTES - waiting)
        self._paths[run] = file.path
        if error is not None:
            self._report(run, f"{file.path}: {error}; lines are kept in memory and tried again")
        if file.lost:
            self._report(run, f"{file.path}: more than {MAX_BACKLOG_BYTES} bytes could not be "
                         "written; this journal has lost lines")  # fmt: skip
        if name == "stop":
            self._end(run, file)
            self._index.forget(run)
            while len(self._paths) > MAX_REMEMBERED:
                self._paths.pop(next(iter(self._paths)))
        if waiting:
            self.retry()
        if self.listener is not None:
            self.listener(run, name, line if doc is whole else encode_line(name, whole))

    def _end(self, run: str, file: "_RunFile") -> None:
        """Close a file, unless it still has lines to come."""
        file.ended = True
        if not file.backlog:
            file.close()
            self._open.pop(run, None)

    def _path_for(self, uid: str) -> Path:
        return self.folder / f"{safe_file_name(uid)}.jsonl"

    def _report(self, run: str, message: str, error: BaseException | None = None) -> None:
        problem = Problem(run, message)
        if problem not in self.problems:
            self.problems.append(problem)
            logger.error("journal: %s", problem, exc_info=error)


class _RunFile:
    """One journal on disk, and the lines that could not be written yet."""

    def __init__(self, path: Path, *, fresh: bool, mode: int) -> None:
        self.path = path
        self.backlog = bytearray()
        self.lost = False
        self.ended = False
        self._fresh = fresh
        self._mode = mode
        self._fd: int | None = None

    def add(self, line: bytes, *, room: int) -> Exception | None:
        """Write a line, with what is left of earlier ones; the error if that failed."""
        if len(line) > room:
            self.lost = True
        else:
            self.backlog += line
        self.ended = False
        return self.write()

    def write(self) -> Exception | None:
        """Write what is in memory; the error if that failed."""
        try:
            if self._fd is None:
                self._open()
            elif os.fstat(self._fd).st_nlink == 0:
                self._restore(self._fd)
            self._flush()
        except OSError as error:
            return error
        return None

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _open(self) -> None:
        _make_folder(self.path.parent, self._mode)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
        if not self._fresh:
            self._fd = os.open(self.path, flags, self._mode)
            return
        stem, number = self.path.stem, 1
        while self._fd is None:
            try:
                self._fd = os.open(self.path, flags | os.O_EXCL, self._mode)
            except FileExistsError:
                number += 1
                self.path = self.path.with_name(f"{stem}-{number}.jsonl")

    def _restore(self, removed: int) -> None:
        """Write anew what was in a file that somebody removed: it can still be read."""
        size = os.fstat(removed).st_size
        self._fd, self._fresh = None, True
        try:
            self._open()
        except OSError:
            self._fd = removed
            raise
        content = bytearray()
        while len(content) < size and (piece := os.pread(removed, size, len(content))):
            content += piece
        self.backlog[:0] = content
        os.close(removed)

    def _flush(self) -> None:
        while self.backlog and self._fd is not None:
            written = os.write(self._fd, self.backlog)
            del self.backlog[:written]


def _make_folder(folder: Path, mode: int) -> None:
    """Make a folder that can be looked into by those who may read the files."""
    folder.mkdir(mode=mode | (mode & 0o440) >> 2, parents=True, exist_ok=True)


_journals: "weakref.WeakSet[Journal]" = weakref.WeakSet()


def _forget_parent() -> None:
    """In a forked child: new locks, since another thread may have held the old ones."""
    for journal in list(_journals):
        journal._lock = threading.RLock()


os.register_at_fork(after_in_child=_forget_parent)
