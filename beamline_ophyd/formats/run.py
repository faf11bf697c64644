"""One run, from documents to columns and back."""

import logging
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .columns import TEXT, Column
from .journal import JournalContents, loads

__all__ = [
    "EXTERNAL",
    "Document",
    "Run",
    "RunBuilder",
    "Stream",
    "builder_from",
    "configuration_of",
    "described",
]

logger = logging.getLogger(__name__)

Document = tuple[str, Mapping[str, Any]]

EXTERNAL = ("resource", "datum", "datum_page", "stream_resource", "stream_datum")
"""Documents that point to data outside of the documents, in their usual order."""


@dataclass(frozen=True)
class Stream:
    """The events of one stream as columns; row i of every column is event i.

    Attributes
    ----------
    name : str
    data_keys : mapping
        Data key to its description, of all descriptors of the stream.
    columns, timestamps : mapping
        Data key to values, and to their time stamps (s since 1970).
    json_columns : frozenset of str
        Columns whose values had no common type: each is JSON text.
    seq_num, time : ndarray
    uids : ndarray of str
    descriptor : ndarray of int
        Index into the run's descriptors, for each event.
    converted : frozenset of str
        Columns that are not as they were read, but in one unit throughout.
    """

    name: str
    data_keys: Mapping[str, Mapping[str, Any]]
    columns: Mapping[str, np.ndarray]
    timestamps: Mapping[str, np.ndarray]
    json_columns: frozenset[str]
    seq_num: np.ndarray
    time: np.ndarray
    uids: np.ndarray
    descriptor: np.ndarray
    converted: frozenset[str] = frozenset()

    def __len__(self) -> int:
        return len(self.seq_num)

    @property
    def scalars(self) -> list[str]:
        """Data keys whose readings are single numbers."""
        return [k for k, v in self.columns.items() if v.dtype.kind in "biuf" and v.ndim == 1]

    @property
    def arrays(self) -> list[str]:
        """Data keys whose readings are arrays of numbers."""
        return [k for k, v in self.columns.items() if v.dtype.kind in "biuf" and v.ndim > 1]

    def units(self, key: str) -> str | None:
        """Unit of a data key as its descriptor gives it; None where it does not."""
        given = (self.data_keys.get(key) or {}).get("units")
        return None if given is None else str(given) or None

    def value(self, key: str, row: int) -> Any:
        """One value as a plain Python object (or an array)."""
        item = self.columns[key][row]
        if key in self.json_columns:
            return loads(item)
        return item.item() if isinstance(item, np.generic) else item


@dataclass(frozen=True)
class Run:
    """Everything known of one run: its documents, with the events as columns."""

    start: Mapping[str, Any]
    stop: Mapping[str, Any] | None
    descriptors: tuple[Mapping[str, Any], ...]
    streams: Mapping[str, Stream]
    external: tuple[Document, ...] = ()

    @property
    def uid(self) -> str:
        """Uid of the start document."""
        return str(self.start["uid"])

    def dimensions(self, stream: str) -> list[list[str]]:
        """Data keys scanned in each dimension of a stream, by the hints, which may be anything."""
        hints = self.start.get("hints")
        given = hints.get("dimensions") if isinstance(hints, Mapping) else None
        fields: list[list[str]] = []
        for dimension in given if isinstance(given, (list, tuple)) else ():
            match dimension:
                case [[*keys], name] if name == stream:
                    fields.append([str(key) for key in keys])
        return fields

    def units(self, stream: str, key: str) -> list[str | None]:
        """Unit of a data key by each descriptor of the run, None by those of other streams."""
        found: list[str | None] = []
        for descriptor in self.descriptors:
            mine = descriptor.get("name") == stream
            given = described(descriptor).get(key, {}).get("units") if mine else None
            found.append(None if given is None else str(given) or None)
        return found

    def configuration(self, stream: str) -> dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """Configuration of a stream's devices: device to (values, their data keys)."""
        found = {}
        for descriptor in self.descriptors:
            if descriptor.get("name") == stream:
                found |= configuration_of(descriptor)
        return found

    def documents(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The documents again: start, external, descriptors each with events, stop."""
        yield "start", dict(self.start)
        late = [item for item in self.external if item[0] == "stream_datum"]
        for name, doc in self.external:
            if name != "stream_datum":
                yield name, dict(doc)
        for number, descriptor in enumerate(self.descriptors):
            yield "descriptor", dict(descriptor)
            stream = self.streams[str(descriptor.get("name"))]
            keys = [key for key in described(descriptor) if key in stream.columns]
            for row in np.flatnonzero(stream.descriptor == number):
                yield "event", _event(stream, int(row), keys, str(descriptor["uid"]))
        for name, doc in late:
            yield name, dict(doc)
        if self.stop is not None:
            yield "stop", dict(self.stop)


def _event(stream: Stream, row: int, keys: Sequence[str], descriptor: str) -> dict[str, Any]:
    filled = {key: False for key in keys if "external" in (stream.data_keys.get(key) or {})}
    return {
        "uid": str(stream.uids[row]),
        "descriptor": descriptor,
        "seq_num": int(stream.seq_num[row]),
        "time": float(stream.time[row]),
        "data": {key: stream.value(key, row) for key in keys},
        "timestamps": {key: float(stream.timestamps[key][row]) for key in keys},
        "filled": filled,
    }


@dataclass
class _StreamBuilder:
    name: str
    data_keys: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    columns: dict[str, Column] = field(default_factory=dict)
    timestamps: dict[str, Column] = field(default_factory=dict)
    seq_num: Column = field(default_factory=Column)
    time: Column = field(default_factory=Column)
    uids: Column = field(default_factory=Column)
    descriptor: Column = field(default_factory=Column)

    def add_row(self, event: Mapping[str, Any], descriptor: int) -> None:
        # All that can fail comes before the first column grows: they stay of one length.
        number, when = int(event["seq_num"]), _float(event.get("time"))
        data, stamps = dict(event.get("data") or {}), _mapping(event.get("timestamps"))
        before = len(self.seq_num)
        self.seq_num.append(number)
        self.time.append(when)
        self.uids.append(str(event.get("uid") or uuid.uuid4()))
        self.descriptor.append(descriptor)
        for key, value in data.items():
            self._append(self.columns, key, value, before)
            self._append(self.timestamps, key, _float(stamps.get(key)), before)
        self._level(before + 1)

    def add_rows(self, page: Mapping[str, Any], descriptor: int) -> None:
        numbers = [int(n) for n in page["seq_num"]]
        before, rows = len(self.seq_num), len(numbers)
        data, stamps = dict(page.get("data") or {}), _mapping(page.get("timestamps"))
        uids = page.get("uid")
        uids = [str(uuid.uuid4()) for _ in numbers] if uids is None else [str(u) for u in uids]
        for key, values in (("uid", uids), *data.items()):
            if len(values) != rows:
                raise ValueError(
                    f"an event page of {rows} sequence numbers with {len(values)} values of "
                    f"{key!r}; a page has one of each a row"
                )
        self.seq_num.extend(numbers)
        self.time.extend(_floats(page.get("time"), rows))
        self.uids.extend(uids)
        self.descriptor.extend([descriptor] * rows)
        for key, values in data.items():
            for columns, cells in (
                (self.columns, values),
                (self.timestamps, _floats(stamps.get(key), rows)),
            ):
                column = columns.setdefault(key, Column())
                column.pad(before)
                column.extend(cells)
        self._level(before + rows)

    @staticmethod
    def _append(columns: dict[str, Column], key: str, value: Any, before: int) -> None:
        column = columns.get(key)
        if column is None:
            column = columns[key] = Column()
        if len(column) < before:
            column.pad(before)
        column.append(value)

    def _level(self, rows: int) -> None:
        """Give every column a cell for every event, also those a document did not have."""
        for columns in (self.columns, self.timestamps):
            for column in columns.values():
                if len(column) < rows:
                    column.pad(rows)

    def snapshot(self) -> Stream:
        return Stream(
            name=self.name,
            data_keys=dict(self.data_keys),
            columns={key: column.array for key, column in self.columns.items()},
            timestamps={key: column.array for key, column in self.timestamps.items()},
            json_columns=frozenset(k for k, column in self.columns.items() if column.is_json),
            seq_num=_typed(self.seq_num.array, np.int64),
            time=self.time.array,
            uids=_typed(self.uids.array, TEXT),
            descriptor=_typed(self.descriptor.array, np.int64),
        )


class RunBuilder:
    """Takes the documents of one run as they come; :meth:`snapshot` is the run so far.

    All document forms are taken: events singly, as pages and in bulk, several descriptors
    of one stream, external data (kept as references), a missing stop.

    Raises
    ------
    ValueError
        From :meth:`add`, for a document that does not belong to the run.
    """

    def __init__(self) -> None:
        self.start: dict[str, Any] | None = None
        self.stop: dict[str, Any] | None = None
        self._descriptors: list[dict[str, Any]] = []
        self._number: dict[str, int] = {}
        self._streams: dict[str, _StreamBuilder] = {}
        self._external: list[Document] = []

    def add(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take one document."""
        if name == "start":
            if self.start is not None:
                raise ValueError(f"a second start document {doc.get('uid')!r} in one run")
            self.start = dict(doc)
        elif name == "stop":
            self.stop = dict(doc)
        elif name == "descriptor":
            self._add_descriptor(doc)
        elif name == "event":
            self._add_event(doc)
        elif name == "event_page":
            self._add_page(doc)
        elif name == "bulk_events":
            for events in doc.values():
                for event in events:
                    self._add_event(event)
        elif name in EXTERNAL:
            self._external.append((name, dict(doc)))
        else:
            raise ValueError(f"{name!r} is no document of a run")

    def snapshot(self) -> Run:
        """The run so far. Its arrays are not changed by later documents."""
        if self.start is None:
            raise ValueError("no start document: a run begins with one")
        return Run(
            start=self.start,
            stop=self.stop,
            descriptors=tuple(self._descriptors),
            streams={name: stream.snapshot() for name, stream in self._streams.items()},
            external=tuple(self._external),
        )

    def points(self, stream: str = "primary") -> int:
        """Number of events so far."""
        return len(self._streams[stream].seq_num) if stream in self._streams else 0

    def events(self) -> int:
        """Number of events of all streams so far."""
        return sum(map(self.points, self._streams))

    def _add_descriptor(self, doc: Mapping[str, Any]) -> None:
        name = str(doc.get("name", "primary"))
        self._number[str(doc["uid"])] = len(self._descriptors)
        self._descriptors.append({**doc, "name": name})
        stream = self._streams.setdefault(name, _StreamBuilder(name))
        stream.data_keys.update(described(doc))

    def _add_event(self, event: Mapping[str, Any]) -> None:
        number, stream = self._home(event)
        stream.add_row(event, number)

    def _add_page(self, page: Mapping[str, Any]) -> None:
        number, stream = self._home(page)
        stream.add_rows(page, number)

    def _home(self, doc: Mapping[str, Any]) -> tuple[int, _StreamBuilder]:
        uid = str(doc.get("descriptor"))
        if uid not in self._number:
            raise ValueError(f"an event of descriptor {uid!r}, which this run does not have")
        number = self._number[uid]
        return number, self._streams[self._descriptors[number]["name"]]


def builder_from(
    contents: JournalContents, report: Callable[[str], None] = logger.warning
) -> RunBuilder:
    """All of a journal in one builder.

    Parameters
    ----------
    report : callable
        Told of each document that cannot be taken, and is left out as the live file did.
    """
    builder = RunBuilder()
    for name, doc in contents.documents:
        try:
            builder.add(name, doc)
        except Exception as error:
            report(f"{name} document of the journal left out: {type(error).__name__}: {error}")
    return builder


def described(descriptor: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Data keys of a descriptor with what it says of each, which may be nothing."""
    keys = _mapping(descriptor.get("data_keys"))
    return {str(key): _mapping(about) for key, about in keys.items()}


def configuration_of(
    descriptor: Mapping[str, Any],
) -> dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Configuration in a descriptor: device to (values, their data keys)."""
    found = {}
    for device, config in _mapping(descriptor.get("configuration")).items():
        about = _mapping(config)
        found[device] = (_mapping(about.get("data")), _mapping(about.get("data_keys")))
    return found


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _float(value: Any) -> float:
    """As float; nan for what is none."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return float("nan")


def _floats(values: Any, rows: int) -> np.ndarray:
    """One float a row; nan for what is none, and for what was not given at all."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        array = np.array([_float(value) for value in values])
    return array if array.shape == (rows,) else np.full(rows, np.nan)


def _typed(array: np.ndarray, dtype: Any) -> np.ndarray:
    return array if len(array) else np.empty(0, dtype=dtype)
