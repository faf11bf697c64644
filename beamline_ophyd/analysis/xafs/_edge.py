"""Edge energy: the maximum of the smoothed first derivative, and how sure it is."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from ._spectra import as_spectra, by_mask, interpolation_residue, one_or_many

__all__ = ["EdgeEnergy", "find_e0", "locate_edge"]

DRAWS = 200
RIVAL = 0.8


def find_e0(
    energy: Any, mu: Any, near: float | None = None, within: float = 25.0, width: float = 1.0
) -> Any:
    """Edge energy: the maximum of the smoothed first derivative of mu(E).

    Parameters
    ----------
    energy : array_like, shape (n,)
        Photon energies in eV, strictly increasing.
    mu : array_like, shape (..., n)
        Absorption of one spectrum or of a stack; points that are not finite are passed over.
    near : float, optional
        Expected edge in eV: only its neighbourhood is searched. Without it a glitch or a
        strong white line may win in noisy data.
    within : float
        Half-width of that neighbourhood in eV.
    width : float
        FWHM in eV of the Gaussian that the derivative is smoothed with.

    Returns
    -------
    float or ndarray, shape (...)
        E0 in eV, refined between the points by a parabola.

    Raises
    ------
    ValueError
        With fewer than five usable points, or none near the expected edge.

    See Also
    --------
    locate_edge : the same with its uncertainty and what else might be the edge.
    """
    energy, mu = as_spectra(energy, mu)

    def find(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        middle, smooth = _derivative(x, y, width)
        allowed = _allowed(middle, near, within, energy)
        best = np.flatnonzero(allowed)[np.argmax(smooth[:, allowed], axis=1)]
        return _vertex(middle, smooth, best)[0]

    return one_or_many(by_mask(energy, mu, find))


@dataclass(frozen=True)
class EdgeEnergy:
    """Where an edge is, and how sure that is.

    Attributes
    ----------
    e0 : float
        Edge energy in eV, as :func:`find_e0`.
    sigma : float
        Its standard deviation in eV from the noise of mu. A noisy spectrum whose maximum
        jumps between two places has a large one.
    rivals : ndarray
        Other maxima of the derivative, in eV, that reach 80 % of the highest: places that
        another program, or another eye, may well call the edge.
    """

    e0: float
    sigma: float
    rivals: np.ndarray


def locate_edge(
    energy: Any,
    mu: Any,
    mu_errors: Any = None,
    near: float | None = None,
    within: float = 25.0,
    width: float = 1.0,
) -> EdgeEnergy:
    """Edge energy of one spectrum, with its standard deviation and its rivals.

    The deviation is the scatter of E0 over 200 spectra with noise added (fixed seed).

    Parameters
    ----------
    energy, mu : array_like, shape (n,)
        One spectrum, `energy` in eV.
    mu_errors : array_like, shape (n,), optional
        Standard deviation of each point of mu. By default one for all points, from the
        scatter of the lowest quarter of them about a smooth curve.
    near, within, width : float
        As :func:`find_e0`.
    """
    energy, mu = as_spectra(energy, mu)
    if mu.ndim != 1:
        raise ValueError(f"mu has shape {mu.shape}; locate_edge takes one spectrum")
    e0 = find_e0(energy, mu, near, within, width)
    if mu_errors is None:
        used = np.flatnonzero(np.isfinite(energy) & np.isfinite(mu))
        quarter = used[: max(len(used) // 4, 5)]
        residue, gain = interpolation_residue(energy[quarter], mu[quarter])
        mu_errors = np.median(np.abs(residue / gain)[2:-2]) / 0.6745
    noise = np.random.default_rng(0).standard_normal((DRAWS, len(mu))) * mu_errors
    scatter = find_e0(energy, mu + np.where(np.isfinite(noise), noise, 0.0), near, within, width)
    usable = np.isfinite(energy) & np.isfinite(mu)
    middle, smooth = _derivative(energy[usable], mu[None, usable], width)
    smooth = np.where(_allowed(middle, near, within, energy), smooth[0], -np.inf)
    inner = smooth[1:-1]
    peaks = 1 + np.flatnonzero((inner > smooth[:-2]) & (inner >= smooth[2:]))
    peaks = peaks[smooth[peaks] >= RIVAL * smooth.max()]
    found = _vertex(middle, np.broadcast_to(smooth, (len(peaks), len(smooth))), peaks)[0]
    return EdgeEnergy(e0, float(np.std(scatter)), found[np.abs(found - e0) > width / 2])


def _allowed(
    middle: np.ndarray, near: float | None, within: float, energy: np.ndarray
) -> np.ndarray:
    if near is None:
        return np.ones(len(middle), bool)
    allowed = np.abs(middle - near) <= within
    if not allowed.any():
        raise ValueError(
            f"no points within {within:g} eV of {near:g} eV; the spectrum spans "
            f"{np.nanmin(energy):.1f} to {np.nanmax(energy):.1f} eV"
        )
    return allowed


def _derivative(x: np.ndarray, y: np.ndarray, fwhm: float) -> tuple[np.ndarray, np.ndarray]:
    """Middles of the intervals, and the smoothed slope there of y of shape (m, n).

    Each interval's slope has the weight of its length, so that the grid need not be even.
    Intervals that matter lie within a few widths, so only a band is computed.
    """
    interval = np.diff(x)
    middle = x[:-1] + interval / 2
    sigma = fwhm / np.sqrt(8 * np.log(2))
    low = np.searchsorted(middle, middle - 4 * sigma)
    high = np.searchsorted(middle, middle + 4 * sigma, side="right")
    reach = high - low
    starts = np.concatenate([[0], np.cumsum(reach)])
    row = np.repeat(np.arange(len(middle)), reach)
    column = np.arange(starts[-1]) - starts[row] + low[row]
    kernel = np.exp(-0.5 * ((middle[column] - middle[row]) / sigma) ** 2) * interval[column]
    kernel /= np.add.reduceat(kernel, starts[:-1])[row]
    slope = np.diff(y, axis=1) / interval
    band = csr_array((kernel, column, starts), shape=(len(middle), len(middle)))
    return middle, (band @ slope.T).T


def _vertex(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Position and curvature of the parabola through three points around `at` of each row."""
    centre = np.clip(at, 1, len(x) - 2)
    rows = np.arange(len(y))
    left, right = x[centre] - x[centre - 1], x[centre + 1] - x[centre]
    rise = (y[rows, centre] - y[rows, centre - 1]) / left
    fall = (y[rows, centre + 1] - y[rows, centre]) / right
    curvature = 2 * (fall - rise) / (left + right)
    slope = (rise * right + fall * left) / (left + right)
    peaked = (curvature < 0) & (at == centre)
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = np.where(peaked, -slope / curvature, 0.0)
    return x[at] + np.clip(np.nan_to_num(shift), -left, right), curvature
