"""NXxas files as nodes of the Tiled server, each under the uid of its run."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from tiled.client.utils import ClientError
from tiled.structures.core import Spec, StructureFamily
from tiled.structures.data_source import Asset, DataSource, Management

from .contents import FILE_SPEC, FILES, RUNS
from .errors import RegistrationError
from .transport import ServerAwayError, ServerFaultError, said

if TYPE_CHECKING:
    from tiled.client.container import Container

__all__ = ["link_file", "register_file"]

_CONFLICT = 409


def register_file(root: "Container", uid: str, path: str | Path) -> None:
    """Make a closed NXxas file readable through the server; again for the same file is fine.

    Parameters
    ----------
    root : tiled.client.container.Container
        The root of the server, opened with the writer's key.
    uid : str
        Uid of the run; the file's key.
    path : path
        The file, in the server's folder of files. It must be closed by its writer: reading one
        that is still held fails in the server.

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
        _new(files, uid, source)
    except ClientError as error:
        if error.response.status_code != _CONFLICT:
            raise
        files.delete_contents([uid], external_only=True)
        _new(files, uid, source)
    try:
        list(root[FILES.key, uid])
    except ServerAwayError:
        raise
    except (ServerFaultError, httpx.HTTPStatusError) as error:
        files.delete_contents([uid], external_only=True)
        raise RegistrationError(
            f"the Tiled server cannot read {path}: it serves only whole NXxas files in its own "
            f"folder of files; write them there, or start it with that folder (--files). "
            f"It says: {said(error)}"
        ) from error
    link_file(root, uid)


def link_file(root: "Container", uid: str) -> None:
    """Say in the metadata of a run where its file and its page are, if the server has the run.

    The file's own metadata name the run. A run that is sent again needs its link again.
    """
    try:
        run: Any = root[RUNS.key, uid]
    except KeyError:
        return
    links = {
        "files": {FILE_SPEC: f"{FILES.key}/{uid}"},
        "downloads": {kind: f"/api/v1/download/{uid}/{kind}" for kind in ("nxs", "report")},
    }
    run.update_metadata(links, drop_revision=True)


def _new(files: Any, uid: str, source: "DataSource[Any]") -> None:
    files.new(
        StructureFamily.container,
        [source],
        key=uid,
        # Tiled lays this over every group of the file, so no key may be a NeXus attribute's.
        metadata={"run_uid": uid},
        specs=[Spec(FILE_SPEC)],
    )
