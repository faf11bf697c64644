"""Energy grids of XAFS scans: where to measure and for how long.

One pure function, :func:`energy_grid`, makes the grid that the plan, the preview, the
time estimate and the progress bar use. It knows neither bluesky nor a device.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from .edges import (
    K_CONSTANT_EV_A2,
    GridError,
    absorption_edge,
    energy_to_k,
    k_to_energy,
    other_edges,
)

__all__ = [
    "DEFAULT_BOUNDS",
    "DEFAULT_STEPS",
    "DEFAULT_TIMES",
    "K_CONSTANT_EV_A2",
    "EnergyGrid",
    "GridError",
    "Region",
    "absorption_edge",
    "energy_grid",
    "energy_to_k",
    "k_to_energy",
]

DEFAULT_BOUNDS = (-200.0, -30.0, -10.0, 25.0, "14k")
DEFAULT_STEPS = (10.0, 2.0, 0.5, "0.05k")
DEFAULT_TIMES = (0.5, 0.5, 0.5, "0.25k")

EDGE_MARGIN_EV = 10.0
"""A scan ends this far below the element's next edge."""

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

    def to_dict(self) -> dict[str, Any]:
        """The region as plain JSON, without what is at its default."""
        full = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {k: v for k, v in full.items() if v is not None and (k != "k_power" or v)}


@dataclass(frozen=True)
class EnergyGrid:
    """Energies and dwell times of one sweep.

    Attributes
    ----------
    energy_ev : ndarray, shape (n,)
        Strictly increasing photon energies in eV.
    dwell_s : ndarray, shape (n,)
        Dwell time at each energy in s.
    region : ndarray of int, shape (n,)
        Index of the region a point belongs to.
    e0_ev : float
        The energy that bounds and k count from, in eV.
    element, edge : str or None
        The absorption edge, such as "Fe" and "K", where it is known.
    regions : tuple of Region
        What the grid was made from.
    """

    energy_ev: np.ndarray
    dwell_s: np.ndarray
    region: np.ndarray
    e0_ev: float
    element: str | None
    edge: str | None
    regions: tuple[Region, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.energy_ev)

    @cached_property
    def k_inv_angstrom(self) -> np.ndarray:
        """Wave number k in 1/Angstrom at each point, 0 below E0; shape (n,)."""
        return energy_to_k(self.energy_ev, self.e0_ev)

    @property
    def total_dwell_s(self) -> float:
        """Sum of the dwell times in s."""
        return float(np.sum(self.dwell_s))

    def to_dict(self) -> dict[str, Any]:
        """Everything needed to make the same grid again, as plain JSON."""
        return {
            "element": self.element,
            "edge": self.edge,
            "e0_ev": self.e0_ev,
            "k_constant_ev_a2": K_CONSTANT_EV_A2,
            "regions": [r.to_dict() for r in self.regions],
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "EnergyGrid":
        """The grid that :meth:`to_dict` described, point by point the same."""
        return _build(
            document["e0_ev"],
            document.get("element"),
            document.get("edge"),
            [_as_region(r, i) for i, r in enumerate(document["regions"], start=1)],
        )


def energy_grid(
    edge: str | float,
    *,
    bounds: Sequence[Quantity] | None = None,
    steps: Sequence[Quantity] | None = None,
    times: Sequence[Quantity] | None = None,
    regions: Sequence[Region | Mapping[str, Any]] | None = None,
    limits: tuple[float, float] | None = None,
    cross_edges: bool = False,
) -> EnergyGrid:
    """Energies and dwell times of an XAFS scan.

    Give either n + 1 `bounds` with n `steps` and n `times`, or `regions`; with neither the
    default regions are used, cut short below the element's next edge.

    Parameters
    ----------
    edge : str or float
        "Fe-K", "Pb L3": energies from xraydb's tables; or E0 in eV.
    bounds, steps, times : sequence of float or str
        See :class:`Region` for what "k" means.
    regions : sequence of Region or mapping
        Regions as objects or as dictionaries of the same fields.
    limits : (float, float), optional
        Lowest and highest energy in eV that the monochromator reaches.
    cross_edges : bool
        Allow the grid to run over another edge of the element.

    Raises
    ------
    GridError
        With the region and the way out in its message.

    Examples
    --------
    >>> grid = energy_grid("Fe-K", bounds=[-20, -10, 15, "3k"],
    ...                    steps=[5, 0.5, "0.05k"], times=[0.5, 1, "0.25k"])
    >>> len(grid), float(grid.energy_ev[0]), round(float(grid.k_inv_angstrom[-1]), 9)
    (74, 7092.0, 3.0)
    """
    element, edge_name, e0_ev = absorption_edge(edge)
    others = other_edges(element, edge_name) if element and edge_name else {}
    for name, given in {
        "bounds": bounds,
        "steps": steps,
        "times": times,
        "regions": regions,
    }.items():
        if given is not None and (
            isinstance(given, str | bytes) or not isinstance(given, Iterable)
        ):
            raise GridError(f"{name} is {given!r}; give a list")
    if regions is not None:
        if not (bounds is None and steps is None and times is None):
            raise GridError("both regions and bounds/steps/times are given; drop one of them")
        parts = [_as_region(r, i) for i, r in enumerate(regions, start=1)]
    elif bounds is None and steps is None and times is None:
        parts = _default_regions(e0_ev, others, cross_edges)
    else:
        parts = _regions_from_bounds(bounds, steps, times)
    grid = _build(e0_ev, element, edge_name, parts)
    if limits is not None:
        _check_limits(grid, limits)
    if not cross_edges:
        _check_edges(grid, others)
    return grid


def _default_regions(e0_ev: float, others: Mapping[str, float], cross_edges: bool) -> list[Region]:
    bounds: list[Quantity] = list(DEFAULT_BOUNDS)
    last = float(k_to_energy(_k_value(bounds[-1]), e0_ev))
    above = [e - EDGE_MARGIN_EV for e in others.values() if e > e0_ev]
    if above and min(above) < last and not cross_edges:
        room = min(above) - e0_ev
        if room <= 0:
            raise GridError(
                f"the element's next edge lies {room + EDGE_MARGIN_EV:.1f} eV above E0, too close "
                "for the default regions; give bounds and steps, and cross_edges=True to measure "
                "over it"
            )
        kept = [b for b in DEFAULT_BOUNDS[:-1] if float(b) < room]
        bounds = [*kept, room]
    n = len(bounds) - 1
    return _regions_from_bounds(bounds, DEFAULT_STEPS[:n], DEFAULT_TIMES[:n])


def _regions_from_bounds(
    bounds: Sequence[Quantity] | None,
    steps: Sequence[Quantity] | None,
    times: Sequence[Quantity] | None,
) -> list[Region]:
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


def _as_region(region: Region | Mapping[str, Any], number: int) -> Region:
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


def _k_value(quantity: Any) -> float | None:
    """The number before "k", or None where there is no such suffix."""
    if isinstance(quantity, str) and quantity.strip().lower().endswith("k"):
        return float(quantity.strip()[:-1])
    return None


def _number(quantity: Any, number: int, what: str) -> tuple[float, bool]:
    """Value of a quantity and whether it is in k."""
    try:
        if isinstance(quantity, bool):
            raise ValueError
        k = _k_value(quantity)
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
        raise GridError(f"region {number}: {what} {quantity!r} is an energy of {energy:.1f} eV")
    return energy


@dataclass(frozen=True)
class _Span:
    """A region with its bounds as energies in eV."""

    number: int
    start: float
    stop: float
    region: Region


def _spans(e0_ev: float, regions: Sequence[Region]) -> list[_Span]:
    if not regions:
        raise GridError("the grid has no region; give at least one")
    spans: list[_Span] = []
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
        spans.append(_Span(number, start, stop, region))
    return spans


def _meet(before: _Span, start: float, region: Region, number: int, e0_ev: float) -> float:
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


def _span_energies(span: _Span, e0_ev: float, closed: bool) -> np.ndarray:
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


def _span_dwell(span: _Span, energies: np.ndarray, e0_ev: float) -> np.ndarray:
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


def _build(
    e0_ev: float, element: str | None, edge: str | None, regions: Sequence[Region]
) -> EnergyGrid:
    spans = _spans(e0_ev, regions)
    energies, dwells, numbers = [], [], []
    for i, span in enumerate(spans):
        # Half-open, unless nothing continues where this region stops.
        closed = i + 1 == len(spans) or spans[i + 1].start > span.stop + MERGE_FLOOR_EV
        points = _span_energies(span, e0_ev, closed)
        energies.append(points)
        dwells.append(_span_dwell(span, points, e0_ev))
        numbers.append(np.full(len(points), i))
    energy_ev = np.concatenate(energies)
    arrays = (energy_ev, np.concatenate(dwells), np.concatenate(numbers))
    for array in arrays:
        array.setflags(write=False)
    return EnergyGrid(*arrays, e0_ev, element, edge, tuple(regions))


def _check_limits(grid: EnergyGrid, limits: tuple[float, float]) -> None:
    low, high = limits
    outside = (grid.energy_ev < low) | (grid.energy_ev > high)
    if outside.any():
        at = int(np.argmax(outside))
        raise GridError(
            f"region {grid.region[at] + 1} reaches {grid.energy_ev[at]:.1f} eV, outside the "
            f"monochromator's {low:.1f} to {high:.1f} eV; change its bounds or the crystal"
        )


def _check_edges(grid: EnergyGrid, others: Mapping[str, float]) -> None:
    for name, energy in sorted(others.items(), key=lambda item: item[1]):
        margin = EDGE_MARGIN_EV if energy > grid.e0_ev else 0.0
        if grid.energy_ev[0] < energy < grid.energy_ev[-1] + margin:
            side = "stop below" if energy > grid.e0_ev else "start above"
            where = energy - margin if energy > grid.e0_ev else energy
            beyond = grid.energy_ev > where if energy > grid.e0_ev else grid.energy_ev < where
            region = grid.region[np.flatnonzero(beyond)[0 if energy > grid.e0_ev else -1]] + 1
            raise GridError(
                f"region {region} of the grid from {grid.energy_ev[0]:.1f} to "
                f"{grid.energy_ev[-1]:.1f} eV crosses the {grid.element} {name} edge at "
                f"{energy:.1f} eV; {side} {where:.1f} eV or pass cross_edges=True"
            )
