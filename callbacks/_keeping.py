"""The process that a keeper starts: it writes, publishes and reduces what it is sent.

    python -m beamline_ophyd.callbacks._keeping DESCRIPTOR

The descriptor is one end of a pair of sockets, whose other end :class:`.keeper.Keeper` has. A
message from there names a method of :class:`Keeping`, one from here a method of the keeper.
"""

import contextlib
import logging
import logging.handlers
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from beamline_ophyd.data import ScanData
from beamline_ophyd.formats.documents import document_key
from beamline_ophyd.formats.journal import decode_line, iter_journal
from beamline_ophyd.formats.names import safe_file_name
from beamline_ophyd.serving.client import Server

from .keeper import PUT_OFF
from .nxxas import NXxasWriter
from .reduction import LiveReduction
from .report import ReportWriter
from .tiled import TiledPublisher
from .web_view import WebView

__all__ = ["Keeping", "main"]

LOOK_S = 0.25
"""How often what has become of the runs is looked at, to be told."""

logger = logging.getLogger(__name__)

Callback = Callable[[str, Mapping[str, Any]], None]


@dataclass
class _Journals:
    """Where the session's journals are; it is the session that writes them."""

    folder: Path
    named: dict[str, Path] = field(default_factory=dict)

    def path(self, uid: str) -> Path:
        return self.named.get(uid) or self.folder / f"{safe_file_name(uid)}.jsonl"

    def retry(self) -> bool:
        return True


class Keeping:
    """The callbacks of the process, and what has been told of them.

    Parameters
    ----------
    send : callable
        Sends a message to the keeper.
    folder, journals : Path
        Of the NXxas files, and of the journals from which gaps are filled.
    tiled, reports, live
        As for the keeper.
    options : mapping
        Of the writer.
    """

    def __init__(
        self,
        send: Callable[..., None],
        *,
        folder: Path,
        journals: Path,
        tiled: Server | None,
        reports: bool,
        live: bool,
        options: Mapping[str, Any],
    ) -> None:
        self._send = send
        self._last: dict[str, Any] = {}
        self._away = False
        self._telling = threading.Lock()
        self._taken_again: set[str] = set()
        self._journals = _Journals(journals)
        self._publisher = self._page = None
        if tiled is not None:
            uri, key, served = tiled
            self._publisher = TiledPublisher(uri, key, folder=served, journal=self._journals)
            self._page = WebView(uri, key, folder=served) if live else None
        self._reports = ReportWriter() if reports else None
        self._writer = NXxasWriter(
            folder,
            journal=self._journals,
            on_file=self._finished,
            on_sweep_file=self._publisher and self._publisher.register_sweep_file,
            **options,
        )
        views = [partial(send, "state"), *([self._page] if self._page is not None else [])]
        reduction = LiveReduction(*views) if live else None
        callbacks = (self._writer, self._publisher, reduction)
        self._callbacks = [one for one in callbacks if one is not None]
        self._parts = [*self._callbacks, *([self._reports] if self._reports else [])]

    def run(self, uid: str, path: Path) -> None:
        """Know where the journal of a run is."""
        self._journals.named[uid] = path

    def lines(self, lines: bytes) -> None:
        """Take documents, in lines of a journal."""
        for line in lines.splitlines():
            name, doc = decode_line(line)
            if not self._taken_again or document_key(doc) not in self._taken_again:
                _hand_over(self._callbacks, name, doc)

    def gap(self, uid: str) -> None:
        """Know that points of a run did not come."""
        self._writer.note_gap(uid)
        if self._publisher is not None:
            self._publisher.note_gap(uid)

    def again(self, uid: str, start: bytes, file: Path | None) -> None:
        """Take up a run that another process left, from its journal; the file, if it is whole."""
        callbacks: Sequence[Callback] = self._callbacks
        if file is None:
            self._remove_left(uid)
        elif self._publisher is not None:
            self._publisher.register_file(uid, file)
            callbacks = [self._publisher]
        # Any of these may come once more, from what the session had not sent yet.
        self._taken_again.add(uid)
        _hand_over(callbacks, *decode_line(start))
        with contextlib.suppress(OSError):  # of a disk that was full, there is none yet
            for _, item in iter_journal(self._journals.path(uid)):
                if item is not None and item[0] != "start":
                    self._taken_again.add(document_key(item[1]))
                    _hand_over(callbacks, *item)

    def wait(self, number: int, timeout: float | None) -> None:
        """Say when all that came so far is done, while more may come."""
        threading.Thread(target=self._wait, args=(number, timeout), daemon=True).start()

    def close(self, number: int, timeout: float) -> None:
        """Finish everything, and take `timeout` s for each part at most."""
        done = [part.close(timeout) for part in self._parts]
        if self._page is not None:
            self._page.close()
        self.tell()
        self._send("done", number, all(done))

    def leave(self) -> None:
        """Nothing: the interpreter ends, and with it the callbacks."""

    def tell(self) -> None:
        """Tell what has become of the runs since it was last told."""
        with self._telling:
            places = {"files": self._writer.files, "sweep_files": self._writer.sweep_files}
            if self._reports is not None:
                places["pages"] = self._reports.pages
            if self._publisher is not None:
                places["published"] = dict.fromkeys(self._publisher.published)
                places["registered"] = dict.fromkeys(self._publisher.registered)
                self._tell_away(self._publisher.away)
            for name, place in places.items():
                if new := self._new(name, place.items()):
                    self._send("new", name, new)
            for part in self._parts:
                if new := self._new(type(part).__name__, part.problems):
                    self._send("problems", new)

    def _tell_away(self, away: bool) -> None:
        if away != self._away:
            self._away = away
            self._send("away", away)

    def _new(self, what: str, found: Iterable[Any]) -> list[Any]:
        """What is in a list behind the last that was there before."""
        items, new = list(found), []
        for item in reversed(items):
            if what in self._last and item == self._last[what]:
                break
            new.append(item)
        if new:
            self._last[what] = new[0]
        return new[::-1]

    def _wait(self, number: int, timeout: float | None) -> None:
        done = [callback.wait(timeout) for callback in self._callbacks]
        self.tell()
        self._send("done", number, all(done))

    def _finished(self, uid: str, path: Path, start: Mapping[str, Any]) -> None:
        if self._publisher is not None:
            self._publisher.register_file(uid, path, start)
        if self._reports is not None:
            self._reports(uid, path, start)
        self.tell()  # at once, so that no other process makes the file a second time

    def _remove_left(self, uid: str) -> None:
        """Remove what the other process had of a file that is written anew."""
        for part in self._writer.folder.rglob("*.nxs.part"):
            with contextlib.suppress(Exception):  # a damaged one is left for `beamline repair`
                if ScanData.from_nexus(part).uid == uid:
                    part.unlink()


def _hand_over(callbacks: Iterable[Callback], name: str, doc: Mapping[str, Any]) -> None:
    for callback in callbacks:
        callback(name, doc)


class _LogSender(logging.handlers.QueueHandler):
    """Has the session say what is logged here."""

    def __init__(self, send: Callable[..., None]) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self._send = send

    def enqueue(self, record: logging.LogRecord) -> None:
        self._send("log", record)


def main() -> None:
    """Work until the other end says so, or is gone."""
    for number in PUT_OFF:
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PUT_OFF)
    link = Connection(int(sys.argv[1]))
    turn = threading.Lock()

    def send(*message: Any) -> None:
        with turn, contextlib.suppress(OSError):
            link.send(message)

    logging.getLogger().addHandler(_LogSender(send))
    levels, task = link.recv()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    keeping = Keeping(send, **task)
    send("ready")
    _serve(link, keeping)


def _serve(link: Connection, keeping: Keeping) -> None:
    """Do as the messages say; at the end the callbacks finish, as in any interpreter."""
    name, look = "", 0.0
    while name not in ("close", "leave"):
        try:
            if link.poll(LOOK_S):
                name, *given = link.recv()
                getattr(keeping, name)(*given)
        except (EOFError, ConnectionError):
            return  # the session was killed
        except Exception:
            logger.exception("a message of the session was not understood")
        if time.monotonic() >= look:
            look = time.monotonic() + LOOK_S
            keeping.tell()


if __name__ == "__main__":
    main()
