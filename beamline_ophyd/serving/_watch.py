"""A page for people in the next room: the scan that goes on, as the session reduces it.

The session puts the newest state here with the writer's key; the page, and whoever asks for the
state, needs the reader's. Only the newest is kept, in memory, or in the Redis that several servers
have in common: what was measured is in Tiled.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response, Security
from redis.asyncio import Redis
from tiled.server.authentication import check_scopes, move_api_key
from tiled.server.dependencies import get_root_tree

from ._streaming import AWAY

__all__ = ["router"]

MAX_BYTES = 4_000_000
"""Of a state: ten times that of a long scan."""

_SHARED_KEY = "beamline:watch"
_SHARED_S = 7 * 86_400

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_PARTS = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
}

router = APIRouter(prefix="/watch")

Reader = Annotated[Any, Security(check_scopes, scopes=["read:metadata", "read:data"])]
Writer = Annotated[Any, Security(check_scopes, scopes=["write:data"])]


class _Newest:
    """The newest state, as it came; one for all servers that stream through one Redis."""

    _own: bytes | None = None

    def __init__(self, tree: Annotated[Any, Depends(get_root_tree)]) -> None:
        cache: Any = getattr(getattr(tree, "context", None), "streaming_cache", None)
        self._redis = getattr(cache, "client", None)

    async def put(self, state: bytes) -> None:
        if isinstance(self._redis, Redis):
            with _redis_in_words():
                await self._redis.set(_SHARED_KEY, state, ex=_SHARED_S)
        else:
            _Newest._own = state

    async def get(self) -> bytes | None:
        if isinstance(self._redis, Redis):
            with _redis_in_words():
                found = await self._redis.get(_SHARED_KEY)
            return found.encode() if isinstance(found, str) else found
        return self._own


Newest = Annotated[_Newest, Depends()]


@contextmanager
def _redis_in_words() -> Iterator[None]:
    try:
        yield
    except AWAY as error:
        raise HTTPException(503, f"Redis, which has the newest state, is away: {error}") from error


@router.put("/state", status_code=204)
async def put_state(request: Request, newest: Newest, _: Writer) -> None:
    """Take the newest state of a scan: a JSON object."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            raise HTTPException(413, f"a state has at most {MAX_BYTES} bytes")
    try:
        state = json.loads(body)
    except ValueError as error:
        raise HTTPException(422, f"a state is JSON: {error}") from error
    if not isinstance(state, dict):
        raise HTTPException(422, "a state is a JSON object")
    await newest.put(body)


@router.get("/state")
async def get_state(newest: Newest, _: Reader) -> Response:
    """The newest state; 204 before there is one."""
    if (state := await newest.get()) is None:
        return Response(status_code=204, headers=_HEADERS)
    return Response(state, media_type="application/json", headers=_HEADERS)


@router.get("/{part:path}")
async def page(part: str, _: Reader, __: Annotated[None, Depends(move_api_key)]) -> Response:
    """The page, and its script and style."""
    if part not in _PARTS:
        raise HTTPException(404, f"there is no {part}; the page is at watch/")
    name, media_type = _PARTS[part]
    content = files("beamline_ophyd.serving").joinpath("watch", name).read_bytes()
    return Response(content, media_type=media_type, headers=_HEADERS)
