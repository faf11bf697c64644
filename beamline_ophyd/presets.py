"""Named sets of regions, which a facility can replace by a file of its own.

The file is YAML: under each name a ``description`` and either ``bounds``, ``steps`` and ``times``
or ``regions``, with the meaning they have for :func:`beamline_ophyd.grid.energy_grid`.
"""

import os
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from .checked_yaml import read_checked
from .grid import energy_grid

__all__ = ["PRESETS_VARIABLE", "PresetError", "load_presets", "preset"]

PRESETS_VARIABLE = "BEAMLINE_PRESETS"
"""Environment variable that names the facility's file."""

TRIAL_E0_EV = 9000.0
"""Where a preset is tried when its file is read: bounds that cannot be are found then."""


class PresetError(ValueError):
    """A preset that does not exist, or a file of presets that does not follow the rules."""


class _Preset(BaseModel):
    model_config = ConfigDict(extra="forbid")

    description: str = ""
    bounds: list[float | str] | None = None
    steps: list[float | str] | None = None
    times: list[float | str] | None = None
    regions: list[dict[str, Any]] | None = None

    @model_validator(mode="after")
    def _makes_a_grid(self) -> "_Preset":
        if self.bounds is None and self.regions is None:
            raise ValueError("neither bounds nor regions are given")
        energy_grid(TRIAL_E0_EV, **self.arguments())
        return self

    def arguments(self) -> dict[str, Any]:
        return self.model_dump(exclude={"description"}, exclude_none=True)


def preset(name: str, file: str | Path | None = None) -> dict[str, Any]:
    """Return the regions of a preset as arguments of a scan or of a grid.

    Parameters
    ----------
    name : str
        Such as "exafs".
    file : path, optional
        The facility's presets; by default the file that the environment variable
        ``BEAMLINE_PRESETS`` names, and without one those that come with this package.

    Raises
    ------
    PresetError
        For a name that the file does not have, or a file that is not right.

    Examples
    --------
    >>> from beamline_ophyd.grid import energy_grid
    >>> len(energy_grid("Fe-K", **preset("xanes"))) > 100
    True
    """
    known = load_presets(file)
    if name not in known:
        raise PresetError(
            f"there is no preset {name!r} in {_source(file)}; it has {', '.join(sorted(known))}"
        )
    return known[name]


def load_presets(file: str | Path | None = None) -> dict[str, dict[str, Any]]:
    """Read all presets: name to the arguments that :func:`preset` returns.

    Raises
    ------
    PresetError
        For a file that cannot be read or does not follow the rules; it names the preset.
    """
    where = _source(file)
    presets = read_checked(
        where,
        dict[str, _Preset],
        called=f"presets file {where}",
        needs="a preset has bounds, steps and times, or regions",
        error=PresetError,
    )
    return {name: entry.arguments() for name, entry in presets.items()}


def _source(file: str | Path | None) -> Any:
    chosen = file or os.environ.get(PRESETS_VARIABLE)
    return Path(chosen) if chosen else files("beamline_ophyd") / "presets.yaml"
