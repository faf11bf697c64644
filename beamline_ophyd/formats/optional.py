"""Parts of a tree that may fail without costing the rest of the file."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from .tree import Field, Group

__all__ = ["OptionalParts"]

T = TypeVar("T")

_HDF5_KINDS = "biufcO"


@dataclass(frozen=True)
class OptionalParts:
    """Makes parts of a tree, or reports why one is left out.

    Documents are made by anybody's plans and devices: one odd value must cost its own
    place in the file and no other.

    Parameters
    ----------
    report : callable
        Told of each part that is left out.
    """

    report: Callable[[str], None]

    def made(self, name: str, make: Callable[[], T]) -> T | None:
        """What `make` returns if HDF5 can hold it; None, with a report, otherwise."""
        try:
            part = make()
            items = {"": part} if isinstance(part, Group) else part
            if isinstance(items, dict):
                _check(Group("", items))
        except Exception as error:
            self.report(
                f"{name} is left out of the file, which has the documents all the same: "
                f"{type(error).__name__}: {error}"
            )
            return None
        return part


def _check(group: Group) -> None:
    for path, node in group.nodes().items():
        if isinstance(node, Field) and node.array.dtype.kind not in _HDF5_KINDS:
            raise TypeError(f"{path} is of type {node.array.dtype}")
