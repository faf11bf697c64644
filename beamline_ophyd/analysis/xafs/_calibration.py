"""Energy scale: calibration on the reference foil, and alignment of repeats."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from beamline_ophyd.edges import HC_EV_ANGSTROM

from ._edge import find_e0
from ._spectra import as_spectra, by_mask, one_or_many

__all__ = ["Alignment", "align", "calibrated"]

ROUNDS = 12
COVERED = 0.7
"""Part of the points compared that the standard must have too."""


def calibrated(
    energy: Any, measured_ev: float, true_ev: float, d_spacing: float | None = None
) -> np.ndarray:
    """Energies with the edge of the reference foil where it belongs.

    Parameters
    ----------
    energy : array_like
        In eV.
    measured_ev, true_ev : float
        Edge of the reference as measured, ``find_e0(energy, mu_reference)``, and as it is.
    d_spacing : float, optional
        Of the monochromator's crystal, in Angstrom. With it the correction is one of the
        Bragg angle, as a zero shift of its encoder makes; without it one number is added.

    Raises
    ------
    ValueError
        When the crystal does not reach an energy.

    Examples
    --------
    >>> calibrated([8979.0, 9979.0], 8980.0, 8979.0).tolist()
    [8978.0, 9978.0]
    >>> [round(float(e), 2) for e in calibrated([8980.0, 9979.0], 8980.0, 8979.0, 3.1356)]
    [8979.0, 9977.76]
    """
    energy = np.asarray(energy, dtype=float)
    if d_spacing is None:
        return energy + (true_ev - measured_ev)
    lowest = HC_EV_ANGSTROM / (2 * d_spacing)
    if min(float(np.nanmin(energy)), measured_ev, true_ev) <= lowest:
        raise ValueError(
            f"a crystal of d = {d_spacing:g} Angstrom reaches no energy below {lowest:.1f} eV; "
            "check d_spacing"
        )
    offset = np.arcsin(lowest / true_ev) - np.arcsin(lowest / measured_ev)
    return lowest / np.sin(np.arcsin(lowest / energy) + offset)


@dataclass(frozen=True)
class Alignment:
    """What :func:`align` finds; numbers have the shape of the stack.

    Attributes
    ----------
    shift : float or ndarray
        To be added to the spectrum's energies, in eV.
    sigma : float or ndarray
        Its standard deviation from the misfit, in eV.
    scale : float or ndarray
        Edge of the spectrum over that of the standard.
    """

    shift: Any
    sigma: Any
    scale: Any


def align(
    energy: Any,
    mu: Any,
    to_energy: Any,
    to_mu: Any,
    *,
    e0: float | None = None,
    below: float = 20.0,
    above: float = 80.0,
) -> Alignment:
    """Shift that puts spectra onto a standard: ``mu(E) = a + b E + scale standard(E + shift)``.

    Least squares around the edge by Gauss and Newton, with a line for what the samples'
    smooth absorptions differ in. For the energy scale of a run take its reference channel.

    Parameters
    ----------
    energy, mu : array_like, shapes (n,) and (..., n)
        One spectrum or a stack, `energy` in eV.
    to_energy, to_mu : array_like, shape (m,)
        The standard: the same edge of the same material, on any grid.
    e0 : float, optional
        Edge of the standard, where the spectra's own is nearly; by default both are found
        by :func:`find_e0`.
    below, above : float
        Range that is compared, in eV from `e0`.

    Raises
    ------
    ValueError
        When one of them does not cover the edge.
    """
    energy, mu = as_spectra(energy, mu)
    to_energy, to_mu = as_spectra(to_energy, to_mu)
    good = np.isfinite(to_energy) & np.isfinite(to_mu)
    centre = float(find_e0(to_energy, to_mu)) if e0 is None else e0
    standard = CubicSpline(to_energy[good], to_mu[good], extrapolate=False)
    offset = centre - float(np.median(find_e0(energy, mu))) if e0 is None else 0.0
    used = (energy > centre - offset - below) & (energy < centre - offset + above)
    if np.count_nonzero(used) < 10:
        raise ValueError(
            f"{np.count_nonzero(used)} points lie within {below:g} eV below and {above:g} eV "
            f"above the edge at {centre - offset:.1f} eV; give e0, or widen the range"
        )

    def solve(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return _newton(standard, x, y, np.full(len(y), offset))

    found = by_mask(energy[used], mu[..., used], solve)
    return Alignment(*(one_or_many(found[..., i]) for i in range(3)))


def _newton(standard: CubicSpline, x: np.ndarray, y: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Columns shift, its deviation and scale, for y of shape (m, n)."""
    line = (x - x.mean()) / np.ptp(x)
    slope = standard.derivative()
    found = np.zeros((len(y), 3))
    for _ in range(ROUNDS):
        at = x + shift[:, None]
        base, tilt = standard(at), slope(at)
        inside = np.isfinite(base)
        if inside.mean(axis=1).min() < COVERED:
            raise ValueError(
                "the standard does not cover the edge of a spectrum; give one that reaches from "
                "below to above it"
            )
        columns = np.stack(np.broadcast_arrays(1.0, line, base, tilt), axis=-1)
        columns = np.where(inside[..., None], columns, 0.0)
        values = np.where(inside, y, 0.0)
        covariance = np.linalg.inv(np.einsum("mni,mnj->mij", columns, columns))
        factors = np.einsum("mij,mnj,mn->mi", covariance, columns, values, optimize=True)
        change = np.clip(factors[:, 3] / factors[:, 2], -5, 5)
        shift = shift + change
        misfit = values - np.einsum("mni,mi->mn", columns, factors)
        variance = np.sum(misfit**2, axis=1) / (np.count_nonzero(inside, axis=1) - 4)
        sigma = np.sqrt(variance * covariance[:, 3, 3]) / np.abs(factors[:, 2])
        found = np.stack([shift, sigma, factors[:, 2]], axis=1)
        if np.abs(change).max() < 1e-6:
            break
    return found
