"""Lattice parameters from the positions of indexed lines."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.optimize import least_squares

from ._bragg import d_spacing, two_theta

__all__ = ["SYSTEMS", "Lattice", "System", "refine_lattice"]

System = Literal["cubic", "tetragonal", "hexagonal"]
SYSTEMS = ("cubic", "tetragonal", "hexagonal")


@dataclass(frozen=True)
class Lattice:
    """What :func:`refine_lattice` finds; the errors are standard deviations.

    Attributes
    ----------
    system : str
    a, a_error : float
        In Angstrom.
    c, c_error : float
        In Angstrom; `a` again for a cubic lattice.
    zero_shift, zero_shift_error : float
        What the instrument reads at two-theta = 0, in degrees; 0 where it was not refined.
    residuals : ndarray, shape (n,)
        Measured less calculated two-theta, in degrees.
    reduced_chi_square : float or None
        Where the errors of the positions were given and there are more lines than parameters.
    """

    system: str
    a: float
    a_error: float
    c: float
    c_error: float
    zero_shift: float
    zero_shift_error: float
    residuals: np.ndarray
    reduced_chi_square: float | None

    @property
    def volume(self) -> float:
        """Volume of the cell, in Angstrom^3."""
        base = np.sqrt(3) / 2 if self.system == "hexagonal" else 1.0
        return float(base * self.a**2 * self.c)


def refine_lattice(
    two_theta_deg: Any,
    hkl: Any,
    wavelength: float,
    system: System = "cubic",
    *,
    errors: Any = None,
    zero_shift: bool = True,
) -> Lattice:
    """Lattice parameters by least squares of the positions of lines.

    Parameters
    ----------
    two_theta_deg : array_like, shape (n,)
        Positions in degrees.
    hkl : array_like of int, shape (n, 3)
        Their indices.
    wavelength : float
        In Angstrom.
    system : {"cubic", "tetragonal", "hexagonal"}
        Hexagonal axes serve a rhombohedral lattice too.
    errors : array_like, shape (n,), optional
        Standard deviations of the positions. Without them all lines count alike, and the
        uncertainties come from the misfit. With them they grow where the misfit is larger than
        the errors say.
    zero_shift : bool
        Refine the zero of two-theta too.

    Raises
    ------
    ValueError
        When there are fewer lines than parameters, or lines that do not tell them apart.

    Examples
    --------
    >>> si = [(1, 1, 1), (2, 2, 0), (3, 1, 1)]
    >>> round(refine_lattice([28.4412, 47.3007, 56.1199], si, 1.5405929, zero_shift=False).a, 4)
    5.4311
    """
    if system not in SYSTEMS:
        raise ValueError(f"system is {system!r}; give one of {', '.join(SYSTEMS)}")
    positions = np.asarray(two_theta_deg, dtype=float)
    indices = np.asarray(hkl, dtype=float)
    if positions.ndim != 1 or indices.shape != (len(positions), 3):
        raise ValueError(
            f"two_theta_deg has shape {positions.shape} and hkl {indices.shape}; give n positions "
            "and n triples"
        )
    parts = _parts(indices, system)
    count = parts.shape[1] + zero_shift
    if len(positions) < count:
        raise ValueError(
            f"{len(positions)} lines are too few for {count} parameters; measure more of them"
            + (" or give zero_shift=False" if zero_shift else "")
        )
    if np.linalg.matrix_rank(parts) < parts.shape[1]:
        raise ValueError("these lines do not tell a from c; add lines with other h, k and l")
    sigma = np.ones(len(positions)) if errors is None else np.asarray(errors, dtype=float)
    if sigma.shape != positions.shape or not (np.isfinite(sigma) & (sigma > 0)).all():
        raise ValueError("errors must be one positive number for each line")
    start = np.linalg.lstsq(parts, 1 / d_spacing(positions, wavelength) ** 2, rcond=None)[0]
    first = np.append(1 / np.sqrt(np.abs(start)), [0.0] * zero_shift)

    def calculated(x: np.ndarray) -> np.ndarray:
        axes = x[: parts.shape[1]]
        angles = two_theta(1 / np.sqrt(parts @ (1 / axes**2)), wavelength)
        # Beyond 180 degrees there is no angle; the fit must not go there.
        return np.nan_to_num(angles, nan=360.0) + (x[-1] if zero_shift else 0.0)

    found = least_squares(lambda x: (positions - calculated(x)) / sigma, first, x_scale="jac")
    freedom = len(positions) - count
    reduced = float(np.sum(found.fun**2)) / freedom if freedom else None
    scale = 1.0 if reduced is None else reduced if errors is None else max(reduced, 1.0)
    if errors is None and reduced is None:
        scale = np.nan  # as many parameters as lines, and nobody says how good these are
    spread = np.sqrt(np.diag(np.linalg.inv(found.jac.T @ found.jac)) * scale)
    c = parts.shape[1] - 1
    return Lattice(
        system=system,
        a=float(found.x[0]),
        a_error=float(spread[0]),
        c=float(found.x[c]),
        c_error=float(spread[c]),
        zero_shift=float(found.x[-1]) if zero_shift else 0.0,
        zero_shift_error=float(spread[-1]) if zero_shift else 0.0,
        residuals=positions - calculated(found.x),
        reduced_chi_square=None if errors is None else reduced,
    )


def _parts(hkl: np.ndarray, system: System) -> np.ndarray:
    """What 1/a^2, and 1/c^2 where it differs, are multiplied with in 1/d^2."""
    h, k, el = hkl.T
    if system == "cubic":
        return (h**2 + k**2 + el**2)[:, None]
    base = h**2 + k**2 if system == "tetragonal" else 4 / 3 * (h**2 + h * k + k**2)
    return np.stack([base, el**2], axis=1)
