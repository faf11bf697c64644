"""Names that are safe for file systems and for NeXus."""

import re
import unicodedata

__all__ = ["SWEEP", "safe_file_name", "safe_nexus_name", "sweep_name"]

MAX_FILE_NAME = 120

SWEEP = "_sweep_"
"""Between the name of what is a run's and the number of one of its sweeps: entry_sweep_2."""

RESERVED_ENDINGS = ("_end", "_increment_set", "_errors", "_indices", "_mask", "_set", "_weights",
                    "_scaling_factor", "_offset")  # fmt: skip
RESERVED_BEGINNINGS = ("BLUESKY_", "DECTRIS_", "IDF_", "NDAttr", "NX_", "PDBX_", "SAS_", "SILX_")
"""Kept by the NeXus manual's rules for names (NXDL specification, reserved names)."""


def safe_file_name(text: object) -> str:
    """Text as one part of a file name: no separators, no leading dot, not too long.

    >>> safe_file_name("../Fe foil, 5 µm")
    'Fe_foil_5_µm'
    """
    text = unicodedata.normalize("NFC", str(text))
    text = re.sub(r"[^\w.+=-]+", "_", text).strip("._-")
    return _cut(text, MAX_FILE_NAME) or "unnamed"


def safe_nexus_name(text: object) -> str:
    """Text as a NeXus name: letters, digits and underscores, not beginning with a digit.

    Endings that NeXus keeps for fields that belong to another one get a word behind them.

    >>> safe_nexus_name("2theta / deg"), safe_nexus_name("motor_offset")
    ('_2theta_deg', 'motor_offset_value')
    """
    decomposed = unicodedata.normalize("NFKD", str(text))
    name = re.sub(r"[^A-Za-z0-9_]+", "_", decomposed).strip("_") or "unnamed"
    if name.endswith(RESERVED_ENDINGS):
        name = f"{name}_value"
    return f"_{name}" if name[0].isdigit() or name.startswith(RESERVED_BEGINNINGS) else name


def sweep_name(name: str, sweep: int) -> str:
    """What an entry, a file or a node of Tiled is called that has one sweep of a run alone.

    >>> sweep_name("entry", 2)
    'entry_sweep_2'
    """
    return f"{name}{SWEEP}{sweep}"


def _cut(text: str, size: int) -> str:
    """Cut so that the UTF-8 form fits: file systems count bytes."""
    return text.encode(errors="replace")[:size].decode(errors="ignore")
