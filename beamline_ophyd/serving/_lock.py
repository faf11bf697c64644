"""One process at a time over a data folder: the server, or who copies it."""

import fcntl
import os
import random
import time

from .errors import ServerError
from .folder import DataFolder

__all__ = ["take_folder"]

# About as long as it takes to look whether a folder is locked.
_LOOK_S = 0.001


def take_folder(folder: DataFolder) -> int:
    """Take a data folder for this process, until it ends or closes what is returned.

    Returns
    -------
    int
        A file descriptor.

    Raises
    ------
    ServerError
        When a server runs over the folder; says where.
    """
    descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT, 0o600)
    while not _flock(descriptor, fcntl.LOCK_EX):
        if not _flock(descriptor, fcntl.LOCK_SH):
            other = folder.announced() or {}
            where = f" at {other['uri']} (process {other.get('pid')})" if other else ""
            raise ServerError(
                f"{folder.root} is already served{where}; connect to that server, stop it, "
                f"or choose another data folder"
            )
        # Only somebody who looks whether a server runs, for a moment.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(_LOOK_S * random.random())  # two that start together must not keep step
    folder.state.unlink(missing_ok=True)  # the words of one that was killed
    return descriptor


def _flock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
