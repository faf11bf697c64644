"""A run by whatever name a person has for it: a file, a journal, a uid or how it begins."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from beamline_ophyd.data import ScanData
from beamline_ophyd.formats.names import safe_file_name
from beamline_ophyd.settings import read_settings

from .client import connect
from .errors import ServerError
from .folder import DataFolder

__all__ = ["LookupFailedError", "find_run", "journal_folder"]


class LookupFailedError(LookupError):
    """No run, or more than one, goes by a name; the message says where it was looked for."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


def journal_folder(folder: str | Path | None = None) -> Path:
    """Where a session over the Tiled server's data folder keeps its journals, by its settings."""
    home = DataFolder.at(folder).root.parent
    return read_settings(home).journal.place(home)


def find_run(
    name: str | Path,
    *,
    folder: str | Path | None = None,
    journals: str | Path | None = None,
    uri: str | None = None,
    mapping: Mapping[str, Any] | None = None,
    entry: str | None = None,
) -> ScanData:
    """Read a run from a file, from its journal, or from Tiled, in this order.

    Parameters
    ----------
    name : str or path
        A NeXus file, an XDI file, a journal, or the uid of a run or its first letters.
    folder : path, optional
        Data folder of the Tiled server on this machine.
    journals : path, optional
        Folder of journals; by default the one of a session over `folder`.
    uri : str, optional
        Address of another Tiled server.
    mapping : mapping, optional
        Role to data key, for runs that do not say it.
    entry : str, optional
        Name of the entry, in a NeXus file of several.

    Raises
    ------
    LookupFailedError
        When there is no such run, or several.
    ReadError
        When the file cannot be read.
    """
    if Path(name).is_file():
        return ScanData.from_file(name, entry=entry, mapping=mapping)
    if entry is not None:
        raise LookupFailedError(f"{name} is no file, which alone has entries such as {entry!r}")
    uid = str(name)
    if "/" in uid or Path(uid).suffix in (".nxs", ".xdi", ".jsonl", ".part"):
        raise LookupFailedError(f"there is no file {name}")
    place = journal_folder(folder) if journals is None else Path(journals)
    found = sorted(place.glob(f"{safe_file_name(uid)}*.jsonl"))
    exact = [path for path in found if path.stem == uid]
    if len(exact or found) > 1:
        names = ", ".join(path.stem for path in found[:5])
        raise LookupFailedError(
            f"{uid} is the beginning of {len(found)} runs ({names}); add letters"
        )
    if found:
        return ScanData.from_journal((exact or found)[0], mapping=mapping)
    try:
        with connect(uri, folder=folder) as client:
            return ScanData.from_tiled(client.runs[uid], mapping=mapping)
    except ServerError as error:
        raise LookupFailedError(
            f"no file and no journal in {place} is called {uid}, and Tiled cannot be asked: {error}"
        ) from error
    except KeyError as error:
        raise LookupFailedError(
            f"no run {uid}: there is no such file, no journal in {place}, and none in Tiled"
        ) from error
