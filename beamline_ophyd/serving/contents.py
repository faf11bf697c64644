"""What a server holds at its root: runs and, beside them, the files made from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["CONTAINERS", "FILES", "FILE_SPEC", "RUNS", "Contents"]


@dataclass(frozen=True)
class Contents:
    """One container at the root of the server.

    Attributes
    ----------
    key : str
        Its name in addresses.
    specs : tuple of (str, str or None)
        Names and versions of the Tiled specs that choose the client's class for it.
    metadata : mapping
        What Tiled shows about it.
    """

    key: str
    specs: tuple[tuple[str, str | None], ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)


RUNS = Contents("runs", (("CatalogOfBlueskyRuns", "3.0"),), {"description": "Bluesky runs"})

# Never among the runs, whose client takes every child for a run.
FILES = Contents("files", (), {"description": "NXxas files, each under the uid of its run"})

CONTAINERS = (RUNS, FILES)

FILE_SPEC = "NXxas"
