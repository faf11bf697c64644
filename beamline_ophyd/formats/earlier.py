"""The runs that a run continues, found among journals and files."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from .journal import read_journal
from .measurement import read_metadata
from .names import safe_file_name
from .nexus_read import read_earlier, read_run, uids_in
from .points import why_not_joined
from .run import Run, builder_from

__all__ = ["Looker", "earlier_runs", "look_in"]

PART_SUFFIX = ".part"

MAX_FILES = 1000
"""Files whose names do not tell their run that are opened to find one, the newest first."""

Looker = Callable[[str], tuple[Run, ...]]
"""Uid to that run, last, after the ones that it continues as far as they are known with it."""

logger = logging.getLogger(__name__)


def earlier_runs(run: Run, look: Looker) -> tuple[tuple[Run, ...], str]:
    """The runs that a run continues, from the earliest on, and what keeps others out.

    Parameters
    ----------
    look : callable
        Finds runs by uid; returns an empty tuple for one that it does not find.

    Returns
    -------
    runs : tuple of Run
    trouble : str
        Empty when all of them are there and measure the same.
    """
    found: list[Run] = []
    known = {run.uid}
    first, latest = run, run
    while (uid := _continues(first)) is not None:
        if uid in known:
            return tuple(found), f"run {uid} continues itself; its points are joined once"
        more = look(uid)
        if not more:
            return tuple(found), (
                f"run {first.uid} continues run {uid}, of which neither a journal nor a file is "
                "found; this file shows its own points alone"
            )
        for earlier in reversed(more):
            known.add(earlier.uid)
            if (why := why_not_joined(earlier, latest)) is not None:
                return tuple(found), f"run {earlier.uid} is not joined to {latest.uid}: {why}"
            found.insert(0, earlier)
        first = found[0]
    return tuple(found), ""


def look_in(folders: Sequence[Path], *, finished_files: bool = False) -> Looker:
    """Finds runs in journals and NeXus files of some folders; journals first.

    Parameters
    ----------
    finished_files : bool
        Whether only NeXus files that have their final name count.
    """

    def look(uid: str) -> tuple[Run, ...]:
        for folder in () if finished_files else folders:
            path = folder / f"{safe_file_name(uid)}.jsonl"
            if path.is_file() and (runs := _of_journal(path, uid)):
                return runs
        for folder in folders:
            for path in _candidates(folder, uid):
                if finished_files and path.suffix == PART_SUFFIX:
                    continue
                if runs := _of_file(path, uid):
                    return runs
        return ()

    return look


def _continues(run: Run) -> str | None:
    contract = read_metadata(run.start)[0].xafs
    return None if contract is None else contract.continues


def _candidates(folder: Path, uid: str) -> list[Path]:
    files = [p for p in folder.rglob("*.nxs*") if p.suffix in (".nxs", PART_SUFFIX)]
    by_name = [path for path in files if uid[:8] in path.name]
    others = sorted(set(files) - set(by_name), key=lambda p: p.stat().st_mtime, reverse=True)
    return by_name + others[:MAX_FILES]


def _of_journal(path: Path, uid: str) -> tuple[Run, ...]:
    try:
        run = builder_from(read_journal(path)).snapshot()
    except (OSError, ValueError) as error:
        logger.warning("journal %s is not read: %s", path, error)
        return ()
    return (run,) if run.uid == uid else ()


def _of_file(path: Path, uid: str) -> tuple[Run, ...]:
    try:
        entry = uids_in(path).get(uid)
        if entry is None:
            return ()
        return (*read_earlier(path, entry), read_run(path, entry)[0])
    except (OSError, ValueError) as error:
        logger.warning("file %s is not read: %s", path, error)
        return ()
