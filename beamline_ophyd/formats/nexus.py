"""The NeXus tree of any run, as the kind of file that fits it.

NXxas for absorption spectra (:mod:`~beamline_ophyd.formats.nxxas`), NXmonopd for powder
patterns (:mod:`~beamline_ophyd.formats.nxmonopd`), a gridded NXdata for maps
(:mod:`~beamline_ophyd.formats.nexus_map`), and for every other run something to plot
(:mod:`~beamline_ophyd.formats.nexus_plain`). All that Bluesky said, every single event
included, stays in the collection ``bluesky``.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from beamline_ophyd.metadata import RunMetadata

from .measurement import measurement, read_metadata
from .nexus_instrument import Instrument
from .nexus_logs import logs
from .nexus_map import map_data
from .nexus_parts import (
    DISTRIBUTION,
    EARLIER,
    ENTRY,
    LAYOUT_ATTRIBUTE,
    LAYOUT_VERSION,
    bluesky_collection,
    fields_of,
    header,
    program_version,
    sample,
    text,
    users,
)
from .nexus_plain import plain_data
from .nxmonopd import powder_pattern
from .nxxas import Absorption
from .optional import OptionalParts
from .run import Run
from .tree import Group
from .units import in_one_unit

__all__ = ["nexus_tree"]

logger = logging.getLogger(__name__)

_XDI_UNITS = {"d_spacing": {"units": "angstrom"}, "edge_energy": {"units": "eV"}}


def nexus_tree(
    run: Run,
    *,
    written: str,
    definition: str = "NXxas",
    mapping: Mapping[str, Any] | None = None,
    status: tuple[str, str] = ("running", ""),
    report: Callable[[str], None] = logger.warning,
    earlier: Sequence[Run] = (),
    links_from: Path | None = None,
    sweep: int | None = None,
) -> Group:
    """The whole tree of a file with one run, from the root.

    Parameters
    ----------
    run : Run
        Also one that has not stopped, or has no events yet.
    written : str
        Time of writing, ISO 8601.
    definition : str
        Application definition of absorption spectra, one of
        :data:`~beamline_ophyd.formats.definitions.DEFINITIONS`; where a spectrum does not fit
        it, `report` is told why and it is NXxas.
    mapping : mapping, optional
        Role to data key, for runs whose start document has no contract.
    status : tuple of str
        Exit status and reason of a run that has no stop document.
    report : callable
        Told of each part that is left out because something odd in the documents broke
        it. The collection ``bluesky`` is always there.
    earlier : sequence of Run
        The runs that this one continues, from the earliest on: their points join its spectrum.
    links_from : Path, optional
        Folder of the NeXus file, where data in other HDF5 files are to be linked to; they are
        named in any case.
    sweep : int, optional
        Number of a sweep, from 1, of which `run` and `earlier` have the events only.
    """
    part = OptionalParts(report)
    about = read_metadata(run.start)[0]
    items: dict[str, Any] = {"title": text(run.uid)}
    title = _title(run, about)
    headed = run if sweep is None else _as_sweep(run, tuple(earlier), about, sweep, title)
    items |= part.made("the header", lambda: header(headed, title)) or {}
    items |= part.made("users", lambda: users(run.start)) or {}
    if found := part.made("sample", lambda: sample(about.families.get("Sample", {}), run.start)):
        items["sample"] = found
    shown = in_one_unit(run, report=report)
    instrument = Instrument(shown, about, part, links_from)
    items |= _content(
        shown, tuple(earlier), about, mapping, definition, written, instrument, part, sweep
    )
    items |= part.made("baseline and monitors", lambda: logs(shown)) or {}
    families: dict[str, Any] = {}
    for family, values in about.families.items():
        fields = part.made(f"xdi/{family}", lambda values=values: fields_of(values, _XDI_UNITS))
        if fields is not None:
            families[family] = Group("NXcollection", fields)
    if families:
        items["xdi"] = Group("NXcollection", families)
    items["bluesky"] = bluesky_collection(run, status, sweep)
    if earlier:
        parts = {
            f"run_{count}": bluesky_collection(r, ("unknown", "no stop document came"))
            for count, r in enumerate(earlier, start=1)
        }
        items[EARLIER] = Group("NXcollection", parts)
    attrs: dict[str, Any] = {LAYOUT_ATTRIBUTE: LAYOUT_VERSION}
    if "data" in items:
        attrs["default"] = "data"
    root = {"default": ENTRY, "creator": DISTRIBUTION, "creator_version": program_version(),
            "file_time": written}  # fmt: skip
    return Group("NXroot", {ENTRY: Group("NXentry", items, attrs)}, root)


def _content(
    run: Run,
    earlier: tuple[Run, ...],
    about: RunMetadata,
    mapping: Mapping[str, Any] | None,
    definition: str,
    written: str,
    instrument: Instrument,
    part: OptionalParts,
    sweep: int | None,
) -> dict[str, Any]:
    """What the run measured, by the first kind of file that fits it."""
    what = part.made("the measurement", lambda: measurement(run, mapping, part.report))
    title = _title(run, about)
    if what is not None:
        absorption = Absorption(
            run, earlier, about, what, definition, written, title, instrument, part, sweep
        )
        if (spectrum := part.made("the spectrum", absorption.items)) is not None:
            return spectrum
    contract = about.powder
    if contract is not None:
        pattern = part.made(
            "the powder pattern", lambda: powder_pattern(run, contract, about, instrument)
        )
        if pattern is not None:
            return pattern
    items: dict[str, Any] = {}
    if found := part.made("the instrument", instrument.plain):
        items["instrument"] = found
    data = part.made("the map", lambda: map_data(run)) or part.made(
        "data", lambda: plain_data(run, ENTRY)
    )
    return items if data is None else {**items, "data": data}


def _as_sweep(
    run: Run, earlier: tuple[Run, ...], about: RunMetadata, sweep: int, title: str
) -> Run:
    """The run with what the header of a sweep says: the times of its events, and its place."""
    contract = about.xafs
    of = "" if contract is None else f" of {contract.repeats}"
    title = f"{run.start.get('title') or title}, sweep {sweep}{of}"
    ended, began = [], []
    for stream in (r.streams.get("primary") for r in (*earlier, run)):
        if stream is None:
            continue
        dwell = "" if contract is None else contract.roles.dwell
        counted_s = stream.columns[dwell] if dwell in stream.scalars else np.zeros(len(stream))
        ended += stream.time.tolist()
        began += (stream.time - np.nan_to_num(counted_s)).tolist()
    ended, began = (np.asarray(t)[np.isfinite(t)] for t in (ended, began))
    start, stop = {**run.start, "title": title}, run.stop
    if len(began) and len(ended):
        # In the order in which they came: the clock may have been set back meanwhile.
        start["time"] = float(began[0])
        stop = None if stop is None else {**stop, "time": float(ended[-1])}
    return replace(run, start=start, stop=stop)


def _title(run: Run, about: RunMetadata) -> str:
    edge = " ".join(part for part in (about.element, about.edge) if part)
    parts = (about.sample_name, f"{edge} edge" if edge else None)
    return ", ".join(p for p in parts if p) or str(run.start.get("plan_name") or run.uid)
