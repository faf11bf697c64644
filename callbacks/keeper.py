"""Files, Tiled and live reduction by a process of their own, away from the scan's."""

import contextlib
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from beamline_ophyd.formats.documents import DATA_DOCUMENTS
from beamline_ophyd.formats.problems import Problem
from beamline_ophyd.serving.client import Server

from ._exit import Turn, at_exit
from ._worker import DocumentWorker
from .journal import Journal
from .nxxas import FLUSH_INTERVAL_S, NXxasWriter

if TYPE_CHECKING:
    from .reduction import LiveState

__all__ = ["Keeper"]

GATHER_S = 0.1
"""For which points wait for others, so that the scan's interpreter changes threads less often."""

MAX_WAITING_BYTES = 64 * 2**20
"""Documents in memory that the process does not take: further points come from the journal."""

PIECE_BYTES = 2**20

RETRY_S = 5.0
"""Pause before a journal whose disk was full is tried again."""

TRIES = 3
"""How often a process may end over the same run, or with none."""

STEADY_S = 30.0
"""A process that lived for longer did not end for something that is wrong with all of them."""

START_S = 30.0
"""Longest time that a process may take to start, on a busy machine."""

LOGGERS = ("beamline_ophyd", "bluesky")

PUT_OFF = (signal.SIGINT, signal.SIGTERM)
"""Signals that are meant for the session, after whose end the process has something left to do."""

logger = logging.getLogger(__name__)


@dataclass
class _Run:
    """A run that is not in all its places yet."""

    start: bytes
    path: Path
    tries: int = 0
    has_gap: bool = False


class Keeper:
    """Has a process of its own write each run's file, publish it to Tiled, and reduce it.

    It does what :class:`NXxasWriter`, :class:`TiledPublisher`, :class:`LiveReduction` and
    :class:`ReportWriter` do on threads of the scan's interpreter, and is fed by the journal:
    subscribe that alone. Nothing is raised into the RunEngine, and nothing waits. The process
    ends after the session does, with what it has to finish.

    When it dies, another takes up the runs that it left, from their journals; that is logged and
    kept in ``problems``. What the process logs is logged here.

    Parameters
    ----------
    folder : path
        Where the files go; see :class:`NXxasWriter`.
    journal : Journal
        Of the session. It feeds the keeper that was made last.
    tiled : tuple, optional
        Address, writer's key and data folder of a Tiled server, None for what is not known; see
        :class:`TiledPublisher`.
    reports : bool
        Whether to make a page of each file.
    live : bool
        Whether to reduce absorption scans while they go on, for the page ``watch/`` beside Tiled
        and for `views`.
    views : callables
        ``view(state)`` with a :class:`LiveState`, in this process, on a thread for all of them.
    **options
        ``template``, ``mode`` and the other options of :class:`NXxasWriter`, except those that are
        functions.

    Attributes
    ----------
    files, pages : dict
        Run uid to the path of its finished file, and of its page.
    sweep_files : dict
        Run uid to the paths of the files of its sweeps.
    state : LiveState or None
        The newest of the scan that goes on.
    away : bool
        Whether the Tiled server could not be used when it was last needed.
    problems : list of Problem
        What went wrong, with the run's uid.

    Examples
    --------
    >>> keeper = Keeper("files", journal=journal)  # doctest: +SKIP
    >>> RE.subscribe(journal)  # doctest: +SKIP
    >>> keeper.close(timeout=20)  # doctest: +SKIP
    True
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        journal: Journal,
        tiled: Server | None = None,
        reports: bool = False,
        live: bool = False,
        views: Sequence[Callable[["LiveState"], None]] = (),
        **options: Any,
    ) -> None:
        if told := options.keys() & {"on_file", "on_sweep_file"}:
            raise TypeError(
                f"Keeper() takes no {' and no '.join(sorted(told))}: a function of this process "
                "cannot be called from another; look into `files`"
            )
        # Never given a document: it knows what is wrong with options and folder.
        self._writer = NXxasWriter(folder, **options)
        self.folder = self._writer.folder
        self.files: dict[str, Path] = {}
        self.sweep_files: dict[str, tuple[Path, ...]] = {}
        self.pages: dict[str, Path] = {}
        self.state: LiveState | None = None
        self.away = False
        self.problems: list[Problem] = []
        self._places: dict[str, dict[str, Any]] = {
            "files": self.files,
            "sweep_files": self.sweep_files,
            "pages": self.pages,
            "published": {},
            "registered": {},
        }
        self._journal = journal
        self._views = tuple(views)
        # So that a view that takes its time does not keep the process from telling the rest.
        self._viewing = DocumentWorker(self._show, name="live views")
        behind = options.get("flush_interval", FLUSH_INTERVAL_S)
        self._task = {
            "folder": self.folder,
            "journals": journal.folder,
            "tiled": tiled,
            "reports": reports,
            "live": live,
            # What points wait here is a part of what a file may be behind.
            "options": {**options, "flush_interval": max(behind / 2, behind - GATHER_S)},
        }
        self._cond = threading.Condition()
        self._outbox: deque[bytes | tuple[Any, ...]] = deque()
        self._waiting_bytes = 0
        self._due: float | None = None
        """When what is in the outbox goes; None while nothing is."""
        self._runs: dict[str, _Run] = {}
        self._numbers = itertools.count()
        self._asked: dict[int, tuple[Any, ...]] = {}
        self._answers: dict[int, bool] = {}
        self._ends = 0
        """Of processes, one after the other, each at its start or with no run to blame for it."""
        self._given_up = False
        """Whether no process starts any more."""
        self._closed = False
        self._over = False
        """Whether nothing more is sent."""
        self._pid = os.getpid()
        with self._cond:
            self._begin()
        self._sender = threading.Thread(target=self._send_all, name="keeper", daemon=True)
        self._sender.start()
        journal.listener = self._take
        at_exit(self, Turn.WRITER)

    @property
    def published(self) -> tuple[str, ...]:
        """Uids of the runs that are in Tiled, complete."""
        return tuple(self._places["published"])

    @property
    def registered(self) -> tuple[str, ...]:
        """Keys of the files that can be read in Tiled: uids of runs, and ``UID_sweep_1``, ..."""
        return tuple(self._places["registered"])

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def preflight(self, md: Mapping[str, Any], *, num_points: int) -> None:
        """Check before a run opens that its file can be written.

        As :meth:`NXxasWriter.preflight`.
        """
        self._writer.preflight(md, num_points=num_points)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all that was measured so far is in its file, in Tiled and on the page.

        Returns
        -------
        bool
            False when `timeout` seconds were not enough, or something could not be done.
        """
        if self._closed:
            return not self._runs
        return self._ask("wait", timeout, patience=timeout) and self._viewing.wait(timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Finish all files and publishing, within `timeout` s for each, and end the process.

        Returns
        -------
        bool
            False when something is not done; `problems` says what.
        """
        if self._closed:
            return not self._runs
        self._closed = True
        done = self._ask("close", timeout, patience=START_S + 4 * timeout)
        return self._viewing.close(timeout) and self._end(START_S) and done

    def leave(self, timeout: float) -> None:
        """The interpreter ends: the process finishes, by itself if that takes longer."""
        if not self._closed and self._pid == os.getpid():
            self._closed = True
            self._post("leave")
            self._end(timeout)

    def _end(self, timeout: float) -> bool:
        """Wait for the end of the process, which goes on by itself if that takes longer."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        finally:
            with self._cond:
                self._over = True
                self._cond.notify_all()
        for thread in (self._sender, self._listener):
            thread.join(timeout)
        return True

    def _ask(self, what: str, timeout: float | None, *, patience: float | None) -> bool:
        """Send a question and wait for its answer."""
        if self._pid != os.getpid():
            return False
        with self._cond:
            number = next(self._numbers)
            self._asked[number] = (what, number, timeout)
            self._outbox.append(self._asked[number])
            self._wake(0.0)
            self._cond.wait_for(lambda: number in self._answers or self._given_up, patience)
            self._asked.pop(number, None)
            return self._answers.pop(number, False)

    def _post(self, *message: Any) -> None:
        with self._cond:
            self._outbox.append(message)
            self._wake(0.0)

    # What comes from the journal.

    def _take(self, uid: str, name: str, line: bytes) -> None:
        """Take a line, on the RunEngine's thread."""
        if self._pid != os.getpid():
            return  # a forked child, to which the process does not belong
        frames = name not in DATA_DOCUMENTS
        with self._cond:
            if self._closed or self._given_up:
                self._report(uid, self._in_journal(self._journal.path(uid)))
                return
            if name == "start":
                self._runs[uid] = _Run(line, self._journal.path(uid))
                self._outbox.append(("run", uid, self._runs[uid].path))
            if uid not in self._runs:
                return  # it was given up
            if frames or not self._waiting_bytes or self._has_room(line):
                self._outbox.append(line)
                self._waiting_bytes += len(line)
            else:
                self._leave_out(uid)
            self._wake(0.0 if frames else GATHER_S)

    def _has_room(self, line: bytes) -> bool:
        return self._waiting_bytes + len(line) <= MAX_WAITING_BYTES

    def _leave_out(self, uid: str) -> None:
        run = self._runs.get(uid)
        if run is None or run.has_gap:
            return
        run.has_gap = True
        self._outbox.append(("gap", uid))
        self._report(
            uid,
            f"the process that writes files has left {MAX_WAITING_BYTES} bytes waiting: further "
            "points come from the journal when it goes on",
        )

    def _wake(self, after: float) -> None:
        """Have the outbox sent after some seconds, unless it goes sooner anyway."""
        due = time.monotonic() + after
        if self._due is None or due < self._due:
            self._due = due
            self._cond.notify_all()

    def _in_journal(self, path: Path) -> str:
        command = f"beamline replay {path}"
        words = f"it is in its journal alone; `{command} --files {self.folder}` writes its file"
        return words if self._task["tiled"] is None else f"{words}, `{command}` puts it into Tiled"

    def _report(self, uid: str, message: str, error: BaseException | None = None) -> None:
        problem = Problem(uid, message)
        if problem not in self.problems:
            self.problems.append(problem)
            logger.error("keeper: %s", problem, exc_info=error)

    # The process, and what is said to it.

    def _begin(self) -> None:
        """Start a process, which takes up what an earlier one left, and listen to it."""
        here, there = socket.socketpair()
        # From its first moment: the process lets them in when it knows what not to do about them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, PUT_OFF)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "beamline_ophyd.callbacks._keeping", str(there.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[there.fileno()],
                start_new_session=True,  # Ctrl-C pauses a scan and is not meant for it
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            there.close()
        self._link = Connection(here.detach())
        levels = {name: logging.getLogger(name).getEffectiveLevel() for name in LOGGERS}
        first: list[Any] = [(levels, self._task)]
        for uid, run in self._runs.items():
            first += [("run", uid, run.path), ("again", uid, run.start, self.files.get(uid))]
            first += [("gap", uid)] if run.has_gap else []
        # What is still to be sent comes behind: the process knows what it had from a journal.
        self._outbox.extendleft(reversed(first))
        self._wake(0.0)
        self._listener = threading.Thread(
            target=self._listen, args=(self._process, self._link), name="keeper news", daemon=True
        )
        self._listener.start()

    def _send_all(self) -> None:
        """Send the outbox, on a thread that may have to wait until the process takes it."""
        retry: float | None = None
        while True:
            with self._cond:
                while not self._over and not self._is_due(retry):
                    self._cond.wait(self._until_due(retry))
                if self._over:
                    return
                link, batch = self._link, self._outbox
                self._outbox, self._due = deque(), None
            for message in _joined(batch):
                # When it is gone, its listener starts another, which reads the journals.
                with contextlib.suppress(OSError):
                    link.send(message)
                with self._cond:
                    self._waiting_bytes -= len(message[1]) if message[0] == "lines" else 0
            # A journal whose disk was full has no thread of its own to look for room.
            retry = None if self._journal.retry() else time.monotonic() + RETRY_S

    def _is_due(self, retry: float | None) -> bool:
        return any(due is not None and time.monotonic() >= due for due in (self._due, retry))

    def _until_due(self, retry: float | None) -> float | None:
        dues = [due for due in (self._due, retry) if due is not None]
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    # What the process says.

    def _listen(self, process: "subprocess.Popen[bytes]", link: Connection) -> None:
        """Take the process's messages until it ends."""
        began, ready = time.monotonic(), False
        while True:
            try:
                message = link.recv()
            except (EOFError, OSError):
                break
            ready = True
            try:
                self._hear(*message)
            except Exception:
                logger.exception("a message of the process that keeps the data was not understood")
        code = process.wait()
        written = self._journal.retry()  # before the lock, which the journal's may precede
        with self._cond:
            if self._closed and not self._asked:
                if code:
                    self._give_up(_how(code))
            else:
                if time.monotonic() - began > STEADY_S or (ready and self._runs):
                    self._ends = 0
                self._ends += 1
                self._lost(_how(code), written=written)

    def _lost(self, what: str, *, written: bool) -> None:
        """Have another process go on, unless that has been in vain."""
        for uid, run in list(self._runs.items()):
            run.tries += 1
            run.has_gap = run.has_gap or not written
            if run.tries >= TRIES:
                del self._runs[uid]
                where = self._in_journal(run.path)
                self._report(uid, f"{what}, {TRIES} times over this run; {where}")
        if self._ends < TRIES:
            self._outbox.extend(self._asked.values())
            try:
                self._begin()
            except OSError as error:
                what = f"{what}, and no other can be started: {error}"
            else:
                self._report("", f"{what}; another one takes up what it left")
                return
        self._given_up = True
        self._report(
            "",
            f"{what}; after {self._ends} in a row none is started any more. See with `beamline "
            "doctor` what is wrong, and start the session anew: until then what is measured is in "
            "the journals alone",
        )
        self._give_up(what)
        self._outbox.clear()
        self._cond.notify_all()

    def _give_up(self, why: str) -> None:
        """Leave the runs that are not in all their places to their journals."""
        for uid, run in self._runs.items():
            self._report(uid, f"{why}; {self._in_journal(run.path)}")
        self._runs.clear()

    def _hear(self, what: str, *given: Any) -> None:
        match what, given:
            case "new", (place, found):
                self._places[place].update(found)
                self._let_go()
            case "problems", (found,):
                self.problems.extend(found)
            case "away", (away,):
                self.away = away
            case "state", (state,):
                self.state = state
                if self._views:
                    self._viewing.put("state", {})
            case "log", (record,):
                if (told := logging.getLogger(record.name)).isEnabledFor(record.levelno):
                    told.handle(record)
            case "done", (number, done):
                with self._cond:
                    self._answers[number] = done
                    self._cond.notify_all()

    def _show(self, *_: Any) -> None:
        """Show the newest state, on the thread for that."""
        from .reduction import show  # loaded with the first state

        assert self.state is not None
        show(self.state, self._views, self._report)

    def _let_go(self) -> None:
        """Forget runs that are in all their places."""
        wanted = ["files"] if self._task["tiled"] is None else ["files", "published", "registered"]
        with self._cond:
            for uid in list(self._runs):
                if all(uid in self._places[place] for place in wanted):
                    del self._runs[uid]


def _how(code: int) -> str:
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"the process that writes files and publishes {how}"


def _joined(outbox: Iterable[Any]) -> Iterator[Any]:
    """Messages, with lines that follow each other in pieces of a sensible size."""
    lines = bytearray()
    for item in outbox:
        if isinstance(item, bytes):
            lines += item
        if lines and (len(lines) > PIECE_BYTES or not isinstance(item, bytes)):
            yield "lines", bytes(lines)
            lines.clear()
        if not isinstance(item, bytes):
            yield item
    if lines:
        yield "lines", bytes(lines)
