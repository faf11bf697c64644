"""HDF5 files that are made in memory and put on disk whole.

The HDF5 library must not meet a full or failing disk: after a write that failed it can
neither close the file nor end the process without a crash. So it only ever works on an
image in memory; the image goes to disk by ordinary writes, beside its place and renamed
over it, and an error there is an ordinary OSError. Whoever reads the file, or kills its
writer, meets one whole image or the next.
"""

import contextlib
import os
from pathlib import Path

import h5py

from .nodes import memory_file
from .tree import Group, TreeWriter

__all__ = ["MemoryFile", "move_to_free_name", "open_to_read", "replace_file", "write_tree"]

GROWTH_BYTES = 4 * 2**20
"""By which a file in memory grows: less is returned to the system at each end of a file."""


class MemoryFile:
    """An HDF5 file in memory that follows a NeXus tree.

    Parameters
    ----------
    live : bool
        Whether several trees will be written one after the other.
    compression : int
        gzip level of large arrays, 0 for none.
    expected_rows : int
        Rows that growing fields will probably have.
    """

    def __init__(self, *, live: bool, compression: int = 4, expected_rows: int = 0) -> None:
        self._file = memory_file(GROWTH_BYTES)
        self._tree = TreeWriter(
            self._file, live=live, compression=compression, expected_rows=expected_rows
        )

    def write(self, root: Group) -> None:
        """Bring the file to a tree."""
        self._tree.write(root)

    def image(self) -> bytes:
        """The file's bytes, as a program would find them on disk."""
        self._file.flush()
        return self._file.id.get_file_image()

    def close(self) -> None:
        """Release the memory."""
        self._tree.close()
        self._file.id.close()  # h5py's own way looks for open groups, which are closed with it


def open_to_read(path: str | Path) -> h5py.File:
    """Open a file without asking for a lock, since its writer may hold one.

    HDF5 opens a file twice in one process only with the same locking, so a file that is
    open here the usual way, such as in a notebook, is opened that way.
    """
    try:
        return h5py.File(path, "r", locking=False)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        return h5py.File(path, "r")


def replace_file(path: Path, content: bytes, *, sync: bool = False) -> None:
    """Put content at a path in one step: a reader finds the old file or the new one.

    Parameters
    ----------
    sync : bool
        Wait until the content is on the disk itself, not only with the system.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with draft.open("wb") as file:
            file.write(content)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def move_to_free_name(source: Path, target: Path) -> Path:
    """Move a file to a name that is free: `target`, else NAME-2, NAME-3, ...

    Nothing is ever overwritten, also when two processes do this at once.
    """
    number = 1
    place = target
    while True:
        try:
            os.link(source, place)
        except FileExistsError:
            number += 1
            place = target.with_name(f"{target.stem}-{number}{target.suffix}")
        except OSError:
            if place.exists() or not source.exists():
                raise
            source.rename(place)  # a file system without hard links
            return place
        else:
            source.unlink()
            return place


def write_tree(path: Path, root: Group, *, compression: int = 4) -> None:
    """Write a tree as one file, replacing what is at the path."""
    file = MemoryFile(live=False, compression=compression)
    try:
        file.write(root)
        replace_file(path, file.image(), sync=True)
    finally:
        file.close()
