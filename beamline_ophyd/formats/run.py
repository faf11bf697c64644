"""One run, from documents to columns and back."""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .documents import as_mapping
from .journal import JournalContents
from .stream import Stream, StreamBuilder

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
class Run:
    """Everything known of one run: its documents, with the events as columns."""

    start: Mapping[str, Any]
    stop: Mapping[str, Any] | None
    descriptors: tuple[Mapping[str, Any], ...]
    streams: Mapping[str, Stream]
    external: tuple[Document, ...] = ()

    def __repr__(self) -> str:
        events = ", ".join(f"{len(s.time)} events of {name}" for name, s in self.streams.items())
        status = "no end" if self.stop is None else self.stop.get("exit_status")
        return f"<run {self.uid}: {self.start.get('plan_name')}, {events or 'no events'}, {status}>"

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
                yield "event", stream.event(int(row), keys, str(descriptor["uid"]))
        for name, doc in late:
            yield name, dict(doc)
        if self.stop is not None:
            yield "stop", dict(self.stop)


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
        self._streams: dict[str, StreamBuilder] = {}
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
        return len(self._streams[stream]) if stream in self._streams else 0

    def events(self) -> int:
        """Number of events of all streams so far."""
        return sum(map(self.points, self._streams))

    def _add_descriptor(self, doc: Mapping[str, Any]) -> None:
        name = str(doc.get("name", "primary"))
        self._number[str(doc["uid"])] = len(self._descriptors)
        self._descriptors.append({**doc, "name": name})
        stream = self._streams.setdefault(name, StreamBuilder(name))
        stream.data_keys.update(described(doc))

    def _add_event(self, event: Mapping[str, Any]) -> None:
        number, stream = self._home(event)
        stream.add_event(event, number)

    def _add_page(self, page: Mapping[str, Any]) -> None:
        number, stream = self._home(page)
        stream.add_page(page, number)

    def _home(self, doc: Mapping[str, Any]) -> tuple[int, StreamBuilder]:
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
    keys = as_mapping(descriptor.get("data_keys"))
    return {str(key): as_mapping(about) for key, about in keys.items()}


def configuration_of(
    descriptor: Mapping[str, Any],
) -> dict[str, tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Configuration in a descriptor: device to (values, their data keys)."""
    found = {}
    for device, config in as_mapping(descriptor.get("configuration")).items():
        about = as_mapping(config)
        found[device] = (as_mapping(about.get("data")), as_mapping(about.get("data_keys")))
    return found
