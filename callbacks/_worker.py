"""Documents handled on a thread of their own: the base of every slow callback."""

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from beamline_ophyd.formats.documents import DATA_DOCUMENTS, RunIndex, rows_in
from beamline_ophyd.formats.problems import Problem

from ._exit import Turn, at_exit

__all__ = ["DocumentWorker"]

MAX_PROBLEMS = 1000

GATHERED_POINTS = 1000
"""Points that wait together at most: more of them make the queue long for nothing."""

logger = logging.getLogger(__name__)


class DocumentWorker:
    """Hands documents to a function on one thread, in order, and never makes anyone wait.

    Nothing that the function does, or fails to do, reaches the caller of :meth:`put`:
    an exception is logged (once for each kind and run) and kept in :attr:`problems`. When
    the function cannot keep up and the queue is full, further points of a run are
    dropped and the run is marked (:meth:`has_gap`), for the consumer to heal from the journal when
    the stop document comes. Documents that frame a run (start, descriptor, resource,
    stop) are never dropped.

    The thread starts with the first document and is a daemon; what is still queued when
    the interpreter ends is handled then, see :mod:`beamline_ophyd.callbacks._exit`. In a forked
    child the worker does nothing: files and connections belong to the parent.

    Parameters
    ----------
    handle : callable
        ``handle(name, doc)``, on the worker's thread.
    name : str
        Name of the thread, and of the worker in log messages.
    tick : callable, optional
        Called on the worker's thread when documents have been handled and the oldest of
        them is `tick_interval` old: for flushes and batches. Returns None when it left
        nothing undone, else the seconds after which it wants to be called again.
    tick_interval : float
        Seconds; may be changed later, by the tick too, as an attribute.
    capacity : int
        Points that may wait in the queue; an event page counts all its rows.
    gather : float
        Seconds for which points wait for others before the thread wakes up to handle them
        together, which spares the RunEngine a change of threads at every point. A document
        that frames a run ends the waiting, and so do :meth:`wait` and :meth:`close`.

    Examples
    --------
    >>> seen = []
    >>> worker = DocumentWorker(lambda name, doc: seen.append(name), name="example")
    >>> worker.put("start", {"uid": "a"})
    >>> worker.close(timeout=5.0)
    True
    >>> seen
    ['start']
    """

    def __init__(
        self,
        handle: Callable[[str, Mapping[str, Any]], None],
        *,
        name: str,
        tick: Callable[[], float | None] | None = None,
        tick_interval: float = 0.5,
        capacity: int = 100_000,
        gather: float = 0.0,
    ) -> None:
        self.name = name
        self.problems: list[Problem] = []
        self._handle = handle
        self._tick = tick
        self.tick_interval = tick_interval
        self._capacity = capacity
        self._gather = gather
        self._index = RunIndex()
        self._gaps: set[str] = set()
        self._reported: set[tuple[str, str]] = set()
        self._reset()
        _workers.add(self)
        at_exit(self, Turn.THREAD)

    def _reset(self) -> None:
        self._cond = threading.Condition()
        self._queue: deque[tuple[str, Mapping[str, Any], str | None, int, float]] = deque()
        self._rows = 0
        self._accepted = 0
        self._handled = 0
        self._settled = 0
        """Documents handled of which no tick has anything left to do."""
        self._wanted = 0
        self._tick_due: float | None = None
        self._extra_due: float | None = None
        self._handle_due: float | None = None
        """When what is queued is to be handled; None while nothing is."""
        self._closing = False
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def put(self, name: str, doc: Mapping[str, Any]) -> None:
        """Hand over a document; returns at once and never raises."""
        try:
            self._put(name, doc)
        except Exception as error:
            self.report("", f"{name} document was not taken: {error!r}", error)

    def _put(self, name: str, doc: Mapping[str, Any]) -> None:
        if self._pid != os.getpid():
            self.report(
                "",
                f"made in process {self._pid}, used in its forked child {os.getpid()}: "
                "documents are ignored here; make a new one in the child",
            )
            return
        rows = rows_in(name, doc) if name in DATA_DOCUMENTS else 0
        with self._cond:
            run = self._index.run_of(name, doc)
            if self._closing:
                refused = "closed before this document came; nothing more is taken"
            elif rows and self._rows and self._rows + rows > self._capacity:
                self._gaps.add(run or "")
                refused = (
                    f"the queue is full ({self._capacity} points): further points are left out "
                    "until there is room, to be filled in from the journal"
                )
            else:
                refused = ""
                now = time.monotonic()
                self._queue.append((name, doc, run, rows, now))
                self._rows += rows
                self._accepted += 1
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
                    self._thread.start()
                may_wait = rows and self._rows < GATHERED_POINTS
                self._handle_by(now + self._gather if may_wait else now)
            if name == "stop" and run is not None:
                self._index.forget(run)
        if refused:
            self.report(run or "", refused)

    def _handle_by(self, due: float) -> None:
        """Wake the thread, unless it wakes by then anyway."""
        if self._handle_due is None or due < self._handle_due:
            self._handle_due = due
            self._cond.notify_all()

    @property
    def used(self) -> bool:
        """Whether a document was ever taken."""
        return self._accepted > 0

    def mark_gap(self, run: str) -> None:
        """Tell that points of a run were dropped on their way here."""
        with self._cond:
            self._gaps.add(run)

    def has_gap(self, run: str) -> bool:
        """Whether points of a run were dropped because the queue was full."""
        with self._cond:
            return run in self._gaps

    def forget(self, run: str) -> None:
        """Drop the marks of a run that is dealt with."""
        with self._cond:
            self._gaps.discard(run)
            self._reported = {key for key in self._reported if key[0] != run}

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until everything handed over so far is done, ticks included.

        Returns
        -------
        bool
            False when `timeout` seconds were not enough, or in a forked child.
        """
        if self._pid != os.getpid():
            return False
        with self._cond:
            target = self._accepted
            self._wanted = max(self._wanted, target)
            self._handle_due = 0.0 if self._queue else None
            self._cond.notify_all()
            return self._cond.wait_for(lambda: self._settled >= target, timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Finish what is queued, then end the thread; later documents are refused.

        Returns
        -------
        bool
            False when `timeout` seconds were not enough; the rest goes on being handled.
        """
        if self._pid != os.getpid():
            return False
        with self._cond:
            self._closing = True
            self._wanted = self._accepted
            self._handle_due = 0.0 if self._queue else None
            self._cond.notify_all()
            thread = self._thread
        if thread is None or thread is threading.current_thread():
            return True
        thread.join(timeout)
        if thread.is_alive():
            with self._cond:
                left = self._accepted - self._handled
            what = f"{left} documents are left" if left else "what failed before is left"
            self.report("", f"not done within {timeout:.3g} s; {what}")
        return not thread.is_alive()

    def leave(self, timeout: float) -> None:
        """The interpreter ends; whoever owns this worker has had its turn."""
        self.close(timeout)

    def tick_again(self, seconds: float) -> None:
        """Have one more tick in `seconds`, for what nobody should have to wait for."""
        with self._cond:
            self._extra_due = time.monotonic() + seconds
            self._cond.notify_all()

    def report(self, run: str, message: str, error: BaseException | None = None) -> None:
        """Log a problem and keep it; the same one of a run is told once."""
        key = (run, message)
        with self._cond:
            if key in self._reported:
                return
            self._reported.add(key)
            if len(self.problems) < MAX_PROBLEMS:
                self.problems.append(Problem(run, message))
        where = f" (run {run})" if run else ""
        logger.error("%s%s: %s", self.name, where, message, exc_info=error)

    def _run(self) -> None:
        while True:
            with self._cond:
                while not self._has_work() and not self._tick_wanted():
                    if self._closing and self._settled == self._accepted:
                        return
                    self._cond.wait(self._until_due())
                item = self._queue.popleft() if self._has_work() and not self._overdue() else None
                if not self._queue:
                    self._handle_due = None
            if item is not None:
                self._handle_one(*item)
            else:
                self._tick_now()

    def _has_work(self) -> bool:
        return self._handle_due is not None and time.monotonic() >= self._handle_due

    def _overdue(self) -> bool:
        return self._tick_due is not None and time.monotonic() >= self._tick_due

    def _tick_wanted(self) -> bool:
        if self._extra_due is not None and time.monotonic() >= self._extra_due:
            return True
        if self._settled == self._handled:
            return False
        return self._wanted > self._settled or self._overdue()

    def _until_due(self) -> float | None:
        given = (self._handle_due, self._tick_due, self._extra_due)
        dues = [due for due in given if due is not None]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _handle_one(
        self, name: str, doc: Mapping[str, Any], run: str | None, rows: int, came: float
    ) -> None:
        try:
            self._handle(name, doc)
        except Exception as error:
            self.report(run or "", f"{name} document: {type(error).__name__}: {error}", error)
        with self._cond:
            self._rows -= rows
            self._handled += 1
            if self._tick is None:
                self._settled = self._handled
            elif self._tick_due is None:
                # By its age, but no sooner for having queued behind others.
                waited = min(time.monotonic() - came, self._gather)
                self._tick_due = time.monotonic() + self.tick_interval - waited
            self._cond.notify_all()

    def _tick_now(self) -> None:
        again = self._extra_due = None
        try:
            again = self._tick() if self._tick else None
        except Exception as error:
            self.report("", f"flush: {type(error).__name__}: {error}", error)
        with self._cond:
            if again is None:
                self._tick_due = None
                self._settled = self._handled
            else:
                self._tick_due = time.monotonic() + max(again, 0.001)
                self._wanted = self._settled
            self._cond.notify_all()


_workers: "weakref.WeakSet[DocumentWorker]" = weakref.WeakSet()


def _forget_parent() -> None:
    """In a forked child: new locks, since another thread may have held the old ones."""
    for worker in list(_workers):
        pid = worker._pid
        worker._reset()
        worker._pid = pid


os.register_at_fork(after_in_child=_forget_parent)
