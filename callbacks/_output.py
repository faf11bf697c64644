"""What a writer of files must know beforehand: its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from beamline_ophyd.formats.definitions import check_definition
from beamline_ophyd.formats.measurement import mapped
from beamline_ophyd.formats.nexus_sweeps import check_repeats

__all__ = ["Style"]

MODES = ("w-", "w", "a")


@dataclass(frozen=True)
class Style:
    """How files are written; see :class:`~beamline_ophyd.callbacks.NXxasWriter`."""

    compression: int = 4
    definition: str = "NXxas"
    mapping: Mapping[str, Any] | None = None
    overwrite: bool = False
    external_links: bool = False
    append: bool = False
    repeats: str = "merged"

    @classmethod
    def checked(
        cls,
        mode: str,
        compression: int,
        definition: str,
        mapping: Mapping[str, Any] | None,
        external_links: bool = False,
        repeats: str = "merged",
    ) -> "Style":
        """Style from options as a user gives them.

        Raises
        ------
        ValueError
            Names the option and what it may be.
        """
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}; give one of {', '.join(map(repr, MODES))}")
        if isinstance(compression, bool) or compression not in range(10):
            raise ValueError(f"compression is {compression!r}; give a gzip level, 0 (none) to 9")
        check_definition(definition)
        check_repeats(repeats, mode)
        if mapping is not None:
            mapped(mapping)
        return cls(
            compression,
            definition,
            mapping,
            overwrite=mode == "w",
            external_links=external_links,
            append=mode == "a",
            repeats=repeats,
        )
