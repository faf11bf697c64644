"""Trouble with files: what is found in one, and what stops one from being written."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["OutputError", "Problem", "ReadError", "make_writable"]


class OutputError(OSError):
    """A run cannot be written where it should go; the message names the way out."""


class ReadError(ValueError):
    """A file that holds no run that can be read; the message says what was looked for."""


@dataclass(frozen=True)
class Problem:
    """One thing that went wrong, or that is wrong in a file.

    Attributes
    ----------
    where : str
        The run, file or path inside a file that it is about.
    message : str
        What was found, what is allowed, and the way out where there is one.
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


def make_writable(folder: Path) -> None:
    """Make a folder where it is not there, and try to write into it.

    Raises
    ------
    OutputError
        When it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"folder {folder} cannot be written ({error.strerror}); change that or give another"
        ) from error
