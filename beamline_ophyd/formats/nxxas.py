"""Absorption spectra as NXxas.

A spectrum satisfies two definitions in one entry: the NXxas of the NeXus definitions
2026.01 (instrument, monitor, data) and the community's draft of its successor (element,
edge, energy, intensity at entry level, detectors i0, itrans, ...). The entry-level
spectrum is the merge of all sweeps.
"""

import json
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from beamline_ophyd.metadata import CHANNELS, Channel, RunMetadata

from .dark import Dark, dark_of
from .definitions import emission, fitting_definition
from .elements import ELEMENT_NAMES
from .measurement import Measurement, signal_role
from .merging import merge
from .nexus_instrument import Instrument
from .nexus_parts import DISTRIBUTION, ENTRY, iso_time, number, program_version, text, texts
from .optional import OptionalParts
from .points import missing_points
from .run import Run
from .spectrum import Spectrum
from .tree import Field, Group, Link

__all__ = ["Absorption"]

_MODE_NAMES = {
    "transmission": "Transmission",
    "fluorescence": "Fluorescence Yield",
    "electron yield": "Total Electron Yield",
}
_FORMULAS = {
    "transmission": "intensity = numpy.log(i0 / itrans)",
    "fluorescence": "intensity = ifluor / i0",
    "electron yield": "intensity = iey / i0",
}
_ELECTRONS = "electrons from the sample"


@dataclass(frozen=True)
class Absorption:
    """The part of an entry that makes it NXxas."""

    run: Run
    earlier: tuple[Run, ...]
    about: RunMetadata
    what: Measurement
    definition: str
    written: str
    title: str
    instrument: Instrument
    part: OptionalParts
    sweep: int | None = None

    def items(self) -> dict[str, Any]:
        """Fields and groups of the entry."""
        definition, trouble = fitting_definition(self.definition, self.what.mode, self.about)
        if trouble:
            self.part.report(trouble)
        spectrum = merge(self.run, self.what, self.earlier, arrays=True)
        intensity, errors = spectrum.mu(self.what.mode)
        items: dict[str, Any] = {
            "definition": Field(definition),
            **emission(definition, self.about),
            "is_experimental": Field(np.bool_(self.about.is_experimental)),
            "energy": _grows(spectrum.energy_ev, "eV"),
            "intensity": _grows(intensity, ""),
            "instrument": self._instrument(spectrum),
            "monitor": self._monitor(spectrum),
            "data": self._data(spectrum, errors is not None),
            "process": self._process(spectrum),
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

    def _name(self, role: str) -> str:
        """Name of a channel's detector in the drafts of NXxas."""
        if role == "ifluor" and self.what.mode == "electron yield":
            return "iey"
        return next(channel.nxxas for channel in CHANNELS if channel.role == role)

    def _instrument(self, spectrum: Spectrum) -> Group:
        entry = f"/{ENTRY}"
        items: dict[str, Any] = {
            **self.instrument.named(),
            "source": self.instrument.source(),
            "monochromator": self.instrument.monochromator(),
            "energy": Group(
                "NXpositioner",
                {"name": text(self.what.roles.energy), "value": Link(f"{entry}/energy")},
            ),
            # larch's reader of BLISS files looks for the axis here and under measurement.
            "positioners": Group("NXcollection", {"energy": Link(f"{entry}/energy")}),
        }
        for channel in CHANNELS:
            if channel.role in spectrum.channels:
                items[self._name(channel.role)] = self._detector(channel, spectrum)
        if (analyzer := self.instrument.analyzer()) is not None:
            items["analyzer_crystal"] = analyzer
        for name, role in (("incoming_beam", "i0"), ("absorbed_beam", self._signal)):
            data = Link(f"{entry}/instrument/{self._name(role)}/data")
            items[name] = Group("NXdetector", {"data": data})
        return Group("NXinstrument", items | self.instrument.area_detectors(items, spectrum.arrays))

    def _detector(self, channel: Channel, spectrum: Spectrum) -> Group:
        key, name = self.what.roles.channels[channel.role], self._name(channel.role)
        items: dict[str, Any] = {
            "data": _grows(spectrum.channels[channel.role], self.instrument.units(key)),
            "description": Field(_ELECTRONS if name == "iey" else channel.title),
            **self.instrument.described(key),
        }
        if (dark := dark_of(self.run, key)) is not None:
            items["dark"] = _dark(dark, spectrum.dark.get(channel.role), items["data"])
        if spectrum.dwell_s is not None:
            items["count_time"] = Link(f"/{ENTRY}/monitor/count_time")
        return Group("NXdetector", items)

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
        channels = {self._name(r): f"instrument/{self._name(r)}/data" for r in spectrum.channels}
        fields = {
            "energy": "energy",
            "intensity": "intensity",
            **({"intensity_errors": "intensity_errors"} if has_errors else {}),
            "absorbed_beam": f"instrument/{self._name(self._signal)}/data",
            **channels,
        }
        items: dict[str, Any] = {name: Link(f"/{ENTRY}/{path}") for name, path in fields.items()}
        items["mode"] = Field(_MODE_NAMES[self.what.mode])
        items["title"] = text(self.title)
        attrs = {
            "signal": "intensity",
            "axes": ["energy"],
            "energy_indices": 0,
            "auxiliary_signals": list(channels),
        }
        return Group("NXdata", items, attrs)

    def _process(self, spectrum: Spectrum) -> Group:
        contract = self.about.xafs
        parameters: dict[str, Any] = {
            "mode": Field(self.what.mode),
            "roles_from": Field(self.what.source),
            "formula": Field(self._formula(spectrum)),
        }
        if self.what.source == "mapping":  # what no document says, a reader finds here
            roles = self.what.roles.model_dump(exclude_none=True)
            parameters["roles"] = text(json.dumps({**roles, "mode": self.what.mode}))
        if contract is not None:
            parameters |= {
                "e0": number(contract.e0_ev, "eV"),
                "e0_shift": number(contract.e0_shift_ev, "eV"),
                "k_constant": number(contract.k_constant_ev_a2, "eV*angstrom^2"),
                "points_per_sweep": number(contract.points_per_sweep, ""),
                "repeats": number(contract.repeats, ""),
            }
            if self.run.stop is not None:
                missing = missing_points((*self.earlier, self.run), self.sweep)
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

    def _formula(self, spectrum: Spectrum) -> str:
        """How intensity follows from the detectors' data."""
        formula = _FORMULAS[self.what.mode]
        roles = [role for role in ("i0", self._signal) if role in spectrum.dark]
        for name in map(self._name, roles):
            formula = re.sub(rf"\b{name}\b", f"({name} - {name}_dark)", formula)
        dark = ", ".join(f"{n}_dark = instrument/{n}/dark/data" for n in map(self._name, roles))
        return f"{formula}, {dark}" if dark else formula

    def _measurement(self, spectrum: Spectrum) -> Group:
        paths = {"energy": "energy", "intensity": "intensity"}
        paths |= {self._name(r): f"instrument/{self._name(r)}/data" for r in spectrum.channels}
        if spectrum.dwell_s is not None:
            # BLISS's name for it; and larch takes the first one, so energy has to stay that.
            paths["sec"] = "monitor/count_time"
        return Group("NXcollection", {n: Link(f"/{ENTRY}/{p}") for n, p in paths.items()})


def _grows(values: np.ndarray, units: str) -> Field:
    return number(values, units, grows=True)


def _dark(dark: Dark, readings: np.ndarray | None, data: Field) -> Group:
    """Dark current of a channel: as it was measured, and what mu(E) leaves out of its data."""
    items = {
        "value": number(dark.value, dark.units),
        "value_error": number(dark.error, dark.units),
    }
    if (measured := iso_time(dark.measured)) is not None:
        items["date"] = text(measured)
    if readings is not None:
        items["data"] = _grows(readings, str(data.attrs["units"]))
    return Group("NXcollection", items)


def _mu(spectrum: Spectrum) -> Group:
    """All absorption channels measured at once, and how many readings each point merges."""
    items = {"readings": _grows(spectrum.merged, "")}
    for channel in spectrum.available:
        mu, errors = spectrum.mu(channel)
        items[channel] = _grows(mu, "")
        if errors is not None:
            items[f"{channel}_errors"] = _grows(errors, "")
    return Group("NXcollection", items)
