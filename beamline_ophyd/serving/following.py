"""A run that goes on, point by point, from its first one, as Tiled has it."""

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from typing import Any

from .client import open_root
from .errors import ServerError

__all__ = ["live"]

logger = logging.getLogger(__name__)

_REQUEST_TIMEOUT_S = 15.0
_UNTIL_FIRST_POINT_S = 0.1
_LOOK_S = 2.0
"""Pause after which the run is looked at though no word of it came."""
_AWAY_PAUSE_S = 1.0
_JOIN_TIMEOUT_S = 5.0


def live(
    run: Any, stream: str = "primary", *, patience_s: float = 60.0
) -> Iterator[dict[str, Any]]:
    """Follow a run: its points so far, then each new one as it comes, until the run ends.

    Tiled's streaming tells of new points at once; what it does not tell of, because the server
    was restarted or its cache had no room, is read from the run itself. So every point comes,
    once, and in order. A run that has ended gives all its points.

    Leaving the loop early closes the connection.

    Parameters
    ----------
    run : BlueskyRun
        From Tiled, such as ``connect().runs[-1]``.
    stream : str
        Name of the stream.
    patience_s : float
        Seconds for which the server may be away before that is an error.

    Yields
    ------
    dict
        As an event document has them: ``seq_num``, ``time``, ``data`` and ``timestamps``. What
        detectors write into files of their own is not among the data.

    Raises
    ------
    ServerError
        When the server has been away for longer than `patience_s`.

    Examples
    --------
    >>> for point in live(connect().runs[-1]):  # doctest: +SKIP
    ...     print(point["data"]["mono_energy"], point["data"]["I0"])
    """
    follower = _Follower(run, stream, patience_s)
    try:
        yield from follower.points()
    finally:
        follower.close()


class _Follower:
    """One run followed over connections of its own, so that nobody else's is disturbed."""

    def __init__(self, run: Any, stream: str, patience_s: float) -> None:
        self._uri = str(run.context.api_uri)
        self._key = run.context.api_key or ""
        self._run_path = list(run.path_parts)
        self._stream = stream
        self._patience_s = patience_s
        self._seen: set[tuple[int, float]] = set()
        self._root: Any = None
        self._watch: _Watch | None = None
        self._good = time.monotonic()
        self._away = False

    def points(self) -> Iterator[dict[str, Any]]:
        import httpx  # with Tiled, when it is needed

        from .transport import ServerFaultError

        ended = False
        while not ended:
            try:
                ended, rows = self._read()
            except (ServerError, ServerFaultError, httpx.HTTPError, KeyError) as error:
                self._note_away(error)
                time.sleep(_AWAY_PAUSE_S)
                continue
            self._note_back()
            yield from self._new(rows)
            if not ended:
                yield from self._told()

    def close(self) -> None:
        """End the subscription and the connection."""
        if self._watch is not None:
            self._watch.close()
        if self._root is not None:
            self._root.context.close()
        self._watch = self._root = None

    def _read(self) -> tuple[bool, list[dict[str, Any]]]:
        """Whether the run has ended, and all its rows; subscribes once there is a table."""
        if self._root is None:
            self._root = open_root(self._uri, self._key, timeout_s=_REQUEST_TIMEOUT_S, once=True)
        # Before the rows: what is there at the stop document is all there will be.
        ended = bool(self._root["/".join(self._run_path)].metadata.get("stop"))
        try:
            table: Any = self._root["/".join([*self._run_path, self._stream, "internal"])]
        except KeyError:
            return ended, []
        if not ended and (self._watch is None or self._watch.ended):
            self._watch = _Watch(table)
        # Not read(), by which dask may come back to a table of a connection that is closed.
        parts = [table.read_partition(n) for n in range(table.structure().npartitions)]
        return ended, [row for part in parts for row in part.to_dict("records")]

    def _told(self) -> Iterator[dict[str, Any]]:
        """Points that the subscription tells of, until it has nothing to say for a while."""
        watch = self._watch
        if watch is None:
            time.sleep(_UNTIL_FIRST_POINT_S)
            return
        with contextlib.suppress(queue.Empty):
            while (rows := watch.told.get(timeout=_LOOK_S)) is not None:
                yield from self._new(rows)

    def _new(self, rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for row in rows:
            # Not by its number alone: a point that was interrupted may be told twice.
            key = (int(row.pop("seq_num")), float(row.pop("time")))
            if key in self._seen:
                continue
            self._seen.add(key)
            times = {k.removeprefix("ts_"): row.pop(k) for k in list(row) if k.startswith("ts_")}
            yield {"seq_num": key[0], "time": key[1], "data": row, "timestamps": times}

    def _note_away(self, error: Exception) -> None:
        self.close()
        if time.monotonic() - self._good > self._patience_s:
            raise ServerError(
                f"the run {self._run_path[-1]} cannot be followed any more: {error}; what it has "
                f"measured is in Tiled when the server is back, or in its journal"
            ) from error
        if not self._away:
            logger.warning("Tiled cannot be used: %s; waiting for it", error)
        self._away = True

    def _note_back(self) -> None:
        if self._away:
            logger.warning("Tiled can be used again")
        self._away = False
        self._good = time.monotonic()


class _Watch:
    """A subscription to one table, on a thread of its own, whose end disturbs nobody.

    Tiled's own way to start one waits for ever for a server that refuses, and closing it early
    lets its thread hand work to an executor that has been shut down.
    """

    def __init__(self, table: Any) -> None:
        self.told: queue.SimpleQueue[Any] = queue.SimpleQueue()
        """Rows as they come; None at the end."""
        self._subscription = table.subscribe(executor=_AtOnce())
        self._subscription.new_data.add_callback(self._take)
        self._thread = threading.Thread(target=self._run, name="tiled live", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        return not self._thread.is_alive()

    def close(self) -> None:
        # On another thread: when more has come than was taken, Tiled waits ten seconds for the
        # server's good-bye, which is behind all that.
        threading.Thread(
            target=self._subscription.disconnect, name="tiled live end", daemon=True
        ).start()
        self._thread.join(_JOIN_TIMEOUT_S)

    def _run(self) -> None:
        try:
            # From as far back as the server remembers, so that nothing is lost between the
            # reading of the table and the first word.
            self._subscription.start(0, max_size=2**26)
        except Exception as error:
            logger.debug("the subscription ended: %s", error)
        finally:
            self.told.put(None)

    def _take(self, update: Any) -> None:
        self.told.put(update.data().to_dict("records"))


class _AtOnce(Executor):
    """Runs what it is given on the thread that gives it, and has no end to be shut down at."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            logger.warning("a message of Tiled's stream was not understood: %s", error)
            done.set_exception(error)
        return done
