"""Runs made of arrays, for whoever has columns and no documents."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .run import Run, RunBuilder

__all__ = ["run_from_columns"]


def run_from_columns(
    start: Mapping[str, Any],
    columns: Mapping[str, Any],
    units: Mapping[str, str | None],
    *,
    source: str,
    configuration: Mapping[str, Any] | None = None,
    stop: Mapping[str, Any] | None = None,
) -> Run:
    """A finished run with the stream ``primary`` of the columns; first index the event.

    Parameters
    ----------
    start : mapping
        Start document, with ``uid`` and ``time``, which all events share.
    columns : mapping
        Data key to values, all of one length.
    units : mapping
        Data key to its unit.
    source : str
        Where the columns come from, for the data keys.
    configuration : mapping, optional
        Device to its configuration, as in a descriptor.
    stop : mapping, optional
        What the stop document says beside its uids.

    Raises
    ------
    ValueError
        When the columns are not of one length; names them.
    """
    lengths = {key: len(values) for key, values in columns.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{key} {length}" for key, length in lengths.items())
        raise ValueError(f"columns of different lengths ({said}); give one value of each a point")
    rows = next(iter(lengths.values()), 0)
    uid, began = str(start["uid"]), float(start["time"])
    keys = {
        key: {
            "source": source,
            "dtype": _dtype(values),
            "shape": list(np.shape(values)[1:]),
            "units": units.get(key) or "",
        }
        for key, values in columns.items()
    }
    builder = RunBuilder()
    builder.add("start", start)
    builder.add(
        "descriptor",
        {"uid": f"{uid}-primary", "run_start": uid, "name": "primary", "time": began,
         "data_keys": keys, "configuration": dict(configuration or {})},
    )  # fmt: skip
    page = {
        "descriptor": f"{uid}-primary",
        "seq_num": list(range(1, rows + 1)),
        "time": [began] * rows,
        "uid": [f"{uid}-{row + 1}" for row in range(rows)],
        "data": columns,
        "timestamps": {key: [began] * rows for key in columns},
    }
    builder.add("event_page", page)
    ended = {"time": began, "exit_status": "success", **(stop or {})}
    builder.add("stop", {"uid": f"{uid}-stop", "run_start": uid, **ended})
    return builder.snapshot()


def _dtype(values: Any) -> str:
    array = np.asarray(values)
    if array.ndim > 1:
        return "array"
    return {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}.get(
        array.dtype.kind, "string"
    )
