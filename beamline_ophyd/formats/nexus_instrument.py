"""The instrument of a run: source, monochromator, detectors, as far as its documents say."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from beamline_ophyd.metadata import RunMetadata

from .nexus_parts import ENTRY, fields_of, number, text
from .optional import OptionalParts
from .run import Run
from .tree import Field, Group, Link

__all__ = ["Instrument"]

_CUT = re.compile(r"\s*([A-Z][a-z]?)\s*[( ]?\s*(\d)\s*(\d)\s*(\d)\s*\)?\s*")


@dataclass(frozen=True)
class Instrument:
    """Makes the parts of an NXinstrument.

    Attributes
    ----------
    run : Run
    about : RunMetadata
        Of its start document.
    part : OptionalParts
        Told of what is left out.
    """

    run: Run
    about: RunMetadata
    part: OptionalParts

    def plain(self) -> Group | None:
        """Instrument of a run that has no application definition; None if nothing is known."""
        if not self.about.families.keys() & {"Facility", "Beamline", "Mono"}:
            return None
        items: dict[str, Any] = {**self.named(), "source": self.source()}
        if crystal := self.crystal():
            items["monochromator"] = Group("NXmonochromator", {"crystal": crystal})
        return Group("NXinstrument", items)

    def named(self) -> dict[str, Field]:
        """Name of the beamline, where it has one."""
        beamline = self.about.families.get("Beamline", {}).get("name")
        return {"name": text(beamline)} if beamline else {}

    def source(self) -> Group:
        """The source."""
        facility = self.about.families.get("Facility", {})
        items = {
            "name": text(facility.get("name") or "unknown"),
            "type": Field("Synchrotron X-ray Source"),
            "probe": Field("x-ray"),
        }
        return Group("NXsource", items)

    def crystal(self) -> Group | None:
        """The monochromator's crystal; None if nothing is known of it."""
        mono = self.about.families.get("Mono", {})
        return _crystal(mono.get("name"), mono.get("d_spacing"))

    def analyzer(self) -> Group | None:
        """The crystal of an emission spectrometer, ``Detector.analyzer``; None without one."""
        return _crystal(self.about.families.get("Detector", {}).get("analyzer"), None)

    def monochromator(self) -> Group:
        """The monochromator, with a link to the entry's energies."""
        items: dict[str, Any] = {"energy": Link(f"/{ENTRY}/energy")}
        if crystal := self.crystal():
            items["crystal"] = crystal
        return Group("NXmonochromator", items)

    def described(self, key: str) -> dict[str, Any]:
        """What the configuration of a channel's device says of it."""
        items: dict[str, Any] = {"local_name": text(key)}
        values, keys = self.configuration(key)
        bare = {_bare(name, key): value for name, value in values.items()}
        units = {
            _bare(name, key): about.get("units")
            for name, about in keys.items()
            if isinstance(about, Mapping)
        }
        if "gas" in bare:
            items["type"] = Field("ion chamber")
        if isinstance(bare.get("length"), (int, float)):
            items["detection_gas_path"] = number(float(bare["length"]), units.get("length") or "")
        if bare:
            described = {name: {"units": unit} for name, unit in units.items()}
            fields = self.part.made(f"configuration of {key}", lambda: fields_of(bare, described))
            items["configuration"] = Group("NXcollection", fields or {})
        return items

    def units(self, key: str) -> str:
        """Unit of a channel; counts where nobody says."""
        stream = self.run.streams.get("primary")
        return (stream.units(key) if stream else None) or "counts"

    def configuration(self, key: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Configuration of the device that a data key comes from."""
        stream = self.run.streams.get("primary")
        found = self.run.configuration("primary")
        device = stream.data_keys.get(key, {}).get("object_name") if stream else None
        return found.get(str(device), found.get(key, ({}, {})))


def _crystal(name: Any, d_spacing: Any) -> Group | None:
    """A crystal by its cut, such as Si(111), and its spacing in Angstrom."""
    items: dict[str, Any] = {}
    if isinstance(d_spacing, (int, float)):
        items["d_spacing"] = number(float(d_spacing), "angstrom")
    if isinstance(name, str):
        cut = _CUT.fullmatch(name)
        items["type"] = text(cut[1] if cut else name)
        if cut:
            items["reflection"] = number(np.array([int(i) for i in cut.groups()[1:]]), "")
    return Group("NXcrystal", {**items, "usage": Field("Bragg")}) if items else None


def _bare(name: str, key: str) -> str:
    """A configuration key without the device's name before it."""
    return name.removeprefix(f"{key}_") or name
