"""Files made whole again: from the journal of their run, else from what they still hold."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .data import ScanData
from .formats.apart import salvage_files, validate_files
from .formats.hdf5 import move_to_free_name
from .formats.names import safe_file_name
from .formats.problems import ReadError
from .formats.salvage import Salvage

__all__ = ["Repair", "find_journal", "repair_file"]

PART_SUFFIX = ".part"
DAMAGED_SUFFIX = ".damaged"

_UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Repair:
    """What became of a file.

    Attributes
    ----------
    path : Path
        The whole file.
    kept : Path or None
        Where the file is now that was there before; None when nothing had to be done.
    source : Path or None
        The journal that it was made from; None when from the file itself.
    points : int
        Events of the primary stream.
    lost : tuple of str
        What could not be read, without a journal.
    """

    path: Path
    kept: Path | None
    source: Path | None
    points: int
    lost: tuple[str, ...] = ()


def repair_file(path: str | Path, journals: Iterable[str | Path] = ()) -> Repair:
    """Make a damaged or unfinished file whole.

    The file that was there is kept beside it as ``NAME.damaged``. Not for a file that is
    still being written.

    Parameters
    ----------
    path : path
        Of a ``.nxs`` file, or of the ``.nxs.part`` of a run whose process died.
    journals : paths
        Journals, or folders of journals, in which the file's run is looked for.

    Raises
    ------
    ReadError
        When there is no journal and nothing is left in the file.
    OSError
        When the file cannot be read, or the new one cannot be written.
    """
    path = Path(path).absolute()
    unfinished = path.name.endswith(PART_SUFFIX)
    with path.open("rb"):  # what cannot be opened at all is said by the system's own error
        pass
    (problems,) = validate_files([path], application=False)
    if not unfinished and not problems:
        return Repair(path, None, None, _points(ScanData.from_nexus(path)))
    (saved,) = salvage_files([path])
    if isinstance(saved, Salvage):
        found, lost = ScanData(saved.run), saved.lost
    else:
        found, lost = None, (str(saved),)
    source = find_journal(path, journals, None if found is None else found.uid)
    data = None if source is None else ScanData.from_journal(source)
    # A journal is the whole run, unless its disk was full for longer than memory lasted.
    if data is None or (found is not None and _events(found) > _events(data)):
        if found is None:
            raise ReadError(
                f"nothing can be read from {path} ({lost[0]}), and no journal of its run is "
                f"known; name its folder with --journals"
            )
        data, source = found, None
    target = path.with_name(path.name.removesuffix(PART_SUFFIX))
    draft = path.with_name(f".{target.name}.repaired")
    data.to_nexus(draft, mode="w")
    kept = move_to_free_name(path, path.with_name(path.name + DAMAGED_SUFFIX))
    repaired = move_to_free_name(draft, target)
    return Repair(repaired, kept, source, _points(data), () if source else lost)


def find_journal(
    path: str | Path, journals: Iterable[str | Path], uid: str | None = None
) -> Path | None:
    """The journal of a file's run, whose `uid` a file that cannot be read names in its bytes."""
    folders = []
    for place in map(Path, journals):
        if place.is_file():
            return place
        folders.append(place)
    if not folders:
        return None
    named = (found.decode() for found in _UUID.findall(Path(path).read_bytes()))
    for each in [uid] if uid else dict.fromkeys(named):
        for folder in folders:
            journal = folder / f"{safe_file_name(each)}.jsonl"
            if journal.is_file():
                return journal
    return None


def _points(data: ScanData) -> int:
    stream = data.run.streams.get("primary")
    return 0 if stream is None else len(stream)


def _events(data: ScanData) -> int:
    return sum(map(len, data.run.streams.values()))
