"""What the Tiled publisher does on its own thread: send, fall behind, catch up."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from beamline_ophyd.formats.documents import RunIndex, document_key
from beamline_ophyd.serving.contents import file_key
from beamline_ophyd.serving.link import Link

if TYPE_CHECKING:
    from beamline_ophyd.serving.runs import RunUpload

__all__ = ["FILE", "OPEN", "HasPaths", "Marks", "TiledFeed"]

logger = logging.getLogger(__name__)

# What the publisher hands over beside documents.
OPEN = "open"
FILE = "file"

_ATTEMPTS = 4  # at something that the server, though it answers, does not take
_REMEMBERED = 10_000


class HasPaths(Protocol):
    """What a publisher needs of a journal."""

    def path(self, uid: str) -> Path:
        """File of a run."""
        ...


class Marks(Protocol):
    """What a feed needs of the queue that documents come from."""

    def has_gap(self, run: str) -> bool:
        """Whether points of a run did not fit into the queue."""
        ...

    def forget(self, run: str) -> None:
        """Drop what is known of a run."""
        ...

    def report(self, run: str, message: str) -> None:
        """Tell the user of a problem, and keep it."""
        ...


@dataclass
class _Job:
    """Something that is to be in Tiled and is not yet."""

    uid: str
    attempts: int = 0
    not_before: float = 0.0


@dataclass
class _Run(_Job):
    """A run that goes on, or that is not complete in Tiled."""

    upload: "RunUpload | None" = None
    """None when Tiled lacks something of the run, which then has to come from the journal."""
    sent: set[str] = field(default_factory=set)
    """Keys of documents that came from the journal before the queue delivered them."""
    stopped: bool = False

    @property
    def behind(self) -> bool:
        """Whether to send the run from the journal; after a refusal only when it is whole."""
        return self.upload is None and (self.stopped or self.attempts == 0)


@dataclass
class _File(_Job):
    path: Path = Path()
    sweep: int | None = None

    @property
    def key(self) -> str:
        """By which it is known in Tiled."""
        return file_key(self.uid, self.sweep)


class TiledFeed:
    """Sends what it is handed, and keeps account of what Tiled lacks.

    All on one thread. A run is sent as its documents come, until anything fails; from then on it
    comes from the journal: again from its start, in place of what Tiled has of it.

    Parameters
    ----------
    link : Link
        The server.
    journal : HasPaths or None
        Where runs can be read again.
    batch_size : int
        Points in one request.
    retry_s : float
        Pause before a request is repeated that the server refused.
    """

    def __init__(
        self, link: Link, journal: HasPaths | None, *, batch_size: int, retry_s: float
    ) -> None:
        self.published: dict[str, None] = {}
        self.registered: dict[str, None] = {}
        self.marks: Marks | None = None
        """Set before the first document."""
        self.hurry = threading.Event()
        """Set to have everything tried at the next tick."""
        self.ended = threading.Event()
        """Set to have nothing more done."""
        self.last_try = threading.Event()
        """Set to have the feed end by itself rather than wait for a server that is away."""
        self._link = link
        self._journal = journal
        self._batch_size = batch_size
        self._retry_s = retry_s
        self._index = RunIndex()
        self._runs: dict[str, _Run] = {}
        self._files: dict[str, _File] = {}

    def handle(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document, or what the publisher asks for."""
        if self.ended.is_set():
            return
        if name == OPEN:
            self._link.open()
        elif name == FILE:
            file = _File(doc["uid"], path=doc["path"], sweep=doc["sweep"])
            self._files[file.key] = file
            self._register(file)
        else:
            self._document(name, doc)

    def leave(self, why: str) -> int:
        """Give up what is not in Tiled; the number of runs and files. For after the end."""
        runs = [run for run in self._runs.values() if run.stopped or run.upload is None]
        files = list(self._files.values())
        for run in runs:
            self._give_up_run(run, why)
        for file in files:
            self._give_up_file(file, f"{why}; run `beamline repair {file.path}`")
        return len(runs) + len(files)

    @property
    def _marks(self) -> Marks:
        assert self.marks is not None
        return self.marks

    def _document(self, name: str, doc: Mapping[str, Any]) -> None:
        uid = self._index.run_of(name, doc)
        if uid is None:
            return
        if name == "start":
            self._runs[uid] = _Run(uid)
        run = self._runs.get(uid)
        if name == "stop":
            self._index.forget(uid)
        if run is None:
            return  # sent already, whole, from the journal
        run.stopped = run.stopped or name == "stop"
        if name == "start" and self._link.open():
            self._begin(run)
        if run.upload is not None:
            self._feed(run, name, doc)
        elif run.stopped:
            self._catch_up(run)

    def _begin(self, run: _Run) -> None:
        from beamline_ophyd.serving.runs import RunUpload

        run.upload = RunUpload(self._link.runs, batch_size=self._batch_size)

    def _feed(self, run: _Run, name: str, doc: Mapping[str, Any]) -> None:
        if run.sent:
            if document_key(doc) in run.sent:
                return
            run.sent = set()  # the journal was read up to here
        if run.stopped and self._marks.has_gap(run.uid):
            run.upload = None
            self._catch_up(run)
            return
        assert run.upload is not None
        try:
            run.upload.put(name, doc)
        except Exception as error:
            self._failed(run, error)
            if run.stopped:
                self._catch_up(run)
            return
        if name == "stop":
            self._finish(run)
        if name in ("start", "stop"):
            self._link.confirm()

    def tick(self) -> float | None:
        """Send batches that are old enough, and try again what is due.

        Returns
        -------
        float or None
            Seconds until there is something to try again; None when nothing is left.
        """
        if self.ended.is_set():
            return None
        if self.hurry.is_set():
            self.hurry.clear()
            self._link.hurry()
            for job in (*self._runs.values(), *self._files.values()):
                job.not_before = 0.0
        for run in list(self._runs.values()):
            if run.upload is not None:
                self._flush(run)
            if run.behind and run.not_before <= time.monotonic():
                self._catch_up(run)
        for file in list(self._files.values()):
            if file.not_before <= time.monotonic():
                self._register(file)
        if self.last_try.is_set() and self._link.away:
            self.ended.set()
            return None
        runs = [run for run in self._runs.values() if run.behind and self._journal is not None]
        due = [max(job.not_before, self._link.due) for job in (*runs, *self._files.values())]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _flush(self, run: _Run) -> None:
        assert run.upload is not None
        try:
            if run.upload.flush():
                self._link.confirm()
        except Exception as error:
            self._failed(run, error)

    def _catch_up(self, run: _Run) -> None:
        """Send a run from the journal, instead of what Tiled has of it."""
        if self._journal is None:
            if run.stopped:
                self._give_up_run(run, "the server was away, or busy, and there is no journal")
            return
        if not self._link.open():
            return
        from beamline_ophyd.serving.files import link_file
        from beamline_ophyd.serving.runs import delete_run, upload_journal

        sent: set[str] = set()
        only = frozenset((run.uid,))
        try:
            delete_run(self._link.root, run.uid)
            path = self._journal.path(run.uid)
            unfinished = upload_journal(path, self._link.runs, only=only, seen=sent)
            if not sent or (run.stopped and run.uid in unfinished):
                raise _JournalError(f"{path} does not hold the whole run")
            link_file(self._link.root, run.uid)
        except Exception as error:
            self._failed(run, error)
            return
        self._link.confirm()
        if run.uid in unfinished:
            run.upload, run.sent = unfinished[run.uid], sent
            run.upload.set_batch_size(self._batch_size)
        else:
            self._finish(run)

    def _register(self, file: _File) -> None:
        if not self._link.open():
            return
        from beamline_ophyd.serving.files import register_file

        try:
            register_file(self._link.root, file.uid, file.path, sweep=file.sweep)
        except Exception as error:
            self._failed(file, error)
            return
        self._link.confirm()
        del self._files[file.key]
        _remember(self.registered, file.key)

    def _failed(self, job: _Job, error: Exception) -> None:
        """Decide what a failure says about the server, and what about the job."""
        from beamline_ophyd.serving.transport import reason_to_leave

        if isinstance(job, _Run):
            job.upload, job.sent = None, set()
        reason = reason_to_leave(error)
        if reason is not None:
            self._link.lost(reason)
            for run in self._runs.values():
                run.upload, run.sent = None, set()
            return
        logger.debug("%s was not taken", job, exc_info=error)
        job.attempts += 1
        job.not_before = time.monotonic() + self._retry_s * job.attempts
        if isinstance(job, _File) and (job.attempts >= _ATTEMPTS or _is_final(error)):
            self._give_up_file(job, str(error))
        elif isinstance(job, _Run) and job.stopped and job.attempts >= _ATTEMPTS:
            self._give_up_run(job, f"{type(error).__name__}: {error}")

    def _finish(self, run: _Run) -> None:
        self._runs.pop(run.uid, None)
        self._marks.forget(run.uid)
        _remember(self.published, run.uid)

    def _give_up_run(self, run: _Run, why: str) -> None:
        self._runs.pop(run.uid, None)
        where = None if self._journal is None else self._journal.path(run.uid)
        way_out = "it cannot be mended" if where is None else f"run `beamline replay {where}`"
        self._marks.report(run.uid, f"not complete in Tiled: {why}; {way_out}")

    def _give_up_file(self, file: _File, why: str) -> None:
        self._files.pop(file.key, None)
        self._marks.report(file.uid, f"the file {file.path} is not in Tiled: {why}")


class _JournalError(RuntimeError):
    pass


def _is_final(error: Exception) -> bool:
    """Whether trying a file again cannot help."""
    return isinstance(error, ValueError | OSError)


def _remember(uids: dict[str, None], uid: str) -> None:
    uids[uid] = None
    while len(uids) > _REMEMBERED:
        uids.pop(next(iter(uids)))
