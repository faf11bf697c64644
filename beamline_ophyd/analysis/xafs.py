"""Absorption spectra: edge energy, edge step and normalisation.

Function and argument names are larch's where the meaning is the same. Written from the
definitions (Newville, Rev. Mineral. Geochem. 78, 33, 2014, sections 4 and 5); numpy only.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["PreEdge", "find_e0", "pre_edge"]


def find_e0(
    energy: Any, mu: Any, near: float | None = None, within: float = 25.0, width: float = 1.0
) -> float:
    """Edge energy: the maximum of the smoothed first derivative of mu(E).

    Parameters
    ----------
    energy : array_like, shape (n,)
        Photon energies in eV, strictly increasing.
    mu : array_like, shape (n,)
        Absorption; points that are not finite are passed over.
    near : float, optional
        Expected edge in eV: only its neighbourhood is searched. Without it a glitch or a
        strong white line may win in noisy data.
    within : float
        Half-width of that neighbourhood in eV.
    width : float
        FWHM in eV of the Gaussian that the derivative is smoothed with.

    Returns
    -------
    float
        E0 in eV, refined between the points by a parabola.

    Raises
    ------
    ValueError
        With fewer than five usable points, or none near the expected edge.
    """
    energy, mu = _spectrum(energy, mu)
    # One value an interval, at its middle: the derivative of a straight line between points.
    middle = (energy[1:] + energy[:-1]) / 2
    slope = np.diff(mu) / np.diff(energy)
    smooth = _smooth(middle, slope, np.diff(energy), width)
    allowed = np.ones(len(middle), bool) if near is None else np.abs(middle - near) <= within
    if not allowed.any():
        raise ValueError(
            f"no points within {within:g} eV of {near:g} eV; the spectrum spans "
            f"{energy[0]:.1f} to {energy[-1]:.1f} eV"
        )
    best = int(np.flatnonzero(allowed)[np.argmax(smooth[allowed])])
    return _vertex(middle, smooth, best)


@dataclass(frozen=True)
class PreEdge:
    """What :func:`pre_edge` finds; arrays have shape (n,).

    Attributes
    ----------
    e0 : float
        Edge energy in eV.
    edge_step : float
        Height of the edge at E0, in the units of mu.
    norm : ndarray
        Normalised mu: the pre-edge is 0, the post-edge about 1.
    flat : ndarray
        `norm` with the curvature of the post-edge removed above E0.
    pre_edge, post_edge : ndarray
        The fitted curves, in the units of mu.
    """

    e0: float
    edge_step: float
    norm: np.ndarray
    flat: np.ndarray
    pre_edge: np.ndarray
    post_edge: np.ndarray


def pre_edge(
    energy: Any,
    mu: Any,
    e0: float | None = None,
    *,
    step: float | None = None,
    nnorm: int | None = None,
    nvict: int = 0,
    pre1: float | None = None,
    pre2: float | None = None,
    norm1: float | None = None,
    norm2: float | None = None,
) -> PreEdge:
    """Normalise mu(E): a line through the pre-edge, a polynomial through the post-edge.

    Parameters
    ----------
    energy, mu : array_like, shape (n,)
        Spectrum; `energy` in eV, strictly increasing.
    e0 : float, optional
        Edge energy in eV; :func:`find_e0` by default.
    step : float, optional
        Edge step to use instead of the fitted one.
    nnorm : int, optional
        Degree of the post-edge polynomial, 0 to 3; by default 2 for a post-edge range of
        more than 300 eV, 1 for more than 30 eV, else 0.
    nvict : int
        The pre-edge line is fitted to mu times E to this power.
    pre1, pre2 : float, optional
        Pre-edge range in eV from E0; by default from the first point (the second, to spare
        a start-up artefact) to a third of that distance.
    norm1, norm2 : float, optional
        Post-edge range in eV from E0; by default up to the last point, from a third of
        that distance but at most 150 eV.

    Raises
    ------
    ValueError
        When a range holds too few points, with the range and the spectrum's own.
    """
    energy_all = np.asarray(energy, dtype=float)
    mu_all = np.asarray(mu, dtype=float)
    energy, mu = _spectrum(energy_all, mu_all)
    if e0 is None:
        e0 = find_e0(energy, mu)
    first = float(energy[1] - e0) if pre1 is None else pre1
    second = first / 3 if pre2 is None else pre2
    last = float(energy[-1] - e0) if norm2 is None else norm2
    third = min(150.0, last / 3) if norm1 is None else norm1
    if nnorm is None:
        nnorm = 2 if last - third > 300 else 1 if last - third > 30 else 0

    victoreen = energy**nvict
    pre = _fit(energy, mu * victoreen, e0, first, second, 1, "pre-edge")
    post = _fit(energy, mu, e0, third, last, nnorm, "post-edge")
    pre_curve = np.polyval(pre, energy_all - e0) / energy_all**nvict
    post_curve = np.polyval(post, energy_all - e0)
    fitted = float(np.polyval(post, 0.0) - np.polyval(pre, 0.0) / e0**nvict)
    edge_step = fitted if step is None else float(step)
    if not edge_step > 0:
        raise ValueError(
            f"the edge step at {e0:.1f} eV is {edge_step:.3g}, not positive: is there an edge, "
            "and do the pre-edge and post-edge ranges lie on its two sides?"
        )
    norm = (mu_all - pre_curve) / edge_step
    residue = (post_curve - pre_curve) / edge_step
    flat = np.where(energy_all > e0, norm - residue + fitted / edge_step, norm)
    return PreEdge(float(e0), edge_step, norm, flat, pre_curve, post_curve)


def _spectrum(energy: Any, mu: Any) -> tuple[np.ndarray, np.ndarray]:
    energy, mu = np.asarray(energy, dtype=float), np.asarray(mu, dtype=float)
    if energy.ndim != 1 or energy.shape != mu.shape:
        raise ValueError(
            f"energy has shape {energy.shape} and mu {mu.shape}; give two arrays of one length"
        )
    usable = np.isfinite(energy) & np.isfinite(mu)
    energy, mu = energy[usable], mu[usable]
    if len(energy) < 5:
        raise ValueError(f"the spectrum has {len(energy)} usable points; it takes at least 5")
    if not (np.diff(energy) > 0).all():
        raise ValueError("energies are not strictly increasing; sort them and merge repeats")
    return energy, mu


def _smooth(x: np.ndarray, y: np.ndarray, weight: np.ndarray, fwhm: float) -> np.ndarray:
    """Gaussian-weighted mean of y around each x, each value weighted by its interval.

    Neighbours that matter lie within three widths, so only a band is computed.
    """
    sigma = fwhm / np.sqrt(8 * np.log(2))
    low = np.searchsorted(x, x - 4 * sigma)
    high = np.searchsorted(x, x + 4 * sigma, side="right")
    reach = int(np.max(high - low))
    index = low[:, None] + np.arange(reach)[None, :]
    inside = index < high[:, None]
    index = np.minimum(index, len(x) - 1)
    kernel = np.exp(-0.5 * ((x[index] - x[:, None]) / sigma) ** 2) * weight[index] * inside
    return np.sum(kernel * y[index], axis=1) / np.sum(kernel, axis=1)


def _vertex(x: np.ndarray, y: np.ndarray, at: int) -> float:
    """Position of the maximum of the parabola through three points around `at`."""
    if not 0 < at < len(x) - 1:
        return float(x[at])
    a, b, _ = np.polyfit(x[at - 1 : at + 2] - x[at], y[at - 1 : at + 2], 2)
    if a >= 0:
        return float(x[at])
    return float(x[at] + np.clip(-b / (2 * a), x[at - 1] - x[at], x[at + 1] - x[at]))


def _fit(
    energy: np.ndarray, y: np.ndarray, e0: float, low: float, high: float, degree: int, what: str
) -> np.ndarray:
    """Least-squares polynomial in E - E0 over a range relative to E0, highest power first."""
    low, high = sorted((low, high))
    used = (energy - e0 >= low) & (energy - e0 <= high)
    if np.count_nonzero(used) <= degree:
        raise ValueError(
            f"the {what} range {low:.0f} to {high:.0f} eV from E0 = {e0:.1f} eV holds "
            f"{np.count_nonzero(used)} points; the spectrum spans {energy[0] - e0:.0f} to "
            f"{energy[-1] - e0:.0f} eV"
        )
    return np.polyfit(energy[used] - e0, y[used], degree)
