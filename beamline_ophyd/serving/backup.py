"""All of a Tiled server in one file: catalogue, tables, arrays, NXxas files, keys."""

import contextlib
import io
import json
import os
import re
import shutil
import sqlite3
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import quote

from ._lock import take_folder
from .errors import ServerError
from .folder import DataFolder

__all__ = ["BackupError", "backup", "restore"]

_VERSION = 1
_ABOUT = "backup.json"
_FOLDER, _FILES = "folder", "files"
# What belongs to a process that runs, and what a copy of a half-written file would be.
_LEFT_OUT = re.compile(r"server(-[\w-]+)?\.(log(\.1)?|lock|json|new)|\..*|.*\.part")
_CATALOGUE = "catalog.db"


class BackupError(RuntimeError):
    """A server cannot be copied, or a copy not be unpacked."""


def backup(folder: DataFolder, file: str | Path) -> Path:
    """Copy all that a server serves, and its keys, into one file that only its owner can read.

    The server has to be stopped: its tables are in the hands of its process alone. Whoever
    starts one meanwhile is told that the folder is taken.

    Parameters
    ----------
    folder : DataFolder
        The server's folders.
    file : path
        The archive to write; a compressed tar file, whatever its name.

    Raises
    ------
    BackupError
        When there is nothing to copy, when the catalogue is not in the folder, or when `file`
        exists.
    ServerError
        When the server runs.
    """
    file = Path(file).expanduser().absolute()
    if not (folder.root / _CATALOGUE).is_file():
        raise BackupError(
            f"{folder.root} has no {_CATALOGUE}: no server has been started there, or its "
            f"catalogue is on a database server, which has its own way, such as pg_dump"
        )
    for place in (folder.root, folder.files):
        if file.is_relative_to(place):
            raise BackupError(f"{file} would be part of itself; choose a place outside {place}")
    with _held(folder), _new_file(file) as raw, tarfile.open(fileobj=raw, mode="w:gz") as tar:
        about = {"version": _VERSION, _FOLDER: str(folder.root), _FILES: str(folder.files)}
        _add_text(tar, _ABOUT, json.dumps(about))
        _add_folder(tar, folder.root, _FOLDER, but=folder.files)
        _add_folder(tar, folder.files, _FILES)
    return file


def restore(file: str | Path, folder: DataFolder) -> None:
    """Unpack a backup into folders that are empty or not there, all of it or nothing.

    The catalogue is made to find files and arrays in their new places.

    Parameters
    ----------
    file : path
        From :func:`backup`. Keep to files of your own: it decides who may read and write here.
    folder : DataFolder
        Where everything goes.

    Raises
    ------
    BackupError
        When a folder is in use, when there is no room, or when `file` is not a whole backup; also
        when anything in it would land outside the folders.
    """
    for place in (folder.root, folder.files):
        if place.is_dir() and any(place.iterdir()):
            raise BackupError(f"{place} is not empty; name a folder that is not there yet")
    # Beside their later places, so that they move there in one step.
    drafts = {
        _FOLDER: folder.root.with_name(f".{folder.root.name}.restoring"),
        _FILES: folder.files.with_name(f".{folder.files.name}.restoring"),
    }
    inside = folder.files.is_relative_to(folder.root)
    if inside:
        drafts[_FILES] = drafts[_FOLDER] / folder.files.relative_to(folder.root)
    try:
        for draft in drafts.values():
            draft.mkdir(mode=0o700, parents=True)
        about = _unpack(Path(file), drafts)
        _move_addresses(
            drafts[_FOLDER] / _CATALOGUE,
            {about[_FILES]: str(folder.files), about[_FOLDER]: str(folder.root)},
        )
        _put_in_place(drafts[_FOLDER], folder.root)
        if not inside:
            _put_in_place(drafts[_FILES], folder.files)
    except FileExistsError as error:
        raise BackupError(
            f"{error.filename} is left of a restore that was cut short; delete it, and try again"
        ) from error
    except BaseException:
        for draft in drafts.values():
            shutil.rmtree(draft, ignore_errors=True)
        raise


def _put_in_place(draft: Path, place: Path) -> None:
    if place.is_dir():
        place.rmdir()
    draft.rename(place)


@contextlib.contextmanager
def _held(folder: DataFolder) -> Iterator[None]:
    try:
        descriptor = take_folder(folder)
    except ServerError as error:
        raise BackupError(f"a copy needs the server at rest: {error}") from error
    try:
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _new_file(file: Path) -> Iterator[IO[bytes]]:
    """A private file that is there whole or not at all."""
    if file.exists():
        raise BackupError(f"{file} exists; name a new file")
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as raw:
            yield raw
            raw.flush()
            os.fsync(raw.fileno())
        try:
            os.link(draft, file)  # never in place of another's
        except FileExistsError as error:
            raise BackupError(f"{file} exists; name a new file") from error
    finally:
        draft.unlink()


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(text.encode())
    member.mode = 0o600
    tar.addfile(member, io.BytesIO(text.encode()))


def _add_folder(tar: tarfile.TarFile, root: Path, name: str, but: Path | None = None) -> None:
    """Add the regular files of a folder; links and the like are none of a server's own."""
    for place, folders, files in os.walk(root):
        here = Path(place)
        folders[:] = sorted(each for each in folders if here / each != but)
        for each in sorted(files):
            path = here / each
            if here == root and _LEFT_OUT.fullmatch(each):
                continue
            if stat.S_ISREG(path.lstat().st_mode):
                tar.add(path, f"{name}/{path.relative_to(root).as_posix()}", recursive=False)


def _unpack(file: Path, drafts: dict[str, Path]) -> dict[str, Any]:
    about: dict[str, Any] = {}
    try:
        with tarfile.open(file, "r:gz") as tar:
            members = tar.getmembers()
            places = [_place(file, member, drafts) for member in members]
            needed = sum(member.size for member in members)
            free = shutil.disk_usage(drafts[_FOLDER]).free
            if needed > free:
                raise BackupError(
                    f"{file} holds {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free; "
                    f"make room, or name a folder on another disk"
                )
            for member, place in zip(members, places, strict=True):
                content = tar.extractfile(member)
                assert content is not None
                if place is None:
                    about = json.loads(content.read())
                    continue
                place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                # As they were, but for nobody else: keys are among them.
                mode = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
                descriptor = os.open(place, mode, member.mode & 0o600)
                with os.fdopen(descriptor, "wb") as out:
                    shutil.copyfileobj(content, out)
    except (OSError, EOFError, tarfile.TarError, ValueError) as error:
        raise BackupError(f"{file} is not a whole backup: {error}") from error
    if about.get("version") != _VERSION or not {_FOLDER, _FILES} <= about.keys():
        raise BackupError(f"{file} is no backup that this version reads: no {_ABOUT} of its kind")
    if not (drafts[_FOLDER] / _CATALOGUE).is_file():
        raise BackupError(f"{file} is not a whole backup: it has no {_CATALOGUE}")
    return about


def _place(file: Path, member: tarfile.TarInfo, drafts: dict[str, Path]) -> Path | None:
    """Where a member goes: inside one of the two folders; None for the words about the backup."""
    path = PurePosixPath(member.name)
    inside = not path.is_absolute() and ".." not in path.parts and "\\" not in member.name
    if member.isreg() and inside:
        if path == PurePosixPath(_ABOUT):
            return None
        if len(path.parts) > 1 and path.parts[0] in drafts:
            return drafts[path.parts[0]].joinpath(*path.parts[1:])
    raise BackupError(
        f"{file} is no backup: {member.name!r} in it is not a regular file of a data folder; "
        f"nothing has been unpacked"
    )


def _move_addresses(catalogue: Path, moved: dict[str, str]) -> None:
    """Let the catalogue's addresses of files lead to where they are now."""
    try:
        with contextlib.closing(sqlite3.connect(catalogue)) as db, db:
            rows = db.execute("SELECT id, data_uri FROM assets").fetchall()
            changed = [(new, id) for id, uri in rows if (new := _moved(uri, moved)) != uri]
            db.executemany("UPDATE assets SET data_uri = ? WHERE id = ?", changed)
    except sqlite3.Error as error:
        raise BackupError(f"the catalogue of the backup cannot be read: {error}") from error


def _moved(uri: str, moved: dict[str, str]) -> str:
    # Of a file on disk file://localhost/..., of an embedded database duckdb://localhost//...
    found = re.fullmatch(r"([a-z0-9]+://[^/]*/?)(/.*)", uri)
    if found is None:
        return uri
    start, path = found.groups()
    # The longer first, since the files may be inside the folder.
    for old, new in sorted(moved.items(), key=lambda pair: -len(pair[0])):
        for before, after in ((old, new), (quote(old), quote(new))):
            if path == before or path.startswith(f"{before}/"):
                return start + after + path[len(before) :]
    return uri
