"""Runs read back from NeXus files: this project's own, and anybody's NXxas."""

import contextlib
import datetime as dt
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from beamline_ophyd.metadata import CHANNELS

from .arrays import run_from_columns
from .columns import TEXT
from .hdf5 import open_to_read
from .journal import loads
from .nexus_parts import EARLIER, LAYOUT_ATTRIBUTE, LAYOUT_VERSION
from .problems import ReadError
from .run import Run, Stream, described

__all__ = [
    "ReadError",
    "entries_in",
    "read_definition",
    "read_earlier",
    "read_run",
    "read_sweep",
    "uids_in",
]


def read_run(path: str | Path, entry: str | None = None) -> tuple[Run, dict[str, str] | None]:
    """The run in a NeXus file, finished or not.

    Parameters
    ----------
    path : path
        A file of this project, read back to the last bit, or an NXxas file of another
        program, of which the entry-level or instrument arrays are read.
    entry : str, optional
        Name of the entry, in a file of several; by default the one that the file names.

    Returns
    -------
    run : Run
    mapping : dict or None
        Role to data key, for files of other programs; of an own file, the mapping that its
        writer was given.

    Raises
    ------
    ReadError
        When there is no entry, a file of another program has no energy or no channel, or
        something in the file is not what its writer put there.
    OSError
        When it is no HDF5 file.
    """
    with _opened(path) as file:
        node = _entry(file, path, entry)
        if node.attrs.get(LAYOUT_ATTRIBUTE) is None:
            return _foreign(node, path)
        _check_layout(node, path)
        given = _text(node, "process/parameters/roles")
        return _own(_group(node, "bluesky")), None if given is None else loads(given)


def read_earlier(path: str | Path, entry: str | None = None) -> tuple[Run, ...]:
    """The runs that the run of a file continues, from the earliest on, as far as it has them.

    Raises
    ------
    ReadError, OSError
        As :func:`read_run`.
    """
    with _opened(path) as file:
        node = _entry(file, path, entry)
        if EARLIER not in node:
            return ()
        _check_layout(node, path)
        group = _group(node, EARLIER)
        return tuple(_own(_group(group, f"run_{count + 1}")) for count in range(len(group)))


def read_sweep(path: str | Path, entry: str | None = None) -> int | None:
    """Number of the sweep, from 1, that an entry has alone; None where it has the whole run.

    Raises
    ------
    ReadError, OSError
        As :func:`read_run`.
    """
    with _opened(path) as file:
        return _sweep(_entry(file, path, entry))


def read_definition(path: str | Path, entry: str | None = None) -> str:
    """Application definition that an entry names; empty where it names none.

    Raises
    ------
    ReadError, OSError
        As :func:`read_run`.
    """
    with _opened(path) as file:
        return _text(_entry(file, path, entry), "definition") or ""


def entries_in(path: str | Path) -> list[str]:
    """Names of the entries of a file, the one that it names as default first."""
    with _opened(path) as file:
        return [name for name, _ in _entries(file)]


def uids_in(path: str | Path) -> dict[str, str]:
    """Run uid to the name of its entry, of all entries of a file that have the whole of a run."""
    with _opened(path) as file:
        named = {
            name: _text(node, "entry_identifier_uuid")
            for name, node in _entries(file)
            if _sweep(node) is None
        }
    return {uid: name for name, uid in named.items() if uid is not None}


@contextlib.contextmanager
def _opened(path: str | Path) -> Iterator[h5py.File]:
    try:
        with open_to_read(path) as file:
            yield file
    except (ReadError, OSError):
        raise
    except Exception as error:  # h5py and json raise all kinds on damaged files
        raise ReadError(
            f"{path} is damaged ({type(error).__name__}: {error}); its journal, where there is "
            "one, holds the run too"
        ) from error


def _check_layout(entry: h5py.Group, path: str | Path) -> None:
    version: Any = entry.attrs[LAYOUT_ATTRIBUTE]
    if int(version) > LAYOUT_VERSION:
        raise ReadError(
            f"{path} has layout {version}, this program reads up to {LAYOUT_VERSION}; "
            "install a newer beamline-ophyd"
        )


def _entries(file: h5py.File) -> list[tuple[str, h5py.Group]]:
    """Entries of a file, the one that it names first."""
    default = str(file.attrs.get("default", ""))
    found = [
        (name, node)
        for name, node in file.items()
        if isinstance(node, h5py.Group) and node.attrs.get("NX_class") == "NXentry"
    ]
    return sorted(found, key=lambda item: item[0] != default)


def _entry(file: h5py.File, path: str | Path, name: str | None) -> h5py.Group:
    entries = _entries(file)
    if not entries:
        raise ReadError(f"{path} holds no NXentry; a NeXus file has one at its root")
    for found, node in entries:
        if name in (None, found):
            return node
    have = ", ".join(found for found, _ in entries)
    raise ReadError(f"{path} has no entry {name!r}; it has {have}")


def _sweep(entry: h5py.Group) -> int | None:
    node = entry.get("bluesky/sweep")
    return int(node[()]) if isinstance(node, h5py.Dataset) else None


def _own(collection: h5py.Group) -> Run:
    documents = _group(collection, "documents")
    descriptors = tuple(loads(text) for text in _values(documents, "descriptors"))
    streams = {}
    for node in _group(collection, "streams").values():
        name = loads(node.attrs["stream"])
        keys: dict[str, Any] = {}
        for descriptor in descriptors:
            if descriptor["name"] == name:
                keys.update(described(descriptor))
        streams[name] = _stream(node, name, keys)
    order = [d["name"] for d in descriptors]
    return Run(
        start=loads(_values(documents, "start")),
        stop=loads(_values(documents, "stop")) if "stop" in documents else None,
        descriptors=descriptors,
        streams=dict(sorted(streams.items(), key=lambda item: order.index(item[0]))),
        external=tuple((name, doc) for name, doc in map(loads, _values(documents, "external"))),
    )


def _stream(node: h5py.Group, name: str, keys: Mapping[str, Any]) -> Stream:
    data, stamps = _group(node, "data"), _group(node, "timestamps")
    # Files of before the first release have it with the readings themselves.
    keyed: Any = {part: data if "data_key" in data[part].attrs else stamps for part in data}
    by_key = {loads(group[part].attrs["data_key"]): part for part, group in keyed.items()}
    ordered = [k for k in keys if k in by_key] + [k for k in by_key if k not in keys]
    return Stream(
        name=name,
        data_keys=keys,
        columns={key: _values(data, by_key[key]) for key in ordered},
        timestamps={key: _values(stamps, by_key[key]) for key in ordered},
        json_columns=frozenset(k for k in ordered if "encoding" in data[by_key[k]].attrs),
        seq_num=_values(node, "seq_num"),
        time=_values(node, "time"),
        uids=_words(node, "uid"),
        descriptor=_values(node, "descriptor"),
    )


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    node = parent.get(name)
    if not isinstance(node, h5py.Group):
        raise ReadError(f"{parent.file.filename} lacks the group {parent.name}/{name}")
    return node


def _words(parent: h5py.Group, name: str) -> np.ndarray:
    """Texts as they are stored: bytes where they are of one length, else objects of type str."""
    dataset = parent.get(name)
    if isinstance(dataset, h5py.Dataset) and dataset.dtype.kind == "S":
        return np.asarray(dataset[()])
    return _values(parent, name)


def _values(parent: h5py.Group, name: str) -> Any:
    dataset = parent.get(name)
    if not isinstance(dataset, h5py.Dataset):
        raise ReadError(f"{parent.file.filename} lacks the dataset {parent.name}/{name}")
    if not h5py.check_string_dtype(dataset.dtype):
        return dataset[()]
    values = dataset.asstr()[()]
    return values if isinstance(values, str) else np.asarray(values, dtype=TEXT)


_FOREIGN = {
    "energy": ("energy", "instrument/monochromator/energy", "data/energy"),
    "i0": ("instrument/i0/data", "instrument/incoming_beam/data", "monitor/data"),
    "itrans": ("instrument/itrans/data",),
    "ifluor": ("instrument/ifluor/data", "instrument/iey/data"),
    "irefer": ("instrument/iref/data", "instrument/irefer/data"),
}


def _foreign(entry: h5py.Group, path: str | Path) -> tuple[Run, dict[str, str]]:
    """Arrays of equal length under the names of the two NXxas definitions, as one stream."""
    columns: dict[str, np.ndarray] = {}
    units: dict[str, str] = {}
    for role, places in _FOREIGN.items():
        for place in places:
            node = entry.get(place)
            if role not in columns and isinstance(node, h5py.Dataset) and node.ndim == 1:
                columns[role] = node[()]
                units[role] = str(node.attrs.get("units", ""))
    mode = _text(entry, "data/mode") or "Transmission"
    beam = entry.get("instrument/absorbed_beam/data")
    signal = "itrans" if mode == "Transmission" else "ifluor"
    if signal not in columns and isinstance(beam, h5py.Dataset):
        columns[signal] = beam[()]
    if "energy" not in columns or not columns.keys() & {c.role for c in CHANNELS}:
        looked = ", ".join(place for places in _FOREIGN.values() for place in places)
        raise ReadError(f"{path}: no energy and detector arrays in {entry.name}; tried {looked}")
    mapping = {"mode": "transmission" if signal == "itrans" else "fluorescence"}
    return _as_run(entry, columns, units), mapping | {role: role for role in columns}


def _as_run(entry: h5py.Group, columns: dict[str, np.ndarray], units: dict[str, str]) -> Run:
    rows = len(columns["energy"])
    columns = {role: values for role, values in columns.items() if len(values) == rows}
    began = _seconds(_text(entry, "start_time"))
    uid = _text(entry, "entry_identifier_uuid") or str(uuid.uuid4())
    start: dict[str, Any] = {"uid": uid, "time": began, "title": _text(entry, "title") or ""}
    if sample := _text(entry, "sample/name"):
        start["Sample"] = {"name": sample}
    if element := _text(entry, "element/symbol"):
        start["Element"] = {"symbol": element, "edge": _text(entry, "edge/name")}
    return run_from_columns(start, columns, units, source=str(entry.name))


def _text(entry: h5py.Group, path: str) -> str | None:
    node = entry.get(path)
    if not isinstance(node, h5py.Dataset) or not h5py.check_string_dtype(node.dtype):
        return None
    value = node.asstr()[()]
    return str(value if isinstance(value, str) else np.asarray(value).ravel()[0])


def _seconds(time: str | None) -> float:
    try:
        return dt.datetime.fromisoformat(time or "").timestamp()
    except ValueError:
        return 0.0
