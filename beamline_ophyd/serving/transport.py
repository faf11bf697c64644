"""A Tiled client that gives up at once, for callers who have something better to do than wait."""

from typing import Any

import httpx

from .errors import ServerError

__all__ = ["ServerAwayError", "ServerFaultError", "fail_at_once", "reason_to_leave", "said"]

_BUSY_OR_GATEWAY = (429, 502, 503, 504)


class ServerFaultError(Exception):
    """The server failed over a request (HTTP 5xx); the same request would fail again.

    Not an ``httpx`` error, because Tiled's client repeats a request after any of those: up to ten
    times, for up to 45 s, and an append of rows even when the first one may have been carried out.
    """


class ServerAwayError(ServerFaultError):
    """The server did not answer, or asked to be left alone for now; later it may do better."""


def fail_at_once(client: httpx.Client) -> None:
    """Make a client raise `ServerFaultError` for every failed request, and repeat none.

    Parameters
    ----------
    client : httpx.Client
        As in ``context.http_client`` of a Tiled client; changed in place.
    """
    # A connection for each request: after an error of its own the server closes the one it came
    # on, and a request that is on its way there just then would look like a server that is gone.
    client.headers["Connection"] = "close"
    send = client.send

    def send_once(request: httpx.Request, **options: Any) -> httpx.Response:
        try:
            response = send(request, **options)
        except httpx.TransportError as error:
            raise ServerAwayError(f"{type(error).__name__}: {error}") from error
        status = response.status_code
        if status in _BUSY_OR_GATEWAY or status >= 500:
            what = f"HTTP {status} for {request.method} {request.url.path}"
            response.close()
            raise ServerAwayError(what) if status in _BUSY_OR_GATEWAY else ServerFaultError(what)
        return response

    client.send = send_once


def reason_to_leave(error: Exception) -> str | None:
    """Say why the server is of no use now, if that is what an error means.

    Returns
    -------
    str or None
        None when the server is well and the request was at fault.
    """
    if isinstance(error, ServerAwayError | ServerError):
        return str(error)
    if isinstance(error, httpx.TransportError):
        return f"{type(error).__name__}: {error}"
    if isinstance(error, httpx.HTTPStatusError) and error.response.status_code in (401, 403):
        return (
            f"it refuses the key (HTTP {error.response.status_code}: "
            f"{said(error)}); publishing needs the writer's key"
        )
    return None


def said(error: Exception) -> str:
    """Return what the server said about a request that failed, as far as it said anything."""
    if not isinstance(error, httpx.HTTPStatusError):
        return str(error)
    try:
        return str(error.response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return error.response.reason_phrase
