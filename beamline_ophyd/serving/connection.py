"""A client of one server, with its runs and files at hand."""

import datetime as dt
import re
from email.message import Message
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from .contents import FILES, RUNS, file_key
from .errors import ServerError

if TYPE_CHECKING:
    from tiled.client.container import Container

__all__ = ["Connection", "Date"]

Date = str | dt.date | dt.datetime | float
"""A moment as people write it."""

_UID_LENGTH = 36


class Connection:
    """A client of one Tiled server, with the runs and the files at hand.

    Made by :func:`connect`. Usable as a context manager, which closes it.

    Attributes
    ----------
    uri : str
        Address of the server.
    root : tiled.client.container.Container
        Tiled's own client of the root, for everything else.
    """

    def __init__(self, uri: str, root: "Container") -> None:
        self.uri = uri
        self.root = root
        self._containers: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<Connection to {self.uri}>"

    @property
    def runs(self) -> Any:
        """The catalogue of runs; ``runs[uid]``, ``runs[-1]``, ``runs.search(...)``."""
        return self._container(RUNS.key)

    @property
    def files(self) -> Any:
        """The NXxas files as trees; ``files[uid]["entry/data/intensity"].read()``."""
        return self._container(FILES.key)

    def _container(self, key: str) -> Any:
        """A client of a container as new, without asking the server each time what it is.

        It says where the container is, which outlives a server, and nothing of what is in it.
        """
        if key not in self._containers:
            self._containers[key] = self.root[key]
        return self._containers[key].new_variation()

    def search(
        self,
        *,
        element: str | None = None,
        edge: str | None = None,
        sample: str | None = None,
        mode: str | None = None,
        plan: str | None = None,
        since: Date | None = None,
        until: Date | None = None,
    ) -> Any:
        """Find runs by what they measured; all that is given has to be true.

        Parameters
        ----------
        element, edge, sample, mode, plan : str, optional
            As the run says it: ``element="Fe", edge="K", sample="Fe foil"``. An edge may have its
            element with it, as plans take it: ``edge="Fe-K"``.
        since, until : str, datetime.date, datetime.datetime or float, optional
            Between these times the run began: ISO 8601 (``"2026-11-25"``, in local time where no
            offset is given) or seconds since 1970. A date as `until` includes that day.

        Returns
        -------
        CatalogOfBlueskyRuns
            A part of :attr:`runs`, in the same order, which can be searched further.

        Raises
        ------
        ValueError
            For a time, an element or an edge that cannot be one.

        Examples
        --------
        >>> client.search(element="Fe", since="2026-11-01")[-1].plot()  # doctest: +SKIP
        """
        from tiled.client.container import Container
        from tiled.queries import Comparison, Eq

        from .runs import MEASURED_KEY

        found = self.runs
        element, edge = _element_and_edge(element, edge)
        words = {"element": element, "edge": edge, "sample": sample, "mode": mode, "plan": plan}
        for name, word in words.items():
            if word is not None:
                # The catalogue's own search would look for the key in the start document.
                found = Container.search(found, Eq(f"{MEASURED_KEY}.{name}", word))
        if since is not None:
            found = found.search(Comparison("ge", "start.time", _seconds(since, "since")))
        if until is not None:
            found = found.search(Comparison("lt", "start.time", _seconds(until, "until")))
        return found

    def download(
        self, uid: str, kind: str = "nxs", to: str | Path = ".", *, sweep: int | None = None
    ) -> Path:
        """Save a file of a run as it is on the server's disk.

        Parameters
        ----------
        uid : str
            Uid of the run, or its first letters.
        kind : {"nxs", "xdi", "csv", "report"}
        to : path
            A folder, in which the file gets its own name, or a new file.
        sweep : int, optional
            Number of the sweep, from 1, whose own file is wanted
            (``NXxasWriter(repeats="files")``).

        Returns
        -------
        pathlib.Path
            The file.

        Raises
        ------
        ServerError
            When the server has no such file, or refuses it.
        FileExistsError
            When there is a file of that name already.
        """
        context, key = self.root.context, file_key(self._whole(uid), sweep)
        address = f"{str(context.api_uri).rstrip('/')}/download/{quote(key, safe='')}/{kind}"
        with context.http_client.stream("GET", address) as answer:
            if answer.status_code != 200:
                answer.read()
                try:
                    why = answer.json()["detail"]
                except (ValueError, KeyError, TypeError):
                    why = answer.reason_phrase
                raise ServerError(f"no {kind} of run {key}: {why} (HTTP {answer.status_code})")
            path = Path(to)
            if path.is_dir():
                path = path / _file_name(answer.headers, f"{key}.{kind}")
            with path.open("xb") as file:
                try:
                    for part in answer.iter_bytes():
                        file.write(part)
                except BaseException:
                    path.unlink()
                    raise
        return path

    def _whole(self, uid: str) -> str:
        """Complete a uid of which the first letters are given, where there is one such run."""
        if len(uid) >= _UID_LENGTH:
            return uid
        try:
            return str(self.runs[uid].metadata["start"]["uid"])
        except (KeyError, ValueError):  # a file may be there whose run is not
            return uid

    def close(self) -> None:
        """Close the connections to the server."""
        self.root.context.close()

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _element_and_edge(element: str | None, edge: str | None) -> tuple[str | None, str | None]:
    """Take an edge apart that has its element with it; raise for words that no run can say."""
    if edge is not None:
        parts = re.fullmatch(r"(?:([A-Z][a-z]?)[-_ ])?([K-P][1-7]?)", edge.strip())
        if parts is None or (element is not None and parts[1] not in (None, element)):
            raise ValueError(
                f"edge is {edge!r}; give one such as 'K' or 'L3', or 'Fe-K' with its element"
            )
        element, edge = parts[1] or element, parts[2]
    if element is not None and not re.fullmatch("[A-Z][a-z]?", element):
        raise ValueError(f"element is {element!r}; give its symbol, such as 'Fe'")
    return element, edge


def _seconds(when: Date, name: str) -> float:
    """Seconds since 1970; of a day as `until` its end."""
    if isinstance(when, int | float):
        return float(when)
    if isinstance(when, str):
        try:
            when = dt.date.fromisoformat(when)
        except ValueError:
            try:
                when = dt.datetime.fromisoformat(when)
            except ValueError:
                raise ValueError(
                    f"{name} is {when!r}; give a date such as 2026-11-25, a time such as "
                    "2026-11-25T14:30, or seconds since 1970"
                ) from None
    if not isinstance(when, dt.datetime):
        day = when + dt.timedelta(days=1) if name == "until" else when
        when = dt.datetime.combine(day, dt.time())
    return when.timestamp()


def _file_name(headers: Any, otherwise: str) -> str:
    """Name of a file as the server says it; never more than a name."""
    message = Message()
    message["Content-Disposition"] = headers.get("content-disposition", "")
    return Path(message.get_filename() or otherwise).name or otherwise
