"""A connection to Tiled that may break and come back, for those who must not wait for it."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .client import find_server, open_root
from .connection import Connection
from .contents import CONTAINERS
from .errors import ServerError

if TYPE_CHECKING:
    from tiled.client.container import Container

__all__ = ["Link"]


class Link:
    """One server, looked for again after growing pauses while it is away.

    Not for several threads at once.

    Parameters
    ----------
    uri, api_key, folder
        As for :func:`~beamline_ophyd.serving.connect`, with the writer's key.
    timeout_s : float
        For each step of a request.
    first_pause_s, longest_pause_s : float
        Pause after which a server that is away is looked for again; doubles each time.
    on_away, on_back : callable
        Called with the reason when the server goes, with its address when it is of use again.
    """

    def __init__(
        self,
        uri: str | None = None,
        api_key: str | None = None,
        folder: str | Path | None = None,
        *,
        timeout_s: float,
        first_pause_s: float,
        longest_pause_s: float,
        on_away: Callable[[str], None],
        on_back: Callable[[str], None],
    ) -> None:
        self._wanted = (uri, api_key, folder)
        self._timeout_s = timeout_s
        self._first_pause_s = first_pause_s
        self._longest_pause_s = longest_pause_s
        self._on_away = on_away
        self._on_back = on_back
        self._connection: Connection | None = None
        self._runs: Any = None
        self._away = False
        self._pause_s = first_pause_s
        self._due = 0.0

    @property
    def away(self) -> bool:
        """Whether the last that was tried failed."""
        return self._away

    @property
    def due(self) -> float:
        """When the server may be used or looked for, on the clock of ``time.monotonic``."""
        return 0.0 if self._connection is not None else self._due

    def hurry(self) -> None:
        """Look for the server at the next occasion, whatever the pause."""
        self._due = 0.0

    def open(self) -> bool:
        """Whether the server can be used now; looks for it unless it is too early for that."""
        if self._connection is not None:
            return True
        if time.monotonic() < self._due:
            return False
        try:
            uri, api_key = find_server(*self._wanted, write=True)
            root = open_root(uri, api_key, timeout_s=self._timeout_s, once=True)
            _ensure_containers(root)
            self._connection = Connection(uri, root)
            self._runs = self._connection.runs.include_data_sources()
        except Exception as error:
            self.lost(str(error))
            return False
        return True

    @property
    def root(self) -> "Container":
        """The root of the server; only after :meth:`open` said True."""
        if self._connection is None:
            raise ServerError("there is no connection to Tiled just now; open() tells")
        return self._connection.root

    @property
    def runs(self) -> Any:
        """The container of runs; only after :meth:`open` said True."""
        if self._connection is None:
            raise ServerError("there is no connection to Tiled just now; open() tells")
        return self._runs

    def lost(self, reason: str) -> None:
        """Note that the server failed; it is left alone for a while."""
        self.close()
        if not self._away:
            self._away = True
            self._on_away(reason)
        self._due = time.monotonic() + self._pause_s
        self._pause_s = min(2 * self._pause_s, self._longest_pause_s)

    def confirm(self) -> None:
        """Note that the server did what was asked; only this makes it count as back."""
        self._pause_s = self._first_pause_s
        if self._away and self._connection is not None:
            self._away = False
            self._on_back(self._connection.uri)

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            with contextlib.suppress(Exception):
                self._connection.close()
        self._connection = self._runs = None


def _ensure_containers(root: "Container") -> None:
    """Make the containers on a server that was not started by `beamline tiled`."""
    from tiled.client.utils import ClientError
    from tiled.structures.core import Spec

    for container in CONTAINERS:
        try:
            root[container.key]
        except KeyError:
            # Another client may make it in the same moment.
            try:
                root.create_container(
                    container.key,
                    metadata=dict(container.metadata),
                    specs=[Spec(name, version) for name, version in container.specs],
                )
            except ClientError as error:
                if error.response.status_code != 409:
                    raise
