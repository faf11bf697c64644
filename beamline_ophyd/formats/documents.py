"""What every reader of documents needs: which run one belongs to, and its rows."""

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["DATA_DOCUMENTS", "RunIndex", "as_mapping", "document_key", "rows_in", "without"]

DATA_DOCUMENTS = frozenset({"event", "event_page", "bulk_events", "datum", "datum_page"})
"""Documents that come once a point, in number without bound; the others frame a run."""


def rows_in(name: str, doc: Mapping[str, Any]) -> int:
    """Number of points (or datums) that one document carries, at least 1."""
    if name == "event_page":
        return max(1, len(doc.get("seq_num", ())))
    if name == "datum_page":
        return max(1, len(doc.get("datum_id", ())))
    if name == "bulk_events":
        return max(1, sum(len(events) for events in doc.values()))
    return 1


def as_mapping(value: Any) -> Mapping[str, Any]:
    """What a document says somewhere, if that is a mapping; else an empty one."""
    return value if type(value) is dict or isinstance(value, Mapping) else {}


def without(doc: Mapping[str, Any], words: Iterable[str]) -> dict[str, Any]:
    """A document without some of its words; a dot leads into a mapping.

    >>> without({"user": "Ann", "Sample": {"name": "X", "prep": "foil"}}, ["user", "Sample.name"])
    {'Sample': {'prep': 'foil'}}
    """
    rest = dict(doc)
    for word in words:
        if word in rest:
            del rest[word]
            continue
        head, _, tail = word.partition(".")
        if tail and isinstance(rest.get(head), Mapping):
            rest[head] = without(rest[head], [tail])
    return rest


def document_key(doc: Mapping[str, Any]) -> str:
    """Return what tells one document of a run from all others."""
    key = doc.get("uid", doc.get("datum_id"))
    if key is None:  # bulk_events
        return next((str(event["uid"]) for events in doc.values() for event in events), "")
    return str(key[0] if isinstance(key, list | tuple) and key else key)


class RunIndex:
    """Tells which run a document belongs to, for runs that interleave or nest.

    Descriptors, resources and stream resources are remembered from their own documents
    until :meth:`forget`.
    """

    def __init__(self) -> None:
        self._owner: dict[str, str] = {}
        self._names: dict[str, list[str]] = {}

    def run_of(self, name: str, doc: Mapping[str, Any]) -> str | None:
        """Uid of the document's run; None where no document before it tells."""
        if name == "start":
            return str(doc["uid"])
        if name == "stop":
            return _text(doc.get("run_start"))
        if name in ("descriptor", "resource", "stream_resource"):
            run = _text(doc.get("run_start")) or self._only_run()
            if run is not None:
                self._remember(str(doc["uid"]), run)
            return run
        if name == "bulk_events":
            return self._owner.get(next(iter(doc), ""))
        for key in ("descriptor", "resource", "stream_resource"):
            if key in doc:
                return self._owner.get(str(doc[key]))
        return None

    def forget(self, run: str) -> None:
        """Drop what is known of a run that has ended."""
        for uid in self._names.pop(run, ()):
            self._owner.pop(uid, None)

    def _remember(self, uid: str, run: str) -> None:
        self._owner[uid] = run
        self._names.setdefault(run, []).append(uid)

    def _only_run(self) -> str | None:
        """Resource documents of old streams name no run: it is clear only if one is open."""
        return next(iter(self._names)) if len(self._names) == 1 else None


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
