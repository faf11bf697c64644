"""Absorption edges, and the wave number of the photoelectron above one."""

import math
import re
from numbers import Real
from typing import Any

import numpy as np

__all__ = [
    "HC_EV_ANGSTROM",
    "K_CONSTANT_EV_A2",
    "GridError",
    "absorption_edge",
    "energy_to_k",
    "k_to_energy",
    "other_edges",
]

K_CONSTANT_EV_A2 = 3.80998211
"""hbar^2 / 2 m_e in eV Angstrom^2, from the CODATA 2022 constants: E - E0 = this times k^2."""

HC_EV_ANGSTROM = 12398.41984
"""Planck's constant times the speed of light, from the exact SI values: E = this / wavelength."""

TABULATED_EV = (1.0, 1e6)
"""All tabulated edges lie between these energies."""


class GridError(ValueError):
    """A grid that cannot be measured; the message names the region and the way out."""


def energy_to_k(energy_ev: Any, e0_ev: float) -> np.ndarray:
    """Photoelectron wave number k in 1/Angstrom of energies in eV; 0 below E0.

    >>> round(float(energy_to_k(7112.0 + 4 * K_CONSTANT_EV_A2, 7112.0)), 9)
    2.0
    """
    above = np.maximum(np.asarray(energy_ev, dtype=float) - e0_ev, 0.0)
    return np.sqrt(above / K_CONSTANT_EV_A2)


def k_to_energy(k_inv_angstrom: Any, e0_ev: float) -> np.ndarray:
    """Energies in eV of photoelectron wave numbers k in 1/Angstrom."""
    return e0_ev + K_CONSTANT_EV_A2 * np.square(np.asarray(k_inv_angstrom, dtype=float))


def absorption_edge(edge: str | float) -> tuple[str | None, str | None, float]:
    """Element, edge and tabulated energy in eV of an edge's name or energy.

    An energy within 15 eV of a tabulated edge, as a monochromator's calibration and the
    choice of E0 allow, is taken for that edge but keeps its own value.

    >>> absorption_edge("Fe-K")
    ('Fe', 'K', 7112.0)
    >>> absorption_edge(7110.5)
    ('Fe', 'K', 7110.5)
    """
    import xraydb  # loads its database: not at import time

    if isinstance(edge, str):
        match = re.fullmatch(r"([A-Z][a-z]?)[-_ ]([KLM][1-5]?)", edge.strip())
        if match is None:
            raise GridError(
                f"edge {edge!r} is not understood; write it like 'Fe-K' or 'Pb-L3', "
                "or give E0 in eV"
            )
        symbol, name = match.groups()
        try:
            known = xraydb.xray_edges(symbol)
        except ValueError:
            raise GridError(f"edge {edge!r}: there is no element {symbol!r}") from None
        if name not in known:
            raise GridError(f"edge {edge!r} is not tabulated; {symbol} has {', '.join(known)}")
        return symbol, name, float(known[name].energy)
    if isinstance(edge, bool) or not isinstance(edge, Real) or not 0 < edge < math.inf:
        raise GridError(f"E0 {edge!r} is not a positive energy in eV")
    edge = float(edge)
    if not TABULATED_EV[0] < edge < TABULATED_EV[1]:
        return None, None, edge
    guess = xraydb.guess_edge(edge, edges=["K", "L3", "L2", "L1"])
    if guess is not None:
        symbol, name = guess
        if abs(xraydb.xray_edges(symbol)[name].energy - edge) <= 15.0:
            return symbol, name, edge
    return None, None, edge


def other_edges(element: str, edge: str) -> dict[str, float]:
    """All other edges of an element: name to tabulated energy in eV."""
    import xraydb

    return {n: float(e.energy) for n, e in xraydb.xray_edges(element).items() if n != edge}
