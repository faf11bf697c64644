"""Spectra as arrays: one of shape (n,), or a stack of them with energy along the last axis."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["MINIMUM_POINTS", "as_spectra", "by_mask", "interpolation_residue", "one_or_many"]

MINIMUM_POINTS = 5


def as_spectra(energy: Any, mu: Any) -> tuple[np.ndarray, np.ndarray]:
    """Energies of shape (n,) and absorption of shape (..., n) as floats, checked.

    Raises
    ------
    ValueError
        When the shapes do not fit, or the finite energies do not increase strictly.
    """
    energy, mu = np.asarray(energy, dtype=float), np.asarray(mu, dtype=float)
    if energy.ndim != 1 or mu.ndim < 1 or mu.shape[-1] != len(energy):
        raise ValueError(
            f"energy has shape {energy.shape} and mu {mu.shape}; give energies of shape (n,) and "
            "mu of one length with them along its last axis, (n,) or (..., n)"
        )
    if not mu.size:
        raise ValueError(f"energy has shape {energy.shape} and mu {mu.shape}; there are no points")
    finite = np.isfinite(energy)
    if not (np.diff(energy if finite.all() else energy[finite]) > 0).all():
        raise ValueError("energies are not strictly increasing; sort them and merge repeats")
    return energy, mu


def by_mask(
    energy: np.ndarray, mu: np.ndarray, function: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """Apply `function(energy, mu)` to the usable points of the spectra.

    Spectra whose usable points are the same are handed over together, as shape (m, n').
    The function returns shape (m, ...); the answer has the leading axes of `mu` before that.
    """
    flat = mu.reshape(-1, mu.shape[-1])
    results: np.ndarray | None = None
    for rows, usable in _same_masks(np.isfinite(flat) & np.isfinite(energy)):
        count = np.count_nonzero(usable)
        if count < MINIMUM_POINTS:
            raise ValueError(
                f"the spectrum has {count} usable points; it takes at least {MINIMUM_POINTS}"
            )
        every = count == len(energy)
        found = function(
            energy if every else energy[usable], flat[rows] if every else flat[rows][:, usable]
        )
        if results is None:
            results = np.empty((len(flat), *found.shape[1:]), found.dtype)
        results[rows] = found
    if results is None:
        raise ValueError("there are no spectra in the stack")
    return results.reshape(mu.shape[:-1] + results.shape[1:])


def _same_masks(usable: np.ndarray) -> Iterator[tuple[Any, np.ndarray]]:
    if len(usable) and (usable == usable[0]).all():
        yield slice(None), usable[0]
        return
    masks, member = np.unique(usable, axis=0, return_inverse=True)
    for number, mask in enumerate(masks):
        yield np.flatnonzero(member.ravel() == number), mask


def one_or_many(values: np.ndarray) -> Any:
    """A float for the value of one spectrum, else the array."""
    return float(values) if np.ndim(values) == 0 else values


def interpolation_residue(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What each point is off the cubic through its two neighbours on either side.

    Parameters
    ----------
    x : ndarray, shape (n,)
    y : ndarray, shape (..., n)

    Returns
    -------
    residue : ndarray, shape (..., n)
        In the units of y; 0 for the two points at each end.
    gain : ndarray, shape (n,)
        White noise of standard deviation s gives a residue of `gain` s.
    """
    residue, gain = np.zeros(y.shape), np.ones(len(x))
    if len(x) < 5:
        return residue, gain
    middle = slice(2, len(x) - 2)
    offsets = (-2, -1, 1, 2)
    at = [x[2 + o : len(x) - 2 + o] for o in offsets]
    residue[..., middle] = y[..., middle]
    power = np.ones(len(x) - 4)
    for i, offset in enumerate(offsets):
        # Lagrange's weight of this neighbour.
        weight = np.ones(len(x) - 4)
        for j in range(4):
            if j != i:
                weight *= (x[middle] - at[j]) / (at[i] - at[j])
        residue[..., middle] -= weight * y[..., 2 + offset : y.shape[-1] - 2 + offset]
        power += weight**2
    gain[middle] = np.sqrt(power)
    return residue, gain
