"""A run's spectrum reduced as far as it goes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from beamline_ophyd.analysis.xafs import (
    Background,
    FourierTransform,
    PreEdge,
    autobk,
    find_e0,
    pre_edge,
    xftf,
)
from beamline_ophyd.data import ScanData
from beamline_ophyd.edges import absorption_edge

__all__ = ["KMIN", "KWEIGHT", "Reduced", "reduced"]

KMIN = 3.0
"""Where the Fourier transform begins, in 1/Angstrom: below it chi is as much near edge."""

KWEIGHT = 2

SHORTEST_K = 6.0
"""End of chi(k), in 1/Angstrom, below which a transform shows its window and not the sample."""

Made = TypeVar("Made")


@dataclass(frozen=True)
class Reduced:
    """A spectrum, and what could be made of it; None from where the data do not reach.

    Attributes
    ----------
    energy, mu : ndarray
        Energies in eV, and mu(E), merged over the sweeps.
    mu_errors : ndarray or None
    tabulated_ev : float or None
        The edge in the tables.
    normalised : PreEdge or None
    background : Background or None
    transform : FourierTransform or None
    """

    energy: np.ndarray
    mu: np.ndarray
    mu_errors: np.ndarray | None
    tabulated_ev: float | None = None
    normalised: PreEdge | None = None
    background: Background | None = None
    transform: FourierTransform | None = None


def reduced(scan: ScanData) -> Reduced | None:
    """Reduce a run's spectrum with the usual settings; None for a run that is none."""
    if scan.roles is None:
        return None
    try:
        mu, errors = scan.mu()
    except ValueError:
        return None
    if not np.isfinite(mu).any():
        return None
    energy, about = scan.energy, scan.about
    tabulated = None
    if about.element is not None and about.edge is not None:
        tabulated = _or_none(lambda: absorption_edge(f"{about.element}-{about.edge}")[2])
    near = tabulated if about.xafs is None else about.xafs.e0_ev
    normalised = _or_none(
        lambda: pre_edge(energy, mu, find_e0(energy, mu, near=near), mu_errors=errors)
    )
    background = transform = None
    if normalised is not None:
        background = _or_none(
            lambda: autobk(
                energy, mu, ek0=normalised.e0, edge_step=normalised.edge_step, mu_errors=errors
            )
        )
    if background is not None and background.k[-1] >= SHORTEST_K:
        kmax = float(background.k[-1]) - 0.5
        transform = _or_none(
            lambda: xftf(background.k, background.chi, kmin=KMIN, kmax=kmax, kweight=KWEIGHT)
        )
    return Reduced(energy, mu, errors, tabulated, normalised, background, transform)


def _or_none(make: Callable[[], Made]) -> Made | None:
    """What `make` returns; None where the data do not allow it, which is no fault of theirs."""
    try:
        return make()
    except ValueError:
        return None
