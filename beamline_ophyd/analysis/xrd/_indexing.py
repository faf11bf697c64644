"""Indices of the lines of a cubic pattern."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ._bragg import d_spacing
from ._lattice import Lattice, refine_lattice

__all__ = ["CubicCell", "index_cubic"]

MAX_SUM = 200
FIRST_LINES = 6
"""The first line seen is one of the first so many that the lattice allows."""

AS_GOOD = 0.999
"""Part of the best figure of merit from which on a lattice counts as good as the best."""
LATTICES = ("diamond", "F", "I", "P")


@dataclass(frozen=True)
class CubicCell:
    """What :func:`index_cubic` finds.

    Attributes
    ----------
    lattice : str
        "P", "I", "F", or "diamond": F without the lines that a diamond structure lacks.
    hkl : ndarray of int, shape (n, 3)
        Indices of each line, the largest first; of lines that coincide one is given.
    refined : Lattice
        Lattice parameter and zero shift.
    merit : float
        Figure of merit of de Wolff, J. Appl. Cryst. 1, 108 (1968): above 10 is convincing.
    """

    lattice: str
    hkl: np.ndarray
    refined: Lattice
    merit: float

    @property
    def a(self) -> float:
        """Lattice parameter in Angstrom."""
        return self.refined.a


def index_cubic(
    two_theta_deg: Any,
    wavelength: float,
    *,
    lattice: str | None = None,
    errors: Any = None,
    tolerance: float = 0.1,
) -> CubicCell:
    """Index a cubic pattern, whichever lines it lacks.

    All lattices whose lines coincide with those measured are tried; that with the best figure
    of merit is taken, which prefers the one that predicts the fewest lines that are not there.
    The first six lines of P and I have the same ratios, so a short pattern does not tell them
    apart: then I is taken, unless `lattice` says otherwise.

    Parameters
    ----------
    two_theta_deg : array_like, shape (n,)
        Positions of at least three lines in degrees, increasing.
    wavelength : float
        In Angstrom.
    lattice : {"P", "I", "F", "diamond"}, optional
        By default all are tried.
    errors : array_like, shape (n,), optional
        Standard deviations of the positions, for :func:`refine_lattice`.
    tolerance : float
        Largest misfit of a line in degrees, once the lattice is refined.

    Raises
    ------
    ValueError
        When no cubic lattice has these lines.
    """
    positions = np.asarray(two_theta_deg, dtype=float)
    if positions.ndim != 1 or len(positions) < 3 or not (np.diff(positions) > 0).all():
        raise ValueError(
            f"{positions.size} positions given; indexing takes at least three, increasing"
        )
    if lattice is not None and lattice not in LATTICES:
        raise ValueError(f"lattice is {lattice!r}; give one of {', '.join(LATTICES)}")
    inverse = 1 / np.asarray(d_spacing(positions, wavelength)) ** 2
    cells = [
        _try(name, sums, positions, inverse, first, wavelength, errors, tolerance)
        for name in (LATTICES if lattice is None else (lattice,))
        for sums in (_sums(name),)
        for first in sums[:FIRST_LINES]
    ]
    found = [cell for cell in cells if cell is not None]
    if not found:
        raise ValueError(
            f"no cubic lattice has these {len(positions)} lines within {tolerance:g} degrees; are "
            "all of them of one phase, and the wavelength right?"
        )
    best = max(cell.merit for cell in found)
    return next(cell for cell in found if cell.merit >= AS_GOOD * best)


def _try(
    name: str,
    sums: np.ndarray,
    positions: np.ndarray,
    inverse: np.ndarray,
    first: int,
    wavelength: float,
    errors: Any,
    tolerance: float,
) -> CubicCell | None:
    # The zero shift moves the first lines most: the cell is refined while it grows line by line.
    squared = first / inverse[0]
    numbers = [int(first)]
    for value in inverse[1:]:
        numbers.append(int(sums[np.argmin(np.abs(sums - value * squared))]))
        measured = inverse[: len(numbers)]
        squared = float(np.dot(numbers, measured) / np.dot(measured, measured))
    if len(set(numbers)) < len(numbers):
        return None
    hkl = np.array([_indices(name)[number] for number in numbers])
    refined = refine_lattice(positions, hkl, wavelength, errors=errors)
    if np.abs(refined.residuals).max() > tolerance or abs(refined.zero_shift) > 10 * tolerance:
        return None
    corrected = 1 / np.asarray(d_spacing(positions - refined.zero_shift, wavelength)) ** 2
    off = float(np.mean(np.abs(corrected - np.array(numbers) / refined.a**2)))
    possible = int(np.count_nonzero(sums <= numbers[-1]))
    merit = corrected[-1] / (2 * max(off, 1e-9) * possible)
    return CubicCell(name, hkl, refined, float(merit))


def _sums(lattice: str) -> np.ndarray:
    return np.array(sorted(_indices(lattice)))


@lru_cache(maxsize=4)
def _indices(lattice: str) -> dict[int, tuple[int, int, int]]:
    """h^2 + k^2 + l^2 of the lines that a lattice allows, with indices that make it."""
    top = int(np.sqrt(MAX_SUM))
    found: dict[int, tuple[int, int, int]] = {}
    for h in range(1, top + 1):
        for k in range(h + 1):
            for el in range(k + 1):
                total = h * h + k * k + el * el
                if total <= MAX_SUM and _allowed(lattice, h, k, el):
                    found.setdefault(total, (h, k, el))
    return found


def _allowed(lattice: str, h: int, k: int, el: int) -> bool:
    if lattice == "P":
        return True
    if lattice == "I":
        return (h + k + el) % 2 == 0
    odd = (h % 2, k % 2, el % 2)
    if len(set(odd)) > 1:
        return False
    return lattice == "F" or odd[0] == 1 or (h + k + el) % 4 == 0
