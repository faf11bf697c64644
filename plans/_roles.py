"""Which data key of the detectors plays which part, and what follows from that."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from bluesky.protocols import Movable, Readable

from beamline_ophyd.metadata import Roles, infer_roles

from ._checks import fields

__all__ = ["known_roles", "mode_of", "roles_of", "signal_role"]


def known_roles(detectors: Sequence[Readable], energy: str = "", dwell: str | None = None) -> Roles:
    """Roles by the usual names of data keys; else of detectors that give one data key alone."""
    named = {key: key for detector in detectors for key in fields(detector)}
    roles = infer_roles(named, energy=energy, dwell=dwell)
    lone = {d.name: fields(d)[0] for d in detectors if len(fields(d)) == 1}
    for role, name in infer_roles(lone, energy=energy).channels.items():
        if role not in roles.channels and lone[name] not in roles.channels.values():
            roles = roles.model_copy(update={role: lone[name]})
    return roles


def roles_of(
    detectors: Sequence[Readable],
    energy: Movable,
    dwell: str,
    given: Mapping[str, str] | None,
) -> Roles:
    """Roles by the usual names and by what was `given`, all checked."""
    inferred = known_roles(detectors, fields(energy)[0], dwell)
    if unknown := set(given or {}) - set(Roles.model_fields):
        raise ValueError(
            f"roles has {', '.join(sorted(unknown))}; it takes {', '.join(Roles.model_fields)}"
        )
    used = inferred.model_copy(update=dict(given or {}))
    if given:
        _check_keys(used, [*detectors, energy], dwell)
    return used


def _check_keys(roles: Roles, devices: Sequence[Any], dwell: str) -> None:
    """Refuse data keys that no event will have: the measurement would be without its spectrum."""
    named = {"energy": roles.energy, **roles.channels}
    for key in named.values():
        twice = [role for role, value in named.items() if value == key]
        if len(twice) > 1:
            raise ValueError(f"roles has {key!r} as {' and as '.join(twice)}; give each its own")
    keys = {dwell}
    for device in devices:
        description = device.describe()
        if inspect.iscoroutine(description):  # of ophyd-async: not to be had without waiting
            description.close()
            return
        keys |= set(description)
    for role, key in named.items():
        if key not in keys:
            raise ValueError(
                f"roles has {key!r} as {role}; the devices give {', '.join(sorted(keys))}"
            )


def signal_role(mode: str) -> str:
    """Role of the channel that a mode measures beside I0."""
    return "itrans" if mode == "transmission" else "ifluor"


def mode_of(mode: str | None, roles: Roles, detectors: Sequence[Readable]) -> Any:
    """The mode that was asked for, or that the channels allow; refused where one is missing."""
    if mode is None:
        mode = "transmission" if roles.itrans or not roles.ifluor else "fluorescence"
    modes = ("transmission", "fluorescence", "electron yield")
    if mode not in modes:
        raise ValueError(f"mode is {mode!r}; give one of {', '.join(map(repr, modes))}")
    missing = [role for role in ("i0", signal_role(mode)) if getattr(roles, role) is None]
    if missing:
        example = ", ".join(f'"{role}": "<data key>"' for role in missing)
        keys = ", ".join(key for detector in detectors for key in fields(detector))
        raise ValueError(
            f"no detector is known as {' or '.join(missing)}, which {mode} needs; add it, or say "
            f"which data key of {keys} it is: roles={{{example}}}"
        )
    return mode
