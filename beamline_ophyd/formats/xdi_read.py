"""XDI files read: anybody's, of the versions and dialects that are about."""

import datetime as dt
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from beamline_ophyd.metadata import CHANNELS

from .arrays import run_from_columns
from .problems import ReadError
from .run import Run
from .xdi_dictionary import APPLICATION, COLUMN_UNITS, FAMILIES, item_value, items_of

__all__ = ["XDIContents", "parse_xdi", "read_xdi"]

HC_EV_ANGSTROM = 12398.419843320025
"""Planck's constant times the speed of light (CODATA 2018, exact)."""

_VERSION = re.compile(r"#\s*XDI/(\S+)\s*(.*)", re.IGNORECASE)
_FIELD = re.compile(r"([A-Za-z]\w*)\.([\w-]+)\s*:\s*(.*)")
_DASHES = re.compile(r"-{3,}\s*")
_SLASHES = re.compile(r"/{3,}\s*")


@dataclass(frozen=True)
class XDIContents:
    """What stands in an XDI file.

    Attributes
    ----------
    version : str
        Of the format, such as ``"1.0"``.
    applications : tuple of str
        Programs named on the first line, in their order.
    fields : mapping
        Family to its items, both as they are spelt, without ``Column``.
    comments : str
        The user's lines.
    labels, units : tuple of str
        Of each column; a column without unit has an empty one.
    table : ndarray, shape (points, columns)
    """

    version: str
    applications: tuple[str, ...]
    fields: Mapping[str, Mapping[str, str]]
    comments: str
    labels: tuple[str, ...]
    units: tuple[str, ...]
    table: np.ndarray


def parse_xdi(path: str | Path) -> XDIContents:
    """Read an XDI file as it stands.

    Raises
    ------
    ReadError
        When it is no XDI file, or its table is no table of numbers; names the line.
    OSError
        When it cannot be read.
    """
    lines = Path(path).read_bytes().decode(errors="replace").splitlines()
    first = _VERSION.match(lines[0]) if lines else None
    if first is None:
        raise ReadError(
            f"{path} is no XDI file; the first line of one is '# XDI/1.0', here it is "
            f"{lines[0][:60] if lines else ''!r}"
        )
    fields: dict[str, dict[str, str]] = {}
    columns: dict[int, list[str]] = {}
    comments: list[str] = []
    rows: list[tuple[int, str]] = []
    labels: list[str] = []
    part = "fields"
    for number, line in enumerate(lines[1:], start=2):
        text = line.strip()
        if not text:
            continue
        if text[0] != "#":
            rows.append((number, text))
            continue
        words = text[1:].strip()
        if _DASHES.fullmatch(words):
            part = "labels"
        elif part == "fields" and _SLASHES.fullmatch(words):
            part = "comments"
        elif part == "comments":
            comments.append(text[1:].removeprefix(" "))
        elif part == "labels" and not rows:
            labels = words.split()
        elif part == "fields" and (field := _FIELD.fullmatch(words)):
            family, key, value = field.groups()
            if family.lower() == "column" and key.isdigit():
                columns[int(key)] = value.split(None, 1)
            else:
                _put(fields, family, key, value)
    table = _table(path, rows)
    names = list(_labels(table.shape[1], columns, labels))
    units = [columns.get(n + 1, [])[1:] for n in range(len(names))]
    return XDIContents(
        version=first[1],
        applications=tuple(first[2].split()),
        fields=fields,
        comments="\n".join(comments),
        labels=tuple(names),
        units=tuple(unit[0].strip() if unit else "" for unit in units),
        table=table,
    )


def read_xdi(path: str | Path) -> tuple[Run, dict[str, str] | None]:
    """An XDI file as a run with one stream, whose columns are those of the file.

    Returns
    -------
    run : Run
        Its start document has the families of the dictionary, and under ``xdi`` the rest of
        the header.
    mapping : dict or None
        Role to data key; None where the file has no energy or no absorption channels.

    Raises
    ------
    ReadError, OSError
        As :func:`parse_xdi`.
    """
    found = parse_xdi(path)
    start = _start(found, path)
    columns = {label: found.table[:, n] for n, label in enumerate(found.labels)}
    units = {
        label: unit or COLUMN_UNITS.get(label, "")
        for label, unit in zip(found.labels, found.units, strict=True)
    }
    if "energy" not in columns and (energy := _energy(columns, units, start)) is not None:
        columns["energy"], units["energy"] = energy, "eV"
    run = run_from_columns(start, columns, units, source=str(path), stop=_stop(start))
    return run, _mapping(columns)


def _put(fields: dict[str, dict[str, str]], family: str, key: str, value: str) -> None:
    """Names do not depend on case; the last of several values counts."""
    family = next((known for known in fields if known.lower() == family.lower()), family)
    items = fields.setdefault(family, {})
    key = next((known for known in items if known.lower() == key.lower()), key)
    items[key] = value.strip()


def _table(path: str | Path, rows: list[tuple[int, str]]) -> np.ndarray:
    if not rows:
        return np.empty((0, 0))
    width = len(rows[0][1].split())
    values = []
    for number, text in rows:
        words = text.split()
        if len(words) != width:
            raise ReadError(
                f"{path}, line {number}: {len(words)} values, where the lines before have {width}"
            )
        try:
            values.append([float(word) for word in words])
        except ValueError as error:
            raise ReadError(f"{path}, line {number}: {error}; a table has numbers only") from error
    return np.array(values)


def _labels(width: int, columns: Mapping[int, list[str]], labels: list[str]) -> Iterator[str]:
    """Name of each column, each once: of its field, else of the line above the table."""
    seen: set[str] = set()
    for number in range(1, width + 1):
        given = columns.get(number)
        name = given[0] if given else (labels[number - 1] if number <= len(labels) else "")
        name = name.lower() if name.lower() in _KNOWN_LABELS else name
        if not name or name in seen:
            name = f"col{number}" if not name else f"{name}_{number}"
        seen.add(name)
        yield name


_KNOWN_LABELS = {"energy", "angle", *(channel.xdi for channel in CHANNELS)}


def _start(found: XDIContents, path: str | Path) -> dict[str, Any]:
    families: dict[str, Any] = {}
    others: dict[str, Any] = {}
    by_lower = {family.lower(): family for family in FAMILIES}
    for family, items in found.fields.items():
        known = by_lower.get(family.lower())
        if known is None:
            others[family] = dict(items)
        else:
            texts = items_of(known, items)
            families[known] = {key: item_value(known, key, text) for key, text in texts.items()}
    own = others.get(APPLICATION, {})
    start: dict[str, Any] = {
        "uid": own.get("uid") or str(uuid.uuid5(uuid.NAMESPACE_OID, _content(found))),
        "time": _seconds(families.get("Scan", {}).get("start_time")),
        "title": str(families.get("Sample", {}).get("name") or Path(path).stem),
        **families,
        "xdi": {
            "version": found.version,
            "applications": list(found.applications),
            "families": others,
        },
    }
    if own.get("scan_id", "").isdigit():
        start["scan_id"] = int(own["scan_id"])
    if "plan_name" in own:
        start["plan_name"] = own["plan_name"]
    if found.comments:
        start["comment"] = found.comments
    return start


def _stop(start: Mapping[str, Any]) -> dict[str, Any]:
    """How the run ended, as far as the file says."""
    own = start["xdi"]["families"].get(APPLICATION, {})
    return {
        "time": _seconds(start.get("Scan", {}).get("end_time")) or None,
        "exit_status": own.get("exit_status", "success"),
        "reason": own.get("exit_reason", ""),
    }


def _content(found: XDIContents) -> str:
    return f"{found.fields}{found.comments}{found.labels}{found.table.tobytes().hex()}"


def _seconds(time: Any) -> float:
    """Seconds since 1970; a time without an offset is taken as the clock of this machine."""
    try:
        return dt.datetime.fromisoformat(str(time)).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _energy(
    columns: Mapping[str, np.ndarray], units: Mapping[str, str], start: Mapping[str, Any]
) -> np.ndarray | None:
    """Energies in eV from Bragg angles, E = hc / (2 d sin(theta))."""
    spacing = start.get("Mono", {}).get("d_spacing")
    angle = columns.get("angle")
    if angle is None or not isinstance(spacing, float) or spacing <= 0:
        return None
    unit = units["angle"].lower()
    if not unit.startswith(("deg", "rad")):
        return None
    theta = np.deg2rad(angle) if unit.startswith("deg") else angle
    return HC_EV_ANGSTROM / (2 * spacing * np.sin(theta))


def _mapping(columns: Mapping[str, np.ndarray]) -> dict[str, str] | None:
    roles = {c.role: c.xdi for c in CHANNELS if c.xdi in columns}
    if "energy" not in columns or "i0" not in roles or not roles.keys() & {"itrans", "ifluor"}:
        return None
    mode = "transmission" if "itrans" in roles else "fluorescence"
    dwell = {"dwell": "dwell_time"} if "dwell_time" in columns else {}
    return {"mode": mode, "energy": "energy", **roles, **dwell}
