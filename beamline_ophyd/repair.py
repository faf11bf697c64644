"""Files made whole again: from the journal of their run, else from what they still hold."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from .data import ScanData
from .formats.apart import salvage_files, validate_files
from .formats.entries import sweep_path
from .formats.hdf5 import move_to_free_name
from .formats.names import SWEEP, safe_file_name
from .formats.nexus_parts import ENTRY
from .formats.nexus_read import entries_in, read_definition
from .formats.nexus_sweeps import SWEEP_FILES
from .formats.problems import ReadError
from .formats.salvage import Salvage

__all__ = ["Repair", "find_journal", "repair_file"]

PART_SUFFIX = ".part"
DAMAGED_SUFFIX = ".damaged"

_UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SWEEP_FILE = re.compile(rf"{SWEEP}(?P<sweep>\d+)(-\d+)?\.nxs$")
_START_UID = re.compile(rb'"uid": ?"(' + _UUID.pattern + rb')"')
"""As documents say whose they are; a run that another one only mentions is not meant."""


@dataclass(frozen=True)
class Repair:
    """What became of a file.

    Attributes
    ----------
    path : Path
        The whole file.
    kept : Path or None
        Where the file is now that was there before; None when nothing had to be done.
    sources : tuple of Path
        The journals that it was made from; none when from the file itself.
    points : int
        Events of the primary streams.
    lost : tuple of str
        What could not be read, without a journal.
    sweeps : tuple of Path
        The files of its sweeps that were missing or damaged and are there again.
    """

    path: Path
    kept: Path | None
    sources: tuple[Path, ...]
    points: int
    lost: tuple[str, ...] = ()
    sweeps: tuple[Path, ...] = ()

    @property
    def source(self) -> Path | None:
        """The first journal."""
        return self.sources[0] if self.sources else None


def repair_file(
    path: str | Path,
    journals: Iterable[str | Path] = (),
    *,
    mapping: Mapping[str, str] | None = None,
    definition: str = "NXxas",
) -> Repair:
    """Make a damaged or unfinished file whole.

    The file that was there is kept beside it as ``NAME.damaged``. A file of several runs has
    all of them again, and one with its sweeps as entries or as files has these, also where only
    files of sweeps are missing or damaged. Not for a file that is still being written.

    Parameters
    ----------
    path : path
        Of a ``.nxs`` file, or of the ``.nxs.part`` of a run whose process died.
    journals : paths
        Journals, or folders of journals, in which the file's run is looked for.
    mapping : mapping, optional
        Role to data key, as the writer was given it, where the file itself says nothing any more:
        a journal has the documents only.
    definition : str
        Application definition that the writer was given, likewise.

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
    repeats = _repeats(path)
    if not unfinished and not problems:
        whole = [name for name in entries_in(path) if SWEEP not in name]
        found = [ScanData.from_nexus(path, entry=entry) for entry in whole]
        again = _sweeps_again(path, found[0]) if repeats == "files" else ()
        return Repair(path, None, (), sum(map(_points, found)), sweeps=again)
    (saved,) = salvage_files([path])
    folders = list(journals)
    parts = [] if isinstance(saved, ReadError) else [_best(one, path, folders) for one in saved]
    parts = parts or _from_journals(path, folders, mapping, definition)
    if not parts:
        raise ReadError(
            f"nothing can be read from {path} ({saved}), and no journal of its run is "
            f"known; name its folder with --journals"
        )
    target = path.with_name(path.name.removesuffix(PART_SUFFIX))
    with TemporaryDirectory(prefix=f".{target.name}.", dir=path.parent) as folder:
        draft = Path(folder) / target.name
        mode = "w-" if repeats == "files" else "a"
        for part in parts:
            part.data.to_nexus(draft, mode=mode, repeats=repeats, definition=part.definition)
        kept = _set_aside(path)
        place = move_to_free_name(draft, target)
    return Repair(
        place,
        kept,
        tuple(part.source for part in parts if part.source is not None),
        sum(_points(part.data) for part in parts),
        tuple(lost for part in parts for lost in part.lost),
        _sweeps_again(place, parts[0].data) if repeats == "files" else (),
    )


@dataclass(frozen=True)
class _Part:
    """One run of the repaired file, the journal that it is from, and what is lost."""

    data: ScanData
    source: Path | None = None
    lost: tuple[str, ...] = ()
    definition: str = "NXxas"


def _saved(one: Salvage) -> _Part:
    """A run as the file has it."""
    data = ScanData(one.run, one.mapping, one.earlier, one.sweep)
    return _Part(data, None, one.lost, one.definition)


def _repeats(path: Path) -> str:
    """What the sweeps of a file are, by words in it that also most damaged ones have."""
    content = path.read_bytes()
    if SWEEP_FILES.encode() in content:
        return "files"
    return "entries" if f"{ENTRY}{SWEEP}".encode() in content else "merged"


def _sweeps_again(whole: Path, run: ScanData) -> tuple[Path, ...]:
    """Make the files of sweeps that are not beside that of their run, or not whole."""
    places = {number: sweep_path(whole, number) for number in run.sweep_numbers}
    there = [place for place in places.values() if place.exists()]
    problems = dict(zip(there, validate_files(there, application=False), strict=True))
    found = dict(zip(there, salvage_files(there), strict=True))
    definition = read_definition(whole)
    made = []
    for number, place in places.items():
        data, saved = run.only_sweep(number), found.get(place, [])
        runs = [] if isinstance(saved, ReadError) else [_saved(one).data for one in saved]
        if runs == [data] and not problems[place]:
            continue
        draft = place.with_name(f".{place.name}.repaired")
        data.to_nexus(draft, mode="w", definition=definition)
        if place in found and all(one.uid == data.uid for one in runs):
            _set_aside(place)  # another run's stays, and this one gets a name that is free
        made.append(move_to_free_name(draft, place))
    return tuple(made)


def _set_aside(path: Path) -> Path:
    return move_to_free_name(path, path.with_name(path.name + DAMAGED_SUFFIX))


def _best(saved: Salvage, path: Path, journals: list[str | Path]) -> _Part:
    """A run from its journal, or from the file where that has more."""
    part = _saved(saved)
    found, source = part.data, find_journal(path, journals, part.data.uid)
    if source is not None:
        data = ScanData.from_journal(source, mapping=saved.mapping)
        if saved.sweep is not None and saved.sweep in data.sweep_numbers:
            data = data.only_sweep(saved.sweep)
        # A journal is the whole run, unless its disk was full for longer than memory lasted.
        is_same = data.uid == found.uid or not _UUID.fullmatch(found.uid.encode())
        if is_same and _events(found) <= _events(data):
            return _Part(data, source, definition=part.definition)
    return part


def _from_journals(
    path: Path,
    journals: list[str | Path],
    mapping: Mapping[str, str] | None,
    definition: str,
) -> list[_Part]:
    """The runs of a file that gives none itself, by their journals, or the sweep of its name."""
    places = _journals_named(path, journals, pattern=_START_UID)
    places = places or _journals_named(path, journals)[:1]
    found = {source: ScanData.from_journal(source, mapping=mapping) for source in places}
    continued = {run.uid for data in found.values() for run in data.earlier}
    parts = [
        _Part(data, at, definition=definition)
        for at, data in found.items()
        if data.uid not in continued
    ]
    sweep = _SWEEP_FILE.search(path.name)
    if sweep is None or len(parts) != 1:
        return parts
    (part,), number = parts, int(sweep["sweep"])
    if number not in part.data.sweep_numbers:
        return parts
    return [replace(part, data=part.data.only_sweep(number))]


def find_journal(
    path: str | Path, journals: Iterable[str | Path], uid: str | None = None
) -> Path | None:
    """The journal of a file's run, whose `uid` a file that cannot be read names in its bytes."""
    return next(iter(_journals_named(path, journals, uid)), None)


def _journals_named(
    path: str | Path,
    journals: Iterable[str | Path],
    uid: str | None = None,
    *,
    pattern: re.Pattern[bytes] = _UUID,
) -> list[Path]:
    """Journals that are given, and those in folders that are given of the runs in a file."""
    places = list(map(Path, journals))
    found = [place for place in places if place.is_file()]
    folders = [place for place in places if not place.is_file()]
    if found or not folders:
        return found
    named = (found.decode() for found in pattern.findall(Path(path).read_bytes()))
    for each in [uid] if uid else dict.fromkeys(named):
        for folder in folders:
            journal = folder / f"{safe_file_name(each)}.jsonl"
            if journal.is_file():
                found.append(journal)
    return found


def _points(data: ScanData) -> int:
    stream = data.run.streams.get("primary")
    return 0 if stream is None else len(stream)


def _events(data: ScanData) -> int:
    return sum(map(len, data.run.streams.values()))
