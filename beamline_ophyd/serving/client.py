"""Clients that find the beamline's server and its keys by themselves."""

import ipaddress
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit, urlunsplit

from .connection import Connection
from .errors import ServerError
from .folder import DataFolder

if TYPE_CHECKING:
    from tiled.client.container import Container

__all__ = ["URI_VARIABLE", "Server", "connect", "find_server", "open_root", "split_key"]

Server = tuple[str | None, str | None, Path | None]
"""Address, key and data folder of a server, as :func:`find_server` takes them."""

URI_VARIABLE = "BEAMLINE_TILED_URI"
KEY_VARIABLE = "TILED_API_KEY"

_FIND_TIMEOUT_S = 5.0


def connect(
    uri: str | None = None,
    api_key: str | None = None,
    *,
    folder: str | Path | None = None,
    write: bool = False,
) -> Connection:
    """Connect to the beamline's Tiled server.

    Parameters
    ----------
    uri : str, optional
        Address of the server. By default the environment variable BEAMLINE_TILED_URI, else the
        server that runs over `folder`.
    api_key : str, optional
        By default the environment variable TILED_API_KEY, else the key in `folder`.
    folder : str or pathlib.Path, optional
        Data folder of a server on this machine. When given, it goes before the environment.
    write : bool
        Take the writer's key out of the folder instead of the reader's.

    Returns
    -------
    Connection
        With ``.runs``, ``.files`` and ``.root``.

    Raises
    ------
    ServerError
        When no server is known or it does not answer, or when it refuses the key.

    Examples
    --------
    >>> client = connect()  # doctest: +SKIP
    >>> client.runs[-1].primary.read()  # doctest: +SKIP
    """
    uri, api_key = find_server(uri, api_key, folder, write=write)
    return Connection(uri, open_root(uri, api_key))


def split_key(uri: str) -> tuple[str, str | None]:
    """Take the key out of an address as Tiled shows it, ``...?api_key=...``.

    Returns
    -------
    uri : str
        The address alone, fit to be logged.
    api_key : str or None
        The key.
    """
    parts = urlsplit(uri)
    keys = parse_qs(parts.query).get("api_key", [])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")), next(iter(keys), None)


def find_server(
    uri: str | None, api_key: str | None, folder: str | Path | None, *, write: bool
) -> tuple[str, str]:
    """Return address and key of the server that is meant; arguments as for :func:`connect`."""
    if uri is None and folder is None:
        uri = os.environ.get(URI_VARIABLE)
    if uri is not None:
        uri, given = split_key(uri)
        api_key = api_key or given
    if folder is None:
        api_key = api_key or os.environ.get(KEY_VARIABLE)
    if uri is not None and api_key is not None:
        return uri, api_key
    data = DataFolder.at(folder)
    state = data.running()
    served = None if state is None else str(state["uri"])
    if uri is None and served is None:
        raise ServerError(
            f"no Tiled server runs over {data.root}; start one with `beamline tiled`, give its "
            f"address, or set {URI_VARIABLE}"
        )
    if api_key is None:
        if folder is None and uri is not None and uri.rstrip("/") != served:
            raise ServerError(
                f"no key for the Tiled server at {uri}: pass api_key, set {KEY_VARIABLE}, "
                f"or name the server's data folder"
            )
        api_key = data.key("writer" if write else "reader")
    return str(uri or served), api_key


def open_root(
    uri: str, api_key: str, *, timeout_s: float | None = None, once: bool = False
) -> "Container":
    """Return Tiled's client of the root of a server.

    Parameters
    ----------
    uri : str
        Address of the server.
    api_key : str
        The key; sent in a header, never in an address.
    timeout_s : float, optional
        For each step of a request: connecting, sending, receiving. By default Tiled's own values.
    once : bool
        Raise :class:`~beamline_ophyd.serving.transport.ServerFaultError` at the first failure of a
        request, where Tiled's client would try again for up to 45 s.

    Raises
    ------
    ServerError
        When the server does not answer, is no Tiled server, or refuses the key.
    """
    import httpx
    from tiled.client.constructors import from_context
    from tiled.client.context import Context

    from .transport import ServerFaultError, fail_at_once

    local = _is_loopback(uri)
    # One quick question first, because Tiled's client would try for 45 s to find a server.
    try:
        status = httpx.get(
            uri, timeout=timeout_s or _FIND_TIMEOUT_S, trust_env=not local, follow_redirects=True
        ).status_code
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServerError(
            f"no Tiled server answers at {uri} ({error}); start it with `beamline tiled`, "
            f"or give another address"
        ) from error
    if status >= 500:
        raise ServerError(f"{uri} answers, but not well: HTTP {status}; is the server starting?")
    timeout = None if timeout_s is None else httpx.Timeout(timeout_s)
    try:
        context, path = Context.from_any_uri(
            uri, api_key=api_key, timeout=timeout, trust_env=not local
        )
        if once:
            fail_at_once(context.http_client)
        root = from_context(context, node_path_parts=path)
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise ServerError(
                f"the Tiled server at {uri} refuses the key (HTTP {status}); "
                f"its keys are in its data folder, or with whoever runs it"
            ) from error
        raise ServerError(f"{uri} does not answer as a Tiled server: HTTP {status}") from error
    except (httpx.HTTPError, ServerFaultError, ValueError) as error:
        raise ServerError(f"the Tiled server at {uri} does not answer well: {error}") from error
    return root


def _is_loopback(uri: str) -> bool:
    """Whether an address is on this machine, where a proxy has no business."""
    host = urlsplit(uri).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
