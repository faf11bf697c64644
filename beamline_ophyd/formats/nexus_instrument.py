"""The instrument of a run: source, monochromator, detectors, as far as its documents say."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from beamline_ophyd.metadata import RunMetadata

from .external import ExternalData, external_data
from .nexus_logs import ring_current
from .nexus_parts import ENTRY, fields_of, number, shown_column, text, texts, unique_names
from .optional import OptionalParts
from .run import Run
from .tree import ExternalLink, Field, Group, Link

__all__ = ["Instrument"]

_READINGS = f"/{ENTRY}/bluesky/streams/primary/data"

_ROI = re.compile(r"roi_?(\d+)_(\w+?)(?:_chan)?$", re.IGNORECASE)
_ROI_WORDS = {
    **dict.fromkeys(("lo", "low", "min", "start", "min_x", "bin_low"), "low"),
    **dict.fromkeys(("hi", "high", "max", "stop", "max_x", "bin_high"), "high"),
    **dict.fromkeys(("size", "size_x"), "size"),
    **dict.fromkeys(("label", "name"), "name"),
}
"""How devices call the ends of a region: areaDetector, the MCA record, Xspress 3."""

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
    links_from : Path or None
        Folder of the NeXus file, where data in other HDF5 files are linked to, beside being
        named.
    """

    run: Run
    about: RunMetadata
    part: OptionalParts
    links_from: Path | None = None

    def plain(self) -> Group | None:
        """Instrument of a run that has no application definition; None if nothing is known."""
        items: dict[str, Any] = {**self.named()}
        if self.about.families.keys() & {"Facility", "Beamline", "Mono"}:
            items["source"] = self.source()
        if crystal := self.crystal():
            items["monochromator"] = Group("NXmonochromator", {"crystal": crystal})
        if axes := self.scanned():
            items["positioners"] = Group("NXcollection", axes)
        items |= self.area_detectors(items)
        return Group("NXinstrument", items) if items else None

    def scanned(self) -> dict[str, Group]:
        """A positioner for every number that the hints call scanned."""
        stream = self.run.streams.get("primary")
        if stream is None:
            return {}
        keys = [key for keys in self.run.dimensions("primary") for key in keys]
        names = unique_names(stream.columns)
        return {
            names[key]: Group(
                "NXpositioner",
                {
                    "name": text(key),
                    "value": shown_column(stream, key, f"{_READINGS}/{names[key]}"),
                },
            )
            for key in stream.scalars
            if key in keys
        }

    def area_detectors(
        self, taken: Iterable[str], merged: Mapping[str, np.ndarray] | None = None
    ) -> dict[str, Group]:
        """Detectors that give an array a point, such as the spectra of a fluorescence detector.

        Parameters
        ----------
        taken : iterable of str
            Names that the instrument has already.
        merged : mapping, optional
            Data key to its arrays merged as the spectrum is, where that is not every reading.
        """
        stream = self.run.streams.get("primary")
        arrays = [] if stream is None else stream.arrays
        elsewhere = self.part.made("external data", lambda: external_data(self.run)) or {}
        columns = {} if stream is None else unique_names(stream.columns)
        names = unique_names(dict.fromkeys([*taken, *columns, *elsewhere]))
        found: dict[str, Group] = {}
        for key in dict.fromkeys([*(k for k in columns if k in arrays), *elsewhere]):
            items: dict[str, Any] = self.described(key)
            if key in arrays and key not in elsewhere:
                items["data"] = self._arrays(key, columns[key], (merged or {}).get(key))
            if key in elsewhere:
                items |= _elsewhere(elsewhere[key], self.links_from)
            name = names[key] if key not in taken else f"{names[key]}_detector"
            found[name] = Group("NXdetector", items)
        return found

    def _arrays(self, key: str, column: str, merged: np.ndarray | None) -> Field | Link:
        """Every reading where it stands already, unless the merge made others of them."""
        stream = self.run.streams["primary"]
        if merged is None or np.array_equal(merged, stream.columns[key], equal_nan=True):
            return shown_column(stream, key, f"{_READINGS}/{column}")
        return number(merged, self.units(key), grows=True)

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
        if isinstance(facility.get("energy"), (int, float)):
            items["energy"] = number(float(facility["energy"]), "GeV")
        if (current := ring_current(self.run)) is not None:
            items["current"] = number(*current)
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
        if rois := _rois(bare):
            items["rois"] = Group("NXcollection", rois)
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


def _elsewhere(data: Sequence[ExternalData], links_from: Path | None) -> dict[str, Any]:
    """Which files hold the data of a detector, in words, and links to them where wanted."""
    words: dict[str, Any] = {
        "note": Field("the data of this detector are in the files named here"),
        "file": Field(texts([part.file for part in data])),
        "path": Field(texts([part.path for part in data])),
        "mimetype": Field(texts([part.mimetype for part in data])),
    }
    items: dict[str, Any] = {"external": Group("NXcollection", words)}
    if links_from is None:
        return items
    for count, part in enumerate(data):
        if part.is_hdf5:
            name = "data" if count == 0 else f"data_{count + 1}"
            items[name] = ExternalLink(part.seen_from(links_from), part.path)
    return items


def _rois(configuration: Mapping[str, Any]) -> dict[str, Group]:
    """Regions of interest in a configuration, whose keys say ``roi``, a number and an end."""
    found: dict[str, dict[str, Field]] = {}
    for key, value in configuration.items():
        named = _ROI.search(key)
        word = None if named is None else _ROI_WORDS.get(named[2].lower())
        if named is not None and word is not None:
            roi = found.setdefault(f"roi_{named[1]}", {})
            is_number = isinstance(value, (int, float))
            roi[word] = number(value, "channels") if is_number else text(value)
    return {name: Group("NXcollection", items) for name, items in found.items()}


def _bare(name: str, key: str) -> str:
    """A configuration key without the device's name before it."""
    return name.removeprefix(f"{key}_") or name
