"""Which journals may go: the old ones, and only those whose run is whole elsewhere."""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from beamline_ophyd.formats.earlier import look_in
from beamline_ophyd.formats.journal import dumps, read_journal
from beamline_ophyd.formats.run import Run, builder_from

__all__ = ["spent_journals", "whole_in_files"]

DAY_S = 86400.0


def spent_journals(
    paths: Iterable[Path],
    complete: Callable[[Run], bool],
    *,
    keep_days: float | None,
    keep_bytes: int | None,
) -> Iterator[Path]:
    """Journals that are older than the days, or beyond the bytes, from the oldest on.

    A journal stays in any case that cannot be read, has no stop document, or whose run is not
    complete elsewhere.

    Parameters
    ----------
    complete : callable
        Whether a run is whole in all places that it should be in.
    keep_days, keep_bytes : float, int, optional
        Age in days and size of all journals together that are kept; None keeps any.
    """
    found = sorted((path.stat().st_mtime, path.stat().st_size, path) for path in paths)
    excess = 0 if keep_bytes is None else sum(size for _, size, _ in found) - keep_bytes
    for modified, size, path in found:
        is_old = keep_days is not None and time.time() - modified > keep_days * DAY_S
        if (is_old or excess > 0) and _is_complete(path, complete):
            excess -= size
            yield path


def whole_in_files(folder: str | Path) -> Callable[[Run], bool]:
    """A check that a run's documents are all in a NeXus file below a folder."""
    look = look_in([Path(folder)])

    def complete(run: Run) -> bool:
        found = look(run.uid)
        return bool(found) and _lines(found[-1]) == _lines(run)

    return complete


def _lines(run: Run) -> list[str]:
    return [dumps(item) for item in run.documents()]


def _is_complete(path: Path, complete: Callable[[Run], bool]) -> bool:
    try:
        run = builder_from(read_journal(path)).snapshot()
        return run.stop is not None and complete(run)
    except (OSError, ValueError):
        return False
