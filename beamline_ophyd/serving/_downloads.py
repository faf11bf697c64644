"""The files of a run as they are on disk: a route of the server's own.

Tiled's own route for raw files serves whatever a registered asset names, wherever it leads, and
stays off. This one serves the NXxas file of a run, and what was made from it beside it, by the
uid of the run: regular files in the folder of files, and nothing else.
"""

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Security
from fastapi.responses import FileResponse
from tiled.server.authentication import (
    check_scopes,
    get_current_access_tags,
    get_current_principal,
    get_current_scopes,
    get_session_state,
)
from tiled.server.dependencies import get_entry, get_root_tree

from ._guard import GuardedAdapters
from .contents import DOWNLOADS, FILES

__all__ = ["router"]

_SCOPES = ["read:metadata", "read:data"]

router = APIRouter()


@router.get("/download/{uid}/{kind}")
async def download(
    uid: str,
    kind: str,
    request: Request,
    principal: Annotated[Any, Depends(get_current_principal)],
    root_tree: Annotated[Any, Depends(get_root_tree)],
    session_state: Annotated[Any, Depends(get_session_state)],
    access_tags: Annotated[Any, Depends(get_current_access_tags)],
    scopes: Annotated[Any, Depends(get_current_scopes)],
    _: Annotated[Any, Security(check_scopes, scopes=_SCOPES)],
) -> FileResponse:
    """Send a file of a run: ``nxs``, ``xdi``, ``csv`` or ``report``."""
    if kind not in DOWNLOADS:
        raise HTTPException(404, f"there is no {kind}; there are {', '.join(DOWNLOADS)}")
    try:
        entry: Any = await get_entry(
            f"{FILES.key}/{uid}",
            _SCOPES,
            principal,
            access_tags,
            scopes,
            root_tree,
            session_state,
            request.state.metrics,
            None,
            getattr(request.app.state, "access_policy", None),
        )
    except HTTPException as error:
        if error.status_code != 404:
            raise
        why = "there is no such run, or no file of it, which comes when a run has ended"
        raise HTTPException(404, why) from error
    adapters = getattr(getattr(entry, "context", None), "adapters_by_mimetype", None)
    if not isinstance(adapters, GuardedAdapters):
        raise HTTPException(404, f"no file of a run is at {FILES.key}/{uid}")
    sources = await entry.data_sources(include_assets=True)
    if not sources:
        raise HTTPException(404, f"{FILES.key}/{uid} has no file")
    what = DOWNLOADS[kind]
    path = adapters.file_of(sources[0])
    if what.suffix != path.suffix:
        path = _beside(adapters, path, what.suffix, kind)
    headers = {
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": what.policy,
    }
    return FileResponse(
        path,
        media_type=what.media_type,
        filename=path.name,
        content_disposition_type="inline" if what.shown else "attachment",
        headers=headers,
    )


def _beside(adapters: GuardedAdapters, file: Path, suffix: str, kind: str) -> Path:
    path = file.with_suffix(suffix)
    if not path.is_symlink() and not path.exists():
        raise HTTPException(
            404, f"this run has no {kind}: {path.name} is not beside its NXxas file"
        )
    return adapters.regular_file(f"file://localhost{path}")
