"""NeXus files from arrays, for people who have no documents."""

import contextlib
import datetime as dt
import io
import logging
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from .formats.arrays import run_from_columns
from .formats.definitions import check_definition
from .formats.entries import free_entry_name, moved
from .formats.hdf5 import replace_file
from .formats.measurement import mapped
from .formats.names import safe_nexus_name
from .formats.nexus import nexus_tree
from .formats.nexus_parts import ENTRY, fields_of
from .formats.problems import OutputError, ReadError
from .formats.run import Run
from .formats.tree import Field, Group, TreeWriter
from .formats.xdi_dictionary import FAMILIES
from .metadata import CHANNELS, CONTRACT_KEY

__all__ = ["NeXusWriter"]

MODES = ("w", "w-", "a")

_UNDERSTOOD = frozenset(
    ("uid", "time", "plan_name", "num_points", "hints", "title", "user", "users", "scan_id",
     "is_experimental", CONTRACT_KEY, "sample", "sample_name", *FAMILIES)
)  # fmt: skip
"""Words of a start document that have fields of their own."""

logger = logging.getLogger(__name__)


class NeXusWriter:
    """Writes arrays as NeXus: NXxas where they are an absorption spectrum, NXdata otherwise.

    A context manager. Each :meth:`write_scan` makes one entry. The file is put on disk as
    a whole when the block ends; if it ends with an exception nothing is written, and a
    file that was there stays as it was.

    Parameters
    ----------
    path : path
    mode : {"w-", "w", "a"}
        Refuse an existing file, replace it, or add entries to it.
    compression : int
        gzip level of arrays of more than 64 kB, 0 (none) to 9.
    definition : str
        Application definition of absorption spectra: NXxas, or one of the drafts NXxas_trans,
        NXxas_tfy, NXxas_pfy, NXxas_tey and NXxas_herfd.

    Raises
    ------
    ValueError
        For an option that makes no sense.
    OutputError
        When the file exists and mode is "w-", or its folder does not.
    ReadError
        When mode is "a" and what is there is no HDF5 file.

    Examples
    --------
    >>> import tempfile
    >>> energy = np.linspace(7000.0, 7200.0, 201)
    >>> i0 = np.full(201, 1e6)
    >>> itrans = i0 * np.exp(-0.5 - 1.4 * (energy > 7112.0))
    >>> path = Path(tempfile.mkdtemp()) / "foil.nxs"
    >>> with NeXusWriter(path) as nexus:
    ...     nexus.add_metadata(
    ...         Element={"symbol": "Fe", "edge": "K"}, Sample={"name": "Fe foil"}, user="Ann"
    ...     )
    ...     nexus.write_scan({"energy": energy, "i0": i0, "itrans": itrans})
    'entry'
    """

    def __init__(
        self,
        path: str | Path,
        mode: str = "w-",
        *,
        compression: int = 4,
        definition: str = "NXxas",
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}; give one of {', '.join(map(repr, MODES))}")
        if isinstance(compression, bool) or compression not in range(10):
            raise ValueError(f"compression is {compression!r}; give a gzip level, 0 (none) to 9")
        check_definition(definition)
        self.path = Path(path).expanduser().absolute()
        if mode == "w-" and self.path.exists():
            raise OutputError(
                f"file {self.path} exists already; give mode 'w' to replace it or 'a' to add to it"
            )
        if not self.path.parent.is_dir():
            raise OutputError(
                f"folder {self.path.parent} does not exist; create it or give another"
            )
        self._compression = compression
        self._definition = definition
        self._metadata: dict[str, Any] = {}
        self._image = io.BytesIO()
        self._dirty = not (mode == "a" and self.path.exists())
        if not self._dirty:
            self._image.write(self.path.read_bytes())
        try:
            self._file = h5py.File(self._image, "a" if not self._dirty else "w")
        except OSError as error:
            raise ReadError(
                f"{self.path} cannot be added to, it is no HDF5 file: {error}; give mode 'w' to "
                "replace it"
            ) from error

    def __enter__(self) -> "NeXusWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._file.close()

    def close(self) -> None:
        """Put the file on disk; the end of the block does so too.

        Raises
        ------
        OSError
            When it cannot be written; what was there stays.
        """
        if not self._file:
            return
        self._file.close()
        if self._dirty:
            replace_file(self.path, self._image.getvalue(), sync=True)

    @property
    def entries(self) -> tuple[str, ...]:
        """Names of the entries that the file has so far."""
        return tuple(self._file)

    def add_metadata(self, *mappings: Mapping[str, Any], **items: Any) -> None:
        """Say something of the scans that are written after this.

        Parameters
        ----------
        *mappings, **items
            Words of a start document. The families of XDI (``Element``, ``Mono``,
            ``Sample``, ``Scan``, ``Detector``, ``Facility``, ``Beamline``), ``title``,
            ``user`` or ``users``, ``scan_id`` and ``is_experimental`` become fields of
            their own; all else is kept with the documents and as a field of
            ``metadata``, under its name as NeXus allows it. Mappings are merged, other
            values replaced.
        """
        for given in (*mappings, items):
            _merge(self._metadata, given)

    def write_scan(
        self,
        columns: Mapping[str, Any],
        *,
        units: Mapping[str, str] | None = None,
        mapping: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        name: str | None = None,
        definition: str | None = None,
    ) -> str:
        """Write one scan as an entry.

        Parameters
        ----------
        columns : mapping
            Name to values, first index the point. The first one is the axis.
        units : mapping, optional
            Name to unit; an energy without one is in eV.
        mapping : mapping, optional
            Role to column, and ``mode``: ``{"energy": "E", "i0": "ion1", "itrans": "ion2"}``.
            Not needed for columns called energy, i0, itrans, ifluor and irefer.
        metadata : mapping, optional
            As :meth:`add_metadata`, for this scan alone.
        name : str, optional
            Of the entry; by default the next free one of entry, entry_1, ...
        definition : str, optional
            For this scan alone, instead of the writer's.

        Returns
        -------
        str
            Name of the entry.

        Raises
        ------
        ValueError
            For columns of different lengths, a mapping to columns that are not there, a
            name that is taken, or a spectrum that does not fit the definition that is asked
            for; nothing is written then.
        """
        if not columns:
            raise ValueError("no columns; give at least one name with its values")
        wanted = free_entry_name(self._file) if name is None else safe_nexus_name(name)
        if wanted in self._file:
            raise ValueError(f"entry {wanted!r} is taken; give another name, or none")
        values = {str(key): np.asarray(column) for key, column in columns.items()}
        roles = _roles(values) if mapping is None else dict(mapping)
        _check(roles, values)
        units = {str(key): unit for key, unit in (units or {}).items()}
        if roles is not None:
            units = {str(roles["energy"]): "eV", **units}
        run = run_from_columns(self._start(values, metadata or {}), values, units, source="array")
        tree = _tree(run, roles, definition or self._definition)
        tree = _with_metadata(moved(tree, ENTRY, wanted), wanted, run.start)
        default = self._file.attrs.get("default", wanted)
        root = Group(tree.nx_class, tree.items, {**tree.attrs, "default": default})
        try:
            TreeWriter(self._file, compression=self._compression).write(root)
        except BaseException:
            with contextlib.suppress(KeyError):
                del self._file[wanted]
            raise
        self._dirty = True
        return wanted

    def _start(self, columns: Mapping[str, Any], metadata: Mapping[str, Any]) -> dict[str, Any]:
        words = dict(self._metadata)
        _merge(words, metadata)
        axis = next(iter(columns))
        start = {"uid": str(uuid.uuid4()), "time": time.time(), "plan_name": "arrays"}
        hints = {"dimensions": [[[axis], "primary"]]}
        return {**start, "num_points": len(columns[axis]), "hints": hints, **words}


def _tree(run: Run, roles: Mapping[str, Any] | None, definition: str) -> Group:
    """The tree of a run; what is odd in it is logged, and another definition is an error."""
    check_definition(definition)
    written = dt.datetime.now().astimezone().isoformat()
    trouble: list[str] = []
    tree = nexus_tree(
        run, written=written, mapping=roles, definition=definition, report=trouble.append
    )
    entry: Any = tree.items[ENTRY]
    meant = roles is not None and definition != "NXxas"
    if meant and entry.items.get("definition") != Field(definition):
        raise ValueError("; ".join(trouble))
    for words in trouble:
        logger.warning("%s", words)
    return tree


def _merge(words: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Mappings are merged, other values replaced."""
    for key, value in given.items():
        before = words.get(str(key))
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            value = {**before, **value}
        words[str(key)] = value


def _with_metadata(root: Group, name: str, start: Mapping[str, Any]) -> Group:
    """The words of nobody's dictionary as fields, under names that NeXus allows."""
    entry = root.items[name]
    assert isinstance(entry, Group)
    others = {key: value for key, value in start.items() if key not in _UNDERSTOOD}
    if not others:
        return root
    items = {**entry.items, "metadata": Group("NXcollection", fields_of(others))}
    return Group(root.nx_class, {name: Group(entry.nx_class, items, entry.attrs)}, root.attrs)


def _roles(columns: Mapping[str, Any]) -> dict[str, Any] | None:
    """Roles of columns that are called after them."""
    found = {c.role: c.role for c in CHANNELS if c.role in columns}
    if "energy" not in columns or "i0" not in found or not found.keys() & {"itrans", "ifluor"}:
        return None
    return {"energy": "energy", **found}


def _check(roles: Mapping[str, Any] | None, columns: Mapping[str, Any]) -> None:
    if roles is None:
        return
    named, _ = mapped(roles)
    absent = [key for key in (named.energy, *named.channels.values()) if key not in columns]
    if absent:
        raise ValueError(
            f"the mapping names {', '.join(map(repr, absent))}, which is no column; there are "
            f"{', '.join(map(repr, columns))}"
        )
