"""Glitches: found and marked, never removed."""

from typing import Any

import numpy as np

from ._edge import find_e0
from ._noise import NORMAL_MAD, window_median
from ._spectra import MINIMUM_POINTS, as_spectra, interpolation_residue

__all__ = ["find_glitches", "masked"]

NEIGHBOURS = 41
AT_MOST = 0.1
"""Part of the points of a spectrum that may be glitches: more is noise."""


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
    marks = np.zeros(flat.shape, bool)
    for row in range(len(flat)):
        usable = np.isfinite(energy) & np.isfinite(flat[row])
        sigma = None if errors is None else errors[row]
        free = (energy < edges[row] + spare[0]) | (energy > edges[row] + spare[1])
        marks[row] = _worst_first(energy, flat[row], sigma, usable, free, limit)
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
        residue, gain = interpolation_residue(energy[left], mu[left])
        off = np.abs(residue / gain)
        # What the cubic through the neighbours misses of the spectrum counts as noise too.
        noise = _local(off) if sigma is None else np.fmax(sigma[left], _local(off))
        with np.errstate(divide="ignore", invalid="ignore"):
            score = np.where(free[left] & (off > 0), off / noise, 0.0)
        worst = int(np.nanargmax(score))
        if not score[worst] > limit:
            break
        marks[left[worst]] = True
    return marks


def _local(off: np.ndarray) -> np.ndarray:
    # The two points at each end have no residue of their own.
    return window_median(np.pad(off[2:-2], 2, constant_values=np.nan), NEIGHBOURS) / NORMAL_MAD
