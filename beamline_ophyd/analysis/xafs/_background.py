"""Background of mu(E) and chi(k) by AUTOBK, as one linear least-squares problem.

Newville, Livins, Yacoby, Rehr and Stern, Phys. Rev. B 47, 14126 (1993): the background is a
spline in k with as many free values as there are independent ones below R = rbkg, chosen to
make the part of chi(R) below rbkg small. The Fourier transform and the spline are linear, so
the spline's values are a matrix times mu, which only depends on the grid.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from beamline_ophyd.edges import energy_to_k, k_to_energy

from ._fourier import transform_matrix
from ._normalise import PreEdge, pre_edge
from ._spectra import as_spectra, by_mask, one_or_many
from ._windows import ftwindow

__all__ = ["Background", "autobk"]

CLAMP = 0.1
"""Weight of an end clamp of 1: the background may cost this much |chi(R)| a point of chi(k)."""


MANY = 16
"""From so many spectra on, interpolation as a matrix is faster than one spline a spectrum."""


@dataclass(frozen=True)
class Background:
    """What :func:`autobk` finds.

    Attributes
    ----------
    k : ndarray, shape (m,)
        Wave numbers from 0 in even steps, in 1/Angstrom.
    chi : ndarray, shape (..., m)
        The fine structure, in units of the edge step.
    bkg : ndarray, shape (..., n)
        Background in the units of mu at the energies given; mu itself below E0.
    e0 : float or ndarray
        Edge energy in eV that k counts from.
    edge_step : float or ndarray
        What chi is divided by.
    chi_errors : ndarray or None, shape (..., m)
        Standard deviation of chi(k), where that of mu was given: what the noise of each
        point does through interpolation and background. The edge step's own, one scale for all
        of chi, is not in it: see :class:`PreEdge`.
    """

    k: np.ndarray
    chi: np.ndarray
    bkg: np.ndarray
    e0: Any
    edge_step: Any
    chi_errors: np.ndarray | None = None


def autobk(
    energy: Any,
    mu: Any,
    *,
    rbkg: float = 1.0,
    ek0: Any = None,
    edge_step: Any = None,
    mu_errors: Any = None,
    nknots: int | None = None,
    kmin: float = 0.0,
    kmax: float | None = None,
    kweight: float = 1.0,
    dk: float = 0.1,
    win: str = "hanning",
    nfft: int = 2048,
    kstep: float = 0.05,
    nclamp: int = 3,
    clamp_lo: float = 0.0,
    clamp_hi: float = 1.0,
    normalised: PreEdge | None = None,
) -> Background:
    """Remove the background of mu(E): chi(k).

    Parameters
    ----------
    energy : array_like, shape (n,)
        In eV, strictly increasing.
    mu : array_like, shape (..., n)
        One spectrum or a stack. Points that are not finite are passed over.
    rbkg : float
        Structure below this distance in Angstrom is background.
    ek0, edge_step : float or array_like, shape (...), optional
        Edge energy in eV and edge step; by default those of `normalised`, else of
        :func:`pre_edge`. Spectra with edge energies of their own take more time.
    mu_errors : array_like, shape (..., n), optional
        Standard deviation of mu, of independent points.
    nknots : int, optional
        Free values of the spline; by default 1 + 2 rbkg (kmax - kmin) / pi, at least 5.
    kmin, kmax : float
        Range of the spline and of the transform, in 1/Angstrom; by default to the end.
    kweight, dk, win, nfft
        Transform that judges the background, see :func:`xftf`.
    kstep : float
        Step of the k grid in 1/Angstrom.
    nclamp, clamp_lo, clamp_hi
        Number of points of chi at either end that are drawn to 0, and how hard.
    normalised : PreEdge, optional
        What :func:`pre_edge` found, if that is there already.

    Raises
    ------
    ValueError
        When the spectrum ends too close to the edge, and for arguments that make no background.
    """
    energy, mu = as_spectra(energy, mu)
    for name, value, allowed in (
        ("rbkg", rbkg, rbkg > 0),
        ("kstep", kstep, kstep > 0),
        ("kweight", kweight, kweight >= 0),
        ("nclamp", nclamp, nclamp >= 0),
    ):
        if not allowed:
            above = "0 or more" if name in ("kweight", "nclamp") else "more than 0"
            raise ValueError(f"{name} is {value:g}; give {above}")
    if normalised is None and (ek0 is None or edge_step is None):
        normalised = pre_edge(energy, mu, ek0)
    e0 = np.asarray(normalised.e0 if ek0 is None and normalised else ek0, dtype=float)
    step = normalised.edge_step if edge_step is None and normalised else edge_step
    height = np.broadcast_to(np.asarray(step, dtype=float), mu.shape[:-1])
    # The range that all spectra have, so that none is extrapolated.
    usable = np.isfinite(energy) & np.isfinite(mu.reshape(-1, len(energy)))
    last_ev = float(np.min(np.max(np.where(usable, energy, -np.inf), axis=1)))
    end = float(energy_to_k(last_ev, float(np.max(e0))))
    last = end if kmax is None else min(kmax, end)
    points = int(last / kstep + 1e-6) + 1
    if last <= kmin + 2:
        raise ValueError(
            f"the spectrum ends {last_ev - np.max(e0):.0f} eV above E0, at "
            f"k = {last:.2f} 1/A; the background takes 2 1/A above kmin = {kmin:g}"
        )
    nclamp = min(nclamp, points)
    knots = nknots or max(5, 1 + int(2 * rbkg * (last - kmin) / np.pi))
    fit = _fit(
        points, kstep, kmin, last, rbkg, knots, kweight, dk, win, nfft, nclamp, clamp_lo, clamp_hi
    )
    spread = None if mu_errors is None else np.broadcast_to(mu_errors, mu.shape)
    shape = mu.shape[:-1]
    chi, bkg = np.empty((*shape, points)), np.empty(mu.shape)
    errors = None if spread is None else np.empty((*shape, points))
    for value in np.unique(e0):
        these = np.broadcast_to(e0 == value, shape)
        one = e0.ndim == 0
        part = mu if one else mu[these]
        part_chi, part_bkg = _remove(energy, part, float(value), fit)
        part_height = (height if one else height[these])[..., None]
        part_chi /= part_height
        if one:
            chi, bkg = part_chi, part_bkg
        else:
            chi[these], bkg[these] = part_chi, part_bkg
        if spread is not None and errors is not None:
            sigma = np.where(np.isfinite(part), spread if one else spread[these], np.nan)
            errors[these] = _errors(energy, sigma, float(value), fit) / part_height
    return Background(
        fit.k, chi, bkg, one_or_many(e0), one_or_many(np.asarray(step, float)), errors
    )


@dataclass(frozen=True)
class _Fit:
    """The spline's fit on one k grid: `coefficients` times mu(k) are the spline's values."""

    k: np.ndarray
    spline: CubicSpline
    """All basis functions: at each k, shape (..., knots)."""
    basis: np.ndarray
    coefficients: np.ndarray
    kmin: float
    kmax: float


@lru_cache(maxsize=32)
def _fit(
    points: int,
    kstep: float,
    kmin: float,
    kmax: float,
    rbkg: float,
    knots: int,
    kweight: float,
    dk: float,
    win: str,
    nfft: int,
    nclamp: int,
    clamp_lo: float,
    clamp_hi: float,
) -> _Fit:
    k = kstep * np.arange(points)
    spline = CubicSpline(np.linspace(kmin, kmax, knots), np.eye(knots))
    basis = spline(k)
    weights = ftwindow(k, kmin, kmax, dk, window=win) * k**kweight
    rstep = np.pi / (kstep * nfft)
    low_r = transform_matrix(k, weights, rstep * np.arange(int(rbkg / rstep + 1.01)))
    rows = [np.real(low_r), np.imag(low_r[1:])]
    for weight, ends in ((clamp_lo, range(nclamp)), (clamp_hi, range(points - nclamp, points))):
        if weight and nclamp:
            rows.append(CLAMP * weight * np.eye(points)[list(ends)])
    target = np.concatenate(rows)
    return _Fit(k, spline, basis, np.linalg.pinv(target @ basis) @ target, kmin, kmax)


def _remove(
    energy: np.ndarray, mu: np.ndarray, e0: float, fit: _Fit
) -> tuple[np.ndarray, np.ndarray]:
    grid = k_to_energy(fit.k, e0)

    def split(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        on_k = _at(x, y, grid)
        values = on_k @ fit.coefficients.T
        return np.concatenate([on_k - values @ fit.basis.T, values], axis=1)

    both = by_mask(energy, mu, split)
    chi, values = both[..., : len(fit.k)], both[..., len(fit.k) :]
    above = energy >= e0
    k = np.minimum(energy_to_k(energy[above], e0), fit.kmax)
    bkg = mu.copy()
    bkg[..., above] = values @ fit.spline(k).T
    return chi, bkg


def _errors(energy: np.ndarray, sigma: np.ndarray, e0: float, fit: _Fit) -> np.ndarray:
    """Standard deviation of chi times the edge step, by linear propagation."""
    grid = k_to_energy(fit.k, e0)

    def spread(x: np.ndarray, s: np.ndarray) -> np.ndarray:
        at = _Interpolation.of(x, grid)
        removed = at.matrix - fit.basis @ (fit.coefficients @ at.matrix)
        return np.sqrt(s[:, at.used] ** 2 @ (removed**2).T)

    return by_mask(energy, sigma, spread)


def _at(x: np.ndarray, y: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Cubic interpolation of y, shape (m, n), at grid[0] and above."""
    if len(y) < MANY:
        used = _needed(x, grid)
        return CubicSpline(x[used], y[:, used], axis=1)(grid)
    at = _Interpolation.of(x, grid)
    return y[:, at.used] @ at.matrix.T


def _needed(x: np.ndarray, grid: np.ndarray) -> slice:
    """From ten points below the grid: what is farther off does not move a cubic spline."""
    return slice(max(int(np.searchsorted(x, grid[0])) - 10, 0), len(x))


@dataclass(frozen=True)
class _Interpolation:
    """The interpolation as a matrix, which pays for many spectra on one energy grid."""

    used: slice
    matrix: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, grid: np.ndarray) -> "_Interpolation":
        return _interpolation(x.tobytes(), grid.tobytes())


@lru_cache(maxsize=8)
def _interpolation(x_bytes: bytes, grid_bytes: bytes) -> _Interpolation:
    x, grid = np.frombuffer(x_bytes), np.frombuffer(grid_bytes)
    used = _needed(x, grid)
    return _Interpolation(used, CubicSpline(x[used], np.eye(len(x[used])))(grid))
