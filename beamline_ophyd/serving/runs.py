"""One run put into Tiled, document by document, or whole out of its journal."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from bluesky_tiled_plugins.writing.tiled_writer import RunNormalizer, _RunWriter
from event_model import DocumentNames
from tiled.client.utils import ClientError

from beamline_ophyd.formats.documents import RunIndex, document_key
from beamline_ophyd.formats.journal import iter_journal
from beamline_ophyd.formats.measurement import read_metadata
from beamline_ophyd.metadata import CONTRACT_KEY

from .connection import Connection
from .contents import RUNS
from .files import link_file

if TYPE_CHECKING:
    from tiled.client.container import Container

__all__ = [
    "ReplayError",
    "RunUpload",
    "delete_run",
    "is_complete",
    "replay",
    "upload_journal",
]

# Rows in one request when a whole journal is sent.
REPLAY_BATCH = 10_000

XAFS_SPEC = "XAFSRun"
MEASURED_KEY = "measured"
"""Where the metadata of a run say what it is searched by, see :func:`measured_words`."""

logger = logging.getLogger(__name__)


class ReplayError(RuntimeError):
    """A journal cannot be put into Tiled."""


class RunUpload:
    """Puts the documents of one run into Tiled, with its points in batches.

    TiledWriter writes a batch when it is full, or else at the stop document. This is TiledWriter
    for one run, to which :meth:`flush` adds batches by age.

    Parameters
    ----------
    runs : tiled.client.container.Container
        The container of runs.
    batch_size : int
        Points after which a batch is written without being asked.
    """

    def __init__(self, runs: "Container", *, batch_size: int) -> None:
        self._columns = columns = _Columns()
        # TiledWriter's own parts: it makes one of each for a run and keeps both to itself.
        container: Any = _Runs(runs.include_data_sources())
        self._writer = _RunWriter(container, batch_size=batch_size)
        self._normalizer = Normalizer(
            patches={
                "start": _add_spec,
                "descriptor": self._descriptor,
                "event": columns.settle,
            }
        )
        self._normalizer.subscribe(self._writer)

    def put(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take one document; start, descriptor and stop are written at once."""
        self._normalizer(name, dict(doc))

    def _descriptor(self, descriptor: dict[str, Any]) -> dict[str, Any]:
        keys = descriptor["data_keys"].values()
        if any(len(spec.get("shape") or ()) > 1 and "external" not in spec for spec in keys):
            # TiledWriter keeps small arrays in the table, where two dimensions turn into text.
            self._writer._max_array_size = 0
        return self._columns.learn(descriptor)

    def flush(self) -> bool:
        """Write what is waiting in batches; whether there was any."""
        writer = self._writer
        wrote = False
        for stream, rows in writer._internal_data_cache.items():
            if rows:
                writer._write_internal_data(rows, desc_node=writer._desc_nodes[stream])
                rows.clear()
                wrote = True
        while writer._external_data_cache:
            _, datum = writer._external_data_cache.popitem()
            writer._write_external_data(datum)
            wrote = True
        return wrote

    @property
    def waiting(self) -> bool:
        """Whether points wait to be written."""
        writer = self._writer
        return bool(any(writer._internal_data_cache.values()) or writer._external_data_cache)

    def set_batch_size(self, batch_size: int) -> None:
        """Change the number of points in a batch from now on."""
        self._writer._batch_size = batch_size


class _Event(dict[str, Any]):
    """An event whose deep copy goes as deep as the normalizer needs, in a tenth of the time.

    It renames and replaces readings, and changes none of them in place.
    """

    def __deepcopy__(self, memo: Any) -> dict[str, Any]:
        return {
            key: dict(value) if isinstance(value, Mapping) else value for key, value in self.items()
        }


class Normalizer(RunNormalizer):
    """Holds the first event of each stream to its schema, and copies events less deep.

    To check or to copy one takes longer than all the rest that is done to it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._checked: set[str] = set()

    def event(self, doc: Any) -> None:
        """Take an event; what it was given stays as it is."""
        event: Any = _Event(doc)
        super().event(event)

    def emit(self, name: Any, doc: Any) -> None:
        """Pass a document on; raises for one that does not follow its schema."""
        emit_checked: Any = super().emit
        if name != DocumentNames.event:
            emit_checked(name, doc)
        elif doc["descriptor"] in self._checked:
            self.dispatcher.process(name, doc)
        else:
            emit_checked(name, doc)
            self._checked.add(doc["descriptor"])


class _Runs:
    """The container of runs, in which every new run says by plain words what it measured.

    Start documents say it in several ways, and a search compares one word with one value.
    """

    def __init__(self, runs: "Container") -> None:
        self._runs = runs

    def create_container(self, key: str, metadata: dict[str, Any], **options: Any) -> Any:
        measured = measured_words(metadata["start"])
        return self._runs.create_container(
            key, metadata={**metadata, MEASURED_KEY: measured}, **options
        )


def measured_words(start: Mapping[str, Any]) -> dict[str, str]:
    """Return what a run is searched by: element, edge, sample, mode and plan, if it says them."""
    about, _ = read_metadata(start)
    words = {
        "element": about.element,
        "edge": about.edge,
        "sample": about.sample_name,
        "mode": None if about.xafs is None else about.xafs.mode,
        "plan": start.get("plan_name"),
    }
    return {name: str(word) for name, word in words.items() if word}


def replay(journal: str | Path, client: Connection, *, force: bool = False) -> list[str]:
    """Put the run, or runs, of a journal into Tiled.

    Doing so again changes nothing: a run that Tiled holds complete is left as it is, one that it
    holds in part is replaced.

    Parameters
    ----------
    journal : path
        A file written by :class:`~beamline_ophyd.callbacks.Journal`.
    client : Connection
        Made with the writer's key: ``connect(write=True)``.
    force : bool
        Replace also what is complete.

    Returns
    -------
    list of str
        The uids of the runs that are now in Tiled.

    Raises
    ------
    ReplayError
        When there is no run in the file.
    """
    uids = [
        str(item[1]["uid"])
        for _, item in iter_journal(journal)
        if item is not None and item[0] == "start"
    ]
    if not uids:
        raise ReplayError(
            f"{journal} holds no start document; expected a journal, one document a line, "
            f"as Journal writes it"
        )
    missing = [uid for uid in uids if force or not is_complete(client.root, uid)]
    for uid in missing:
        delete_run(client.root, uid)
    if missing:
        upload_journal(journal, client.runs, only=frozenset(missing))
    for uid in missing:
        link_file(client.root, uid)
    return uids


def upload_journal(
    journal: str | Path,
    runs: "Container",
    *,
    only: frozenset[str] | None = None,
    seen: set[str] | None = None,
) -> dict[str, RunUpload]:
    """Send what a journal holds now; its runs must not exist in Tiled.

    Parameters
    ----------
    journal : path
        May end in the middle of a line, or of a run.
    runs : tiled.client.container.Container
        The container of runs.
    only : frozenset of str, optional
        Uids of the runs to send; by default all.
    seen : set of str, optional
        Filled with the keys (:func:`document_key`) of the documents that were sent.

    Returns
    -------
    dict
        Uploads of the runs that have no stop document yet, by uid, flushed, ready for more.
    """
    index = RunIndex()
    uploads: dict[str, RunUpload] = {}
    for number, item in iter_journal(journal):
        if item is None:
            logger.warning("%s: line %d cannot be read and is left out", journal, number)
            continue
        name, doc = item
        uid = index.run_of(name, doc)
        if uid is None or (only is not None and uid not in only):
            continue
        if name == "start":
            uploads[uid] = RunUpload(runs, batch_size=REPLAY_BATCH)
        if uid in uploads:
            uploads[uid].put(name, doc)
            if seen is not None:
                seen.add(document_key(doc))
        if name == "stop":
            uploads.pop(uid, None)
            index.forget(uid)
    for upload in uploads.values():
        upload.flush()
    return uploads


def is_complete(root: "Container", uid: str) -> bool:
    """Whether Tiled holds a run with its stop document, which is written last."""
    try:
        node: Any = root[RUNS.key, uid]
    except KeyError:
        return False
    return bool(node.metadata.get("stop"))


def delete_run(root: "Container", uid: str) -> None:
    """Take a run out of Tiled, if it is there; files that it refers to stay on disk."""
    runs: Any = root[RUNS.key]
    try:
        runs.delete_contents([uid], recursive=True, external_only=False)
    except ClientError as error:
        if error.response.status_code != 404:
            raise


def _add_spec(start: dict[str, Any]) -> dict[str, Any]:
    """Let clients that know XAFS runs open this one as such; it stays a Bluesky run for others."""
    if CONTRACT_KEY in start:
        specs = list(start.get("tiled_specs") or [])
        if not any((s if isinstance(s, str) else s.get("name")) == XAFS_SPEC for s in specs):
            start["tiled_specs"] = [{"name": XAFS_SPEC, "version": "1.0"}, *specs]
    return start


class _Columns:
    """Settles the type of each column by its descriptor.

    Tiled makes a table's columns from the first batch. Left alone, a motor that starts at 0 and
    goes on to 0.5 would get a column of integers, and the second batch would be refused.
    """

    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, str]] = {}

    def learn(self, descriptor: dict[str, Any]) -> dict[str, Any]:
        self._kinds[descriptor["uid"]] = {
            key: _kind(spec) for key, spec in descriptor["data_keys"].items()
        }
        return descriptor

    def settle(self, event: dict[str, Any]) -> dict[str, Any]:
        kinds = self._kinds.get(event["descriptor"], {})
        data = event["data"]
        for key, value in data.items():
            data[key] = _settled(kinds.get(key, ""), value)
        return event


def _kind(spec: Mapping[str, Any]) -> str:
    """Return number, integer, string, boolean, array or array of numbers; empty for external."""
    if "external" in spec:
        return ""
    dtype = str(spec.get("dtype", ""))
    numpy_kind = _numpy_kind(spec.get("dtype_numpy"))
    if dtype == "array":
        return "array of numbers" if numpy_kind in ("", "f") else "array"
    if dtype == "number" and numpy_kind in ("i", "u"):
        return "integer"
    return dtype


def _numpy_kind(dtype: Any) -> str:
    try:
        return np.dtype(dtype).kind if isinstance(dtype, str) else ""
    except TypeError:
        return ""


def _settled(kind: str, value: Any) -> Any:
    if kind in ("number", "integer") and value is None:
        return float("nan")
    if kind == "number" and isinstance(value, bool | int | np.number | np.bool_):
        return float(value)
    if kind == "string" and value is not None:
        return str(value)
    if kind.startswith("array"):
        return _plain_list(value, numbers=kind == "array of numbers")
    return value.item() if isinstance(value, np.generic) else value


def _plain_list(value: Any, *, numbers: bool) -> Any:
    array = np.asarray(value)
    if array.dtype.kind == "O":
        return value
    if numbers and array.dtype.kind in "iub":
        array = array.astype(float)
    return array.tolist()
