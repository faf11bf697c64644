"""The events of one stream: documents gathered into columns."""

import itertools
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .columns import Column, Words
from .documents import as_mapping
from .journal import loads

__all__ = ["Stream", "StreamBuilder"]

GATHERED_EVENTS = 256
"""Events that are turned into columns together at most: a column takes as long for one value."""


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
    uids : ndarray of str or bytes
        See :meth:`uid`.
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

    def uid(self, row: int) -> str:
        """Uid of one event."""
        found = self.uids[row]
        return found.decode() if isinstance(found, bytes) else str(found)

    def value(self, key: str, row: int) -> Any:
        """One value as a plain Python object (or an array)."""
        item = self.columns[key][row]
        if key in self.json_columns:
            return loads(item)
        return item.item() if isinstance(item, np.generic) else item

    def event(self, row: int, keys: Sequence[str], descriptor: str) -> dict[str, Any]:
        """One event document, with the values of some keys."""
        filled = {key: False for key in keys if "external" in (self.data_keys.get(key) or {})}
        return {
            "uid": self.uid(row),
            "descriptor": descriptor,
            "seq_num": int(self.seq_num[row]),
            "time": float(self.time[row]),
            "data": {key: self.value(key, row) for key in keys},
            "timestamps": {key: float(self.timestamps[key][row]) for key in keys},
            "filled": filled,
        }


class StreamBuilder:
    """Takes the events of one stream, singly and in pages; :meth:`snapshot` has them so far.

    Parameters
    ----------
    name : str
        Of the stream.

    Attributes
    ----------
    data_keys : dict
        As for :class:`Stream`; whoever takes the descriptors adds to it.

    Raises
    ------
    ValueError, TypeError, KeyError
        For what is no event or no page; of that nothing is taken.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.data_keys: dict[str, Mapping[str, Any]] = {}
        self._columns: dict[str, Column] = {}
        self._timestamps: dict[str, Column] = {}
        self._seq_num, self._time, self._descriptor = Column(), Column(), Column()
        self._uids = Words()
        self._gathered: list[tuple[int, float, str, int, dict[str, Any], Mapping[str, Any]]] = []

    def __len__(self) -> int:
        return len(self._seq_num) + len(self._gathered)

    def add_event(self, event: Mapping[str, Any], descriptor: int) -> None:
        """Take an event of the descriptor with this number in its run."""
        data, stamps = dict(event.get("data") or {}), as_mapping(event.get("timestamps"))
        uid = str(event.get("uid") or uuid.uuid4())
        when = _float(event.get("time"))
        self._gathered.append((int(event["seq_num"]), when, uid, descriptor, data, stamps))
        if len(self._gathered) >= GATHERED_EVENTS:
            self._settle()

    def add_page(self, page: Mapping[str, Any], descriptor: int) -> None:
        """Take a page of events of the descriptor with this number in its run."""
        numbers = np.asarray(page["seq_num"]).astype(np.int64)
        data, stamps = dict(page.get("data") or {}), as_mapping(page.get("timestamps"))
        uids, rows = page.get("uid"), len(numbers)
        uids = [str(uuid.uuid4()) for _ in numbers] if uids is None else list(map(str, uids))
        for key, values in (("uid", uids), *data.items()):
            if len(values) != rows:
                raise ValueError(
                    f"an event page of {rows} sequence numbers with {len(values)} values of "
                    f"{key!r}; a page has one of each a row"
                )
        self._settle()
        # Columns of one device often have the very same list of time stamps.
        found = {id(given): _floats(given, rows) for given in map(stamps.get, data)}
        times = {key: found[id(stamps.get(key))] for key in data}
        self._extend(numbers, _floats(page.get("time"), rows), uids, descriptor, data, times)

    def _settle(self) -> None:
        """Turn the events that were gathered into columns, those with the same keys together."""
        gathered, self._gathered = self._gathered, []
        alike = itertools.groupby(gathered, key=lambda row: (row[3], row[4].keys()))
        for (descriptor, keys), rows in alike:
            numbers, when, uids, _, data, stamps = zip(*rows, strict=True)
            values = {key: [row[key] for row in data] for key in keys}
            times = {key: _floats([row.get(key) for row in stamps], len(stamps)) for key in keys}
            self._extend(np.array(numbers), np.array(when), uids, descriptor, values, times)

    def _extend(
        self,
        numbers: np.ndarray,
        when: np.ndarray,
        uids: Sequence[str],
        descriptor: int,
        data: Mapping[str, Sequence[Any]],
        times: Mapping[str, np.ndarray],
    ) -> None:
        before = len(self._seq_num)
        self._seq_num.extend(numbers)
        self._time.extend(when)
        self._uids.extend(uids)
        self._descriptor.extend(np.full(len(numbers), descriptor))
        for columns, found in ((self._columns, data), (self._timestamps, times)):
            for key, values in found.items():
                if (column := columns.get(key)) is None:
                    column = columns[key] = Column()
                column.pad(before)
                column.extend(values)
            for column in columns.values():  # a cell for every event, whether it has the key or not
                column.pad(len(self._seq_num))

    def snapshot(self) -> Stream:
        """The stream so far. Its arrays are not changed by later events."""
        self._settle()
        return Stream(
            name=self.name,
            data_keys=dict(self.data_keys),
            columns={key: column.array for key, column in self._columns.items()},
            timestamps={key: column.array for key, column in self._timestamps.items()},
            json_columns=frozenset(k for k, column in self._columns.items() if column.is_json),
            seq_num=_typed(self._seq_num.array, np.int64),
            time=self._time.array,
            uids=self._uids.array,
            descriptor=_typed(self._descriptor.array, np.int64),
        )


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
