"""Files of several entries: names that are free, and trees moved from one name to another."""

from collections.abc import Iterable

from .tree import ExternalLink, Field, Group, Link

__all__ = ["free_entry_name", "moved"]


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


def moved(root: Group, old: str, new: str) -> Group:
    """A root whose entry `old` is called `new`, with all links into it."""
    items = {(new if name == old else name): node for name, node in root.items.items()}
    return _relinked(Group(root.nx_class, items, root.attrs), f"/{old}", f"/{new}")


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
