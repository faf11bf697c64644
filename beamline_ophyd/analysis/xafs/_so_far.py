"""A spectrum reduced as far as it goes: while it is measured, or when it ended early."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from beamline_ophyd.data import ScanData
from beamline_ophyd.edges import energy_to_k

from ._background import Background, autobk
from ._edge import find_e0
from ._fourier import FourierTransform, xftf
from ._normalise import PreEdge, pre_edge

__all__ = ["SoFar", "chi_noise", "reduce_so_far"]

KMIN, KWEIGHT = 3.0, 2
"""Where the Fourier transform and the noise begin, in 1/Angstrom, and the weight of both."""

SHORTEST_K = 6.0
"""End of chi(k), in 1/Angstrom, below which a transform shows its window and not the sample."""

BEHIND_EV = 50.0
"""How far a spectrum must reach behind its edge before the edge step means anything."""

STEP_REACH_EV = (50.0, 100.0, 150.0, 200.0, 450.0, 700.0)
STEP_BAND = (0.30, 0.13, 0.06, 0.045, 0.045, 0.02)
"""Part of the edge step by which it still changes, over how far behind the edge a spectrum
reaches: the envelope of ten measured spectra (foils and oxides) that were cut short."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class SoFar:
    """A spectrum, and what could be made of it; None from where the data do not reach.

    Attributes
    ----------
    energy, mu : ndarray, shape (n,)
        Energies in eV, ascending, and mu(E), merged over the sweeps.
    mu_errors : ndarray or None
        Standard deviation of mu, where the photon numbers are known.
    normalised : PreEdge or None
    background : Background or None
    transform : FourierTransform or None
    edge_step_band : float or None
        Part of the edge step by which it may still change as the scan goes on: 13 % at
        E0 + 100 eV, 4.5 % at 200 eV, 2 % from 700 eV on.
    noise : float
        See :func:`chi_noise`; nan while it is not known.
    """

    energy: np.ndarray
    mu: np.ndarray
    mu_errors: np.ndarray | None
    normalised: PreEdge | None = None
    background: Background | None = None
    transform: FourierTransform | None = None
    edge_step_band: float | None = None
    noise: float = np.nan


def reduce_so_far(scan: ScanData) -> SoFar | None:
    """Reduce a run with the usual settings, as far as its points allow.

    Parameters
    ----------
    scan : ScanData
        Any run, also one that goes on.

    Returns
    -------
    SoFar or None
        None for a run that is no absorption spectrum, or has no usable point yet.
    """
    if scan.roles is None:
        return None
    merged = scan.merged()
    try:
        mu, errors = merged.mu(str(scan.mode))
    except ValueError:  # a channel that the roles name is not in the events
        return None
    order = np.argsort(merged.energy_ev, kind="stable")
    order = order[np.isfinite(mu[order]) & np.isfinite(merged.energy_ev[order])]
    energy, mu = merged.energy_ev[order], mu[order]
    if not len(mu):
        return None
    errors = None if errors is None else errors[order]
    near = None if scan.about.xafs is None else scan.about.xafs.e0_ev
    edge = _or_none(lambda: pre_edge(energy, mu, find_e0(energy, mu, near=near), mu_errors=errors))
    if edge is None or energy[-1] < edge.e0 + BEHIND_EV:
        return SoFar(energy, mu, errors)
    background = _or_none(lambda: autobk(energy, mu, normalised=edge, mu_errors=errors))
    transform = None
    if background is not None and background.k[-1] >= SHORTEST_K:
        kmax = float(background.k[-1]) - 0.5
        transform = xftf(
            background.k, background.chi, kmin=KMIN, kmax=kmax, kweight=KWEIGHT, window="hanning"
        )
    band = float(np.interp(energy[-1] - edge.e0, STEP_REACH_EV, STEP_BAND))
    noise = np.nan if errors is None else chi_noise(energy, errors, edge.e0, edge.edge_step)
    return SoFar(energy, mu, errors, edge, background, transform, band, noise)


def chi_noise(
    energy: Any, mu_errors: Any, e0: float, edge_step: float, *, kweight: float = KWEIGHT
) -> float:
    """Noise of k^w chi: root mean square of the error over the points with k of 3 or more.

    Parameters
    ----------
    energy, mu_errors : array_like, shape (n,)
        Energies in eV, and the standard deviation of mu.

    Returns
    -------
    float
        In 1/Angstrom^w; nan without a point that far behind the edge.
    """
    energy, errors = np.asarray(energy, float), np.asarray(mu_errors, float)
    k = energy_to_k(np.maximum(energy, e0), e0)
    far = (k >= KMIN) & np.isfinite(errors)
    if not far.any():
        return np.nan
    return float(np.sqrt(np.mean((k[far] ** kweight * errors[far]) ** 2)) / edge_step)


def _or_none(make: Callable[[], Made]) -> Made | None:
    """What `make` returns; None where the data do not allow it, which is no fault of theirs."""
    try:
        return make()
    except ValueError:
        return None
