"""Readings in one unit, where a device changed its unit in the middle of a run."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from .run import Run, Stream, described

__all__ = ["in_one_unit", "in_units", "units_told"]

logger = logging.getLogger(__name__)


def in_one_unit(
    run: Run, like: Run | None = None, *, report: Callable[[str], None] = logger.debug
) -> Run:
    """The run with each column in one unit, the one of its latest descriptor.

    A unit that a descriptor does not give is taken for the same one. The documents that the run
    gives agree with its columns, and are no longer those that came.

    Parameters
    ----------
    like : Run, optional
        The run whose units are wanted; by default the run itself.
    report : callable
        Told of each column whose units cannot be converted; it stays as it was read.

    Returns
    -------
    Run
        The same object where there was nothing to convert, as for nearly every run.
    """
    wanted = _wanted(run, like or run)
    streams: dict[str, Stream] = {}
    converted: dict[str, dict[str, str]] = {}
    for name, units in wanted.items():
        stream, columns = run.streams[name], {}
        for key, unit in units.items():
            try:
                columns[key] = _converted(stream, key, run.units(name, key), unit)
            except Exception as error:  # whatever the words of a device make of a library
                report(
                    f"{key} is shown as it was read: its unit changes to {unit!r} from what "
                    f"cannot be converted to it ({error})"
                )
        if columns:
            converted[name] = {key: units[key] for key in columns}
            streams[name] = replace(
                stream,
                columns={**stream.columns, **columns},
                data_keys=_said_in(stream.data_keys, converted[name]),
                converted=frozenset(columns),
            )
    if not streams:
        return run
    return replace(
        run,
        streams={**run.streams, **streams},
        descriptors=tuple(
            {**d, "data_keys": _said_in(described(d), converted[str(d.get("name"))])}
            if str(d.get("name")) in converted
            else d
            for d in run.descriptors
        ),
    )


def in_units(value: float, unit: str, wanted: str) -> float | None:
    """A value in another unit; None where it cannot be converted to that.

    >>> in_units(2.5, "mA", "mA")
    2.5
    """
    if unit == wanted:
        return value
    try:
        return float(_registry().Quantity(value, unit).to(wanted).magnitude)
    except Exception:  # whatever the words of a device make of a library
        return None


def units_told(run: Run, stream: str) -> dict[str, list[str]]:
    """Data key to the units that the descriptors of a stream give it, each of them once."""
    found: dict[str, dict[str, None]] = {}
    for descriptor in run.descriptors:
        if descriptor.get("name") == stream:
            for key, about in described(descriptor).items():
                if unit := about.get("units"):
                    found.setdefault(key, {})[str(unit)] = None
    return {key: list(units) for key, units in found.items()}


def _wanted(run: Run, like: Run) -> dict[str, dict[str, str]]:
    """Stream to the columns whose units are not all alike, each to the unit that it is to have."""
    found: dict[str, dict[str, str]] = {}
    for name, stream in run.streams.items():
        model = like.streams.get(name, stream)
        for key, told in units_told(run, name).items():
            unit = model.units(key) or told[-1]
            is_number = key in stream.columns and stream.columns[key].dtype.kind in "iuf"
            if told != [unit] and is_number:
                found.setdefault(name, {})[key] = unit
    return found


def _converted(stream: Stream, key: str, given: list[str | None], unit: str) -> np.ndarray:
    values = stream.columns[key].astype(np.float64)
    for number, own in enumerate(given):
        rows = stream.descriptor == number
        if own not in (None, unit) and rows.any():
            with np.errstate(all="ignore"):
                values[rows] = _registry().Quantity(values[rows], own).to(unit).magnitude
    return values


def _said_in(
    data_keys: Mapping[str, Mapping[str, Any]], units: Mapping[str, str]
) -> dict[str, Mapping[str, Any]]:
    return {
        key: {**about, "units": units[key]} if key in units else about
        for key, about in data_keys.items()
    }


@cache
def _registry() -> Any:
    from pint import UnitRegistry  # half a second, and few runs need it

    return UnitRegistry()
