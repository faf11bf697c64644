"""What a server holds at its root: runs and, beside them, the files made from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from beamline_ophyd.formats.names import sweep_name

__all__ = [
    "CONTAINERS",
    "DOWNLOADS",
    "FILES",
    "FILE_SPEC",
    "RUNS",
    "Contents",
    "Download",
    "file_key",
]


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


def file_key(uid: str, sweep: int | None = None) -> str:
    """Key in :data:`FILES` of the file of a run, or of one of its sweeps, from 1.

    >>> file_key("3f2a", 2)
    '3f2a_sweep_2'
    """
    return uid if sweep is None else sweep_name(uid, sweep)


@dataclass(frozen=True)
class Download:
    """A kind of file that the server sends as it is on disk.

    Attributes
    ----------
    suffix : str
        Of the file's name; else it is called as the NXxas file of the run.
    media_type : str
    shown : bool
        Whether a browser shows it, rather than save it.
    policy : str
        What a page of it may do in a browser: by default nothing at all.
    """

    suffix: str
    media_type: str
    shown: bool = False
    policy: str = "default-src 'none'; sandbox"


DOWNLOADS = {
    "nxs": Download(".nxs", "application/x-hdf5"),
    "xdi": Download(".xdi", "text/plain; charset=utf-8"),
    "csv": Download(".csv", "text/csv; charset=utf-8"),
    "report": Download(
        ".html",
        "text/html; charset=utf-8",
        shown=True,
        # Its figures and its style are in the page; no script runs and nothing is fetched.
        policy="default-src 'none'; img-src data:; style-src 'unsafe-inline'; sandbox",
    ),
}
"""What the server's own route sends of a run, by the last part of its address."""
