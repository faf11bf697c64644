"""One run as data: columns, units and metadata, wherever it comes from."""

import datetime as dt
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .formats.definitions import check_definition
from .formats.earlier import earlier_runs, look_in
from .formats.entries import append_entry, sweep_path
from .formats.hdf5 import replace_file, write_tree
from .formats.journal import dumps, read_journal
from .formats.measurement import MAPPING_EXAMPLE, Measurement, measurement, read_metadata
from .formats.merging import merge, sweep_numbers
from .formats.nexus_parts import ENTRY
from .formats.nexus_read import read_earlier, read_run, read_sweep
from .formats.nexus_sweeps import check_repeats, trees_of
from .formats.points import missing_points, only_sweep
from .formats.problems import OutputError, ReadError
from .formats.run import Document, Run, RunBuilder, Stream, builder_from
from .formats.spectrum import Spectrum
from .formats.tables import Table, events_table, spectrum_table
from .formats.units import in_one_unit
from .formats.xdi import xdi_text
from .formats.xdi_read import read_xdi
from .metadata import Roles, RunMetadata

if TYPE_CHECKING:
    import pandas
    import xarray

__all__ = ["ScanData"]

HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class ScanData:
    """The columns, units and metadata of one run.

    Made by :meth:`from_documents`, :meth:`from_tiled` or :meth:`from_file`, which takes
    NeXus files, XDI files and journals. Two are equal when their documents are, to the
    last bit.

    Parameters
    ----------
    run : Run
        The documents, with their events as columns.
    mapping : mapping, optional
        Role to data key (and ``mode``), for absorption runs whose start document does
        not say it: ``{"energy": "mono_energy", "i0": "I0", "itrans": "It"}``.
    earlier : tuple of Run
        The runs that this one continues, from the earliest on; see :meth:`joined`.
    sweep : int, optional
        Number of the sweep, from 1, of which the runs have the events only; see
        :meth:`only_sweep`.

    Examples
    --------
    >>> keys = {"energy": {"units": "eV"}, "i0": {}, "itrans": {}}
    >>> page = {"descriptor": "d", "seq_num": [1, 2], "time": [0.0, 1.0], "uid": ["a", "b"],
    ...         "data": {"energy": [7100.0, 7120.0], "i0": [4.0, 4.0], "itrans": [4.0, 2.0]}}
    >>> data = ScanData.from_documents(
    ...     [("start", {"uid": "r", "time": 0.0}),
    ...      ("descriptor", {"uid": "d", "name": "primary", "data_keys": keys}),
    ...      ("event_page", page)],
    ...     mapping={"energy": "energy", "i0": "i0", "itrans": "itrans"})
    >>> mu, mu_errors = data.mu()
    >>> [round(float(x), 3) for x in mu], mu_errors
    ([0.0, 0.693], None)
    """

    run: Run
    mapping: Mapping[str, Any] | None = None
    earlier: tuple[Run, ...] = field(default=(), repr=False)
    sweep: int | None = None

    @classmethod
    def from_documents(
        cls, documents: Iterable[Document], *, mapping: Mapping[str, Any] | None = None
    ) -> "ScanData":
        """Read the documents of one run, in any of their forms.

        Raises
        ------
        ValueError
            When there is no start document, or documents of another run are among them.
        """
        builder = RunBuilder()
        for name, doc in documents:
            builder.add(name, doc)
        return cls(builder.snapshot(), mapping)

    @classmethod
    def from_journal(
        cls, path: str | Path, *, mapping: Mapping[str, Any] | None = None
    ) -> "ScanData":
        """Read a journal, also one that was cut short.

        Runs that it continues are taken from journals and files beside it; a warning
        tells of one that is not there.
        """
        run = builder_from(read_journal(path)).snapshot()
        earlier, trouble = earlier_runs(run, look_in([Path(path).parent]))
        if trouble:
            logger.warning("%s", trouble)
        return cls(run, mapping, earlier)

    @classmethod
    def from_nexus(
        cls,
        path: str | Path,
        *,
        entry: str | None = None,
        mapping: Mapping[str, Any] | None = None,
    ) -> "ScanData":
        """Read a NeXus file: a finished one, one that still grows, or another program's NXxas.

        Parameters
        ----------
        entry : str, optional
            Name of the entry, in a file of several; by default the one that the file names.
        """
        run, found = read_run(path, entry)
        mapping = found if mapping is None else mapping
        return cls(run, mapping, read_earlier(path, entry), read_sweep(path, entry))

    @classmethod
    def from_xdi(cls, path: str | Path, *, mapping: Mapping[str, Any] | None = None) -> "ScanData":
        """Read an XDI file, also one that another program wrote."""
        run, found = read_xdi(path)
        return cls(run, found if mapping is None else mapping)

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        entry: str | None = None,
        mapping: Mapping[str, Any] | None = None,
    ) -> "ScanData":
        """Read a NeXus file, an XDI file or a journal, whichever it is.

        Parameters
        ----------
        entry : str, optional
            Name of the entry, in a NeXus file of several; by default the one that it names.

        Raises
        ------
        ReadError
            When it is none of them, or damaged.
        """
        with Path(path).open("rb") as file:
            begins = file.read(80)
        if begins.startswith(HDF5_SIGNATURE):
            return cls.from_nexus(path, entry=entry, mapping=mapping)
        if entry is not None:
            raise ReadError(f"{path} is no NeXus (HDF5) file, which alone has entries")
        if begins.lstrip(b"# \t").upper().startswith(b"XDI/"):
            return cls.from_xdi(path, mapping=mapping)
        if begins.startswith(b'{"name"'):
            return cls.from_journal(path, mapping=mapping)
        raise ReadError(f"{path} is neither a NeXus (HDF5) file, an XDI file nor a journal")

    @classmethod
    def from_tiled(cls, run: Any, *, mapping: Mapping[str, Any] | None = None) -> "ScanData":
        """Read a run from Tiled, such as ``connect().runs[uid]``."""
        # Of a run that goes on, Tiled sends an empty stop document.
        documents = ((name, dict(doc)) for name, doc in run.documents() if doc)
        return cls.from_documents(documents, mapping=mapping)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ScanData):
            return NotImplemented
        if len(self.earlier) != len(other.earlier) or self.sweep != other.sweep:
            return False
        pairs = zip((*self.earlier, self.run), (*other.earlier, other.run), strict=True)
        return all(
            list(map(dumps, mine.documents())) == list(map(dumps, theirs.documents()))
            for mine, theirs in pairs
        )

    __hash__ = None  # type: ignore[assignment]

    def joined(self, *earlier: "ScanData") -> "ScanData":
        """Join the runs that this one continues to it: one measurement, one spectrum.

        Of each point its last good event counts, by
        :class:`beamline_ophyd.metadata.XAFSContract`.

        Parameters
        ----------
        *earlier : ScanData
            In any order, as many as its chain of ``continues`` has.

        Raises
        ------
        ValueError
            When one of the chain is not among them, or measured something else.
        """
        known = {data.uid: (*data.earlier, data.run) for data in earlier}
        runs, trouble = earlier_runs(self.run, lambda uid: known.get(uid, ()))
        if trouble:
            raise ValueError(trouble)
        if self.sweep is not None:
            runs = tuple(only_sweep(run, self.sweep) for run in runs)
        return replace(self, earlier=runs)

    @property
    def missing_points(self) -> np.ndarray:
        """Numbers of the planned points that have no good event, in this run or an earlier one.

        Raises
        ------
        ValueError
            When the run has no contract.
        """
        return missing_points((*self.earlier, self.run), self.sweep)

    @property
    def uid(self) -> str:
        """Uid of the run."""
        return self.run.uid

    @property
    def columns(self) -> Mapping[str, np.ndarray]:
        """Data key to the values of every event of the primary stream, each in one unit."""
        return {} if self._primary is None else self._primary.columns

    @property
    def units(self) -> dict[str, str | None]:
        """Data key to unit; None where the run does not say."""
        stream = self._primary
        return {} if stream is None else {key: stream.units(key) for key in stream.columns}

    @property
    def metadata(self) -> dict[str, Any]:
        """Start and stop document (None if it never came), and the XDI families."""
        stop = None if self.run.stop is None else dict(self.run.stop)
        return {"start": dict(self.run.start), "stop": stop, "families": self.about.families}

    @cached_property
    def _primary(self) -> Stream | None:
        return in_one_unit(self.run).streams.get("primary")

    @cached_property
    def about(self) -> RunMetadata:
        """Element, edge, sample and contract."""
        return read_metadata(self.run.start)[0]

    @property
    def roles(self) -> Roles | None:
        """Which data key plays which part; None for a run that is no absorption spectrum."""
        return None if self._measurement is None else self._measurement.roles

    @property
    def mode(self) -> str | None:
        """Mode of an absorption spectrum: transmission, fluorescence or electron yield."""
        return None if self._measurement is None else self._measurement.mode

    @property
    def energy(self) -> np.ndarray:
        """Energies of the merged spectrum, in eV."""
        return self.merged().energy_ev

    def mu(self, channel: str | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Absorption at :attr:`energy`, merged over the sweeps, and its standard deviation.

        Parameters
        ----------
        channel : {"transmission", "fluorescence", "reference"}, optional
            By default the run's mode.

        Returns
        -------
        mu, mu_errors : ndarray, ndarray or None
            See :meth:`beamline_ophyd.formats.spectrum.Spectrum.mu`.

        Raises
        ------
        ValueError
            When the run is no absorption spectrum or lacks a channel.
        """
        return self.merged().mu(channel or str(self.mode))

    def merged(self) -> Spectrum:
        """The spectrum of all sweeps, and of the runs joined to this one, together.

        Raises
        ------
        ValueError
            When the run is no absorption spectrum.
        """
        return merge(self.run, self._spectrum_wanted(), self.earlier)

    def sweeps(self) -> list[Spectrum]:
        """The spectrum of each sweep that has a good point, of a run with repeats.

        A sweep that was not measured whole has fewer points.

        Raises
        ------
        ValueError
            When the run is no absorption spectrum.
        """
        what, numbers = self._spectrum_wanted(), self.sweep_numbers
        return [merge(self.run, what, self.earlier, sweep=number - 1) for number in numbers]

    @property
    def sweep_numbers(self) -> list[int]:
        """Numbers, from 1, of the sweeps that have a good point.

        Raises
        ------
        ValueError
            When the run is no absorption spectrum.
        """
        return [n + 1 for n in sweep_numbers(self.run, self._spectrum_wanted(), self.earlier)]

    def only_sweep(self, number: int) -> "ScanData":
        """The run with the events of one sweep only, to be looked at or written by itself.

        Parameters
        ----------
        number : int
            One of :attr:`sweep_numbers`.

        Raises
        ------
        ValueError
            When the run has no contract, or no good point in this sweep.
        """
        if number not in (there := self.sweep_numbers):
            have = ", ".join(map(str, there)) or "none"
            raise ValueError(f"sweep {number} of run {self.uid} has no point; there are {have}")
        run, *earlier = (only_sweep(run, number) for run in (self.run, *self.earlier))
        return replace(self, run=run, earlier=tuple(earlier), sweep=number)

    def _spectrum_wanted(self) -> Measurement:
        if self._measurement is None:
            have = ", ".join(self.columns) or "none"
            raise ValueError(
                f"run {self.uid} does not say which of its data keys ({have}) are energy, i0 "
                f"and the rest; give mapping={MAPPING_EXAMPLE}"
            )
        return self._measurement

    @cached_property
    def _measurement(self) -> Measurement | None:
        return measurement(self.run, self.mapping)

    def to_nexus(
        self,
        path: str | Path,
        *,
        mode: str = "w-",
        compression: int = 4,
        definition: str = "NXxas",
        external_links: bool = False,
        repeats: str = "merged",
    ) -> Path:
        """Write the run as a NeXus file, NXxas where it is an absorption spectrum.

        Parameters
        ----------
        mode : {"w-", "w", "a"}
            Refuse an existing file, replace it, or add the run to it as a further entry.
        compression : int
            gzip level of large arrays, 0 for none.
        definition, external_links, repeats
            As for :class:`~beamline_ophyd.callbacks.NXxasWriter`.

        Returns
        -------
        Path
            The file of the whole run.

        Raises
        ------
        ValueError
            For a mode, a definition or repeats that are not known.
        OutputError
            When the file exists and mode is "w-".
        OSError
            When it cannot be written.
        """
        path = Path(path) if mode == "a" else _free(path, mode)
        check_definition(definition)
        check_repeats(repeats, mode)
        tree, sweeps = trees_of(
            self.run,
            repeats=repeats,
            written=dt.datetime.now().astimezone().isoformat(),
            definition=definition,
            mapping=self.mapping,
            status=("unknown", "no stop document came"),
            earlier=self.earlier,
            links_from=path.absolute().parent if external_links else None,
            sweep=self.sweep,
        )
        if mode == "a" and path.exists():
            append_entry(path, tree, ENTRY, compression=compression)
            return path
        places = {_free(sweep_path(path, number), mode): tree for number, tree in sweeps.items()}
        for place, root in {**places, path: tree}.items():
            write_tree(place, root, compression=compression)
        return path

    def to_xdi(
        self, path: str | Path, *, mode: str = "w-", metadata: Mapping[str, Any] | None = None
    ) -> Path:
        """Write the merged spectrum as an XDI 1.0 file.

        Parameters
        ----------
        mode : {"w-", "w"}
            Refuse or replace an existing file.
        metadata : mapping, optional
            What the run does not say: ``{"Element": {"symbol": "Fe", "edge": "K"}}``.

        Raises
        ------
        XDIError
            When a word that XDI requires is not known, or there is no point; says how to
            give it.
        ValueError
            When the run is no absorption spectrum.
        OSError
            When it cannot be written, or exists and mode is "w-".
        """
        text = xdi_text(self.run, self._spectrum_wanted(), metadata, self.earlier)
        return _put(_free(path, mode), text.encode())

    def to_csv(self, path: str | Path, *, mode: str = "w-", merged: bool = False) -> Path:
        """Write a table as text, with units and metadata in lines behind ``#``.

        Parameters
        ----------
        mode : {"w-", "w"}
            Refuse or replace an existing file.
        merged : bool
            The spectrum of all sweeps with mu(E), instead of every event as it was read.
        """
        return _put(_free(path, mode), self._table(merged).csv().encode())

    def to_parquet(self, path: str | Path, *, mode: str = "w-", merged: bool = False) -> Path:
        """Write a table as a parquet file; options as for :meth:`to_csv`.

        Units are metadata of the fields; the documents, as JSON, of the schema.
        """
        return _put(_free(path, mode), self._table(merged).parquet())

    def to_dataframe(self, *, merged: bool = False) -> "pandas.DataFrame":
        """A pandas DataFrame; its ``attrs`` hold units and documents.

        Parameters
        ----------
        merged : bool
            The spectrum of all sweeps with mu(E), instead of every event as it was read.
        """
        return self._table(merged).dataframe()

    def to_xarray(self, *, merged: bool = False) -> "xarray.Dataset":
        """An xarray Dataset over ``event``, or over ``energy`` where it is merged.

        Parameters
        ----------
        merged : bool
            The spectrum of all sweeps with mu(E), instead of every event as it was read.
        """
        return self._table(merged).dataset()

    def _table(self, merged: bool) -> Table:
        if not merged:
            return events_table(self.run)
        roles = self._spectrum_wanted().roles.channels
        units = {role: self.units.get(key) or "" for role, key in roles.items()}
        return spectrum_table(self.run, self.merged(), units)


def _free(path: str | Path, mode: str) -> Path:
    path = Path(path)
    if mode not in ("w-", "w"):
        raise ValueError(f"mode is {mode!r}; give 'w-' or 'w'")
    if mode == "w-" and path.exists():
        raise OutputError(f"file {path} exists already; give mode='w' to replace it")
    return path


def _put(path: Path, content: bytes) -> Path:
    replace_file(path, content, sync=True)
    return path
