"""Waiting until the disk holds a file, while other work goes on."""

import os
import threading
from pathlib import Path

__all__ = ["Syncing"]


class Syncing:
    """A file that the system is told to bring to the disk, on a thread of its own.

    Parameters
    ----------
    path : Path
        A whole file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._sync, name=f"sync {path.name}", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the interpreter ends, and has no more threads
            self._sync()

    def wait(self) -> None:
        """Return when the disk holds it.

        Raises
        ------
        OSError
            When it does not, such as for want of room.
        """
        if self._thread.ident is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error

    def _sync(self) -> None:
        try:
            file = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(file)
            finally:
                os.close(file)
        except OSError as error:
            self._error = error
