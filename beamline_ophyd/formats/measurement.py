"""What a run measured: roles by its contract, a mapping, or its hints."""

import contextlib
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Any, get_args

from beamline_ophyd.metadata import Mode, Roles, RunMetadata, XAFSContract, infer_roles

from .run import Run, Stream

__all__ = [
    "EV",
    "MAPPING_EXAMPLE",
    "Measurement",
    "mapped",
    "measurement",
    "read_metadata",
    "signal_role",
]

MAPPING_EXAMPLE = '{"energy": "mono_energy", "i0": "I0", "itrans": "It"}'

EV = {"ev": 1.0, "kev": 1000.0}
"""Units of energy, in lower case, in eV."""


@dataclass(frozen=True)
class Measurement:
    """What a run measured: which data keys play which part, in which mode.

    Attributes
    ----------
    source : {"contract", "mapping", "hints"}
    contract : XAFSContract or None
        How points are numbered and marked; without one every event is a point of its own.
    """

    roles: Roles
    mode: str
    source: str
    contract: XAFSContract | None = None


def signal_role(mode: str) -> str:
    """Role of the channel that a mode measures beside I0."""
    return "itrans" if mode == "transmission" else "ifluor"


def mapped(mapping: Mapping[str, Any]) -> tuple[Roles, str | None]:
    """Roles of a mapping as a user gives it, and the mode that it says.

    Raises
    ------
    ValueError
        For a role or a mode that there is not, for what is no data key, or without an energy.
    """
    given = dict(mapping)
    mode = given.pop("mode", None)
    if unknown := {str(role) for role in set(given) - set(Roles.model_fields)}:
        raise ValueError(
            f"mapping has {', '.join(sorted(unknown))}; it takes {', '.join(Roles.model_fields)} "
            "and mode"
        )
    if given.get("energy") is None:
        raise ValueError(f"mapping has no energy; give one such as {MAPPING_EXAMPLE}")
    for role, key in given.items():
        if not isinstance(key, str | None):
            raise ValueError(f"mapping has {key!r} as {role}; give the name of a data key")
    if mode is not None and mode not in get_args(Mode):
        modes = ", ".join(map(repr, get_args(Mode)))
        raise ValueError(f"mapping has mode {mode!r}; give one of {modes}")
    return Roles(**given), mode


def read_metadata(start: Mapping[str, Any]) -> tuple[RunMetadata, str]:
    """Metadata of a start document, and what could not be understood of it."""
    with contextlib.suppress(Exception):
        return RunMetadata.from_start(start), ""
    # One word that cannot be understood costs only itself.
    understood: dict[str, Any] = {}
    trouble = []
    for key, value in start.items():
        try:
            RunMetadata.from_start({key: value})
        except Exception as error:  # values of all kinds, which raise of all kinds
            trouble.append(f"{key!r} of the start document is not understood: {error}")
        else:
            understood[key] = value
    return RunMetadata.from_start(understood), "; ".join(trouble)


def measurement(
    run: Run,
    mapping: Mapping[str, Any] | None = None,
    ask: Callable[[str], None] = lambda message: None,
) -> Measurement | None:
    """What a run measured: by its contract, else by `mapping`, else by its hints.

    Parameters
    ----------
    mapping : mapping, optional
        Role to data key, and ``mode`` if it is not transmission.
    ask : callable
        Told what is missing of a run that looks like an absorption spectrum, with the
        mapping to give.

    Returns
    -------
    Measurement or None
        None for a run that is no absorption spectrum.

    Raises
    ------
    ValueError
        For a mapping that cannot be used, see :func:`mapped`.
    """
    meant = None if mapping is None else mapped(mapping)
    contract = read_metadata(run.start)[0].xafs
    stream = run.streams.get("primary")
    keys = None if stream is None else set(stream.data_keys) | set(stream.columns)
    if contract is not None:
        what = Measurement(contract.roles, contract.mode, "contract", contract)
        return _found(what, keys, ask)
    if keys is None or stream is None:
        return None
    if meant is not None and _is_meant(run, keys, meant[0].energy):
        roles, mode = meant
        return _found(Measurement(roles, mode or _likely(roles), "mapping"), keys, ask)
    if (energy := _hinted_energy(run, stream)) is None:
        return None
    roles = infer_roles(sorted(keys), energy=energy)
    return _found(Measurement(roles, _likely(roles), "hints"), keys, ask)


def _is_meant(run: Run, keys: Set[str], energy: str) -> bool:
    """Whether a writer's mapping, made for some of the runs that it meets, is for this one."""
    scanned = run.dimensions("primary")
    return energy in keys and len(scanned) < 2 and scanned != [["time"]]


def _likely(roles: Roles) -> str:
    return "fluorescence" if roles.ifluor and not roles.itrans else "transmission"


def _found(
    what: Measurement, keys: Set[str] | None, ask: Callable[[str], None]
) -> Measurement | None:
    """The measurement with the channels that are there; None if a needed one is not."""
    roles = what.roles
    needed = ("energy", "i0", signal_role(what.mode))
    known = {r for r in ("energy", *roles.channels, "dwell") if getattr(roles, r)}
    absent = set() if keys is None else {r for r in known if getattr(roles, r) not in keys}
    lacking = [role for role in needed if role not in known or role in absent]
    if lacking:
        ask(_question(what, lacking, keys or set()))
        return None
    return Measurement(
        roles.model_copy(update=dict.fromkeys(absent)), what.mode, what.source, what.contract
    )


def _question(what: Measurement, lacking: list[str], keys: Set[str]) -> str:
    """What to ask for, with the mapping to give: what is known of it is filled in."""
    said = {"contract": "start document", "mapping": "mapping", "hints": "names of its data keys"}
    shown: dict[str, str] = {}
    for role in ("energy", "i0", signal_role(what.mode)):
        key = getattr(what.roles, role)
        shown[role] = "<data key>" if role in lacking else key
    if what.mode != "transmission":
        shown["mode"] = what.mode
    where = "its start document's contract" if what.source == "contract" else "the writer"
    named = [f"{r} ({getattr(what.roles, r)!r})" if getattr(what.roles, r) else r for r in lacking]
    return (
        f"by the {said[what.source]} this is an absorption spectrum, but none of its data keys "
        f"({', '.join(sorted(keys)) or 'none'}) is {' or '.join(named)}, so it is kept as a plain "
        f"run; to have its spectrum, give {where} "
        f"{'the roles' if what.source == 'contract' else 'mapping='}{shown}"
    )


def _hinted_energy(run: Run, stream: Stream) -> str | None:
    scanned = run.dimensions(stream.name)
    for key in scanned[0] if len(scanned) == 1 else ():
        if key in stream.data_keys and (
            (stream.units(key) or "").lower() in EV or "energy" in key.lower()
        ):
            return key
    return None
