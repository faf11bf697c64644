"""What is wrong with a NeXus file: the checks that general validators leave out.

They look at names and types; here the numbers are looked at too: lengths that belong
together, units, times with their offset, links that lead somewhere, and whether a
program that opens the file finds something to plot.
"""

import datetime as dt
import logging
import os.path
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from .definitions import DEFINITIONS
from .hdf5 import open_to_read
from .nexus_parts import LAYOUT_ATTRIBUTE, LAYOUT_VERSION
from .nexus_read import entries_in, read_run
from .problems import Problem, ReadError
from .run import Run

__all__ = ["application_problems", "validate_file"]

TIMES = ("start_time", "end_time", "date", "file_time")
WITHOUT_UNITS = ("sequence_index", "is_experimental")
EDGE = re.compile(r"K|L(1|2|3|2,3)|M(1|2|3|4|5|2,3|4,5)|[NOP]\d(,\d)?")


def validate_file(path: str | Path, *, application: bool = True) -> list[Problem]:
    """Everything that is found wrong in a NeXus file; an empty list for a good one.

    Parameters
    ----------
    path : path
    application : bool
        Whether to ask nexusformat too, where it is installed, if the file follows the
        official definition that it names.

    Returns
    -------
    list of Problem
        ``where`` is the path inside the file.
    """
    problems: list[Problem] = []
    try:
        with open_to_read(path) as file:
            is_own = any(LAYOUT_ATTRIBUTE in node.attrs for node in file.values())
            problems.extend(_file_problems(file))
        if is_own and not problems:
            for name in entries_in(path):
                _exhaust(read_run(path, name)[0], path)
    except OSError as error:
        return [*problems, Problem(str(path), f"cannot be read as HDF5: {error}")]
    except ReadError as error:
        return [Problem(str(path), f"does not give its run back: {error}")]
    except Exception as error:  # h5py raises all kinds on damaged files
        what = f"{type(error).__name__}: {error}"
        return [*problems, Problem(str(path), f"is damaged, checking ended at {what}")]
    if application and not problems:
        problems += application_problems(path)
    return problems


def _exhaust(run: Run, path: str | Path) -> None:
    """Make every document once: values in a code that they are not in show only then."""
    try:
        for _ in run.documents():
            pass
    except Exception as error:
        raise ReadError(f"{path}: {type(error).__name__}: {error}") from error


def application_problems(path: str | Path) -> list[Problem]:
    """What nexusformat's validator reports; empty where it is not installed, and for drafts."""
    try:
        from nexusformat.nexus import validate
    except ImportError:
        return []
    with open_to_read(path) as file:
        entries = [node for node in file.values() if isinstance(node, h5py.Group)]
        named = [_text(_get(entry, "definition")) for entry in entries]
    drafts = [name for name, definition in DEFINITIONS.items() if definition.required]
    if not any(named) or any(name in drafts for name in named):
        return []
    said: list[Problem] = []

    class Collect(logging.Handler):
        where = ""

        def emit(self, record: logging.LogRecord) -> None:
            message = record.getMessage().strip()
            if record.levelno in (logging.WARNING, logging.ERROR):
                said.append(Problem(self.where, message))
            elif message.startswith(("Field:", "Group:", "Attribute:", "Link:")):
                self.where = message.split(":", 1)[1].strip()

    logger = validate.logger
    handlers, level = logger.handlers, logger.level
    logger.handlers = [Collect()]
    try:
        logger.setLevel(logging.WARNING)
        validate.validate_application(str(path))
    finally:
        logger.handlers = handlers
        logger.setLevel(level)
    return said


def _file_problems(file: h5py.File) -> Iterator[Problem]:
    entries = [n for n in file.values() if isinstance(n, h5py.Group) and _class(n) == "NXentry"]
    if not entries:
        yield Problem("/", "no NXentry; a NeXus file has at least one at its root")
        return
    yield from _default_plot(file, entries)
    yield from _links(file)
    for entry in entries:
        yield from _entry_problems(entry)


def _entry_problems(entry: h5py.Group) -> Iterator[Problem]:
    for node in _nodes(entry):
        if isinstance(node, h5py.Dataset):
            yield from _dataset_problems(node, is_defined="definition" in entry)
        elif _class(node) == "NXdata":
            yield from _data_problems(node)
    if "start_time" not in entry:
        yield Problem(str(entry.name), "no start_time")
    definition = _text(_get(entry, "definition")) or ""
    if definition in DEFINITIONS:
        for path in DEFINITIONS[definition].required:
            if path not in entry:
                yield Problem(f"{entry.name}/{path}", f"is not there; {definition} requires it")
        yield from _spectrum_problems(entry)
    elif definition == "NXmonopd":
        yield from _pattern_problems(entry)
    if LAYOUT_ATTRIBUTE in entry.attrs:
        yield from _own_problems(entry)


def _spectrum_problems(entry: h5py.Group) -> Iterator[Problem]:
    """Lengths that must agree, and what element and edge may be."""
    energy = _get(entry, "energy") or _get(entry, "instrument/monochromator/energy")
    if not isinstance(energy, h5py.Dataset):
        yield Problem(str(entry.name), "no energy, neither at entry level nor in a monochromator")
        return
    if not np.all(np.isfinite(energy[()])):
        yield Problem(str(energy.name), "holds energies that are not finite")
    paths = ["intensity", "intensity_errors", "instrument/monochromator/energy", "monitor/data"]
    instrument = _get(entry, "instrument")
    if isinstance(instrument, h5py.Group):
        paths += [
            f"instrument/{name}/data"
            for name, group in instrument.items()
            if _class(group) == "NXdetector" and "external" not in group
        ]
    for path in paths:
        node = _get(entry, path)
        # Spectra of a detector have the energy as their first index, not as their last.
        is_fit = node is None or energy.shape in (node.shape[:1], node.shape[-1:])
        if isinstance(node, h5py.Dataset) and not is_fit:
            yield Problem(
                f"{entry.name}/{path}", f"has {node.shape} values for {energy.shape[0]} energies"
            )
    edge = _text(_get(entry, "edge/name"))
    if edge is not None and not EDGE.fullmatch(edge):
        yield Problem(f"{entry.name}/edge/name", f"{edge!r} is no edge; write K, L3 or M4,5")


def _pattern_problems(entry: h5py.Group) -> Iterator[Problem]:
    """Lengths and types of a powder pattern."""
    where = f"{entry.name}/instrument"
    instrument = _get(entry, "instrument")
    detectors = instrument.values() if isinstance(instrument, h5py.Group) else ()
    for detector in detectors:
        angle, counts = _get(detector, "polar_angle"), _get(detector, "data")
        if isinstance(angle, h5py.Dataset) and isinstance(counts, h5py.Dataset):
            if angle.shape != counts.shape:
                yield Problem(
                    str(counts.name), f"has {counts.shape} values for {angle.shape} angles"
                )
            if counts.dtype.kind not in "iu":
                yield Problem(str(counts.name), f"is of type {counts.dtype}; counts are whole")
            return
    yield Problem(where, "no detector with polar_angle and data, of which a pattern consists")


def _own_problems(entry: h5py.Group) -> Iterator[Problem]:
    """Whether a file of this project tells the truth about itself."""
    version: Any = entry.attrs[LAYOUT_ATTRIBUTE]
    where = f"{entry.name}/bluesky"
    if int(version) > LAYOUT_VERSION:
        yield Problem(where, f"layout {version} is newer than {LAYOUT_VERSION}")
    status = _text(_get(entry, "bluesky/exit_status"))
    if status is None:
        yield Problem(where, "no exit_status")
    elif status == "running":
        yield Problem(where, "exit_status is 'running': the file was never finished")
    taken, events = (
        _get(entry, "bluesky/points_taken"),
        _get(entry, "bluesky/streams/primary/seq_num"),
    )
    if taken is not None and events is not None and int(taken[()]) != len(events):
        yield Problem(where, f"points_taken is {taken[()]}, but {len(events)} events are there")
    streams = _get(entry, "bluesky/streams")
    for stream in streams.values() if isinstance(streams, h5py.Group) else ():
        for node in _nodes(stream):
            if isinstance(node, h5py.Dataset) and len(node) != len(stream["seq_num"]):
                rows = len(stream["seq_num"])
                yield Problem(str(node.name), f"has {len(node)} rows for {rows} events")


def _dataset_problems(node: h5py.Dataset, *, is_defined: bool) -> Iterator[Problem]:
    name = str(node.name).rsplit("/", 1)[-1]
    where = str(node.name)
    # Under the names that Bluesky, XDI or a device use stands what those mean by them.
    is_raw = any(part in where for part in ("/bluesky/streams/", "/xdi/", "/configuration/"))
    if node.dtype.kind in "iuf" and name not in WITHOUT_UNITS and "units" not in node.attrs:
        yield Problem(where, "has no units; a pure number has the empty one")
    if is_raw:
        return
    if name in TIMES and (text := _text(node)) is not None and not _is_time(text):
        yield Problem(where, f"{text!r} is no ISO 8601 time with an offset from UTC")
    if name == "duration" and node.dtype.kind not in "iu":
        yield Problem(where, f"is of type {node.dtype}; NeXus has whole seconds")
    unit = str(node.attrs.get("units", ""))
    # Without a definition any device may be called so, and has the unit that it has.
    is_photons = is_defined and _class(node.parent) != "NXsource"
    is_meant = name == "d_spacing" or (name == "energy" and is_photons)
    if is_meant and not _unit_fits(name, unit):
        yield Problem(where, f"has the unit {node.attrs.get('units')!r}")


def _data_problems(group: h5py.Group) -> Iterator[Problem]:
    where = str(group.name)
    name = group.attrs.get("signal")
    signal = None if name is None else _get(group, str(name))
    if not isinstance(signal, h5py.Dataset):
        yield Problem(where, f"its signal {name!r} is not there")
        return
    axes = np.atleast_1d(np.asarray(group.attrs.get("axes", []), dtype=object))
    for number, axis in enumerate(map(str, axes)):
        node = _get(group, axis)
        if axis == ".":
            continue
        if not isinstance(node, h5py.Dataset):
            yield Problem(where, f"its axis {axis!r} is not there")
        elif number >= signal.ndim or len(node) not in (
            signal.shape[number],
            signal.shape[number] + 1,
        ):
            yield Problem(where, f"axis {axis!r} {node.shape} does not fit signal {signal.shape}")
    auxiliary = np.atleast_1d(np.asarray(group.attrs.get("auxiliary_signals", []), dtype=object))
    for other in (*map(str, auxiliary), f"{name}_errors"):
        node = _get(group, other)
        if node is None and not other.endswith("_errors"):
            yield Problem(where, f"its auxiliary signal {other!r} is not there")
        elif isinstance(node, h5py.Dataset) and node.shape != signal.shape:
            yield Problem(where, f"{other!r} {node.shape} does not fit signal {signal.shape}")


def _default_plot(file: h5py.File, entries: list[h5py.Group]) -> Iterator[Problem]:
    entry = _get(file, str(file.attrs.get("default", "/none")))
    if entry is None:
        yield Problem("/", "no default attribute that names an entry: nothing to plot on opening")
        return
    if "default" not in entry.attrs:
        if any(_class(node) == "NXdata" for node in _nodes(entries[0])):
            yield Problem(str(entry.name), "no default attribute that names an NXdata")
        return
    data = _get(entry, str(entry.attrs["default"]))
    if data is None or _class(data) != "NXdata":
        yield Problem(str(entry.name), f"default {entry.attrs['default']!r} is no NXdata")


def _links(file: h5py.File) -> Iterator[Problem]:
    """Links that lead nowhere, and target attributes that name another object."""
    seen: set[Any] = set()

    def look(group: h5py.Group) -> Iterator[Problem]:
        for name in group:
            where = f"{str(group.name).rstrip('/')}/{name}"
            link: Any = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                if not _is_named(link.filename, group):
                    yield Problem(where, f"leads into another file, {link.filename}")
                elif _get(group, name) is None:
                    yield Problem(where, f"leads to {link.path} of {link.filename}: not there")
                continue
            node = _get(group, name)
            if node is None:
                yield Problem(where, "is a link to something that is not there")
                continue
            target = node.attrs.get("target")
            if target is not None and (str(target) not in file or file[str(target)] != node):
                yield Problem(where, f"its target {target!r} is not the same object")
            if isinstance(node, h5py.Group) and node.id not in seen:
                seen.add(node.id)
                yield from look(node)

    yield from look(file)


def _is_named(linked: str, group: h5py.Group) -> bool:
    """Whether a link, which may be relative, leads into a file that its detector names."""
    folder = Path(group.file.filename).absolute().parent
    named = _named_files(group)
    return linked in named or os.path.realpath(folder / linked) in map(os.path.realpath, named)


def _named_files(group: h5py.Group) -> list[str]:
    """Files that a detector says its data are in, to which its links may lead."""
    files = _get(group, "external/file")
    is_text = isinstance(files, h5py.Dataset) and h5py.check_string_dtype(files.dtype)
    return [str(file) for file in np.atleast_1d(files.asstr()[()])] if is_text else []


def _nodes(group: h5py.Group) -> Iterator[Any]:
    """All nodes below a group, each once, broken and external links left out."""
    for name in group:
        if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
            continue
        node = _get(group, name)
        if node is None or node.attrs.get("target", f"{group.name}/{name}") != (
            f"{group.name}/{name}"
        ):
            continue
        yield node
        if isinstance(node, h5py.Group):
            yield from _nodes(node)


def _get(group: Any, path: Any) -> Any:
    """Node at a path, None where there is none."""
    return group.get(path)


def _class(node: Any) -> str:
    return str(node.attrs.get("NX_class", "")) if isinstance(node, h5py.Group) else ""


def _text(node: Any) -> str | None:
    if not isinstance(node, h5py.Dataset) or not h5py.check_string_dtype(node.dtype):
        return None
    return str(node.asstr()[()])


def _is_time(text: str) -> bool:
    try:
        return dt.datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _unit_fits(name: str, unit: str) -> bool:
    lengths = {"angstrom", "Angstrom", "Å", "A", "nm", "pm", "m"}
    return unit in ({"eV", "keV", "ev", "kev"} if name == "energy" else lengths)
