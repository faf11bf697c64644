"""Trouble with files: what is found in one, and what stops one from being written."""

from dataclasses import dataclass

__all__ = ["OutputError", "Problem", "ReadError"]


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
