"""The NeXus tree of a run: NXxas for absorption spectra, a plain entry for the rest.

An absorption spectrum satisfies two definitions in one entry: the NXxas of the NeXus
definitions 2026.01 (instrument, monitor, data) and the community's draft of its
successor (element, edge, energy, intensity at entry level, detectors i0, itrans, ...).
Everything that Bluesky said, every single event included, stays in the collection
``bluesky``; the entry-level spectrum is the merge of all sweeps.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from beamline_ophyd.metadata import CHANNELS, Channel, RunMetadata

from .elements import ELEMENT_NAMES
from .measurement import Measurement, measurement, read_metadata, signal_role
from .merging import merge
from .nexus_parts import (
    DISTRIBUTION,
    EARLIER,
    LAYOUT_ATTRIBUTE,
    LAYOUT_VERSION,
    bluesky_collection,
    fields_of,
    header,
    number,
    program_version,
    sample,
    text,
    texts,
    users,
)
from .nexus_plain import plain_data
from .optional import OptionalParts
from .points import missing_points
from .run import Run
from .spectrum import Spectrum
from .tree import Field, Group, Link

__all__ = ["DEFINITIONS", "ENTRY", "nexus_tree"]

DEFINITIONS = ("NXxas",)
ENTRY = "entry"

logger = logging.getLogger(__name__)

_MODE_NAMES = {
    "transmission": "Transmission",
    "fluorescence": "Fluorescence Yield",
    "electron yield": "Total Electron Yield",
}
_XDI_UNITS = {"d_spacing": {"units": "angstrom"}, "edge_energy": {"units": "eV"}}
_FORMULAS = {
    "transmission": "intensity = numpy.log(i0 / itrans)",
    "fluorescence": "intensity = ifluor / i0",
    "electron yield": "intensity = ifluor / i0",
}


def nexus_tree(
    run: Run,
    *,
    written: str,
    definition: str = "NXxas",
    mapping: Mapping[str, Any] | None = None,
    status: tuple[str, str] = ("running", ""),
    report: Callable[[str], None] = logger.warning,
    earlier: Sequence[Run] = (),
) -> Group:
    """The whole tree of a file with one run, from the root.

    Parameters
    ----------
    run : Run
        Also one that has not stopped, or has no events yet.
    written : str
        Time of writing, ISO 8601.
    definition : str
        One of `DEFINITIONS`.
    mapping : mapping, optional
        Role to data key, for runs whose start document has no contract.
    status : tuple of str
        Exit status and reason of a run that has no stop document.
    report : callable
        Told of each part that is left out because something odd in the documents broke
        it. The collection ``bluesky`` is always there.
    earlier : sequence of Run
        The runs that this one continues, from the earliest on: their points join its spectrum.
    """
    part = OptionalParts(report)
    about = read_metadata(run.start)[0]
    what = part.made("the measurement", lambda: measurement(run, mapping, report))
    items: dict[str, Any] = {"title": text(run.uid)}
    items |= part.made("the header", lambda: header(run, _title(run, about))) or {}
    items |= part.made("users", lambda: users(run.start)) or {}
    if found := part.made("sample", lambda: sample(about.families.get("Sample", {}))):
        items["sample"] = found
    attrs: dict[str, Any] = {LAYOUT_ATTRIBUTE: LAYOUT_VERSION, "default": "data"}
    spectrum = None
    if what is not None:
        absorption = _Absorption(run, tuple(earlier), about, what, definition, written, part)
        spectrum = part.made("the spectrum", absorption.items)
    if spectrum is not None:
        items |= spectrum
    elif (data := part.made("data", lambda: plain_data(run, ENTRY))) is not None:
        items["data"] = data
    else:
        del attrs["default"]
    families: dict[str, Any] = {}
    for family, values in about.families.items():
        fields = part.made(f"xdi/{family}", lambda values=values: fields_of(values, _XDI_UNITS))
        if fields is not None:
            families[family] = Group("NXcollection", fields)
    if families:
        items["xdi"] = Group("NXcollection", families)
    items["bluesky"] = bluesky_collection(run, status)
    if earlier:
        parts = {
            f"run_{count}": bluesky_collection(r, ("unknown", "no stop document came"))
            for count, r in enumerate(earlier, start=1)
        }
        items[EARLIER] = Group("NXcollection", parts)
    root = {"default": ENTRY, "creator": DISTRIBUTION, "creator_version": program_version(),
            "file_time": written}  # fmt: skip
    return Group("NXroot", {ENTRY: Group("NXentry", items, attrs)}, root)


def _title(run: Run, about: RunMetadata) -> str:
    edge = " ".join(part for part in (about.element, about.edge) if part)
    parts = (about.sample_name, f"{edge} edge" if edge else None)
    return ", ".join(p for p in parts if p) or str(run.start.get("plan_name") or run.uid)


@dataclass(frozen=True)
class _Absorption:
    """The part of the entry that makes it NXxas."""

    run: Run
    earlier: tuple[Run, ...]
    about: RunMetadata
    what: Measurement
    definition: str
    written: str
    part: OptionalParts

    def items(self) -> dict[str, Any]:
        spectrum = merge(self.run, self.what, self.earlier)
        intensity, errors = spectrum.mu(self.what.mode)
        items: dict[str, Any] = {
            "definition": Field(self.definition),
            "is_experimental": Field(np.bool_(self.about.is_experimental)),
            "energy": _grows(spectrum.energy_ev, "eV"),
            "intensity": _grows(intensity, ""),
            "instrument": self._instrument(spectrum),
            "monitor": self._monitor(spectrum),
            "data": self._data(spectrum, errors is not None),
            "process": self._process(),
            "mu": _mu(spectrum),
            "measurement": self._measurement(spectrum),
        }
        if errors is not None:
            items["intensity_errors"] = _grows(errors, "")
        if self.about.element:
            symbol = self.about.element
            names = {"symbol": text(symbol), "name": text(ELEMENT_NAMES.get(symbol, symbol))}
            items["element"] = Group("NXelement", names)
        if self.about.edge:
            items["edge"] = Group("NXabsorption_edge", {"name": text(self.about.edge)})
        return items

    @property
    def _signal(self) -> str:
        return signal_role(self.what.mode)

    def _instrument(self, spectrum: Spectrum) -> Group:
        facility = self.about.families.get("Facility", {})
        beamline = self.about.families.get("Beamline", {}).get("name")
        entry = f"/{ENTRY}"
        items: dict[str, Any] = {
            "source": Group(
                "NXsource",
                {
                    "name": text(facility.get("name") or "unknown"),
                    "type": Field("Synchrotron X-ray Source"),
                    "probe": Field("x-ray"),
                },
            ),
            "monochromator": self._monochromator(),
            "energy": Group(
                "NXpositioner",
                {"name": text(self.what.roles.energy), "value": Link(f"{entry}/energy")},
            ),
            # larch's reader of BLISS files looks for the axis here and under measurement.
            "positioners": Group("NXcollection", {"energy": Link(f"{entry}/energy")}),
        }
        if beamline:
            items["name"] = text(beamline)
        for channel in CHANNELS:
            if channel.role in spectrum.channels:
                items[channel.nxxas] = self._detector(channel, spectrum)
        for name, role in (("incoming_beam", "i0"), ("absorbed_beam", self._signal)):
            data = Link(f"{entry}/instrument/{_nxxas_name(role)}/data")
            items[name] = Group("NXdetector", {"data": data})
        return Group("NXinstrument", items)

    def _detector(self, channel: Channel, spectrum: Spectrum) -> Group:
        key = self.what.roles.channels[channel.role]
        items: dict[str, Any] = {
            "data": _grows(spectrum.channels[channel.role], self._units(key)),
            "description": Field(channel.title),
            "local_name": text(key),
        }
        if spectrum.dwell_s is not None:
            items["count_time"] = Link(f"/{ENTRY}/monitor/count_time")
        values, keys = self._configuration(key)
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
        return Group("NXdetector", items)

    def _units(self, key: str) -> str:
        stream = self.run.streams.get("primary")
        return (stream.units(key) if stream else None) or "counts"

    def _configuration(self, key: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """Configuration of the device that a data key comes from."""
        stream = self.run.streams.get("primary")
        found = self.run.configuration("primary")
        device = stream.data_keys.get(key, {}).get("object_name") if stream else None
        return found.get(str(device), found.get(key, ({}, {})))

    def _monochromator(self) -> Group:
        mono = self.about.families.get("Mono", {})
        items: dict[str, Any] = {"energy": Link(f"/{ENTRY}/energy")}
        crystal: dict[str, Any] = {}
        if isinstance(mono.get("d_spacing"), (int, float)):
            crystal["d_spacing"] = number(float(mono["d_spacing"]), "angstrom")
        name = mono.get("name")
        if isinstance(name, str):
            cut = re.fullmatch(r"\s*([A-Z][a-z]?)\s*[( ]?\s*(\d)\s*(\d)\s*(\d)\s*\)?\s*", name)
            crystal["type"] = text(cut[1] if cut else name)
            if cut:
                crystal["reflection"] = number(np.array([int(i) for i in cut.groups()[1:]]), "")
        if crystal:
            items["crystal"] = Group("NXcrystal", {**crystal, "usage": Field("Bragg")})
        return Group("NXmonochromator", items)

    def _monitor(self, spectrum: Spectrum) -> Group:
        dwell = spectrum.dwell_s
        known = np.empty(0) if dwell is None else dwell[np.isfinite(dwell)]
        items: dict[str, Any] = {
            "mode": Field("timer"),
            "preset": number(float(known[0]) if len(known) else float("nan"), "s"),
            "data": Link(f"/{ENTRY}/instrument/i0/data"),
        }
        if dwell is not None:
            items["count_time"] = _grows(dwell, "s")
        return Group("NXmonitor", items)

    def _data(self, spectrum: Spectrum, has_errors: bool) -> Group:
        channels = {_nxxas_name(r): f"instrument/{_nxxas_name(r)}/data" for r in spectrum.channels}
        fields = {
            "energy": "energy",
            "intensity": "intensity",
            **({"intensity_errors": "intensity_errors"} if has_errors else {}),
            "absorbed_beam": f"instrument/{_nxxas_name(self._signal)}/data",
            **channels,
        }
        items: dict[str, Any] = {name: Link(f"/{ENTRY}/{path}") for name, path in fields.items()}
        items["mode"] = Field(_MODE_NAMES[self.what.mode])
        items["title"] = text(_title(self.run, self.about))
        attrs = {
            "signal": "intensity",
            "axes": ["energy"],
            "energy_indices": 0,
            "auxiliary_signals": list(channels),
        }
        return Group("NXdata", items, attrs)

    def _process(self) -> Group:
        contract = self.about.xafs
        parameters: dict[str, Any] = {
            "mode": Field(self.what.mode),
            "roles_from": Field(self.what.source),
            "formula": Field(_FORMULAS[self.what.mode]),
        }
        if contract is not None:
            parameters |= {
                "e0": number(contract.e0_ev, "eV"),
                "e0_shift": number(contract.e0_shift_ev, "eV"),
                "k_constant": number(contract.k_constant_ev_a2, "eV*angstrom^2"),
                "points_per_sweep": number(contract.points_per_sweep, ""),
                "repeats": number(contract.repeats, ""),
            }
            if self.run.stop is not None:
                missing = missing_points((*self.earlier, self.run))
                parameters["missing_points"] = number(missing, "")
            if contract.continues is not None:
                parameters["continues"] = text(contract.continues)
                parameters["joined_runs"] = Field(texts([run.uid for run in self.earlier]))
        return Group(
            "NXprocess",
            {
                "program": Field(DISTRIBUTION),
                "version": Field(program_version()),
                "date": Field(self.written),
                "sequence_index": Field(1),
                "parameters": Group("NXparameters", parameters),
            },
        )

    def _measurement(self, spectrum: Spectrum) -> Group:
        paths = {"energy": "energy", "intensity": "intensity"}
        paths |= {_nxxas_name(r): f"instrument/{_nxxas_name(r)}/data" for r in spectrum.channels}
        if spectrum.dwell_s is not None:
            # BLISS's name for it; and larch takes the first one, so energy has to stay that.
            paths["sec"] = "monitor/count_time"
        return Group("NXcollection", {n: Link(f"/{ENTRY}/{p}") for n, p in paths.items()})


def _grows(values: np.ndarray, units: str) -> Field:
    return number(values, units, grows=True)


def _mu(spectrum: Spectrum) -> Group:
    """All absorption channels measured at once, and how many readings each point merges."""
    items = {"readings": _grows(spectrum.merged, "")}
    for channel in spectrum.available:
        mu, errors = spectrum.mu(channel)
        items[channel] = _grows(mu, "")
        if errors is not None:
            items[f"{channel}_errors"] = _grows(errors, "")
    return Group("NXcollection", items)


def _nxxas_name(role: str) -> str:
    return next(channel.nxxas for channel in CHANNELS if channel.role == role)


def _bare(name: str, key: str) -> str:
    """A configuration key without the device's name before it."""
    return name.removeprefix(f"{key}_") or name
