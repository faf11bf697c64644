"""One session at a time on a beamline or in a folder: a lock that is gone with its process."""

import contextlib
import fcntl
import getpass
import hashlib
import json
import os
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["BeamlineBusyError", "Occupancy", "lock_folder"]

FOLDER_VARIABLE = "BEAMLINE_LOCK_FOLDER"


class BeamlineBusyError(RuntimeError):
    """Another session is on the beamline.

    Attributes
    ----------
    holder : str
        Whose, in words; empty when that cannot be told.
    """

    def __init__(self, message: str, holder: str = "") -> None:
        super().__init__(message)
        self.holder = holder


def lock_folder() -> Path:
    """Return where locks are: BEAMLINE_LOCK_FOLDER, else one of this machine for all its users.

    For sessions on several machines it names a folder that all of them see, on a file system with
    locks, such as NFS 4.
    """
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else Path(tempfile.gettempdir()) / "beamline-ophyd-locks"


class Occupancy:
    """The right to be the one session of a beamline, until released or until the process ends.

    The lock is the kernel's: one whose process is gone, however it ended, holds nobody up. The
    file tells people who has it.

    Parameters
    ----------
    name : str
        The beamline or the folder, for people.
    address : sequence of str
        What is the same for two sessions that must not be at once: what the beamline is called,
        and where EPICS looks for it (:func:`beamline_ophyd.devices.searched_places`).
    folder : path, optional
        Where locks are; by default :func:`lock_folder`.
    remedy : str
        What the second one is told to do.

    Raises
    ------
    BeamlineBusyError
        When somebody has it; says who, where and since when.
    """

    def __init__(
        self,
        name: str,
        address: Sequence[str],
        *,
        folder: str | Path | None = None,
        remedy: str = "leave that one first (`session.close()`)",
    ) -> None:
        place = lock_folder() if folder is None else Path(folder)
        digest = hashlib.sha256("\n".join(address).encode()).hexdigest()[:16]
        self.path = place / f"{digest}.lock"
        self._descriptor: int | None = _open(self.path)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _in_words(_read(self._descriptor))
            self.release()
            raise BeamlineBusyError(
                f"a session is on {name} already: {holder}; {remedy}, or go beside it, at your "
                f"own risk, with shared=True (`--shared`)",
                holder,
            ) from error
        _write(self._descriptor)

    def release(self) -> None:
        """Let others in; safe to call twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _open(path: Path) -> int:
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
            path.parent.chmod(0o1777)  # as /tmp itself: for all users, each with files of their own
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        # First without O_CREAT, with which the kernel refuses another user's file in such a folder.
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, flags)
        descriptor = os.open(path, flags | os.O_CREAT, 0o666)
        os.fchmod(descriptor, 0o666)
        return descriptor
    except OSError as error:
        raise BeamlineBusyError(
            f"whether somebody is on the beamline cannot be told: {error.strerror} ({path}); name "
            f"a folder for locks in {FOLDER_VARIABLE}, or go on without, with shared=True "
            f"(`--shared`)"
        ) from error


def _write(descriptor: int) -> None:
    about = {
        "user": _user(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(about).encode(), 0)


def _read(descriptor: int) -> dict[str, Any]:
    try:
        found = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _in_words(holder: dict[str, Any]) -> str:
    if not holder:
        return "somebody's who has not said a name"
    here = holder.get("host") == socket.gethostname()
    mine = here and holder.get("pid") == os.getpid()
    which = "this very process" if mine else f"process {holder.get('pid')}"
    return f"{holder.get('user')}'s on {holder.get('host')}, {which}, since {holder.get('since')}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in containers
        return f"user {os.getuid()}"
