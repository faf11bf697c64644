"""Groups, datasets and attributes by h5py's low-level interface.

The file of a run has some hundred of them, most of them tiny. h5py's usual interface takes
three times as long for each, which is most of the time that a short run takes to write.
What it makes is the same: text is UTF-8 of variable length, and no times are kept.
"""

import uuid
from functools import lru_cache
from typing import Any

import h5py
import numpy as np

__all__ = [
    "create_dataset",
    "create_group",
    "create_link",
    "delete_attribute",
    "memory_file",
    "open_group",
    "set_attribute",
    "write_rows",
]

h5: Any = h5py  # whose types do not know these modules

_ALL = h5.h5s.ALL
_TEXT = h5.h5t.py_create(h5py.string_dtype(), logical=True)
_OBJECT = h5.h5t.py_create(h5py.string_dtype())
"""Text in memory: Python's str."""


def memory_file(growth_bytes: int) -> h5py.File:
    """A new HDF5 file in memory, as h5py's ``File`` makes it with the core driver."""
    access = h5.h5p.create(h5.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5.h5f.LIBVER_EARLIEST, h5.h5f.LIBVER_LATEST)
    access.set_fclose_degree(h5.h5f.CLOSE_STRONG)
    access.set_fapl_core(growth_bytes, False)
    return h5py.File(h5.h5f.create(uuid.uuid4().bytes.hex().encode(), fapl=access))


def open_group(file: h5py.File, path: str) -> Any:
    """The low-level identifier of a group."""
    return h5.h5g.open(file.id, _encoded(path))


def create_group(parent: Any, name: str) -> Any:
    """Make a group in another."""
    word = _encoded(name)
    return h5.h5g.create(parent, word, lcpl=_naming(word))


def create_dataset(
    parent: Any,
    name: str,
    array: np.ndarray,
    *,
    grows: bool = False,
    chunks: tuple[int, ...] | None = None,
    compression: int = 0,
) -> Any:
    """Make a dataset in a group.

    Parameters
    ----------
    array : ndarray
        Numbers, text as objects of type str, or text as bytes of a fixed length in UTF-8.
    grows : bool
        Whether it may get more rows; takes chunks.
    chunks : tuple of int, optional
        Shape of a chunk; contiguous without.
    compression : int
        gzip level, with shuffle, of a dataset in chunks; 0 for none.
    """
    word, space = _encoded(name), _space(array.shape, grows)
    layout = _layout(chunks, compression)
    dataset = h5.h5d.create(parent, word, _stored(array), space, layout, _naming(word))
    if array.size:
        whole = array if array.flags.c_contiguous else np.ascontiguousarray(array)
        dataset.write(_ALL, _ALL, whole, mtype=_in_memory(array))
    return dataset


def write_rows(dataset: Any, first: int, array: np.ndarray) -> None:
    """Write the rows of an array from `first` on where they belong; a number where it is one."""
    if array.ndim == 0:
        dataset.write(_ALL, _ALL, array, mtype=_in_memory(array))
        return
    rows = np.ascontiguousarray(array[first:])
    if not rows.size:
        return
    space = dataset.get_space()
    space.select_hyperslab((first, *[0] * (rows.ndim - 1)), rows.shape)
    dataset.write(h5.h5s.create_simple(rows.shape), space, rows, mtype=_in_memory(array))


def create_link(parent: Any, name: str, file: Any, target: str) -> None:
    """Make a hard link in a group to what the file has at another place."""
    word = _encoded(name)
    parent.links.create_hard(word, file, _encoded(target), lcpl=_naming(word))


def set_attribute(node: Any, name: str, value: Any, *, exists: bool) -> None:
    """Give a node an attribute: a number, a text, or an array or list of either.

    Parameters
    ----------
    exists : bool
        Whether the node has one of that name, which is replaced.
    """
    array = _text(value) if type(value) is str else np.asarray(value)
    if array.dtype.kind == "U":
        array = array.astype(object)
    if exists:
        delete_attribute(node, name)
    attribute = h5.h5a.create(node, _encoded(name), _stored(array), _space(array.shape))
    if array.size:
        attribute.write(array, mtype=_in_memory(array))


def delete_attribute(node: Any, name: str) -> None:
    """Take an attribute away that is there."""
    h5.h5a.delete(node, _encoded(name))


def _encoded(name: str) -> bytes:
    return name.encode()


def _naming(word: bytes) -> Any:
    """How a name is stored: HDF5 takes those for ASCII of which it is not told otherwise."""
    return None if word.isascii() else _utf8()


@lru_cache
def _utf8() -> Any:
    naming = h5.h5p.create(h5.h5p.LINK_CREATE)
    naming.set_char_encoding(h5.h5t.CSET_UTF8)
    return naming


@lru_cache(maxsize=1000)
def _text(value: str) -> np.ndarray:
    """A text as an array that is never written to: the same units and classes occur often."""
    return np.asarray(value, dtype=object)


def _stored(array: np.ndarray) -> Any:
    """Type in the file."""
    return _TEXT if array.dtype == object else _number(array.dtype.str)


def _in_memory(array: np.ndarray) -> Any:
    return _OBJECT if array.dtype == object else _number(array.dtype.str)


@lru_cache(maxsize=1000)
def _number(dtype: str) -> Any:
    """HDF5's type of numbers, truth values, or text of a fixed length."""
    kind = np.dtype(dtype)
    fixed = h5py.string_dtype(length=kind.itemsize) if kind.kind == "S" else kind
    return h5.h5t.py_create(fixed, logical=True)


@lru_cache(maxsize=1000)
def _space(shape: tuple[int, ...], grows: bool = False) -> Any:
    if not shape:
        return h5.h5s.create(h5.h5s.SCALAR)
    return h5.h5s.create_simple(shape, (h5.h5s.UNLIMITED, *shape[1:]) if grows else None)


@lru_cache(maxsize=1000)
def _layout(chunks: tuple[int, ...] | None, compression: int) -> Any:
    properties = h5.h5p.create(h5.h5p.DATASET_CREATE)
    properties.set_obj_track_times(False)
    if chunks is not None:
        properties.set_chunk(chunks)
        if compression:
            properties.set_shuffle()
            properties.set_deflate(compression)
    return properties
