"""Merge of repeated spectra, also on different grids, with what stands apart shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import CubicSpline

from ._noise import pair_scatter
from ._spectra import MINIMUM_POINTS, as_spectra

__all__ = ["Merged", "merge_spectra"]

NEIGHBOURS = 21
"""Points over which the scatter of a few repeats is taken together."""


@dataclass(frozen=True)
class Merged:
    """What :func:`merge_spectra` finds, of m spectra on n energies.

    Attributes
    ----------
    energy : ndarray, shape (n,)
        In eV.
    mu : ndarray, shape (n,)
        The merge: weighted by the errors told, else the mean.
    mu_errors : ndarray, shape (n,)
        Standard deviation of `mu`: from the errors told, else from the scatter.
    scatter : ndarray, shape (n,)
        Standard deviation of one spectrum from the differences between them, smooth over
        neighbouring points; outliers do not count.
    spectra : ndarray, shape (m, n)
        The spectra on `energy`; nan where one does not reach.
    outlying : ndarray of bool, shape (m, n)
        Readings further than the limit from the median of all.
    outliers : tuple of int
        Spectra that stand apart as a whole.
    deviation : ndarray, shape (m,)
        How far each spectrum is from the median of all, RMS in units of the scatter; about 1
        or less is usual.
    used : ndarray of bool, shape (m, n)
        What the merge is made of.
    """

    energy: np.ndarray
    mu: np.ndarray
    mu_errors: np.ndarray
    scatter: np.ndarray
    spectra: np.ndarray
    outlying: np.ndarray
    outliers: tuple[int, ...]
    deviation: np.ndarray
    used: np.ndarray


def merge_spectra(
    spectra: Sequence[Sequence[Any]],
    *,
    grid: Any = None,
    limit: float = 5.0,
    leave_out: bool = False,
) -> Merged:
    """Merge repeats of one measurement, and show what stands apart.

    Two spectra have no majority: a reading in which they differ is marked in both, and stays.
    Spectra of different thickness or gain differ everywhere: normalise them first.

    Parameters
    ----------
    spectra : sequence of (energy, mu) or (energy, mu, mu_errors)
        Each with energies of its own in eV, strictly increasing; at least two.
    grid : array_like, shape (n,), optional
        Energies to merge on; by default those of the first spectrum that lie within all.
        A spectrum on other energies is interpolated by a cubic spline.
    limit : float
        A reading this many standard deviations from the median is outlying, and a spectrum
        whose deviation is twice that of the others and more than chance allows.
    leave_out : bool
        Leave outlying readings and spectra out of the merge. By default they are marked
        and merged with the rest.

    Raises
    ------
    ValueError
        With fewer than two spectra, or too few energies that all of them cover.
    """
    if len(spectra) < 2:
        raise ValueError(f"{len(spectra)} spectrum given; a merge takes at least two")
    told = [len(one) > 2 and one[2] is not None for one in spectra]
    if any(told) and not all(told):
        raise ValueError("some of the spectra have errors and some have none; give all or none")
    pairs = [as_spectra(one[0], one[1]) for one in spectra]
    energy = _grid(pairs, grid)
    mu = np.stack([_onto(energy, *pair) for pair in pairs])
    centre = np.nanmedian(mu, axis=0)
    scatter = pair_scatter(mu, NEIGHBOURS)
    floor = max(float(np.max(np.abs(centre))), 1.0) * 1e-12
    apart = np.abs(mu - centre) / np.maximum(scatter, floor)
    outlying = apart > limit
    deviation = np.sqrt(np.nanmedian(apart**2, axis=1) / 0.4549)  # median of chi^2 of one
    outliers = _stand_apart(deviation)
    used = np.isfinite(mu)
    if leave_out and len(mu) > 2:
        used &= ~outlying
        used[list(outliers)] = False
    weight = used.astype(float)
    if all(told):
        sigma = np.stack(
            [_errors_onto(energy, p[0], one[2]) for p, one in zip(pairs, spectra, strict=True)]
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = np.where(used & (sigma > 0), 1 / sigma**2, 0.0)
    total = weight.sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        merged = np.sum(np.where(weight > 0, mu, 0.0) * weight, axis=0) / total
        errors = np.sqrt(1 / total) if all(told) else scatter / np.sqrt(total)
    return Merged(energy, merged, errors, scatter, mu, outlying, outliers, deviation, used)


def _grid(pairs: list[tuple[np.ndarray, np.ndarray]], grid: Any) -> np.ndarray:
    low = max(float(np.nanmin(energy)) for energy, _ in pairs)
    high = min(float(np.nanmax(energy)) for energy, _ in pairs)
    wanted = pairs[0][0] if grid is None else np.asarray(grid, dtype=float)
    energy = wanted[(wanted >= low) & (wanted <= high)]
    if len(energy) < MINIMUM_POINTS:
        raise ValueError(
            f"the spectra have {low:.1f} to {high:.1f} eV in common, which holds {len(energy)} "
            f"points of the grid; a merge takes at least {MINIMUM_POINTS}"
        )
    return energy


def _onto(grid: np.ndarray, energy: np.ndarray, mu: np.ndarray) -> np.ndarray:
    if mu.ndim != 1:
        raise ValueError(f"mu has shape {mu.shape}; give a stack as one (energy, mu) each")
    if np.array_equal(grid, energy):
        return mu
    usable = np.isfinite(energy) & np.isfinite(mu)
    if np.count_nonzero(usable) < MINIMUM_POINTS:
        raise ValueError(
            f"a spectrum has {np.count_nonzero(usable)} usable points; it takes at least "
            f"{MINIMUM_POINTS}"
        )
    x = energy[usable]
    inside = (grid >= x[0]) & (grid <= x[-1])
    return np.where(inside, CubicSpline(x, mu[usable])(grid), np.nan)


def _errors_onto(grid: np.ndarray, energy: np.ndarray, sigma: Any) -> np.ndarray:
    """Errors on the grid, as those of one point: interpolation gains next to nothing."""
    sigma = np.broadcast_to(np.asarray(sigma, dtype=float), energy.shape)
    usable = np.isfinite(energy) & np.isfinite(sigma)
    return np.interp(grid, energy[usable], sigma[usable], left=np.nan, right=np.nan)


def _stand_apart(deviation: np.ndarray) -> tuple[int, ...]:
    if len(deviation) < 3:
        return ()
    return tuple(map(int, np.flatnonzero(deviation > 2 * max(float(np.median(deviation)), 1.0))))
