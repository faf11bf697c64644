"""Parts of a NeXus entry that every run has: times, users, sample, raw documents."""

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from typing import Any

import numpy as np

from .columns import clean
from .journal import dumps
from .names import safe_nexus_name
from .run import Run, Stream
from .tree import Field, Group, Link
from .units import units_told

__all__ = [
    "DISTRIBUTION",
    "EARLIER",
    "ENTRY",
    "LAYOUT_ATTRIBUTE",
    "LAYOUT_VERSION",
    "bluesky_collection",
    "fields_of",
    "header",
    "iso_time",
    "number",
    "program_version",
    "sample",
    "shown_column",
    "text",
    "texts",
    "unique_names",
    "users",
]

DISTRIBUTION = "beamline-ophyd"

ENTRY = "entry"
"""Name of the entry in a tree of one run."""

LAYOUT_ATTRIBUTE = "beamline_ophyd_layout"
LAYOUT_VERSION = 1
"""Version of the arrangement of groups and fields; readers of older ones stay."""

EARLIER = "earlier_runs"
"""Group of the runs that an entry's run continues."""

JSON = {"encoding": "json"}


@cache
def program_version() -> str:
    """Version of the installed distribution."""
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "unknown"


def iso_time(seconds: Any) -> str | None:
    """Seconds since 1970 as ISO 8601 with the offset of the place; None if it is no time."""
    if not isinstance(seconds, (int, float)) or not math.isfinite(seconds):
        return None
    try:
        return dt.datetime.fromtimestamp(seconds).astimezone().isoformat()
    except (OverflowError, ValueError, OSError):
        return None


def text(value: Any) -> Field:
    """A text field; characters that HDF5 cannot hold are replaced."""
    return Field(clean(str(value)))


def number(value: Any, units: str, **options: Any) -> Field:
    """A number or array of them with its units; dimensionless is the empty unit."""
    return Field(value, {"units": clean(str(units))}, **options)


def shown_column(stream: Stream, key: str, place: str) -> Field | Link:
    """A link to the place of a column among the events, or what it is in one unit."""
    if key in stream.converted:
        return number(stream.columns[key], stream.units(key) or "", grows=True)
    return Link(place)


def unique_names(keys: Iterable[str]) -> dict[str, str]:
    """Key to NeXus name, each name once."""
    names: dict[str, str] = {}
    for key in keys:
        name = base = safe_nexus_name(key)
        count = 1
        while name in names.values():
            count += 1
            name = f"{base}_{count}"
        names[key] = name
    return names


def fields_of(values: Mapping[str, Any], keys: Mapping[str, Any] | None = None) -> dict[str, Field]:
    """Any mapping as fields: numbers and texts as they are, anything else as JSON.

    Parameters
    ----------
    keys : mapping, optional
        Descriptions of the values with their ``units``.
    """
    fields = {}
    for key, name in unique_names(values).items():
        value = values[key]
        about = (keys or {}).get(key) or {}
        array = _as_array(value)
        if isinstance(value, str):
            fields[name] = text(value)
        elif array.dtype.kind in "biuf" and array.size:
            fields[name] = number(value if array.ndim == 0 else array, about.get("units") or "")
        elif value is not None:
            fields[name] = Field(dumps(value), JSON)
    return fields


def _as_array(value: Any) -> np.ndarray:
    """What numpy makes of a value; an empty array where it makes nothing of it."""
    if value is None or isinstance(value, Mapping):
        return np.empty(0)
    try:
        return np.asarray(value)
    except (TypeError, ValueError, OverflowError):  # ragged, or numbers beyond its types
        return np.empty(0)


def _given(value: Any) -> bool:
    """Whether somebody said something: arrays have no truth value of their own."""
    return value is not None and not (hasattr(value, "__len__") and len(value) == 0)


def _word(value: Any, otherwise: str) -> Field:
    return text(value if _given(value) else otherwise)


def header(run: Run, title: str) -> dict[str, Field | Group]:
    """Title, times, identifiers and program of an entry."""
    start, stop = run.start, run.stop or {}
    items: dict[str, Field | Group] = {"title": _word(start.get("title"), title)}
    if began := iso_time(start.get("time")):
        items["start_time"] = text(began)
    if ended := iso_time(stop.get("time")):
        items["end_time"] = text(ended)
        # Where the clock was set back meanwhile, nobody knows how long it took.
        if began and (duration := round(stop["time"] - start["time"])) >= 0:
            items["duration"] = number(duration, "s")
    items["entry_identifier_uuid"] = text(run.uid)
    if start.get("scan_id") is not None:
        items["entry_identifier"] = text(start["scan_id"])
    for key in ("proposal", "proposal_id"):
        if isinstance(start.get(key), (str, int)):
            items["experiment_identifier"] = text(start[key])
    versions = start.get("versions")
    version = versions.get("bluesky") if isinstance(versions, Mapping) else None
    items["program_name"] = Field("bluesky", {"version": str(version)} if version else {})
    return items


def users(start: Mapping[str, Any]) -> dict[str, Group]:
    """NXuser groups of whoever the start document names."""
    names = ("users", "user", "operator", "user_name")
    given = next((start[name] for name in names if _given(start.get(name))), ())
    people = given if isinstance(given, (list, tuple, np.ndarray)) else [given]
    groups = {}
    for count, person in enumerate(people, start=1):
        about = person if isinstance(person, Mapping) else {"name": str(person)}
        name = "user" if count == 1 else f"user_{count}"
        groups[name] = Group("NXuser", fields_of(about))
    return groups


def sample(about: Mapping[str, Any], start: Mapping[str, Any]) -> Group:
    """NXsample from the items of the Sample family, and its place in a queue of samples."""
    items: dict[str, Field | Group] = {"name": _word(about.get("name"), "unknown")}
    for key, name in (("formula", "chemical_formula"), ("prep", "description")):
        if isinstance(about.get(key), str):
            items[name] = text(about[key])
    if isinstance(about.get("temperature"), (int, float)):
        items["temperature"] = number(np.array([float(about["temperature"])]), "K")
    queue = start.get("queue")
    queued = queue.get("place") if isinstance(queue, Mapping) else None
    place = about.get("place", queued)
    if _given(place):
        about_place = place if isinstance(place, Mapping) else {"name": place}
        items["place"] = Group("NXcollection", fields_of(about_place))
    return Group("NXsample", items)


def _outcome(run: Run, unfinished: tuple[str, str], sweep: int | None) -> dict[str, Field]:
    """How a run ended, and how much of what was planned it took."""
    status, reason = unfinished
    if run.stop is not None:
        status, reason = run.stop.get("exit_status"), run.stop.get("reason")
    stream = run.streams.get("primary")
    items = {
        "exit_status": _word(status, "unknown"),
        "exit_reason": _word(reason, ""),
        "points_taken": number(0 if stream is None else len(stream), ""),
    }
    planned = run.start.get("num_points")
    if sweep is not None:
        items["sweep"] = number(sweep, "")
    elif isinstance(planned, int):
        items["points_planned"] = number(planned, "")
    return items


def bluesky_collection(run: Run, unfinished: tuple[str, str], sweep: int | None = None) -> Group:
    """All that Bluesky said of a run: how it ended, raw documents, and every event.

    Parameters
    ----------
    unfinished : tuple of str
        Exit status and reason while there is no stop document.
    sweep : int, optional
        Number of the sweep, from 1, of which the run has the events only.
    """
    start, stop = run.start, run.stop
    items: dict[str, Any] = {
        "uid": text(run.uid),
        "plan_name": _word(start.get("plan_name"), "unknown"),
        **_outcome(run, unfinished, sweep),
        "documents": Group(
            "NXcollection",
            {
                "start": Field(dumps(start), JSON),
                "descriptors": Field(
                    texts([dumps(d) for d in run.descriptors]), JSON, grows=True, append_only=True
                ),
                "external": Field(
                    texts([dumps(list(d)) for d in run.external]), JSON, grows=True,
                    append_only=True,
                ),
                **({} if stop is None else {"stop": Field(dumps(stop), JSON)}),
            },
        ),
    }  # fmt: skip
    names = unique_names(run.streams)
    streams = {names[name]: _stream(run, stream) for name, stream in run.streams.items()}
    return Group("NXcollection", {**items, "streams": Group("NXcollection", streams)})


def _stream(run: Run, stream: Stream) -> Group:
    def events(value: np.ndarray, attrs: Mapping[str, Any] | None = None) -> Field:
        return Field(value, attrs or {}, grows=True, append_only=True)

    names = unique_names(stream.columns)
    data, stamps, told = {}, {}, units_told(run, stream.name)
    for key, values in stream.columns.items():
        attrs: dict[str, Any] = {}
        if key in stream.json_columns:
            attrs |= JSON
        elif values.dtype.kind in "biuf":
            # Where the unit changes, all of them: `descriptor` tells which is whose.
            attrs["units"] = clean(", ".join(told.get(key, [])))
        data[names[key]] = events(values, attrs)
        # Here, for validators refuse attributes that they do not know where readings are
        # linked to from the instrument.
        about = {"units": "s", "data_key": dumps(key)}
        stamps[names[key]] = events(stream.timestamps[key], about)
    return Group(
        "NXcollection",
        {
            "seq_num": events(stream.seq_num, {"units": ""}),
            "time": events(stream.time, {"units": "s"}),
            "uid": events(stream.uids),
            "descriptor": events(stream.descriptor, {"units": ""}),
            "data": Group("NXcollection", data),
            "timestamps": Group("NXcollection", stamps),
        },
        {"stream": dumps(stream.name)},
    )


def texts(items: list[str]) -> np.ndarray:
    """Texts as an array that h5py takes."""
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array
