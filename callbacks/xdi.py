"""XDI files from documents, one for each absorption run, when it has ended."""

import logging
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from beamline_ophyd.data import ScanData
from beamline_ophyd.formats.documents import RunIndex
from beamline_ophyd.formats.hdf5 import move_to_free_name
from beamline_ophyd.formats.journal import read_journal
from beamline_ophyd.formats.problems import Problem
from beamline_ophyd.formats.run import RunBuilder, builder_from
from beamline_ophyd.formats.xdi import XDIError

from ._exit import Turn, at_exit
from ._naming import DEFAULT_TEMPLATE, FileNames
from ._output import Style
from ._worker import DocumentWorker
from .journal import Journal

__all__ = ["XDIWriter"]

RETRY_S = 5.0

GATHER_S = 0.5
"""Points are of no use before the run ends; see the worker."""
"""Pause before a file that could not be written is tried again."""

QUEUE_POINTS = 1_000_000
"""Points that may wait for the writer, as many as for NXxas files."""

MAX_UNWRITTEN = 20
"""Ended runs kept in memory because their files could not be written."""

logger = logging.getLogger(__name__)


class XDIWriter:
    """Writes the merged spectrum of each absorption run as XDI 1.0, off the RunEngine's thread.

    XDI represents a scan that is over, so the file comes with the stop document, however
    the run ended; :class:`~beamline_ophyd.callbacks.NXxasWriter` shows a scan that goes on.
    Runs that are no absorption spectra get no file. A run that lacks a word which XDI
    requires (element, edge, d-spacing) gets none either, and :attr:`problems` says how to
    give it. The writer never raises into the RunEngine; a disk that is full or away is
    tried again.

    Parameters
    ----------
    folder : path
        Where the files go.
    template : str
        File name, with fields such as ``{scan_id}``, ``{title}`` (sample, element and edge, else
        the plan's name), ``{sample}``, ``{date}``, ``{uid8}``; ``/`` makes subfolders.
    mode : {"w-", "w"}
        What to do with an existing file: take the next free name, or replace it.
    mapping : mapping, optional
        Role to data key, and ``mode``, for absorption runs of plans that say neither.
    metadata : mapping, optional
        Family to items, for what the start documents do not say:
        ``{"Mono": {"d_spacing": 3.1356}}``.
    journal : Journal, optional
        From which points are filled in that had to be dropped when the writer could not
        keep up. Subscribe the journal before the writer.
    on_file : callable, optional
        ``on_file(uid, path, start_document)`` on the writer's thread.

    Attributes
    ----------
    files : dict
        Run uid to the path of its file.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        template: str = DEFAULT_TEMPLATE,
        mode: str = "w-",
        mapping: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        journal: Journal | None = None,
        on_file: Callable[[str, Path, Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.folder = Path(folder).expanduser().absolute()
        self.files: dict[str, Path] = {}
        self._names = FileNames(template, suffix=".xdi")
        if mode == "a":
            raise ValueError("mode is 'a', but an XDI file holds one spectrum; give 'w-' or 'w'")
        self._overwrite = Style.checked(mode, 0, "NXxas", mapping).overwrite
        self._mapping = mapping
        self._metadata = metadata
        self._journal = journal
        self._on_file = on_file
        self._runs: dict[str, RunBuilder] = {}
        self._index = RunIndex()
        self._worker = DocumentWorker(
            self._handle,
            name="XDI writer",
            tick=self._retry,
            capacity=QUEUE_POINTS,
            gather=GATHER_S,
        )
        at_exit(self, Turn.WRITER)

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document; returns at once and never raises."""
        self._worker.put(name, doc)

    @property
    def problems(self) -> list[Problem]:
        """What went wrong so far."""
        return self._worker.problems

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all documents so far are handled; whether the runs that ended are on disk."""
        done = self._worker.wait(timeout)
        return done and all(builder.stop is None for builder in list(self._runs.values()))

    def close(self, timeout: float | None = None) -> bool:
        """Finish what is queued and end the thread; False when `timeout` s were not enough."""
        return self._worker.close(timeout)

    def leave(self, timeout: float) -> None:
        """The interpreter ends."""
        self.close(timeout)

    def _handle(self, name: str, doc: Mapping[str, Any]) -> None:
        run = self._index.run_of(name, doc)
        if name == "start" and run is not None:
            self._runs[run] = RunBuilder()
        if run is None or run not in self._runs:
            raise LookupError("it belongs to no run that is open; it is not written")
        self._runs[run].add(name, doc)
        if name == "stop":
            self._index.forget(run)
            self._finish(run)

    def _retry(self) -> None:
        for run, builder in list(self._runs.items()):
            if builder.stop is not None:
                self._finish(run)

    def _finish(self, run: str) -> None:
        builder = self._healed(run)
        data = ScanData(builder.snapshot(), self._mapping)
        if data.roles is None:
            self._runs.pop(run)
            logger.info("XDI writer: run %s is no absorption spectrum", run)
            return
        try:
            path = self._write(data)
        except XDIError as error:
            self._runs.pop(run)
            self._worker.report(run, f"no XDI file: {error}")
            return
        except OSError as error:
            self._worker.report(run, f"XDI file not written: {error}; it is tried again", error)
            ended = [uid for uid, other in self._runs.items() if other.stop is not None]
            for uid in ended[:-MAX_UNWRITTEN]:
                self._runs.pop(uid)
            self._worker.tick_again(RETRY_S)
            return
        self._runs.pop(run)
        self.files[run] = path
        if self._on_file is not None:
            try:
                self._on_file(run, path, data.run.start)
            except Exception as error:
                self._worker.report(run, f"on_file for {path}: {error!r}", error)
        self._worker.forget(run)

    def _write(self, data: ScanData) -> Path:
        final = self.folder / self._names.path(data.run.start)
        if self.folder.is_dir():
            final.parent.mkdir(parents=True, exist_ok=True)
        if self._overwrite:
            return data.to_xdi(final, mode="w", metadata=self._metadata)
        draft = final.with_name(f".{final.name}.{data.uid[:8]}.new")
        data.to_xdi(draft, mode="w", metadata=self._metadata)
        return move_to_free_name(draft, final)

    def _healed(self, run: str) -> RunBuilder:
        """The run from its journal, if points were dropped on the way to this thread."""
        builder = self._runs[run]
        if not self._worker.has_gap(run):
            return builder
        try:
            if self._journal is None:
                raise LookupError("no journal is known")
            report = partial(self._worker.report, run)
            found = builder_from(read_journal(self._journal.path(run)), report)
            if found.events() <= builder.events():
                raise LookupError("the journal holds no more of them")
        except Exception as error:  # what was not dropped is written in any case
            self._worker.report(run, f"points are missing in the XDI file: {error}")
            return builder
        return found
