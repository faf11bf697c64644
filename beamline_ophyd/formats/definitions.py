"""The application definitions that an absorption spectrum can be written by.

NXxas is that of the NeXus definitions 2026.01 and of the draft of its successor at once; the
others are drafts (NeXus definitions, pull request 1640) that say more of how it was measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from beamline_ophyd.metadata import RunMetadata

from .nexus_parts import number, text
from .tree import Field, Group

__all__ = ["DEFINITIONS", "Definition", "check_definition", "emission", "fitting_definition"]

_DRAFT = (
    "element/name",
    "edge/name",
    "is_experimental",
    "energy",
    "intensity",
    "sample/name",
    "instrument/i0/data",
)


@dataclass(frozen=True)
class Definition:
    """One application definition.

    Attributes
    ----------
    mode : str or None
        Mode of the measurements that it is for; None for all.
    required : tuple of str
        Paths below the entry that it asks for, of a draft that no common validator knows.
    needed : mapping
        What the start document has to say for it beyond element and edge, as an example.
    """

    mode: str | None = None
    required: tuple[str, ...] = ()
    needed: Mapping[str, Mapping[str, Any]] | None = None


_EDGE = {"Element": {"symbol": "Fe", "edge": "K"}}

DEFINITIONS: Mapping[str, Definition] = {
    "NXxas": Definition(),
    "NXxas_trans": Definition("transmission", (*_DRAFT, "instrument/itrans/data"), _EDGE),
    "NXxas_tfy": Definition("fluorescence", (*_DRAFT, "instrument/ifluor/data"), _EDGE),
    "NXxas_pfy": Definition(
        "fluorescence",
        (*_DRAFT, "instrument/ifluor/data", "emission_energy_window"),
        {**_EDGE, "Detector": {"emission_line": "Ka1", "emission_window": [6380.0, 6420.0]}},
    ),
    "NXxas_tey": Definition("electron yield", (*_DRAFT, "instrument/iey/data"), _EDGE),
    "NXxas_herfd": Definition(
        "fluorescence",
        (*_DRAFT, "instrument/ifluor/data", "emission_line/name", "emission_energy"),
        {
            **_EDGE,
            "Detector": {
                "emission_line": "Ka1",
                "emission_energy": 6404.0,
                "analyzer": "Ge(440)",
            },
        },
    ),
}
"""Application definitions of absorption spectra, by name."""


def check_definition(name: str) -> None:
    """Refuse a definition that is not known.

    Raises
    ------
    ValueError
        Names those that are.
    """
    if name not in DEFINITIONS:
        raise ValueError(f"definition is {name!r}; give one of {', '.join(DEFINITIONS)}")


def fitting_definition(wanted: str, mode: str, about: RunMetadata) -> tuple[str, str]:
    """The definition to write a spectrum by, and what keeps it from being the wanted one.

    Parameters
    ----------
    wanted : str
        One of `DEFINITIONS`.
    mode : str
        How the spectrum was measured.

    Returns
    -------
    definition : str
        The wanted one, or NXxas.
    trouble : str
        Empty where it is the wanted one; else with what to do.
    """
    definition = DEFINITIONS[wanted]
    if definition.mode not in (None, mode):
        others = [name for name, d in DEFINITIONS.items() if d.mode == mode]
        return "NXxas", (
            f"{wanted} is for {definition.mode} and this spectrum was measured in {mode}, so it "
            f"is written as NXxas; give definition={' or '.join(map(repr, others))}"
        )
    said = {"Element": {"symbol": about.element, "edge": about.edge}}
    said["Detector"] = about.families.get("Detector", {})
    lacking = {
        f"{family}.{key}"
        for family, items in (definition.needed or {}).items()
        for key in items
        if not said[family].get(key)
    }
    if lacking:
        return "NXxas", (
            f"{wanted} asks for {', '.join(sorted(lacking))}, which the start document does not "
            f"say, so the spectrum is written as NXxas; give md={dict(definition.needed or {})}"
        )
    return wanted, ""


def emission(definition: str, about: RunMetadata) -> dict[str, Field | Group]:
    """What a definition of an emission line asks for beside the spectrum; energies in eV.

    Raises
    ------
    ValueError
        When a window is no pair of energies, or an energy no number.
    """
    needed = (DEFINITIONS[definition].needed or {}).get("Detector", {})
    said = about.families.get("Detector", {})
    items: dict[str, Field | Group] = {}
    if "emission_line" in needed:
        line = Group("NXemission_line", {"name": text(said["emission_line"])})
        items["emission_line" if "emission_energy" in needed else "fluo_emission_line"] = line
    if "emission_energy" in needed:
        items["emission_energy"] = number(float(said["emission_energy"]), "eV")
    if "emission_window" in needed:
        window = np.asarray(said["emission_window"], dtype=float)
        if window.shape != (2,) or not window[0] < window[1]:
            raise ValueError(
                f"Detector.emission_window is {said['emission_window']!r}; give the lowest and the "
                "highest energy of the window in eV, such as [6380.0, 6420.0]"
            )
        items["emission_energy_window"] = number(window, "eV")
    return items
