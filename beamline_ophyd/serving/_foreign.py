"""Finding what an HDF5 file takes from other files, without opening any of them."""

from functools import lru_cache
from pathlib import Path

import h5py

# Compiled, and without type stubs.
from h5py import h5d, h5g, h5l, h5o  # pyright: ignore[reportAttributeAccessIssue]

__all__ = ["foreign_part"]

_OWN_LINKS = (h5l.TYPE_HARD, h5l.TYPE_SOFT)
_ITSELF = "."
"""How a virtual dataset names its own file."""


def foreign_part(
    path: Path, *, swmr: bool = False, locking: bool | str | None = None
) -> str | None:
    """Say what in an HDF5 file would be read from another file.

    Those are external links and links of unknown kinds, datasets whose values are in other files
    (external storage), and virtual datasets with another file as a source. Soft links stay in
    their file and are allowed.

    Parameters
    ----------
    path : pathlib.Path
        A file that its writer has closed, unless `swmr` is set.
    swmr, locking
        As for :class:`h5py.File`.

    Returns
    -------
    str or None
        The first such part, in words; None when the file is complete in itself.

    Raises
    ------
    OSError
        When it cannot be opened as an HDF5 file.
    """
    found = path.stat()
    # A file that has not changed need not be looked through for each of its datasets again.
    state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return _look_through(str(path), state, swmr, locking)


@lru_cache(maxsize=1024)
def _look_through(
    path: str, state: tuple[int, ...], swmr: bool, locking: bool | str | None
) -> str | None:
    with h5py.File(path, "r", swmr=swmr, locking=locking) as file:
        todo = [(file.id, "")]
        seen = {h5o.get_info(file.id).addr}  # hard links may go in circles
        while todo:
            group, where = todo.pop()
            for name in group:
                shown = f"{where}/{name.decode('utf-8', 'replace')}"
                kind = group.links.get_info(name).type
                if kind == h5l.TYPE_EXTERNAL:
                    target, _ = group.links.get_val(name)
                    return f"{shown} is a link to the file {target.decode('utf-8', 'replace')}"
                if kind not in _OWN_LINKS:
                    return f"{shown} is a link of an unknown kind ({kind})"
                if kind == h5l.TYPE_SOFT:
                    continue
                child = h5o.open(group, name)
                address = h5o.get_info(child).addr
                if address in seen:
                    continue
                seen.add(address)
                if isinstance(child, h5g.GroupID):
                    todo.append((child, shown))
                elif isinstance(child, h5d.DatasetID):
                    source = _foreign_source(child)
                    if source is not None:
                        return f"the values of {shown} are in the file {source}"
    return None


def _foreign_source(dataset: h5d.DatasetID) -> str | None:
    created = dataset.get_create_plist()
    if created.get_external_count():
        return created.get_external(0)[0].decode("utf-8", "replace")
    if created.get_layout() == h5d.VIRTUAL:
        for number in range(created.get_virtual_count()):
            source = created.get_virtual_filename(number)
            if source != _ITSELF:
                return source
    return None
