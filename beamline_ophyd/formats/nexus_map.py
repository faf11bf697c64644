"""Maps as gridded data: every reading at its place, whatever way the scan took."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .nexus_parts import number, unique_names
from .nexus_plain import hinted_keys
from .run import Run, Stream
from .tree import Field, Group

__all__ = ["map_data"]


def map_data(run: Run) -> Group | None:
    """NXdata of a scan over a grid of two dimensions or more; None for any other run.

    A grid is what bluesky's ``grid_scan`` and ``list_grid_scan`` say of themselves: the hints'
    dimensions and the ``shape``, slowest axis first, with ``snaking`` or ``snake_axes`` for
    the axes that turn round instead of flying back. Event `seq_num` n is the n-th place on
    that way. A place that was not measured is nan; of one that was measured twice the last
    reading counts. An axis has the mean of its readings at each place, and the target where
    there is none yet.
    """
    stream = run.streams.get("primary")
    dimensions = run.dimensions("primary")
    shape = _shape(run.start.get("shape"))
    if stream is None or len(dimensions) < 2 or len(shape) != len(dimensions):
        return None
    numeric = stream.scalars
    axes = [[key for key in keys if key in numeric] for keys in dimensions]
    scanned = [key for keys in axes for key in keys]
    signals = [k for k in hinted_keys(run, stream) if k in numeric and k not in scanned]
    signals = signals or [k for k in numeric if k not in scanned]
    if not signals or not all(axes):
        return None
    step = stream.seq_num - 1
    rows = np.flatnonzero((step >= 0) & (step < np.prod(shape)))
    places = _places(step[rows], shape, _snaking(run.start, len(shape)))
    names = unique_names(stream.columns)
    items: dict[str, Field] = {}
    attrs: dict[str, Any] = {}
    targets = _targets(run.start, shape)
    for dimension, keys in enumerate(axes):
        for key in keys:
            values = _means(stream.columns[key][rows], places[dimension], targets[dimension])
            items[names[key]] = number(values, stream.units(key) or "")
            attrs[f"{names[key]}_indices"] = dimension
    flat = np.ravel_multi_index(places, shape)
    for key in signals:
        gridded = _gridded(stream, key, rows, flat, shape)
        items[names[key]] = number(gridded, stream.units(key) or "")
    attrs |= {"signal": names[signals[0]], "axes": [names[keys[0]] for keys in axes]}
    if len(signals) > 1:
        attrs["auxiliary_signals"] = [names[key] for key in signals[1:]]
    return Group("NXdata", items, attrs)


def _shape(given: Any) -> tuple[int, ...]:
    whole = isinstance(given, (list, tuple)) and all(
        isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in given
    )
    return tuple(given) if whole else ()


def _snaking(start: Mapping[str, Any], count: int) -> list[bool]:
    """Which axes turn round at their ends: the slowest never does."""
    given = start.get("snaking")
    if isinstance(given, (list, tuple)) and len(given) == count:
        return [False, *map(bool, given[1:])]
    said = str(start.get("snake_axes"))
    motors = [str(argument) for argument in _pattern(start)[0::2]]
    if len(motors) != count or said in ("None", "False"):
        return [False] * count
    return [False, *(said == "True" or motor in said for motor in motors[1:])]


def _pattern(start: Mapping[str, Any]) -> Sequence[Any]:
    """Arguments of the pattern that bluesky's plan followed: axis, targets, axis, targets."""
    about = start.get("plan_pattern_args")
    given = about.get("args") if isinstance(about, Mapping) else None
    arguments = list(given) if isinstance(given, (list, tuple)) else []
    if start.get("plan_pattern") == "outer_list_product":
        return arguments
    if start.get("plan_pattern") != "outer_product":
        return []
    # axis, start, stop, num; then axis, start, stop, num, snake.
    chunks = [arguments[:4], *(arguments[i : i + 5] for i in range(4, len(arguments), 5))]
    return [part for axis, *ends in chunks for part in (axis, np.linspace(*ends[:3]))]


def _targets(start: Mapping[str, Any], shape: tuple[int, ...]) -> list[np.ndarray]:
    """Where each axis is meant to go; nan where that is not known."""
    found = [np.asarray(given, dtype=float) for given in _pattern(start)[1::2]]
    if [part.shape for part in found] == [(count,) for count in shape]:
        return found
    return [np.full(count, np.nan) for count in shape]


def _places(
    step: np.ndarray, shape: tuple[int, ...], snaking: Sequence[bool]
) -> tuple[np.ndarray, ...]:
    """Index along each axis of the steps of a scan.

    >>> [place.tolist() for place in _places(np.arange(6), (2, 3), [False, True])]
    [[0, 0, 0, 1, 1, 1], [0, 1, 2, 2, 1, 0]]
    """
    places = list(np.unravel_index(step, shape))
    for axis in range(1, len(shape)):
        if snaking[axis]:
            passes = step // np.prod(shape[axis:])
            places[axis] = np.where(passes % 2, shape[axis] - 1 - places[axis], places[axis])
    return tuple(places)


def _means(values: np.ndarray, place: np.ndarray, targets: np.ndarray) -> np.ndarray:
    usable = np.isfinite(values)
    count = np.bincount(place[usable], minlength=len(targets))
    total = np.bincount(place[usable], weights=values[usable], minlength=len(targets))
    return np.where(count > 0, total / np.maximum(count, 1), targets)


def _gridded(
    stream: Stream, key: str, rows: np.ndarray, flat: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    values = stream.columns[key][rows]
    whole = len(np.unique(flat)) == np.prod(shape) and values.dtype.kind in "iu"
    grid = np.full(np.prod(shape), 0 if whole else np.nan, values.dtype if whole else np.float64)
    grid[flat] = values
    return grid.reshape(shape)
