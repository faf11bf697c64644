"""What a damaged NeXus file of this project still holds."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .columns import TEXT
from .definitions import DEFINITIONS
from .hdf5 import open_to_read
from .journal import loads
from .nexus_parts import EARLIER
from .problems import ReadError
from .run import Run, Stream, described

__all__ = ["Salvage", "salvage"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"

_EOF_PLACES = {0: 40, 1: 44, 2: 28, 3: 28}
"""Version of the superblock to where it keeps the size of the file (HDF5 File Format, II.A)."""


@dataclass(frozen=True)
class Salvage:
    """A run taken from a damaged file.

    Attributes
    ----------
    run : Run
        With what could be read; rows that some column has lost are left out.
    lost : tuple of str
        Paths in the file that could not be read, or not whole.
    earlier : tuple of Run
        The runs that it continues, as far as the file has them.
    sweep : int or None
        Number of the sweep, from 1, that the file has alone of the run.
    definition : str
        Application definition that the spectrum was written by.
    mapping : mapping or None
        Role to data key, where the file's writer was given them.
    """

    run: Run
    lost: tuple[str, ...]
    earlier: tuple[Run, ...] = ()
    sweep: int | None = None
    definition: str = "NXxas"
    mapping: Mapping[str, Any] | None = None


def salvage(path: str | Path) -> list[Salvage]:
    """Read all that can still be read of a file: one run an entry, without their sweeps' entries.

    A file that was cut off is read up to there. Data that compression or lengths show to be
    damaged are lost; damage within plain numbers cannot be seen.

    Raises
    ------
    ReadError
        When nothing of a run is left, or the file is not one of this project's.
    OSError
        When it cannot be read at all.
    """
    path = Path(path)
    size = path.stat().st_size
    try:
        file: Any = open_to_read(path)
    except OSError:
        file = _padded(path)
    with file:
        return _Reader(path, size).runs(file)


def _padded(path: Path) -> h5py.File:
    """A file that was cut off, with nothing in place of what is missing."""
    content = path.read_bytes()
    place = _EOF_PLACES.get(content[8]) if content.startswith(_SIGNATURE) else None
    if place is None or len(content) < place + 8:
        raise ReadError(f"{path} does not begin as an HDF5 file; nothing can be saved from it")
    whole = int.from_bytes(content[place : place + 8], "little")
    if not len(content) < whole < 2**40:
        raise ReadError(f"{path} is damaged at its beginning; nothing can be saved from it")
    try:
        return h5py.File(io.BytesIO(content.ljust(whole, b"\0")), "r")
    except OSError as error:
        raise ReadError(f"{path}: {error}; nothing can be saved from it") from error


class _Reader:
    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._lost: list[str] = []

    def runs(self, file: h5py.File) -> list[Salvage]:
        """Every run of a file; a sweep only where it is all that the file has."""
        found: list[Salvage] = []
        why: ReadError | None = None
        for entry in self._entries(file):
            try:
                found.append(self._entry(entry))
            except ReadError as error:
                why = error
        whole = [one for one in found if one.sweep is None] or found
        if not whole:
            message = f"{self._path} holds no run of this project that can be found"
            raise why or ReadError(message)
        return whole

    def _entry(self, entry: h5py.Group) -> Salvage:
        before, self._lost = self._lost, []
        run = self._run(self._group(entry, "bluesky"))
        named = self._names(entry)
        group = self._group(entry, EARLIER) if EARLIER in named else None
        earlier = tuple(
            self._run(self._group(group, f"run_{count + 1}"))
            for count in range(len(self._names(group)))
        )
        lost, self._lost = (*before, *self._lost), before
        number = None
        if "sweep" in self._names(self._group(entry, "bluesky")):
            number = int(self._text(self._group(entry, "bluesky"), "sweep") or 1)
        definition = self._text(entry, "definition") if "definition" in named else ""
        return Salvage(
            run,
            tuple(dict.fromkeys(lost)),
            earlier,
            number,
            definition if definition in DEFINITIONS else "NXxas",
            self._mapping(entry),
        )

    def _mapping(self, entry: h5py.Group) -> Mapping[str, Any] | None:
        """The roles that the writer was given; of most files there are none."""
        place: h5py.Group | None = entry
        for part in ("process", "parameters"):
            place = self._group(place, part) if part in self._names(place) else None
        found = _decoded(self._text(place, "roles")) if "roles" in self._names(place) else None
        return found if isinstance(found, dict) else None

    def _run(self, collection: h5py.Group | None) -> Run:
        documents = self._group(collection, "documents")
        start, stop = self._document(documents, "start"), self._document(documents, "stop")
        descriptors = tuple(self._documents(documents, "descriptors"))
        streams = {}
        for name in self._names(self._group(collection, "streams")):
            stream = self._stream(self._group(collection, f"streams/{name}"), name, descriptors)
            if stream is not None:
                streams[stream.name] = stream
        if start is None and not streams:
            raise ReadError(f"{self._path} holds neither its start document nor an event")
        known = {str(descriptor.get("name")) for descriptor in descriptors}
        made = tuple(_descriptor(s) for s in streams.values() if s.name not in known)
        uid = self._text(collection, "uid") or self._path.name
        return Run(
            start=start or {"uid": uid, "time": 0.0},
            stop=stop,
            descriptors=(*descriptors, *made),
            streams={name: _numbered(s, (*descriptors, *made)) for name, s in streams.items()},
            external=tuple((i[0], i[1]) for i in self._documents(documents, "external")),
        )

    def _entries(self, file: h5py.File) -> Iterator[h5py.Group]:
        for name in self._names(file):
            entry = self._group(file, name)
            if entry is not None and self._group(entry, "bluesky") is not None:
                yield entry

    def _names(self, group: h5py.Group | None) -> list[str]:
        try:
            return [] if group is None else list(group)
        except Exception:
            self._lost.append(str(group.name) if group else "/")
            return []

    def _group(self, parent: h5py.Group | None, path: str) -> h5py.Group | None:
        try:
            found = None if parent is None else parent.get(path)
        except Exception:  # h5py raises all kinds on damaged files
            found = None
        if isinstance(found, h5py.Group):
            return found
        if parent is not None:
            self._lost.append(f"{str(parent.name).rstrip('/')}/{path}")
        return None

    def _values(self, parent: h5py.Group | None, name: str) -> np.ndarray | None:
        """The rows of a dataset that are there and can be read."""
        where = f"{'' if parent is None else parent.name}/{name}"
        try:
            dataset: Any = None if parent is None else parent[name]
            rows = self._rows_present(dataset)
            is_text = h5py.check_string_dtype(dataset.dtype) is not None
            source = dataset.asstr() if is_text else dataset
            values = source[()] if dataset.ndim == 0 else _readable(source, rows)
            whole = dataset.ndim == 0 or len(values) == len(dataset)
        except Exception:
            self._lost.append(where)
            return None
        if not whole:
            self._lost.append(where)
        return np.asarray(values, dtype=TEXT if is_text else None)

    def _rows_present(self, dataset: Any) -> int:
        """Rows before the first one that the file does not reach to."""
        if dataset.ndim == 0 or dataset.size == 0:
            return len(dataset) if dataset.ndim else 1
        if dataset.chunks is None:
            offset = dataset.id.get_offset()
            if offset is None:
                return len(dataset)  # within the header, which was read
            row = dataset.size // len(dataset) * dataset.dtype.itemsize
            return int(np.clip((self._size - offset) // row, 0, len(dataset)))
        rows = len(dataset)
        for number in range(dataset.id.get_num_chunks()):
            chunk = dataset.id.get_chunk_info(number)
            if chunk.byte_offset + chunk.size > self._size:
                rows = min(rows, chunk.chunk_offset[0])
        return rows

    def _text(self, parent: h5py.Group | None, name: str) -> str:
        values = self._values(parent, name)
        return "" if values is None else str(values.item())

    def _document(self, parent: h5py.Group | None, name: str) -> dict[str, Any] | None:
        if parent is None or name not in self._names(parent):
            return None
        found = _decoded(self._text(parent, name))
        if not isinstance(found, dict) or "uid" not in found:
            self._lost.append(f"{parent.name}/{name}")
            return None
        return found

    def _documents(self, parent: h5py.Group | None, name: str) -> Iterator[Any]:
        values = self._values(parent, name)
        for text in () if values is None else values.ravel():
            found = _decoded(str(text))
            if isinstance(found, (dict, list)) and found:
                yield found
            elif parent is not None:
                self._lost.append(f"{parent.name}/{name}")

    def _stream(
        self, node: h5py.Group | None, name: str, descriptors: tuple[Mapping[str, Any], ...]
    ) -> Stream | None:
        data = self._group(node, "data")
        columns: dict[str, np.ndarray] = {}
        stamps: dict[str, np.ndarray] = {}
        json_columns = set()
        for part in self._names(data):
            values = self._values(data, part)
            if values is None or values.ndim == 0 or not len(values):
                self._lost.append(f"{data.name if data else name}/{part}")
                continue
            times = self._group(node, "timestamps")
            attrs = {**self._attributes(times, part), **self._attributes(data, part)}
            key = str(_decoded(attrs.get("data_key", "")) or part)
            columns[key] = values
            if "encoding" in attrs:
                json_columns.add(key)
            found = self._values(times, part)
            stamps[key] = np.empty(0) if found is None else found
        rows = min(map(len, columns.values()), default=0)
        if not rows:
            return None
        own = {
            label: self._values(node, label) for label in ("seq_num", "time", "uid", "descriptor")
        }
        title = str(_decoded(self._stream_name(node)) or name)
        keys: dict[str, Any] = {key: {"source": "salvaged"} for key in columns}
        for descriptor in descriptors:
            if descriptor.get("name") == title:
                keys |= described(descriptor)
        return Stream(
            name=title,
            data_keys=keys,
            columns={key: values[:rows] for key, values in columns.items()},
            timestamps={key: _filled(stamps[key], rows, np.nan) for key in columns},
            json_columns=frozenset(json_columns),
            seq_num=_filled(own["seq_num"], rows, None).astype(np.int64),
            time=_filled(own["time"], rows, np.nan),
            uids=np.array([f"{title}-{n}" for n in range(1, rows + 1)], dtype=TEXT)
            if own["uid"] is None or len(own["uid"]) < rows
            else own["uid"][:rows],
            descriptor=_filled(own["descriptor"], rows, -1).astype(np.int64),
        )

    def _attributes(self, parent: h5py.Group | None, name: str) -> dict[str, Any]:
        try:
            return {} if parent is None else dict(parent[name].attrs)
        except Exception:
            return {}

    def _stream_name(self, node: h5py.Group | None) -> str:
        try:
            return "" if node is None else str(node.attrs["stream"])
        except Exception:
            return ""


def _readable(source: Any, rows: int) -> np.ndarray:
    """The first rows of a dataset, as many as can be read."""
    try:
        return source[:rows]
    except Exception:
        good = 0
        step = max(1, rows // 2)
        while step:
            try:
                source[good : good + step]
                good += step
            except Exception:
                step //= 2
            if good >= rows:
                break
        return source[:good]


def _decoded(text: Any) -> Any:
    try:
        return loads(str(text))
    except ValueError:
        return None


def _filled(values: np.ndarray | None, rows: int, fill: float | None) -> np.ndarray:
    """A column of that many rows; where rows are missing the fill, or else their numbers."""
    known = np.empty(0) if values is None else values[:rows]
    missing = np.arange(len(known) + 1, rows + 1) if fill is None else np.full(
        rows - len(known), fill
    )  # fmt: skip
    return np.concatenate([known, missing]) if len(missing) else known


def _descriptor(stream: Stream) -> dict[str, Any]:
    """In place of one that was lost."""
    keys = {
        key: {"source": "salvaged", "dtype": "number", "shape": list(values.shape[1:])}
        for key, values in stream.columns.items()
    }
    return {"uid": f"salvaged-{stream.name}", "name": stream.name, "time": 0.0, "data_keys": keys}


def _numbered(stream: Stream, descriptors: tuple[Mapping[str, Any], ...]) -> Stream:
    """The stream with every event at a descriptor that is there and is its own."""
    own = [n for n, d in enumerate(descriptors) if d.get("name") == stream.name]
    numbers = np.where(np.isin(stream.descriptor, own), stream.descriptor, own[0])
    return Stream(**{**vars(stream), "descriptor": numbers})
