"""What was read beside the points of a scan: its baseline, and signals that were monitored."""

import math
from typing import Any

from .nexus_parts import iso_time, number, text, unique_names
from .run import Run, Stream
from .tree import Field, Group

__all__ = ["logs", "ring_current"]

BASELINE = "baseline"
MONITORED = "_monitor"
"""Ending of the streams that bluesky's ``monitor`` makes, one a signal."""


def logs(run: Run) -> dict[str, Group]:
    """Groups ``baseline`` and ``monitors`` of an entry, of an NXlog for each number.

    Texts and arrays stand in the collection ``bluesky``, with all else.
    """
    found: dict[str, Group] = {}
    if (baseline := run.streams.get(BASELINE)) is not None:
        found["baseline"] = Group("NXcollection", _logs(run, [baseline]))
    monitored = [stream for name, stream in run.streams.items() if name.endswith(MONITORED)]
    if monitored:
        found["monitors"] = Group("NXcollection", _logs(run, monitored))
    return found


def ring_current(run: Run) -> tuple[float, str] | None:
    """Stored current at the beginning and its unit, by a baseline reading in mA or A."""
    stream = run.streams.get(BASELINE)
    if stream is None or not len(stream):
        return None
    for key in stream.scalars:
        unit, value = stream.units(key), float(stream.columns[key][0])
        if unit in ("mA", "A") and "current" in key.lower() and math.isfinite(value):
            return value, unit
    return None


def _logs(run: Run, streams: list[Stream]) -> dict[str, Group]:
    readings = {key: stream for stream in streams for key in stream.scalars}
    names = unique_names(readings)
    return {name: _log(run, readings[key], key) for key, name in names.items()}


def _log(run: Run, stream: Stream, key: str) -> Group:
    began: Any = run.start.get("time")
    start = iso_time(began)
    times, zero = stream.timestamps[key], began if start else 0.0
    items: dict[str, Field] = {
        "value": number(stream.columns[key], stream.units(key) or "", grows=True),
        "time": Field(
            times - zero, {"units": "s", **({"start": start} if start else {})}, grows=True
        ),
        "description": text(key),
    }
    return Group("NXlog", items)
