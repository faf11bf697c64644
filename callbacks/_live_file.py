"""The NeXus file of one run while it grows."""

import datetime as dt
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from beamline_ophyd.formats.earlier import Looker, earlier_runs
from beamline_ophyd.formats.entries import append_entry, sweep_path
from beamline_ophyd.formats.hdf5 import (
    MemoryFile,
    move_to_free_name,
    replace_file,
    write_tree,
)
from beamline_ophyd.formats.nexus_parts import ENTRY
from beamline_ophyd.formats.nexus_sweeps import trees_of
from beamline_ophyd.formats.run import Run, RunBuilder
from beamline_ophyd.formats.tree import Group

from ._output import Style
from ._syncing import Syncing

__all__ = ["LiveFile"]

PART_SUFFIX = ".part"

NO_STOP = ("unknown", "no stop document came")
"""Exit status and reason of a run that nobody ended."""

logger = logging.getLogger(__name__)


@dataclass
class LiveFile:
    """One run, its file in memory, and the part file on disk that follows it.

    Nothing of the run is lost by a disk that fails for a while: what could not be
    written is written by the next :meth:`save` that succeeds.
    """

    folder: Path
    name: Path
    style: Style
    report: Callable[[str], None] = logger.warning
    dirty: bool = False
    ended: bool = False
    look: Looker | None = None
    sweep_files: dict[int, Path] = field(default_factory=dict)
    _earlier: tuple[Run, ...] = ()
    _trouble: str | None = None
    _builder: RunBuilder = field(default_factory=RunBuilder)
    _file: MemoryFile | None = None
    _tree: Group = field(default_factory=lambda: Group("NXroot"))
    _sweeps: dict[int, Group] = field(default_factory=dict)
    _part: Path | None = None
    _syncing: Syncing | None = None
    _finished: Path | None = None
    _size: int = 0
    _written: str = field(default_factory=lambda: dt.datetime.now().astimezone().isoformat())

    def add(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document; see :class:`~beamline_ophyd.formats.run.RunBuilder`."""
        self._builder.add(name, doc)
        self.dirty = True

    @property
    def final(self) -> Path:
        """Where the finished file goes."""
        return self.folder / self.name

    @property
    def start(self) -> Mapping[str, Any]:
        """The start document."""
        return self._builder.start or {}

    @property
    def points(self) -> int:
        """Events of the primary stream so far."""
        return self._builder.points()

    @property
    def events(self) -> int:
        """Events of all streams so far."""
        return self._builder.events()

    def restart(self, builder: RunBuilder) -> None:
        """Go on with another reading of the same run, such as the journal's."""
        self._builder = builder
        self.dirty = True
        self.release()

    def save(self) -> int:
        """Bring the part file to the present state of the run.

        Returns
        -------
        int
            Bytes written.

        Raises
        ------
        OSError
            When it cannot be written; what is on disk stays as it was.
        """
        self._write(("running", ""), last=False)
        self.dirty = False
        return self._size

    def complete(self, status: tuple[str, str] = NO_STOP) -> None:
        """Write the whole run to the part file, and begin to bring that to the disk itself.

        Parameters
        ----------
        status : tuple of str
            Exit status and reason of a run that has no stop document.

        Raises
        ------
        OSError
            When it cannot be written; what is on disk stays.
        """
        if self._syncing is None and self._finished is None:
            self._syncing = Syncing(self._write(status, last=True))
            self.release()

    def finish(self, status: tuple[str, str] = NO_STOP) -> Path:
        """Complete the run, where that is not done, and give the file its final name.

        Parameters
        ----------
        status : tuple of str
            As for :meth:`complete`.

        Returns
        -------
        Path
            The final name, or the next free one if it is taken and neither to be overwritten
            nor to be added to.

        Raises
        ------
        OSError
            When it cannot be written, or what is to be added to is no HDF5 file; what is on
            disk stays, and the next call writes it anew.
        """
        self.complete(status)
        if self._syncing is not None:
            syncing, self._syncing = self._syncing, None
            syncing.wait()
            self._finished = self._named(syncing.path)
            self._part = None
            self.dirty = False
        assert self._finished is not None
        # One by one, so that trying again does not write any of them a second time.
        while self._sweeps:
            number, tree = next(iter(self._sweeps.items()))
            self.sweep_files[number] = self._sweep_file(self._finished, number, tree)
            del self._sweeps[number]
        return self._finished

    def release(self) -> None:
        """Give back the memory of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _named(self, part: Path) -> Path:
        """Give the finished file its name."""
        if self.style.append and self.final.exists():
            append_entry(self.final, self._tree, ENTRY, compression=self.style.compression)
            part.unlink()
            return self.final
        if self.style.overwrite or self.style.append:
            part.replace(self.final)
            return self.final
        return move_to_free_name(part, self.final)

    def _sweep_file(self, whole: Path, number: int, tree: Group) -> Path:
        path = sweep_path(whole, number)
        if self.style.overwrite:
            write_tree(path, tree, compression=self.style.compression)
            return path
        draft = path.with_name(f".{path.name}{PART_SUFFIX}")
        write_tree(draft, tree, compression=self.style.compression)
        return move_to_free_name(draft, path)

    def _write(self, status: tuple[str, str], *, last: bool) -> Path:
        run = self._builder.snapshot()
        self._join(run, last=last)
        tree, self._sweeps = trees_of(
            run,
            repeats=self.style.repeats,
            goes_on=not last,
            written=self._written,
            definition=self.style.definition,
            mapping=self.style.mapping,
            status=status,
            report=self.report,
            earlier=self._earlier,
            links_from=self.final.parent if self.style.external_links else None,
        )
        self._tree = tree
        if self._file is None:
            # Of a run that is over before its first flush the file need not be made to grow.
            self._file = MemoryFile(
                live=not last,
                compression=self.style.compression,
                expected_rows=self._expected_rows,
            )
        try:
            self._file.write(tree)
            image = self._file.image()
        except BaseException:
            self.release()
            raise
        part = self._part or self._reserve()
        replace_file(part, image)
        self._size = len(image)
        return part

    def _join(self, run: Run, *, last: bool) -> None:
        """Find the runs that this one continues: as it begins, and once more as it ends."""
        if self.look is None or self._trouble == "" or (self._trouble and not last):
            return
        self._earlier, self._trouble = earlier_runs(run, self.look)
        if self._trouble and last:
            self.report(self._trouble)

    @property
    def _expected_rows(self) -> int:
        planned = self.start.get("num_points")
        return min(planned, 100_000) if isinstance(planned, int) else 0

    def _reserve(self) -> Path:
        """A part file's name that nobody else writes to, beside the final name."""
        if self.folder.is_dir():
            self.final.parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            stem = self.final.stem if number == 1 else f"{self.final.stem}-{number}"
            part = self.final.with_name(f"{stem}{self.final.suffix}{PART_SUFFIX}")
            try:
                part.touch(exist_ok=False)
            except FileExistsError:
                number += 1
            else:
                self._part = part
                return part
