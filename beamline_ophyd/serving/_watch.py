"""A page for people in the next room: the scan that goes on, as the session reduces it.

The session puts the newest state here with the writer's key; the page, and whoever asks for the
state, needs the reader's. Only the newest is kept, in memory: what was measured is in Tiled.
"""

import json
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response, Security
from tiled.server.authentication import check_scopes, move_api_key

__all__ = ["router"]

MAX_BYTES = 4_000_000
"""Of a state: ten times that of a long scan."""

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
    """The newest state, as it came."""

    state: bytes | None = None


_newest = _Newest()


@router.put("/state", status_code=204)
async def put_state(request: Request, _: Writer) -> None:
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
    _newest.state = body


@router.get("/state")
async def get_state(_: Reader) -> Response:
    """The newest state; 204 before there is one."""
    if _newest.state is None:
        return Response(status_code=204, headers=_HEADERS)
    return Response(_newest.state, media_type="application/json", headers=_HEADERS)


@router.get("/{part:path}")
async def page(part: str, _: Reader, __: Annotated[None, Depends(move_api_key)]) -> Response:
    """The page, and its script and style."""
    if part not in _PARTS:
        raise HTTPException(404, f"there is no {part}; the page is at watch/")
    name, media_type = _PARTS[part]
    content = files("beamline_ophyd.serving").joinpath("watch", name).read_bytes()
    return Response(content, media_type=media_type, headers=_HEADERS)
