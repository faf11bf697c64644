"""What a writer of files must know beforehand: its options, and whether there is room."""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beamline_ophyd.formats.nxxas import DEFINITIONS
from beamline_ophyd.formats.problems import OutputError
from beamline_ophyd.metadata import Roles

__all__ = ["Style", "check_folder"]

MODES = ("w-", "w")
BASE_BYTES = 500_000
BYTES_PER_POINT = 1_000
"""Size of a file of some twenty columns, generously."""


@dataclass(frozen=True)
class Style:
    """How files are written; see :class:`~beamline_ophyd.callbacks.NXxasWriter`."""

    compression: int = 4
    definition: str = "NXxas"
    mapping: Mapping[str, Any] | None = None
    overwrite: bool = False

    @classmethod
    def checked(
        cls, mode: str, compression: int, definition: str, mapping: Mapping[str, Any] | None
    ) -> "Style":
        """Style from options as a user gives them.

        Raises
        ------
        ValueError
            Names the option and what it may be.
        """
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}; give one of {', '.join(map(repr, MODES))}")
        if isinstance(compression, bool) or compression not in range(10):
            raise ValueError(f"compression is {compression!r}; give a gzip level, 0 (none) to 9")
        if definition not in DEFINITIONS:
            raise ValueError(f"definition is {definition!r}; give one of {', '.join(DEFINITIONS)}")
        if mapping is not None:
            Roles(**{role: key for role, key in mapping.items() if role != "mode"})
        return cls(compression, definition, mapping, overwrite=mode == "w")


def check_folder(folder: Path, num_points: int) -> None:
    """Check that a folder takes the file of a run.

    Raises
    ------
    OutputError
        When it is missing, not writable, or too full.
    """
    if not folder.is_dir():
        raise OutputError(f"output folder {folder} does not exist; create it or give another")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise OutputError(
            f"output folder {folder} is not writable ({error.strerror}); change its permissions "
            "or give another"
        ) from error
    needed = 2 * (BASE_BYTES + BYTES_PER_POINT * num_points)
    if free < needed:
        raise OutputError(
            f"output folder {folder} has {free / 1e6:.1f} MB left, a run of {num_points} points "
            f"may need {needed / 1e6:.1f} MB; free some space or give another folder"
        )
