"""Files of runs that Tiled should have and does not, as after a session that was killed."""

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from uuid import UUID

from beamline_ophyd.data import ScanData
from beamline_ophyd.formats.entries import sweep_path
from beamline_ophyd.formats.names import SWEEP
from beamline_ophyd.formats.nexus_read import entries_in

from .contents import FILE_SPEC, FILES, RUNS, file_key
from .files import register_file

if TYPE_CHECKING:
    from tiled.client.container import Container

__all__ = ["register_missing"]


def register_missing(root: "Container", path: str | Path) -> list[str]:
    """Make a whole NXxas file, and those of its sweeps beside it, readable where they are not.

    What the server reads from this very file, and its run names, is left alone.

    Parameters
    ----------
    root : tiled.client.container.Container
        The root of the server, opened with the writer's key.
    path : path
        A closed file, in the server's folder of files.

    Returns
    -------
    list of str
        Keys of the files that were registered: the uid of the run, ``UID_sweep_1``, ...

    Raises
    ------
    RegistrationError
        When the server cannot read a file.
    """
    path = Path(path).resolve(strict=True)
    wanted: list[tuple[str, int | None, Path]] = []
    for name in entries_in(path):
        if SWEEP in name:
            continue
        data = ScanData.from_nexus(path, entry=name)
        if not _is_uuid(data.uid):
            continue  # of another program
        wanted.append((data.uid, data.sweep, path))
        if data.sweep is None and data.about.xafs is not None:
            places = {number: sweep_path(path, number) for number in data.sweep_numbers}
            wanted += [(data.uid, n, place) for n, place in places.items() if place.exists()]
    missing = [one for one in wanted if not _is_there(root, *one)]
    for uid, sweep, file in missing:
        register_file(root, uid, file, sweep=sweep)
    return [file_key(uid, sweep) for uid, sweep, _ in missing]


def _is_there(root: "Container", uid: str, sweep: int | None, path: Path) -> bool:
    key = file_key(uid, sweep)
    try:
        node: Any = root[FILES.key, key]
    except KeyError:
        return False
    assets = [asset for source in node.data_sources() or () for asset in source.assets]
    files = [unquote(urlsplit(asset.data_uri).path) for asset in assets]
    return files == [unquote(str(path))] and _is_named(root, uid, sweep)


def _is_named(root: "Container", uid: str, sweep: int | None) -> bool:
    """Whether a run says where its file is; one that is not in Tiled cannot."""
    try:
        run: Any = root[RUNS.key, uid]
    except KeyError:
        return True
    if sweep is None:
        return FILE_SPEC in (run.metadata.get("files") or {})
    return str(sweep) in (run.metadata.get("sweeps") or {})


def _is_uuid(uid: str) -> bool:
    try:
        return str(UUID(uid)) == uid
    except ValueError:
        return False
