"""Regions of an energy grid: how a user says them, and the points each of them makes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .edges import GridError, energy_to_k, k_to_energy

__all__ = [
    "MERGE_FLOOR_EV",
    "Quantity",
    "Region",
    "Span",
    "as_region",
    "k_value",
    "regions_from_bounds",
    "span_dwell",
    "span_energies",
    "spans_of",
]

MERGE_FRACTION = 0.1
"""A point closer to a boundary than this part of its region's step merges into the boundary."""

MERGE_FLOOR_EV = 1e-3

MAX_POINTS = 1_000_000

Quantity = float | str
"""A number, or a number with the suffix "k": bounds and steps in 1/Angstrom, times in s per k."""


@dataclass(frozen=True)
class Region:
    """One region of a grid, relative to E0.

    Parameters
    ----------
    start, stop : float or str
        Bounds in eV from E0, or "14k" for a wave number in 1/Angstrom. An omitted start is
        the stop of the region before.
    step : float or str
        In eV, or "0.05k" for equal steps of k.
    time : float or str
        Dwell time in s, or "0.25k" for 0.25 s times k.
    k_power : float
        The dwell time grows with (k / k at the region's start) to this power.
    max_time : float, optional
        Longest dwell time in s.
    """

    stop: Quantity
    step: Quantity
    time: Quantity = 1.0
    start: Quantity | None = None
    k_power: float = 0.0
    max_time: float | None = None

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, np.generic):  # out of an array; what is recorded is plain JSON
                object.__setattr__(self, name, value.item())

    def to_dict(self) -> dict[str, Any]:
        """The region as plain JSON, without what is at its default."""
        full = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {k: v for k, v in full.items() if v is not None and (k != "k_power" or v)}


def regions_from_bounds(
    bounds: Sequence[Quantity] | None,
    steps: Sequence[Quantity] | None,
    times: Sequence[Quantity] | None,
) -> list[Region]:
    """Make n regions of n + 1 bounds with n steps and n dwell times (1 s by default)."""
    if bounds is None or steps is None:
        raise GridError("bounds and steps belong together; give both, or neither for the default")
    n = len(bounds) - 1
    if n < 1:
        raise GridError(f"bounds has {len(bounds)} entries; a grid needs at least two")
    times = [1.0] * n if times is None else times
    for name, values in (("steps", steps), ("times", times)):
        if len(values) != n:
            raise GridError(
                f"{len(bounds)} bounds make {n} regions, but {name} has {len(values)} entries; "
                f"give {n}"
            )
    return [
        Region(start=bounds[i], stop=bounds[i + 1], step=steps[i], time=times[i]) for i in range(n)
    ]


def as_region(region: Region | Mapping[str, Any], number: int) -> Region:
    """Take a region as an object or as a dictionary; `number` names it in errors, from 1."""
    if isinstance(region, Region):
        return region
    if not isinstance(region, Mapping):
        raise GridError(f"region {number} is {region!r}; give a dictionary with stop and step")
    fields = set(Region.__dataclass_fields__)
    if unknown := set(region) - fields:
        raise GridError(
            f"region {number} has {', '.join(sorted(unknown))}; a region takes "
            f"{', '.join(sorted(fields))}"
        )
    if missing := {"stop", "step"} - set(region):
        raise GridError(f"region {number} lacks {', '.join(sorted(missing))}")
    return Region(**region)


def k_value(quantity: Any) -> float | None:
    """The number before "k", or None where there is no such suffix."""
    if isinstance(quantity, str) and quantity.strip().lower().endswith("k"):
        return float(quantity.strip()[:-1])
    return None


def _number(quantity: Any, number: int, what: str) -> tuple[float, bool]:
    """Value of a quantity and whether it is in k."""
    try:
        if isinstance(quantity, bool):
            raise ValueError
        k = k_value(quantity)
        value = float(quantity) if k is None else k
    except (TypeError, ValueError):
        raise GridError(
            f"region {number}: {what} {quantity!r} is neither a number nor a number with 'k'"
        ) from None
    if not math.isfinite(value):
        raise GridError(f"region {number}: {what} {quantity!r} is not finite")
    return value, k is not None


def _plain_number(quantity: Any, number: int, what: str) -> float:
    value, in_k = _number(quantity, number, what)
    if in_k:
        raise GridError(f"region {number}: {what} {quantity!r} cannot be in k; give a number")
    return value


def _bound_ev(quantity: Any, e0_ev: float, number: int, what: str) -> float:
    value, in_k = _number(quantity, number, what)
    if in_k and value < 0:
        raise GridError(f"region {number}: {what} {quantity!r} has k below 0; give it in eV")
    energy = float(k_to_energy(value, e0_ev)) if in_k else e0_ev + value
    if energy <= 0:
        raise GridError(
            f"region {number}: {what} {quantity!r} is an energy of {energy:.1f} eV; bounds are "
            f"eV from E0, which is {e0_ev:.1f} eV"
        )
    return energy


@dataclass(frozen=True)
class Span:
    """A region with its bounds as energies in eV."""

    number: int
    start: float
    stop: float
    region: Region


def spans_of(e0_ev: float, regions: Sequence[Region]) -> list[Span]:
    """Bounds of all regions in eV, in rising order; those meant to be the same are the same."""
    if not regions:
        raise GridError("the grid has no region; give at least one")
    spans: list[Span] = []
    for number, region in enumerate(regions, start=1):
        stop = _bound_ev(region.stop, e0_ev, number, "stop")
        if region.start is not None:
            start = _bound_ev(region.start, e0_ev, number, "start")
        elif spans:
            start = spans[-1].stop
        else:
            raise GridError("region 1 has no start; only later regions may leave it out")
        if spans:
            start = _meet(spans[-1], start, region, number, e0_ev)
        if stop <= start:
            raise GridError(
                f"region {number} ends at {stop:.1f} eV, not above its start ({start:.1f} eV); "
                "give the bounds in rising order"
            )
        if stop - start < MERGE_FLOOR_EV:
            raise GridError(
                f"region {number} is {1e3 * (stop - start):.3g} meV wide; its two points would be "
                f"closer than {1e3 * MERGE_FLOOR_EV:g} meV, drop it"
            )
        spans.append(Span(number, start, stop, region))
    return spans


def _meet(before: Span, start: float, region: Region, number: int, e0_ev: float) -> float:
    """Where a region starts after another: at its stop, where both were meant to be the same."""
    steps = (
        _local_step_ev(before.region, before.number, before.stop, e0_ev, -1),
        _local_step_ev(region, number, start, e0_ev, +1),
    )
    apart = start - before.stop
    if abs(apart) < max(MERGE_FLOOR_EV, MERGE_FRACTION * min(steps)):
        return before.stop
    if apart < 0:
        digits = 1 if apart < -0.1 else 4
        raise GridError(
            f"region {number} starts at {start:.{digits}f} eV, before region {before.number} ends "
            f"({before.stop:.{digits}f} eV); raise its start or drop region {before.number}"
        )
    return start


def _local_step_ev(
    region: Region, number: int, at_ev: float, e0_ev: float, direction: int
) -> float:
    """Distance in eV from an energy to the next point of a region."""
    step, in_k = _number(region.step, number, "step")
    if not in_k:
        return step
    k = float(energy_to_k(at_ev, e0_ev)) + direction * step
    return abs(float(k_to_energy(max(k, 0.0), e0_ev)) - at_ev)


def span_energies(span: Span, e0_ev: float, closed: bool) -> np.ndarray:
    """Points of one region, by index from its start; with its stop only when closed."""
    step, in_k = _number(span.region.step, span.number, "step")
    if step <= 0:
        raise GridError(
            f"region {span.number}: step {span.region.step!r} is not positive; regions are "
            "measured upwards in energy"
        )
    if in_k and span.start < e0_ev:
        raise GridError(
            f"region {span.number} starts {e0_ev - span.start:.1f} eV below E0, where k is not "
            "defined; give its step in eV"
        )
    first, last = span.start, span.stop
    if in_k:
        first, last = (float(energy_to_k(e, e0_ev)) for e in (span.start, span.stop))
    if (last - first) / step > MAX_POINTS:
        raise GridError(
            f"region {span.number}: step {span.region.step!r} makes more than {MAX_POINTS} points"
        )
    index = np.arange(math.ceil((last - first) / step) + 1)
    grid = first + index * step
    energies = k_to_energy(grid, e0_ev) if in_k else grid
    energies[0] = span.start
    # The distance to the boundary is compared with the step just before it, in eV.
    local_step = _local_step_ev(span.region, span.number, span.stop, e0_ev, -1)
    tolerance = max(MERGE_FLOOR_EV, MERGE_FRACTION * local_step)
    energies = energies[energies < span.stop - tolerance]
    if not len(energies):
        energies = np.array([span.start])
    if in_k:  # where k is small, steps of k are the smallest in eV
        energies = energies[_apart(energies)]
    return np.append(energies, span.stop) if closed else energies


def _apart(energies: np.ndarray) -> list[int]:
    """Indices of the points that are not too close to the one kept before them."""
    kept = [0]
    for i in range(1, len(energies)):
        if energies[i] - energies[kept[-1]] >= MERGE_FLOOR_EV:
            kept.append(i)
    return kept


def span_dwell(span: Span, energies: np.ndarray, e0_ev: float) -> np.ndarray:
    """Dwell time in s at each of a region's energies."""
    region = span.region
    time, per_k = _number(region.time, span.number, "time")
    k = energy_to_k(energies, e0_ev)
    power = _plain_number(region.k_power, span.number, "k_power")
    if (per_k or power) and k[0] <= 0:
        raise GridError(
            f"region {span.number} starts at or below E0, where a dwell time that grows with k "
            "has no meaning; give a plain time"
        )
    if per_k and power:
        raise GridError(f"region {span.number}: time {region.time!r} and k_power are both given")
    dwell = time * (k if per_k else (k / k[0]) ** power if power else np.ones_like(k))
    if region.max_time is not None:
        cap = _plain_number(region.max_time, span.number, "max_time")
        dwell = np.minimum(dwell, cap)
    if not (np.isfinite(dwell).all() and (dwell > 0).all()):
        raise GridError(
            f"region {span.number}: time {region.time!r} gives a dwell time that is not a "
            "positive number of seconds"
        )
    return dwell
