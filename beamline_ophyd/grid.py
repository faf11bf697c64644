"""Energy grids of XAFS scans: where to measure and for how long.

One pure function, :func:`energy_grid`, makes the grid that the plan, the preview, the
time estimate and the progress bar use. It knows neither bluesky nor a device.
"""

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
from .regions import (
    MERGE_FLOOR_EV,
    Quantity,
    Region,
    as_region,
    k_value,
    regions_from_bounds,
    span_dwell,
    span_energies,
    spans_of,
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

    def __repr__(self) -> str:
        edge = f"{self.element} {self.edge}, " if self.element else ""
        ends = f"{self.energy_ev[0]:.1f} to {self.energy_ev[-1]:.1f} eV"
        return f"<energy grid: {edge}E0 {self.e0_ev:.1f} eV, {len(self)} points, {ends}>"

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
            [as_region(r, i) for i, r in enumerate(document["regions"], start=1)],
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
        parts = [as_region(r, i) for i, r in enumerate(regions, start=1)]
    elif bounds is None and steps is None and times is None:
        parts = _default_regions(e0_ev, others, cross_edges)
    else:
        parts = regions_from_bounds(bounds, steps, times)
    grid = _build(e0_ev, element, edge_name, parts)
    if limits is not None:
        _check_limits(grid, limits)
    if not cross_edges:
        _check_edges(grid, others)
    return grid


def _default_regions(e0_ev: float, others: Mapping[str, float], cross_edges: bool) -> list[Region]:
    bounds: list[Quantity] = list(DEFAULT_BOUNDS)
    last = float(k_to_energy(k_value(bounds[-1]), e0_ev))
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
    return regions_from_bounds(bounds, DEFAULT_STEPS[:n], DEFAULT_TIMES[:n])


def _build(
    e0_ev: float, element: str | None, edge: str | None, regions: Sequence[Region]
) -> EnergyGrid:
    spans = spans_of(e0_ev, regions)
    energies, dwells, numbers = [], [], []
    for i, span in enumerate(spans):
        # Half-open, unless nothing continues where this region stops.
        closed = i + 1 == len(spans) or spans[i + 1].start > span.stop + MERGE_FLOOR_EV
        points = span_energies(span, e0_ev, closed)
        energies.append(points)
        dwells.append(span_dwell(span, points, e0_ev))
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
