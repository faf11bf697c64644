"""Absorption tables of the elements, from xraydb's Elam tables."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import xraydb

__all__ = ["write_elements"]

#: The monochromator reaches from 4 to 20 keV; its third harmonic and the spread around it need 60.
LOWEST_EV = 3120.0
HIGHEST_EV = 61000.0

#: Largest relative error that interpolation between the points may have.
TOLERANCE = 1e-3

#: The source's jumps lie up to 3 eV beside its edges: within this distance of an edge its curves
#: are continued from outside.
SIDE_EV = 4.0

HEADER = """\
# X-ray mass attenuation of the elements 1 to {max_z}, {lowest:.0f} to {highest:.0f} eV.
# Made by device_server/samples/generate.py tables from xraydb {version}:
# W. T. Elam, B. D. Ravel, J. R. Sieber, Radiat. Phys. Chem. 63 (2002) 121 (public domain data).
# Rows: energy in eV, total and photoelectric attenuation in cm^2/g; log-log interpolation between
# them is within {tolerance:g} of the source. An edge is two rows of one energy: below, above.
"""


def _curves(symbol: str, energy_ev: np.ndarray) -> np.ndarray:
    total = np.asarray(xraydb.mu_elam(symbol, energy_ev, kind="total"))
    photo = np.asarray(xraydb.mu_elam(symbol, energy_ev, kind="photo"))
    return np.array([total, photo])


def _continued(symbol: str, low: float, high: float) -> Callable[[np.ndarray], np.ndarray]:
    """Curves between two edges, straight on log-log scales next to them."""
    inner_low, inner_high = low + SIDE_EV, high - SIDE_EV

    def curve(energy: np.ndarray) -> np.ndarray:
        inside = np.clip(energy, inner_low, inner_high)
        anchors = np.array([inner_low, inner_low + 1, inner_high - 1, inner_high])
        logs = np.log(_curves(symbol, anchors))
        steps = np.diff(logs, axis=1)[:, ::2] / np.diff(np.log(anchors))[::2]
        slope = np.where(energy < inside, steps[:, :1], steps[:, 1:])
        return _curves(symbol, inside) * np.exp(slope * np.log(energy / inside))

    return curve


def _thin(curve: Callable[[np.ndarray], np.ndarray], low: float, high: float) -> np.ndarray:
    """Fewest log-spaced energies between which the curve is straight on log-log scales."""
    fine = np.geomspace(low, high, 2000)
    truth = np.log(curve(fine))
    for n in range(2, 200):
        energy = np.geomspace(low, high, n)
        points = np.log(curve(energy))
        worst = max(
            np.abs(np.interp(np.log(fine), np.log(energy), p) - t).max()
            for p, t in zip(points, truth, strict=True)
        )
        if worst < TOLERANCE:
            return energy
    raise ValueError(f"no grid from {low} to {high} eV reaches {TOLERANCE}")


def _edges(symbol: str) -> list[tuple[str, float]]:
    edges = (
        (name, float(edge.energy))
        for name, edge in xraydb.xray_edges(symbol).items()
        if LOWEST_EV < edge.energy < HIGHEST_EV
    )
    found = sorted(edges, key=lambda item: item[1])
    for _, energy in found:
        if min(energy - LOWEST_EV, HIGHEST_EV - energy) < 3 * SIDE_EV:
            raise ValueError(
                f"{symbol}: edge at {energy} eV is too close to the ends of the tables"
            )
    return found


def _element_lines(z: int) -> list[str]:
    symbol = xraydb.atomic_symbol(z)
    edges = _edges(symbol)
    lines = [f"element {z} {symbol} {xraydb.atomic_mass(symbol):.6g}"]
    lines += [f"edge {name} {energy:g}" for name, energy in edges]
    bounds = [LOWEST_EV, *(energy for _, energy in edges), HIGHEST_EV]
    for low, high in itertools.pairwise(bounds):
        curve = _continued(symbol, low, high)
        energy = _thin(curve, low, high)
        total, photo = curve(energy)
        lines += [f"{e:.8g} {t:.5g} {p:.5g}" for e, t, p in zip(energy, total, photo, strict=True)]
    return lines


def write_elements(path: Path) -> int:
    """Write the tables of all elements.

    Parameters
    ----------
    path
        File to write.

    Returns
    -------
    int
        Number of lines.
    """
    header = HEADER.format(
        max_z=92,
        lowest=LOWEST_EV,
        highest=HIGHEST_EV,
        version=xraydb.__version__,
        tolerance=TOLERANCE,
    )
    lines = [line for z in range(1, 93) for line in _element_lines(z)]
    path.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
    return len(lines)
