"""The same device class on other PVs: names given one by one, or left out."""

import copy
from collections.abc import Mapping
from typing import Any

from ophyd import Component, Device

__all__ = ["PVNameError", "with_pvs"]


class PVNameError(ValueError):
    """PV names that do not fit a device class."""


def with_pvs(cls: type[Device], pvs: Mapping[str, str | None]) -> Any:
    """Return `cls` with PVs of other names, or without some of them.

    Parameters
    ----------
    cls : type
        A class of ophyd devices.
    pvs : mapping of str to str or None
        Component, as ``energy`` or ``i0.gain``, to the whole name of its PV; for a component
        that is a device, to its whole prefix. None leaves the component out.

    Raises
    ------
    PVNameError
        For a component that the class does not have.

    Examples
    --------
    >>> from beamline_ophyd.devices import Monochromator, with_pvs
    >>> Mono = with_pvs(Monochromator, {"energy": "20ID:mono:E", "crystal": None})
    >>> mono = Mono(name="mono")
    >>> mono.energy.user_readback.pvname
    '20ID:mono:E.RBV'
    >>> "crystal" in mono.component_names
    False
    """
    changes: dict[str, Any] = {}
    deeper: dict[str, dict[str, str | None]] = {}
    for path, pv in pvs.items():
        attribute, _, rest = path.partition(".")
        _check(cls, attribute, path)
        if rest:
            deeper.setdefault(attribute, {})[rest] = pv
        else:
            changes[attribute] = None if pv is None else _renamed(cls._sig_attrs[attribute], pv)
    for attribute, inner in deeper.items():
        component = changes.get(attribute) or copy.copy(cls._sig_attrs[attribute])
        if not issubclass(component.cls, Device):
            raise PVNameError(
                f"component {attribute!r} of {cls.__name__} is a signal, which has no "
                f"{', '.join(inner)}; name its PV as {attribute!r}"
            )
        component.cls = with_pvs(component.cls, inner)
        changes[attribute] = component
    return type(cls.__name__, (cls,), {"__doc__": cls.__doc__, **changes})


def _renamed(component: Any, pv: str) -> Any:
    if type(component) is Component:
        renamed = copy.copy(component)
    else:  # a formatted component, which would look for fields between the braces of a PV name
        renamed = Component(
            component.cls, lazy=component.lazy, kind=component.kind, **component.kwargs
        )
    renamed.suffix = pv
    renamed.add_prefix = ()
    return renamed


def _check(cls: type[Device], attribute: str, path: str) -> None:
    if attribute not in cls._sig_attrs:
        raise PVNameError(
            f"{cls.__name__} has no component {path!r}; it has {', '.join(cls._sig_attrs)}"
        )
