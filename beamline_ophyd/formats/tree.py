"""NeXus trees as plain objects, and the one function that puts them into an HDF5 file.

A tree is built anew whenever something changed; :class:`TreeWriter` writes what differs
from the last time. A live file and one written at once thus share all their code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

from .nodes import (
    create_dataset,
    create_group,
    create_link,
    delete_attribute,
    open_group,
    set_attribute,
    write_rows,
)

__all__ = ["ExternalLink", "Field", "Group", "Link", "TreeWriter"]

COMPRESS_FROM_BYTES = 64 * 2**10
"""Below this size gzip gains less than a chunk's overhead."""

CHUNK_BYTES = 256 * 2**10


@dataclass(frozen=True)
class Field:
    """A dataset: a number, a text, or an array of either.

    Attributes
    ----------
    grows : bool
        Whether later trees may have more rows.
    append_only : bool
        Whether rows that were written never change.
    """

    value: Any
    attrs: Mapping[str, Any] = field(default_factory=dict)
    grows: bool = False
    append_only: bool = False

    @property
    def array(self) -> np.ndarray:
        """The value as numpy has it; texts as objects."""
        value = self.value
        return np.asarray(value, dtype=object) if isinstance(value, str) else np.asarray(value)


@dataclass(frozen=True)
class Link:
    """A hard link to another node, by its absolute path in the file."""

    target: str


@dataclass(frozen=True)
class ExternalLink:
    """A link to a dataset of another file, which need not be there."""

    file: str
    target: str


@dataclass(frozen=True)
class Group:
    """A group with its NeXus class."""

    nx_class: str
    items: Mapping[str, "Field | Group | Link | ExternalLink"] = field(default_factory=dict)
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def nodes(self) -> "dict[str, Node]":
        """All nodes below, parents first, with their absolute paths."""
        found: dict[str, Node] = {}
        _collect(self, "", found)
        return found


Node = Field | Group | Link | ExternalLink


def _collect(group: Group, path: str, found: dict[str, Node]) -> None:
    for name, node in group.items.items():
        below = f"{path}/{name}"
        found[below] = node
        if type(node) is Group:
            _collect(node, below, found)


class TreeWriter:
    """Keeps an HDF5 file equal to the latest tree, writing only what changed.

    Parameters
    ----------
    file : h5py.File
    live : bool
        Whether further trees follow: fields that grow are made so that they can.
    compression : int
        gzip level of arrays of more than 64 kB, 0 for none.
    expected_rows : int
        Rows that growing fields will probably have; decides chunk and compression.
    """

    def __init__(
        self, file: h5py.File, *, live: bool = False, compression: int = 4, expected_rows: int = 0
    ) -> None:
        self._file = file
        self._live = live
        self._compression = compression
        self._expected = expected_rows
        self._written: dict[str, Field] = {}
        self._nodes: dict[str, Any] = {"/": open_group(file, "/")}
        """Low-level and open: looking one up by its path takes as long as writing a row."""
        self._attrs: dict[str, dict[str, Any]] = {}
        self._links: dict[str, str | ExternalLink] = {}
        """What the links in the file point to; a target that was replaced is no more there: ""."""
        self._kinds: dict[str, type] = {}

    def write(self, root: Group) -> None:
        """Bring the file to this tree."""
        targets: dict[str, dict[str, Any]] = {}
        nodes = root.nodes()
        self._remove_vanished(nodes)
        for node in nodes.values():
            if isinstance(node, Link):
                targets.setdefault(node.target, {})["target"] = node.target
        self._set_attrs("/", {"NX_class": root.nx_class, **root.attrs})
        for path, node in nodes.items():
            if isinstance(node, Group):
                if path not in self._nodes:
                    self._nodes[path] = create_group(*self._place(path))
                given = {"NX_class": node.nx_class, **node.attrs}
            elif isinstance(node, Field):
                self._write_field(path, node)
                given = node.attrs
            else:
                continue
            self._set_attrs(path, {**given, **targets[path]} if path in targets else given)
        for path, node in nodes.items():
            if isinstance(node, Link):
                self._link(path, node.target)
            elif isinstance(node, ExternalLink) and self._links.get(path) != node:
                if self._file.get(path, getlink=True) is not None:
                    del self._file[path]
                self._file[path] = h5py.ExternalLink(node.file, node.target)
                self._links[path] = node

    def close(self) -> None:
        """Let go of the file's groups and datasets, which keep it open."""
        self._nodes.clear()

    def _place(self, path: str) -> tuple[Any, str]:
        """The open group that a node is in, and its name there."""
        parent, _, name = path.rpartition("/")
        return self._nodes[parent or "/"], name

    def _remove_vanished(self, nodes: Mapping[str, Any]) -> None:
        """Remove what is no more, or is now of another kind, such as a link."""
        kinds = {path: type(node) for path, node in nodes.items()}
        gone = [path for path, kind in self._kinds.items() if kinds.get(path) is not kind]
        for path in sorted(gone, reverse=True):
            if self._file.get(path, getlink=True) is not None:
                self._remove(path)
            self._written.pop(path, None)
            self._nodes.pop(path, None)
            self._attrs.pop(path, None)
            self._links.pop(path, None)
        self._kinds = kinds

    def _link(self, path: str, target: str) -> None:
        known = self._links.get(path)
        if known == target:
            return
        if known is not None:
            del self._file[path]
        create_link(*self._place(path), self._nodes["/"], target)
        self._links[path] = target

    def _set_attrs(self, path: str, attrs: Mapping[str, Any]) -> None:
        known = self._attrs.get(path)
        if known is None:
            # Only the root may have some that another writer gave it.
            known = self._attrs[path] = {}
            foreign = set(self._file.attrs) if path == "/" else ()
        else:
            foreign = ()
        node = self._nodes[path]
        for name, value in attrs.items():
            if name not in known or not _same(known[name], value):
                set_attribute(node, name, value, exists=name in known or name in foreign)
                known[name] = value
        for name in known.keys() - attrs.keys():
            delete_attribute(node, name)
            del known[name]

    def _write_field(self, path: str, node: Field) -> None:
        before = self._written.get(path)
        if before is not None and type(node.value) is str and before == node:
            return
        array = node.array
        if before is not None:
            # A column of text that becomes JSON has other rows, the old ones too.
            same_code = before.attrs.get("encoding") == node.attrs.get("encoding")
            if same_code and self._update(path, node, array, before.array):
                self._written[path] = node
                return
            self._remove(path)
        self._create(path, node, array)
        self._written[path] = node

    def _update(self, path: str, node: Field, array: np.ndarray, old: np.ndarray) -> bool:
        """Write the difference into the dataset; False if it takes another dataset."""
        if array.dtype != old.dtype or array.shape[1:] != old.shape[1:] or array.ndim != old.ndim:
            return False
        grows = array.shape != old.shape
        if grows and not (node.grows and self._live):
            return False
        dataset = self._nodes[path]
        if array.ndim == 0:
            if not _same(array.item(), old.item()):
                write_rows(dataset, 0, array)
            return True
        first = min(len(old), len(array))
        if not node.append_only:
            first = _first_difference(old[:first], array[:first])
        if grows:
            dataset.set_extent(array.shape)
        write_rows(dataset, first, array)
        return True

    def _create(self, path: str, node: Field, array: np.ndarray) -> None:
        if array.ndim == 0:
            self._nodes[path] = create_dataset(*self._place(path), array)
            return
        grows = node.grows and self._live
        rows = max(len(array), self._expected if grows else 0)
        row_bytes = max(1, array.itemsize * int(np.prod(array.shape[1:])))
        is_large = rows * row_bytes >= COMPRESS_FROM_BYTES
        chunks, level = None, 0
        if grows or (is_large and array.dtype.kind != "S"):
            chunk = max(1, min(CHUNK_BYTES // row_bytes, max(rows, 64)))
            chunks = (chunk, *array.shape[1:])
        if is_large and array.dtype.kind not in "OS":  # uids are random
            level = self._compression
        self._nodes[path] = create_dataset(
            *self._place(path), array, grows=grows, chunks=chunks, compression=level
        )

    def _remove(self, path: str) -> None:
        """Remove a dataset that is replaced, with all that was known of it and its links."""
        del self._file[path]
        self._nodes.pop(path, None)
        self._attrs.pop(path, None)
        self._links |= {link: "" for link, target in self._links.items() if target == path}


def _first_difference(old: np.ndarray, new: np.ndarray) -> int:
    """First row at which two arrays of one shape differ in a bit; their length if nowhere."""
    if not len(old) or old is new:
        return len(old)
    if old.dtype == object:
        differs = old != new
    else:
        flat = (np.ascontiguousarray(a).view(np.uint8).reshape(len(a), -1) for a in (old, new))
        differs = np.any(np.not_equal(*flat), axis=1)
    return int(np.argmax(differs)) if differs.any() else len(old)


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        a, b = np.asarray(a), np.asarray(b)
        return a.dtype == b.dtype and a.shape == b.shape and bool(np.all(a == b))
    return type(a) is type(b) and (a == b or (a != a and b != b))
