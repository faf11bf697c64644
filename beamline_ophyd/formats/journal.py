"""The journal's lines: Bluesky documents as JSON, back to the last bit.

A journal holds one run, one document a line, in the order of their coming::

    {"name": "event", "doc": {"uid": "...", "data": {"I0": 812345.0}, ...}}

Numbers, strings, lists and mappings are plain JSON, and a Python float comes back
exactly. What JSON has no form for is an object with one key that begins with ``$``:

============================================  =========================================
``{"$float": "nan"}``                         nan, inf, -inf
``{"$array": {"dtype", "shape", "base64"}}``  numpy array, C order, numpy's dtype string
``{"$objects": {"shape", "items"}}``          numpy array of Python objects
``{"$complex": [re, im]}``                    complex number
``{"$datetime": "..."}``, ``$date``           ISO 8601
``{"$bytes": "..."}``                         bytes in base64
``{"$repr": "..."}``                          anything else; read back as this text
``{"$dict": [[key, value], ...]}``            a mapping that looks like one of these
============================================  =========================================

Numpy scalars and members of enumerations become the plain number or text they stand
for, tuples and sets become lists, and keys become text.
"""

import base64
import contextlib
import dataclasses
import datetime as dt
import enum
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np

__all__ = [
    "JournalContents",
    "decode_line",
    "dumps",
    "encode_line",
    "iter_journal",
    "loads",
    "read_journal",
    "unfinished_run",
]

LAST_BYTES = 2**16
"""More than a stop document takes."""


_AS_THEY_ARE = frozenset({str, int, bool, type(None)})

_plain_json = json.JSONEncoder(allow_nan=False, check_circular=False, separators=(",", ":")).encode


def dumps(value: Any) -> str:
    """JSON text of any value that occurs in documents; never fails for its content."""
    # Most documents are plain JSON already, and looking through their values takes
    # three times as long as writing them.
    with contextlib.suppress(TypeError, ValueError, RecursionError):
        text = _plain_json(value)
        if '{"$' not in text:
            return text
    return _plain_json(_encode(value))


def loads(text: str | bytes) -> Any:
    """Value that :func:`dumps` was given."""
    return json.loads(text, object_hook=_decode)


def encode_line(name: str, doc: Mapping[str, Any]) -> bytes:
    r"""One line of a journal, with its newline.

    >>> encode_line("stop", {"uid": "b", "exit_status": "success"})
    b'{"name":"stop","doc":{"uid":"b","exit_status":"success"}}\n'
    """
    return b'{"name":%s,"doc":%s}\n' % (_plain_json(name).encode(), dumps(doc).encode())


def decode_line(line: str | bytes) -> tuple[str, dict[str, Any]]:
    """Name and document of one line.

    Raises
    ------
    ValueError
        When the line is not a whole journal line.
    """
    content = loads(line)
    if not isinstance(content, dict) or not isinstance(content.get("doc"), dict):
        raise ValueError('not a journal line; expected {"name": ..., "doc": {...}}')
    return str(content.get("name")), content["doc"]


@dataclasses.dataclass(frozen=True)
class JournalContents:
    """What a journal holds.

    Attributes
    ----------
    documents : tuple of (name, document)
    complete : bool
        Whether every run that starts in it also stops, and no line is damaged.
    damaged : tuple of int
        Numbers of the lines, from 1, that could not be read. The last line of a
        journal whose process was killed may be cut short.
    """

    documents: tuple[tuple[str, dict[str, Any]], ...]
    complete: bool
    damaged: tuple[int, ...] = ()


def iter_journal(path: str | Path) -> Iterator[tuple[int, tuple[str, dict[str, Any]] | None]]:
    """Line numbers and documents of a journal; None stands for a damaged line."""
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield number, decode_line(line)
            except (ValueError, TypeError, KeyError):
                yield number, None


def read_journal(path: str | Path) -> JournalContents:
    """Read a journal, also one that was cut short.

    Raises
    ------
    OSError
        When there is no such file or it cannot be read.
    """
    documents, damaged, open_runs = [], [], set()
    for number, item in iter_journal(path):
        if item is None:
            damaged.append(number)
            continue
        documents.append(item)
        name, doc = item
        if name == "start":
            open_runs.add(doc.get("uid"))
        elif name == "stop":
            open_runs.discard(doc.get("run_start"))
    complete = bool(documents) and not open_runs and not damaged
    return JournalContents(tuple(documents), complete, tuple(damaged))


def unfinished_run(folder: str | Path) -> Path | None:
    """The latest journal of a folder, where its process ended before its run did; else None."""
    try:
        kept = sorted(Path(folder).glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        if not kept:
            return None
        with kept[-1].open("rb") as file:
            file.seek(max(0, kept[-1].stat().st_size - LAST_BYTES))
            last = file.read().splitlines()[-1:]
    except OSError:  # somebody else's, or removed just now
        return None
    try:
        ended = bool(last) and decode_line(last[0])[0] == "stop"
    except (ValueError, TypeError, KeyError):  # cut short
        ended = False
    return None if ended else kept[-1]


def _encode(value: Any) -> Any:
    kind = type(value)  # most values are of these types, and asking for Mapping takes long
    if kind is float:
        return value if math.isfinite(value) else {"$float": repr(value)}
    if kind in _AS_THEY_ARE:
        return value
    if kind is dict:
        return _encode_mapping(value)
    if isinstance(value, enum.Enum):
        return _encode(value.value)
    if value is None or isinstance(value, (bool, str, int)):
        return _plain(value)
    if isinstance(value, float):
        value = float(value)
        return value if math.isfinite(value) else {"$float": repr(value)}
    if isinstance(value, Mapping):
        return _encode_mapping(value)
    if isinstance(value, (list, tuple)):
        return [_encode(item) for item in value]
    return _encode_other(value)


def _encode_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    items = {
        key if type(key) is str else str(_encode_key(key)): _encode(item)
        for key, item in value.items()
    }
    if len(items) == 1 and next(iter(items)).startswith("$"):
        return {"$dict": [list(item) for item in items.items()]}
    return items


def _encode_other(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return _encode_array(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$bytes": base64.b64encode(bytes(value)).decode()}
    if isinstance(value, np.generic):
        item = value.item()
        is_plain = not isinstance(item, np.generic) and value.dtype.kind not in "mMV"
        return _encode(item) if is_plain else _encode_array(np.asarray(value))
    if isinstance(value, complex):
        return {"$complex": [_encode(value.real), _encode(value.imag)]}
    if isinstance(value, dt.datetime):
        return {"$datetime": value.isoformat()}
    if isinstance(value, dt.date):
        return {"$date": value.isoformat()}
    if isinstance(value, (set, frozenset)):
        return sorted((_encode(item) for item in value), key=repr)
    if isinstance(value, PurePath):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if callable(dump := getattr(value, "model_dump", None)):
        return _encode(dump())
    return {"$repr": repr(value)}


def _plain(value: Any) -> Any:
    """Without the subclass, which json would otherwise ask for its text."""
    for plain in (bool, str, int):
        if isinstance(value, plain):
            return plain(value) if type(value) is not plain else value
    return None


def _encode_key(key: Any) -> Any:
    if key is None or isinstance(key, bool):
        return _plain_json(key)
    return key.value if isinstance(key, enum.Enum) else key


def _encode_array(array: np.ndarray) -> Any:
    if array.dtype.hasobject:
        items = [_encode(item) for item in array.ravel().tolist()]
        return {"$objects": {"shape": list(array.shape), "items": items}}
    dtype: Any = array.dtype.descr if array.dtype.names else array.dtype.str
    raw = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"$array": {"dtype": dtype, "shape": list(array.shape), "base64": raw}}


def _decode(found: dict[str, Any]) -> Any:
    if len(found) != 1:
        return found
    ((key, value),) = found.items()
    decoder = _DECODERS.get(key)
    return found if decoder is None else decoder(value)


def _decode_array(value: dict[str, Any]) -> np.ndarray:
    given = value["dtype"]
    dtype = np.dtype(given if isinstance(given, str) else [_field(field) for field in given])
    flat = np.frombuffer(base64.b64decode(value["base64"]), dtype=dtype)
    return flat.reshape(value["shape"]).copy()


def _field(field: list[Any]) -> tuple[Any, ...]:
    name, dtype, *shape = field
    return (name, dtype, *(tuple(s) for s in shape))


def _decode_objects(value: dict[str, Any]) -> np.ndarray:
    array = np.empty(len(value["items"]), dtype=object)
    array[:] = value["items"]
    return array.reshape(value["shape"])


_DECODERS = {
    "$float": float,
    "$array": _decode_array,
    "$objects": _decode_objects,
    "$complex": lambda parts: complex(*parts),
    "$datetime": dt.datetime.fromisoformat,
    "$date": dt.date.fromisoformat,
    "$bytes": base64.b64decode,
    "$repr": str,
    "$dict": dict,
}
