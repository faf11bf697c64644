"""The dictionary of XDI 1.0: which words there are, and how their values are written.

Source: Dictionary of XAS Data Interchange Metadata, version 1.0 (XDI working group;
Ravel et al., J. Phys.: Conf. Ser. 712, 012148, 2016).
"""

import datetime as dt
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .journal import dumps

__all__ = [
    "APPLICATION",
    "COLUMN_UNITS",
    "FAMILIES",
    "RECOMMENDED",
    "REQUIRED",
    "item_text",
    "item_value",
    "items_of",
    "one_line",
    "safe_word",
]


@dataclass(frozen=True)
class _Tag:
    """One defined word; `unit` is written behind a bare number, and means nothing otherwise."""

    name: str
    unit: str | None = None
    is_number: bool = False


def _tags(*tags: str | _Tag) -> dict[str, _Tag]:
    found = [tag if isinstance(tag, _Tag) else _Tag(tag) for tag in tags]
    return {tag.name.lower(): tag for tag in found}


FAMILIES: Mapping[str, Mapping[str, _Tag]] = {
    "Element": _tags("symbol", "edge", "reference", "ref_edge"),
    "Mono": _tags("name", _Tag("d_spacing", is_number=True)),
    "Scan": _tags("start_time", "end_time", _Tag("edge_energy", "eV")),
    "Detector": _tags("i0", "it", "if", "ir"),
    "Sample": _tags(
        "name", "id", "stoichiometry", "prep", "experimenters", _Tag("temperature", "K")
    ),
    "Facility": _tags("name", _Tag("energy", "GeV"), _Tag("current", "mA"), "xray_source"),
    "Beamline": _tags("name", "collimation", "focusing", "harmonic_rejection"),
}
"""Defined families with their defined tags, by lower-case name."""

REQUIRED = ("Element.symbol", "Element.edge", "Mono.d_spacing")
RECOMMENDED = ("Facility.name", "Facility.xray_source", "Beamline.name", "Scan.start_time")

APPLICATION = "beamline_ophyd"
"""This program on the first line, and as the family of what the dictionary has no word for."""

COLUMN_UNITS = {"energy": "eV", "angle": "degrees"}
"""Units of the abscissa where a file does not say them."""

MAX_LINE = 2000
"""The specification asks for no more than 2048 characters, for the sake of Fortran."""

_GENERIC_EDGE = {"L2,3": "L", "M2,3": "M", "M4,5": "M"}
"""Edges of several levels: the dictionary only has the shell's letter for them."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def one_line(value: Any) -> str:
    """Any value as the text of one header line; numbers so that they come back exactly."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        text = str(value) if isinstance(value, (dt.date, bytes)) else dumps(value)
    else:
        text = str(value)
    text = "".join(c if c.isprintable() else " " for c in text)
    return text.strip().encode(errors="replace").decode()[:MAX_LINE]


def safe_word(text: str) -> str:
    """Text as the name of a family, a tag or a column: letters, digits, underscores.

    >>> safe_word("mono energy/eV")
    'mono_energy_eV'
    """
    return re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_") or "unnamed"


def items_of(family: str, items: Mapping[str, Any]) -> dict[str, Any]:
    """Items of a family under the dictionary's spelling; of words that differ in case the last."""
    known = FAMILIES.get(family, {})
    found: dict[str, Any] = {}
    for key, value in items.items():
        tag = known.get(str(key).lower())
        found[str(key) if tag is None else tag.name] = value
    return found


def item_text(family: str, key: str, value: Any) -> str:
    """Value of one item as XDI writes it, empty where there is nothing to say.

    >>> item_text("Scan", "edge_energy", 7112.0), item_text("Element", "edge", "L2,3")
    ('7112.0 eV', 'L')
    """
    if value is None:
        return ""
    if isinstance(value, float) and not math.isfinite(value):
        return ""  # the dictionary's floats are finite
    text = one_line(value)
    if key in ("edge", "ref_edge") and family == "Element":
        return _GENERIC_EDGE.get(text, text)
    tag = FAMILIES.get(family, {}).get(key.lower())
    if tag is not None and tag.unit and _NUMBER.fullmatch(text):
        return f"{text} {tag.unit}"
    return text


def item_value(family: str, key: str, text: str) -> str | float:
    """Value of one item as a program wants it: a number where it has the dictionary's unit.

    >>> item_value("Facility", "energy", "7.00 GeV"), item_value("Facility", "energy", "big")
    (7.0, 'big')
    """
    tag = FAMILIES.get(family, {}).get(key.lower())
    if tag is None or not (tag.unit or tag.is_number):
        return text
    number, _, unit = text.partition(" ")
    if not _NUMBER.fullmatch(number) or unit.strip() not in ("", tag.unit):
        return text
    return float(number)
