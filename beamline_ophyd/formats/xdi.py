"""XDI 1.0 files written: one absorption spectrum as text, with the whole dictionary.

Specification and dictionary: XAS Data Interchange, version 1.0 (XDI working group; Ravel
et al., J. Phys.: Conf. Ser. 712, 012148, 2016). Numbers are written so that they come
back to the last bit.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from beamline_ophyd.metadata import CHANNELS, RunMetadata

from .dark import dark_of
from .measurement import Measurement, read_metadata
from .merging import merge
from .nexus_logs import ring_current
from .nexus_parts import iso_time, program_version
from .problems import OutputError
from .run import Run
from .spectrum import Spectrum
from .xdi_dictionary import (
    APPLICATION,
    FAMILIES,
    REQUIRED,
    item_text,
    items_of,
    one_line,
    safe_word,
)

__all__ = ["XDIError", "missing_words", "xdi_text"]

MU_LABELS = {"transmission": "mutrans", "fluorescence": "mufluor", "reference": "murefer"}

DETECTORS = {"i0": "i0", "itrans": "it", "ifluor": "if", "irefer": "ir"}
"""Role to the dictionary's word in the family Detector."""

_FORMULA = re.compile(r"(?:[A-Z][a-z]?\d*)+")


class XDIError(OutputError):
    """A run lacks what an XDI file must say; the message shows how to say it."""


def xdi_text(
    run: Run,
    what: Measurement,
    metadata: Mapping[str, Any] | None = None,
    earlier: Sequence[Run] = (),
) -> str:
    """An absorption run as the text of an XDI file.

    Readings are written without their dark current, where the run tells it, so that their
    ratio is that of mu(E); the field ``beamline_ophyd.dark_current_subtracted`` says what was
    taken from them.

    Parameters
    ----------
    run : Run
    what : Measurement
        What it measured; all sweeps are merged into one spectrum.
    metadata : mapping, optional
        Family to items, over those of the start document:
        ``{"Element": {"symbol": "Fe", "edge": "K"}}``.
    earlier : sequence of Run
        The runs that this one continues, whose points join its spectrum.

    Returns
    -------
    str
        Points without a finite energy, I0 or signal are left out, for XDI has no word for
        them; the field ``beamline_ophyd.points_left_out`` says how many.

    Raises
    ------
    XDIError
        When the run does not say one of the words that XDI requires, or has no points.
    """
    about = read_metadata(run.start)[0]
    families = _families(run, about, what, metadata or {})
    if missing := missing_words(families):
        example = '{"Element": {"symbol": "Fe", "edge": "K"}, "Mono": {"d_spacing": 3.1356}}'
        raise XDIError(
            f"run {run.uid} does not say {', '.join(missing)}, which an XDI file must; give "
            f"metadata such as {example}"
        )
    spectrum = merge(run, what, earlier)
    columns, kept = _columns(spectrum, run, what)
    if not kept.any():
        raise XDIError(f"run {run.uid} has no point with energy and readings; nothing to write")
    lines = [_version_line(run)]
    for family, items in families.items():
        lines += _fields(family, items)
    lines += [
        f"# Column.{number}: {label}{f' {unit}' if unit else ''}"
        for number, (label, unit, _) in enumerate(columns, start=1)
    ]
    for family, items in _extensions(run, what, spectrum, int(np.sum(~kept))).items():
        lines += _fields(safe_word(family), items)
    if comment := _comment(run.start):
        lines += ["# ///", *(f"# {line}".rstrip() for line in comment.splitlines())]
    lines += ["# ---", "# " + " ".join(label for label, _, _ in columns)]
    table = (values[kept].tolist() for _, _, values in columns)
    lines += ["  " + "  ".join(map(repr, row)) for row in zip(*table, strict=True)]
    return "\n".join(lines) + "\n"


def missing_words(families: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Words that XDI requires and that are not said."""
    missing = []
    for word in REQUIRED:
        family, key = word.split(".")
        value = item_text(family, key, items_of(family, families.get(family, {})).get(key))
        if not value or (key == "d_spacing" and not _is_positive(value)):
            missing.append(word)
    return missing


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < np.inf
    except ValueError:
        return False


def _families(
    run: Run, about: RunMetadata, what: Measurement, metadata: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """All that is known, in the words of the dictionary; what was said goes before what follows."""
    found: dict[str, dict[str, Any]] = {}
    for family in FAMILIES:
        given = {**about.families.get(family, {}), **_mapping(metadata.get(family))}
        found[family] = {**_derived(family, run, about, what), **items_of(family, given)}
    sample = found["Sample"]
    if "stoichiometry" not in sample and (iucr := _iucr_formula(sample.get("formula"))):
        sample["stoichiometry"] = iucr
    return found


def _derived(family: str, run: Run, about: RunMetadata, what: Measurement) -> dict[str, Any]:
    """What a run tells of a family without saying it in XDI's words."""
    if family == "Scan":
        stop = run.stop or {}
        times = {
            # 0 stands for a time that an old file did not say.
            "start_time": iso_time(run.start.get("time") or None),
            "end_time": iso_time(stop.get("time") or None),
        }
        contract = about.xafs
        edge = {} if contract is None else {"edge_energy": contract.e0_ev}
        return {**{k: v for k, v in times.items() if v}, **edge, "mode": what.mode}
    if family == "Detector":
        return _detectors(run, what)
    if family == "Facility":
        current = ring_current(run)
        return {} if current is None else {"current": "{} {}".format(*current)}
    if family == "Sample":
        people = next((run.start[k] for k in ("users", "user", "operator") if k in run.start), None)
        return {"experimenters": _names(people)} if people else {}
    return {}


def _detectors(run: Run, what: Measurement) -> dict[str, Any]:
    """Gas and length of each ion chamber, from its configuration."""
    stream = run.streams.get("primary")
    configuration = run.configuration("primary")
    found = {}
    for role, key in what.roles.channels.items():
        device = stream.data_keys.get(key, {}).get("object_name") if stream else None
        values, keys = configuration.get(str(device), configuration.get(key, ({}, {})))
        words = []
        for name in ("gas", "length"):
            value = values.get(f"{key}_{name}")
            if value not in (None, ""):
                unit = (keys.get(f"{key}_{name}") or {}).get("units") or ""
                words.append(f"{value} {unit}".strip())
        if words:
            found[DETECTORS[role]] = ", ".join(words)
    return found


def _names(people: Any) -> str:
    given = people if isinstance(people, (list, tuple)) else [people]
    return ", ".join(str(p.get("name", p)) if isinstance(p, Mapping) else str(p) for p in given)


def _iucr_formula(formula: Any) -> str | None:
    """A plain formula as IUCr writes it: carbon, hydrogen, then by the alphabet.

    >>> _iucr_formula("Fe2O3"), _iucr_formula("B(OH)3")
    ('Fe2 O3', None)
    """
    if not isinstance(formula, str) or not _FORMULA.fullmatch(formula):
        return None
    counts: dict[str, int] = {}
    for symbol, count in re.findall(r"([A-Z][a-z]?)(\d*)", formula):
        counts[symbol] = counts.get(symbol, 0) + int(count or 1)
    first = ("C", "H") if "C" in counts else ()
    order = sorted(counts, key=lambda s: (first.index(s) if s in first else len(first), s))
    return " ".join(f"{s}{counts[s] if counts[s] > 1 else ''}" for s in order)


def _columns(
    spectrum: Spectrum, run: Run, what: Measurement
) -> tuple[list[tuple[str, str, np.ndarray]], np.ndarray]:
    """Label, unit and values of each column, and the rows that can be written."""
    stream = run.streams.get("primary")
    found = [("energy", "eV", spectrum.energy_ev)]
    for channel in CHANNELS:
        if channel.role not in spectrum.channels:
            continue
        values = spectrum.net(channel.role)
        if np.isfinite(values).any():
            unit = (stream.units(what.roles.channels[channel.role]) if stream else None) or ""
            found.append((channel.xdi, one_line(unit), values))
    raw = [values for _, _, values in found]
    kept = np.all([np.isfinite(values) for values in raw], axis=0)
    if spectrum.dwell_s is not None and np.isfinite(spectrum.dwell_s[kept]).all():
        found.append(("dwell_time", "s", spectrum.dwell_s))
    for channel in spectrum.available:
        mu = spectrum.mu(channel)[0]
        if np.isfinite(mu[kept]).all():
            found.append((MU_LABELS[channel], "", mu))
    return found, kept


def _version_line(run: Run) -> str:
    """Programs that have had their hands on the run, in their order."""
    past = _mapping(run.start.get("xdi")).get("applications")
    names = [str(name) for name in past] if isinstance(past, (list, tuple)) else []
    versions = _mapping(run.start.get("versions"))
    names += [f"{safe_word(str(name))}/{one_line(v)}" for name, v in versions.items()]
    own = f"{APPLICATION}/{program_version()}"
    names = [name for name in dict.fromkeys(names) if name != own and len(name.split()) == 1]
    return " ".join(["# XDI/1.0", *names, own])


def _extensions(
    run: Run, what: Measurement, spectrum: Spectrum, left_out: int
) -> dict[str, dict[str, Any]]:
    """Families of programs, this one's among them; those of an XDI file that was read are kept."""
    stop = run.stop or {}
    found: dict[str, dict[str, Any]] = {
        str(family): dict(items)
        for family, items in _mapping(_mapping(run.start.get("xdi")).get("families")).items()
        if isinstance(items, Mapping)
    }
    merged = int(spectrum.merged.max(initial=1))
    found[APPLICATION] = {
        **found.get(APPLICATION, {}),
        "uid": run.uid,
        "scan_id": run.start.get("scan_id"),
        "plan_name": run.start.get("plan_name"),
        "exit_status": stop.get("exit_status", "unknown"),
        "exit_reason": stop.get("reason"),
        "readings_merged": merged if merged > 1 else None,
        "points_left_out": left_out or None,
        "dark_current_subtracted": _dark_currents(run, what, spectrum) or None,
    }
    return found


def _dark_currents(run: Run, what: Measurement, spectrum: Spectrum) -> str:
    """What was taken from the readings: programs that read them would not do it again."""
    words = []
    for channel in CHANNELS:
        found = dark_of(run, what.roles.channels.get(channel.role, ""))
        if channel.role in spectrum.dark and found is not None:
            words.append(f"{channel.xdi} {found.value:.6g} {found.units}".strip())
    return ", ".join(words)


def _fields(family: str, items: Mapping[str, Any]) -> Iterator[str]:
    for key, value in items.items():
        if text := item_text(family, str(key), value):
            yield f"# {family}.{safe_word(str(key))}: {text}"


def _comment(start: Mapping[str, Any]) -> str:
    given = next((start[k] for k in ("comment", "comments", "notes") if start.get(k)), "")
    lines = given if isinstance(given, (list, tuple)) else str(given).splitlines()
    return "\n".join(map(_comment_line, lines))


def _comment_line(line: Any) -> str:
    """A line as it is, but that dashes at its beginning would end the comment."""
    text = "".join(c if c.isprintable() else " " for c in str(line))
    return re.sub(r"^(\s*)[-/]{3,}", r"\1--", text)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
