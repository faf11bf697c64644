"""Whether a folder takes what a run will write: asked before the run opens."""

import shutil
import tempfile
from pathlib import Path

from beamline_ophyd.formats.problems import OutputError

__all__ = ["check_folder"]

BASE_BYTES = 500_000
BYTES_PER_POINT = 1_000
"""Size of a file of some twenty columns, generously."""


def check_folder(folder: Path, num_points: int, *, kind: str = "output") -> None:
    """Check that a folder takes the file of a run.

    Parameters
    ----------
    kind : str
        What the folder is called in messages.

    Raises
    ------
    OutputError
        When it is missing, not writable, or too full.
    """
    if not folder.is_dir():
        raise OutputError(f"{kind} folder {folder} does not exist; create it or give another")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(
            f"{kind} folder {folder} is not writable ({error.strerror}); change its permissions "
            "or give another"
        ) from error
    needed = 2 * (BASE_BYTES + BYTES_PER_POINT * num_points)
    if free < needed:
        raise OutputError(
            f"{kind} folder {folder} has {free / 1e6:.1f} MB left, a run of {num_points} points "
            f"may need {needed / 1e6:.1f} MB; free some space or give another folder"
        )
