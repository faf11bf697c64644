"""NXxas files as nodes of the Tiled server, each under the uid of its run.

The files of sweeps are beside those of their runs, as ``UID_sweep_1`` and so on.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from tiled.client.utils import ClientError
from tiled.queries import KeysFilter
from tiled.structures.core import Spec, StructureFamily
from tiled.structures.data_source import Asset, DataSource, Management

from beamline_ophyd.formats.measurement import read_metadata

from .contents import FILE_SPEC, FILES, RUNS, file_key
from .errors import RegistrationError
from .transport import ServerAwayError, ServerFaultError, said

if TYPE_CHECKING:
    from tiled.client.container import Container

__all__ = ["link_file", "register_file"]

_CONFLICT = 409

_KEYS_ASKED_FOR = 200
"""In one request, whose address has them all."""


def register_file(
    root: "Container", uid: str, path: str | Path, *, sweep: int | None = None
) -> None:
    """Make a closed NXxas file readable through the server; again for the same file is fine.

    Parameters
    ----------
    root : tiled.client.container.Container
        The root of the server, opened with the writer's key.
    uid : str
        Uid of the run.
    path : path
        The file, in the server's folder of files. It must be closed by its writer: reading one
        that is still held fails in the server.
    sweep : int, optional
        Number of the sweep, from 1, where it is the file of one.

    Raises
    ------
    ValueError
        When the path cannot be written as Tiled's address of a file.
    FileNotFoundError
        When there is no such file.
    RegistrationError
        When the server cannot read it there.
    """
    path = Path(path).resolve(strict=True)
    if bad := set("?#").intersection(str(path)):
        raise ValueError(
            f"{path} has {' '.join(sorted(bad))} in its name, which Tiled's address of a file "
            f"cannot hold; rename the file"
        )
    files: Any = root[FILES.key]
    key = file_key(uid, sweep)
    # Tiled lays this over every group of the file, so no key may be a NeXus attribute's.
    metadata = {"run_uid": uid} | ({} if sweep is None else {"sweep": sweep})
    asset = Asset(
        data_uri=f"file://localhost{path}", is_directory=False, parameter="data_uri", num=None
    )
    source = DataSource(
        structure_family=StructureFamily.container,
        structure=None,
        mimetype="application/x-hdf5",
        parameters={},
        management=Management.external,
        assets=[asset],
    )
    try:
        _new(files, key, source, metadata)
    except ClientError as error:
        if error.response.status_code != _CONFLICT:
            raise
        files.delete_contents([key], external_only=True)
        _new(files, key, source, metadata)
    try:
        list(root[FILES.key, key])
    except ServerAwayError:
        raise
    except (ServerFaultError, httpx.HTTPStatusError) as error:
        files.delete_contents([key], external_only=True)
        raise RegistrationError(
            f"the Tiled server cannot read {path}: it serves only whole NXxas files in its own "
            f"folder of files; write them there, or start it with that folder (--files). "
            f"It says: {said(error)}"
        ) from error
    link_file(root, uid)


def link_file(root: "Container", uid: str) -> None:
    """Say in the metadata of a run where its files and its page are, as far as the server has them.

    The files' own metadata name the run. A run that is sent again needs its links again.
    """
    try:
        run: Any = root[RUNS.key, uid]
    except KeyError:
        return
    contract = read_metadata(run.metadata.get("start") or {})[0].xafs
    repeats = 1 if contract is None else contract.repeats
    sweeps = {file_key(uid, number): number for number in range(1, repeats + 1)}
    there = _there(root[FILES.key], [file_key(uid), *(sweeps if repeats > 1 else ())])
    links: dict[str, dict[str, Any]] = {}
    for key in there:
        if key in sweeps:
            links.setdefault("sweeps", {})[str(sweeps[key])] = {
                "file": f"{FILES.key}/{key}",
                "download": _download(key, "nxs"),
            }
        else:
            links["files"] = {FILE_SPEC: f"{FILES.key}/{key}"}
            links["downloads"] = {kind: _download(key, kind) for kind in ("nxs", "report")}
    if links:
        run.update_metadata(links, drop_revision=True)


def _there(files: Any, keys: list[str]) -> list[str]:
    """Those of the keys that the container has."""
    parts = [keys[at : at + _KEYS_ASKED_FOR] for at in range(0, len(keys), _KEYS_ASKED_FOR)]
    return [key for part in parts for key in files.search(KeysFilter(part))]


def _download(key: str, kind: str) -> str:
    return f"/api/v1/download/{key}/{kind}"


def _new(files: Any, key: str, source: "DataSource[Any]", metadata: dict[str, Any]) -> None:
    files.new(
        StructureFamily.container,
        [source],
        key=key,
        metadata=metadata,
        specs=[Spec(FILE_SPEC)],
    )
