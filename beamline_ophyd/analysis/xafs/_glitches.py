"""Glitches: found and marked, never removed."""

from typing import Any

import numpy as np

from ._edge import find_e0
from ._noise import NORMAL_MAD
from ._spectra import MINIMUM_POINTS, as_spectra, interpolation_residue

__all__ = ["find_glitches", "masked"]

NEIGHBOURS = 41
HOP = 10
AT_MOST = 0.1
"""Part of the points of a spectrum that may be glitches: more is noise."""

FLOOR = 1e-5
"""Noise as a part of the range of mu that a calculated spectrum is taken to have too.

Without any, the cubic misses more where the steps are wide, and those points would stand out.
"""


def find_glitches(
    energy: Any,
    mu: Any,
    mu_errors: Any = None,
    *,
    e0: float | None = None,
    limit: float = 6.0,
    spare: tuple[float, float] = (-20.0, 50.0),
) -> np.ndarray:
    """Mark points that are off the smooth curve through their neighbours.

    Nothing is changed: hand ``masked(mu, glitches)`` on where they should not count. The worst
    point is marked first and left out of the curve through its neighbours, then the next, so that
    a glitch of a few points is found and its neighbours are not blamed.

    Parameters
    ----------
    energy : array_like, shape (n,)
        In eV, strictly increasing.
    mu : array_like, shape (..., n)
    mu_errors : array_like, shape (..., n), optional
        Standard deviation of mu; a point's noise is this, or the scatter of some forty points
        around it if that is larger.
    e0 : float, optional
        Edge energy in eV; by default that of each spectrum.
    limit : float
        Standard deviations that make a glitch.
    spare : (float, float)
        Range in eV from E0 where nothing is marked, because the spectrum itself is sharp.

    Returns
    -------
    ndarray of bool, of mu's shape
        Points that are not finite are not marked: everything passes over them anyway.
    """
    energy, mu = as_spectra(energy, mu)
    flat = mu.reshape(-1, len(energy))
    edges = np.broadcast_to(find_e0(energy, flat) if e0 is None else e0, len(flat))
    errors = None if mu_errors is None else np.broadcast_to(mu_errors, mu.shape)
    errors = None if errors is None else errors.reshape(flat.shape)
    free = energy < edges[:, None] + spare[0]
    free |= energy > edges[:, None] + spare[1]
    whole = np.isfinite(energy).all() & np.isfinite(flat).all(axis=1)
    doubtful = ~whole
    if whole.any() and len(energy) > MINIMUM_POINTS:
        sigma = None if errors is None else errors[whole]
        score = _score(energy, flat[whole], sigma, free[whole])
        doubtful[whole] = score.max(axis=1) > limit
    marks = np.zeros(flat.shape, bool)
    for row in np.flatnonzero(doubtful):
        usable = np.isfinite(energy) & np.isfinite(flat[row])
        sigma = None if errors is None else errors[row]
        marks[row] = _worst_first(energy, flat[row], sigma, usable, free[row], limit)
    return marks.reshape(mu.shape)


def masked(mu: Any, glitches: Any) -> np.ndarray:
    """Spectra with nan where it is marked; every function here passes over nan."""
    return np.where(np.asarray(glitches, bool), np.nan, np.asarray(mu, dtype=float))


def _worst_first(
    energy: np.ndarray,
    mu: np.ndarray,
    sigma: np.ndarray | None,
    usable: np.ndarray,
    free: np.ndarray,
    limit: float,
) -> np.ndarray:
    marks = np.zeros(len(mu), bool)
    for _ in range(int(AT_MOST * np.count_nonzero(usable))):
        left = np.flatnonzero(usable & ~marks)
        if len(left) < max(MINIMUM_POINTS, 6):
            break
        score = _score(energy[left], mu[left], None if sigma is None else sigma[left], free[left])
        worst = int(np.argmax(score))
        if not score[worst] > limit:
            break
        marks[left[worst]] = True
    return marks


def _score(
    energy: np.ndarray, mu: np.ndarray, sigma: np.ndarray | None, free: np.ndarray
) -> np.ndarray:
    """How many standard deviations each point is off; mu of shape (..., n)."""
    residue, gain = interpolation_residue(energy, mu)
    off = np.abs(residue / gain)
    # What the cubic through the neighbours misses of the spectrum counts as noise too.
    noise = _local(off) if sigma is None else np.fmax(sigma, _local(off))
    noise = np.fmax(noise, FLOOR * np.ptp(mu, axis=-1)[..., None])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.where(free & (off > 0), off / noise, 0.0), posinf=np.inf)


def _local(off: np.ndarray) -> np.ndarray:
    """Noise around each point: that of the window whose centre is nearest, a window each HOP."""
    # The two points at each end have no residue of their own.
    inner = off[..., 2:-2]
    points = min(NEIGHBOURS, inner.shape[-1])
    windows = np.lib.stride_tricks.sliding_window_view(inner, points, axis=-1)
    noise = np.median(windows[..., ::HOP, :], axis=-1) / NORMAL_MAD
    nearest = (np.arange(off.shape[-1]) - 2 - points // 2 + HOP // 2) // HOP
    return noise[..., np.clip(nearest, 0, noise.shape[-1] - 1)]
