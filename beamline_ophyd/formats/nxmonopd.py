"""Powder patterns as NXmonopd of the NeXus definitions."""

from typing import Any

import numpy as np

from beamline_ophyd.edges import HC_EV_ANGSTROM
from beamline_ophyd.metadata import COUNT_UNITS, PowderContract, RunMetadata

from .nexus_instrument import Instrument
from .nexus_parts import ENTRY, number, sample
from .run import Run, Stream
from .tree import Field, Group, Link

__all__ = ["powder_pattern"]


def powder_pattern(
    run: Run, contract: PowderContract, about: RunMetadata, instrument: Instrument
) -> dict[str, Any] | None:
    """Items of an entry that make it NXmonopd; None while there is no descriptor.

    Points without a finite angle or count are left out; the collection ``bluesky`` has them.

    Raises
    ------
    ValueError
        When the run does not have what its contract names, or what it names is no counts:
        the definition has whole numbers only.
    """
    stream = run.streams.get("primary")
    if stream is None:
        return None
    roles = contract.roles
    angle, counts = _column(stream, roles.two_theta), _column(stream, roles.counts)
    kept = np.isfinite(angle) & np.isfinite(counts)
    dwell = None if roles.dwell is None else _column(stream, roles.dwell)[kept]
    monitor = None if roles.monitor is None else _column(stream, roles.monitor)[kept]
    theta = None if roles.theta is None else _column(stream, roles.theta)[kept]
    detector = {
        "polar_angle": _grows(angle[kept], "deg"),
        "data": _grows(_whole(counts[kept], roles.counts, stream), "counts"),
        **instrument.described(roles.counts),
    }
    wavelength = contract.wavelength_angstrom
    crystal = instrument.crystal()
    if dwell is not None:
        detector["count_time"] = _grows(dwell, "s")
    data: dict[str, Any] = {
        name: Link(f"/{ENTRY}/instrument/detector/{name}") for name in ("polar_angle", "data")
    }
    attrs: dict[str, Any] = {"signal": "data", "axes": ["polar_angle"], "polar_angle_indices": 0}
    if monitor is not None:
        data["monitor"] = Link(f"/{ENTRY}/monitor/data")
        attrs["auxiliary_signals"] = ["monitor"]
    turned = sample(about.families.get("Sample", {}), run.start)
    rotation = number(np.array([np.nan]), "deg") if theta is None else _grows(theta, "deg")
    return {
        "definition": Field("NXmonopd"),
        "instrument": Group(
            "NXinstrument",
            {
                **instrument.named(),
                "source": instrument.source(),
                "crystal": Group(
                    "NXcrystal",
                    {
                        **({} if crystal is None else crystal.items),
                        "wavelength": number(np.array([wavelength]), "angstrom"),
                    },
                ),
                "monochromator": Group(
                    "NXmonochromator",
                    {
                        "wavelength": number(wavelength, "angstrom"),
                        "energy": number(HC_EV_ANGSTROM / wavelength, "eV"),
                    },
                ),
                "detector": Group("NXdetector", detector),
            },
        ),
        "sample": Group("NXsample", {**turned.items, "rotation_angle": rotation}),
        "monitor": _monitor(stream, roles.monitor, monitor, dwell),
        "data": Group("NXdata", data, attrs),
    }


def _monitor(
    stream: Stream, key: str | None, values: np.ndarray | None, dwell: np.ndarray | None
) -> Group:
    known = np.empty(0) if dwell is None else dwell[np.isfinite(dwell)]
    unit = (None if key is None else stream.units(key)) or "counts"
    total = np.nan if values is None else float(np.nansum(values))
    items: dict[str, Any] = {
        "mode": Field("timer"),
        "preset": number(float(known[0]) if len(known) else np.nan, "s"),
        "integral": number(total, unit),
    }
    if values is not None:
        items["data"] = _grows(values, unit)
    return Group("NXmonitor", items)


def _column(stream: Stream, key: str) -> np.ndarray:
    values = stream.columns.get(key)
    if values is None and not len(stream):
        return np.empty(0)
    if values is None or values.ndim != 1 or values.dtype.kind not in "biuf":
        have = ", ".join(stream.columns) or "none"
        raise ValueError(
            f"the start document's contract names {key!r}, which is no number of this run (it has "
            f"{have}); give powder_scan the data keys that its detectors have"
        )
    return values


def _whole(counts: np.ndarray, key: str, stream: Stream) -> np.ndarray:
    unit = stream.units(key) or ""
    if unit.lower() not in COUNT_UNITS or np.any(counts != np.rint(counts)):
        raise ValueError(
            f"NXmonopd has whole counts, and {key!r} is in {unit or 'fractions'}; give powder_scan "
            "the data key of a counter"
        )
    return counts.astype(np.int64)


def _grows(values: np.ndarray, units: str) -> Field:
    return number(values, units, grows=True)
