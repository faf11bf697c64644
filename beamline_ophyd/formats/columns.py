"""Columns that grow by a value or a block at a time and settle on their own type."""

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .journal import dumps

__all__ = ["TEXT", "Column", "Words", "clean"]

TEXT = np.dtype(object)
"""Type of text columns: an array of str objects."""

_NUMPY = (np.generic, np.ndarray)

EXACT_INT = 2**53
"""Integers up to here are exact as floats."""


class Column:
    """The values of one data key, event after event.

    The type follows the values: bool, int64, float64, text, or numeric arrays of one
    shape. Integers become floats when a float or a missing value (None) joins them. Values
    that fit no common type (mixed, ragged, nested, text that HDF5 cannot hold) make the
    whole column text, each value as JSON (:attr:`is_json`).

    Examples
    --------
    >>> column = Column()
    >>> for value in (1, 2.5, None):
    ...     column.append(value)
    >>> column.array
    array([1. , 2.5, nan])
    """

    def __init__(self) -> None:
        self.is_json = False
        self._buffer = np.empty(0, dtype=np.float64)
        self._size = 0
        self._untyped = True

    def __len__(self) -> int:
        return self._size

    @property
    def array(self) -> np.ndarray:
        """The values so far. Later values do not change it: it is a snapshot."""
        view = self._buffer[: self._size]
        view.flags.writeable = False
        return view

    def append(self, value: Any) -> None:
        """Add one value."""
        buffer = self._buffer
        is_float = type(value) in (float, np.float64) and buffer.dtype == np.float64
        if is_float and buffer.ndim == 1 and self._size < len(buffer):
            buffer[self._size] = value
            self._size += 1
        else:
            self._add(_block([value]), [value])

    def extend(self, values: Sequence[Any] | np.ndarray) -> None:
        """Add a block of values, first index the event."""
        if len(values):
            self._add(_block(values), values)

    def pad(self, size: int) -> None:
        """Lengthen to `size` with missing values: nan, empty text, JSON null; 0 in arrays."""
        missing = size - self._size
        if missing <= 0:
            return
        if self.is_json or self._untyped or self._buffer.ndim == 1:
            self.extend([("" if self._is_text else None)] * missing)
        else:
            shape = (missing, *self._buffer.shape[1:])
            fill = np.nan if self._buffer.dtype.kind == "f" else 0
            self.extend(np.full(shape, fill, dtype=self._buffer.dtype))

    @property
    def _is_text(self) -> bool:
        return self._buffer.dtype == TEXT and not self.is_json

    def _add(self, block: np.ndarray | None, values: Iterable[Any]) -> None:
        if self.is_json:
            block = _texts(dumps(value) for value in values)
        elif block is None or not self._accommodate(block):
            self._become_json()
            block = _texts(dumps(value) for value in values)
        self._reserve(self._size + len(block))
        self._buffer[self._size : self._size + len(block)] = block
        self._size += len(block)

    def _accommodate(self, block: np.ndarray) -> bool:
        """Make room for the block's type, if the two types have a common one."""
        old, shape = self._buffer.dtype, self._buffer.shape[1:]
        if self._untyped:
            self._buffer = np.empty((0, *block.shape[1:]), dtype=block.dtype)
            self._untyped = False
            return True
        if block.shape[1:] != shape:
            return False
        if block.dtype == old:
            return True
        kinds = {block.dtype.kind, old.kind}
        if not kinds <= {"i", "u", "f"}:
            return False
        common = np.result_type(block.dtype, old)
        for part in (block, self.array):
            if part.dtype.kind in "iu" and common.kind == "f" and not _fits(part):
                return False
        if common != old:
            self._buffer = self._buffer[: self._size].astype(common)
        return True

    def _become_json(self) -> None:
        values = self.array
        texts = _texts(dumps(v.tolist() if isinstance(v, _NUMPY) else v) for v in values)
        self._buffer, self.is_json, self._untyped = texts, True, False

    def _reserve(self, size: int) -> None:
        if size <= len(self._buffer):
            return
        grown = np.empty((max(size, 2 * len(self._buffer), 64), *self._buffer.shape[1:]),
                         dtype=self._buffer.dtype)  # fmt: skip
        grown[: self._size] = self._buffer[: self._size]
        self._buffer = grown


class Words:
    """Short texts, such as uids, as bytes of one length: a tenth of the room of str objects.

    Where one of them is not ASCII, all become objects of type str.

    Examples
    --------
    >>> words = Words()
    >>> words.extend(["3f2a", "99c1b"])
    >>> words.array
    array([b'3f2a', b'99c1b'], dtype='|S5')
    """

    def __init__(self) -> None:
        self._buffer = np.empty(0, dtype="S1")
        self._size = 0

    @property
    def array(self) -> np.ndarray:
        """The texts so far. Later ones do not change it: it is a snapshot."""
        view = self._buffer[: self._size]
        view.flags.writeable = False
        return view

    def extend(self, texts: Sequence[str]) -> None:
        """Add some texts."""
        joined = "".join(texts)
        if self._buffer.dtype == TEXT or not joined.isascii() or "\0" in joined:
            if self._buffer.dtype != TEXT:
                self._buffer = _texts(word.decode() for word in self.array)
            block = _texts(clean(text) for text in texts)
        else:
            block = np.array(texts, dtype="S")
            if block.dtype.itemsize > self._buffer.dtype.itemsize:
                self._buffer = self._buffer[: self._size].astype(block.dtype)
        size = self._size + len(block)
        if size > len(self._buffer):
            grown = np.empty(max(size, 2 * len(self._buffer)), dtype=self._buffer.dtype)
            grown[: self._size] = self.array
            self._buffer = grown
        self._buffer[self._size : size] = block
        self._size = size


def clean(text: str) -> str:
    """A text with the characters replaced that HDF5 cannot hold."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _fits(integers: np.ndarray) -> bool:
    large = integers > EXACT_INT
    return not np.any(large if integers.dtype.kind == "u" else large | (integers < -EXACT_INT))


def _texts(texts: Iterable[str]) -> np.ndarray:
    items = list(texts)
    array = np.empty(len(items), dtype=TEXT)
    array[:] = items
    return array


def _block(values: Sequence[Any] | np.ndarray) -> np.ndarray | None:
    """Values as one typed array; None when they have no common type."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return _widened(values)
    types = set(map(type, values))
    if types == {float}:
        return np.array(values, dtype=np.float64)
    if types == {int}:
        for dtype in (np.int64, np.uint64):
            with contextlib.suppress(OverflowError):
                return np.array(values, dtype=dtype)
        return None
    if all(isinstance(v, str) for v in values):
        return _texts(str(v) for v in values) if all(map(_storable, values)) else None
    items = [np.nan if v is None else v for v in values]
    try:
        array = np.asarray(items)
    except Exception:  # values of all kinds, which raise of all kinds
        return None
    if array.dtype.kind not in "biuf" or 0 in array.shape[1:]:
        return None
    kinds = {_kind(item) for item in items}
    if len(kinds - {"f"}) > 1 or ("f" in kinds and "b" in kinds):
        return None
    if array.dtype.kind == "f" and "i" in kinds and array.ndim == 1:
        whole = [abs(int(v)) for v in items if _kind(v) == "i"]
        if max(whole) > EXACT_INT:
            return None
    return _widened(array)


def _kind(item: Any) -> str:
    if isinstance(item, np.ndarray):
        return "i" if item.dtype.kind == "u" else item.dtype.kind
    if isinstance(item, (bool, np.bool_)):
        return "b"
    if isinstance(item, (int, np.integer)):
        return "i"
    if isinstance(item, (float, np.floating)):
        return "f"
    if isinstance(item, (list, tuple)):
        return "".join(sorted({_kind(part) for part in item})).replace("fi", "f")
    return "?"


def _widened(array: np.ndarray) -> np.ndarray:
    """Scalars as int64 or float64; the elements of arrays keep their own type."""
    if array.ndim > 1 or array.dtype.kind == "b":
        return array
    wide = np.int64 if array.dtype.kind in "iu" else np.float64
    if array.dtype.kind == "u" and array.size and array.max() > np.iinfo(np.int64).max:
        return array.astype(np.uint64)
    return array.astype(wide, copy=False)


def _storable(text: str) -> bool:
    """Whether HDF5 holds the text as it is: valid UTF-8 without NUL."""
    if text.isascii():
        return "\0" not in text
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
