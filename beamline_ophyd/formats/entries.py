"""Files of several entries: names that are free, and trees moved from one name to another."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py

from .hdf5 import replace_file
from .names import SWEEP, sweep_name
from .tree import ExternalLink, Field, Group, Link, TreeWriter

__all__ = ["append_entry", "free_entry_name", "moved", "sweep_path"]


def free_entry_name(taken: Iterable[str], base: str = "entry") -> str:
    """The first of ``entry``, ``entry_1``, ``entry_2``, ... that is not taken.

    >>> free_entry_name(["entry", "entry_1"])
    'entry_2'
    """
    names = set(taken)
    name, number = base, 0
    while name in names:
        number += 1
        name = f"{base}_{number}"
    return name


def sweep_path(path: Path, number: int) -> Path:
    """The file of a sweep, beside that of the whole run.

    >>> sweep_path(Path("Fe.nxs"), 2).name
    'Fe_sweep_2.nxs'
    """
    return path.with_name(f"{sweep_name(path.stem, number)}{path.suffix}")


def append_entry(path: Path, root: Group, name: str, *, compression: int = 4) -> str:
    """Add the entry of a tree, and those of its sweeps, to a file, which is replaced as a whole.

    Parameters
    ----------
    path : Path
        An HDF5 file; its own ``default`` stays.
    root : Group
        Tree of one run.
    name : str
        Name of the entry in the tree.

    Returns
    -------
    str
        Name of the entry in the file: the first free one of entry, entry_1, ...

    Raises
    ------
    OSError
        When it is no HDF5 file or cannot be written; it stays as it was then.
    """
    image = io.BytesIO(path.read_bytes())
    with h5py.File(image, "a") as file:
        free = free_entry_name(file)
        tree = moved(root, name, free)
        default = file.attrs.get("default", free)
        kept = Group(tree.nx_class, tree.items, {**tree.attrs, "default": default})
        TreeWriter(file, compression=compression).write(kept)
    replace_file(path, image.getvalue(), sync=True)
    return free


def moved(root: Group, old: str, new: str) -> Group:
    """A root whose entry `old` is called `new`, with its sweeps and all links in them."""
    items: dict[str, Any] = {}
    for name, node in root.items.items():
        is_own = name == old or name.startswith(old + SWEEP)
        wanted = new + name.removeprefix(old) if is_own else name
        is_group = isinstance(node, Group)
        items[wanted] = _relinked(node, f"/{name}", f"/{wanted}") if is_group else node
    return Group(root.nx_class, items, root.attrs)


def _relinked(group: Group, old: str, new: str) -> Group:
    items: dict[str, Field | Group | Link | ExternalLink] = {}
    for name, node in group.items.items():
        if isinstance(node, Group):
            items[name] = _relinked(node, old, new)
        elif isinstance(node, Link) and node.target.startswith(f"{old}/"):
            items[name] = Link(new + node.target.removeprefix(old))
        else:
            items[name] = node
    return Group(group.nx_class, items, group.attrs)
