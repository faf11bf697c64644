"""Repeats of a spectrum, each as a NeXus entry of its own beside the merge of all.

The entry of a sweep is whole in itself: it has the documents of its run with the events of
that sweep alone, and its place in the run, so that it can be copied anywhere and read back.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .entries import moved
from .measurement import measurement
from .merging import sweep_numbers
from .names import sweep_name
from .nexus import nexus_tree
from .nexus_parts import ENTRY
from .points import only_sweep
from .run import Run
from .tree import Group

__all__ = ["REPEATS", "SWEEP_FILES", "check_repeats", "trees_of"]

REPEATS = ("merged", "entries", "files")
"""What becomes of the sweeps of a spectrum: only their merge, or each an entry or a file too."""

SWEEP_FILES = "has_sweep_files"
"""Attribute of a file whose sweeps have files of their own, for what makes the file again."""

logger = logging.getLogger(__name__)


def check_repeats(repeats: str, mode: str) -> None:
    """Refuse what is none of `REPEATS`, or does not go with the mode of a file.

    Raises
    ------
    ValueError
        Names what there is.
    """
    if repeats == "files" and mode == "a":
        raise ValueError(
            "repeats is 'files' and mode is 'a', which is for runs in one file; give repeats "
            "'entries', or another mode"
        )
    if repeats not in REPEATS:
        raise ValueError(f"repeats is {repeats!r}; give one of {', '.join(map(repr, REPEATS))}")


def trees_of(
    run: Run,
    *,
    repeats: str,
    mapping: Mapping[str, Any] | None = None,
    earlier: Sequence[Run] = (),
    links_from: Path | None = None,
    sweep: int | None = None,
    goes_on: bool = False,
    **options: Any,
) -> tuple[Group, dict[int, Group]]:
    """The tree of a run's file, and those of files for its sweeps.

    Parameters
    ----------
    repeats : {"merged", "entries", "files"}
        With "entries" the tree has an entry ``entry_sweep_1``, ... for each sweep that has a
        good point, by now or in the runs that this one continues. Data in other files, which
        are those of all sweeps, are named in it and not linked to.
    sweep : int, optional
        Number of the sweep that the run is already: it has no further ones then.
    goes_on : bool
        Whether there will be more of the run: files for its sweeps come when there is not.
    mapping, earlier, links_from, **options
        As for :func:`~beamline_ophyd.formats.nexus.nexus_tree`.

    Returns
    -------
    root : Group
        Its entry is that of the whole run.
    sweeps : dict
        Number of the sweep, from 1, to its tree; empty unless repeats is "files".
    """
    common = {"mapping": mapping, **options}
    root = nexus_tree(run, earlier=earlier, links_from=links_from, sweep=sweep, **common)
    what = None if repeats == "merged" or sweep is not None else measurement(run, mapping)
    if what is None or what.contract is None or what.contract.repeats == 1:
        return root, {}
    if repeats == "files":
        root = Group(root.nx_class, root.items, {**root.attrs, SWEEP_FILES: np.True_})
        if goes_on:
            return root, {}
    common["report"] = logger.debug  # the tree of the whole run has told of it already
    trees = {}
    for number in (index + 1 for index in sweep_numbers(run, what, earlier)):
        before = tuple(only_sweep(other, number) for other in earlier)
        trees[number] = nexus_tree(only_sweep(run, number), earlier=before, sweep=number, **common)
    if repeats == "files":
        return root, trees
    items = dict(root.items)
    for number, tree in trees.items():
        name = sweep_name(ENTRY, number)
        items[name] = moved(tree, ENTRY, name).items[name]
    return Group(root.nx_class, items, root.attrs), {}
