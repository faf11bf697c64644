"""The near edge of a sample of which no measured spectrum is at hand: a step and few peaks."""

from dataclasses import dataclass

import numpy as np
import xraydb
from scipy.ndimage import gaussian_filter1d

from .near_edge import FWHM_PER_SIGMA, NearEdge

__all__ = ["GeneralEdge", "general_near_edge"]

STEP_EV = 0.05
AROUND_EV = 40.0

#: chi(k) sets in earlier than beside a fitted near edge, which holds its beginning.
ONSET_EV = (3.0, 25.0)


@dataclass(frozen=True)
class GeneralEdge:
    """What is known of an edge without a spectrum of it; energies in eV, heights of the step.

    Attributes
    ----------
    source
        Where the numbers come from, for the header.
    white_line
        Energy above the steepest rise, standard deviation and height.
    pre_peak
        The same of a peak before the rise, its energy above the tabulated edge; None for none.
    """

    source: str
    white_line: tuple[float, float, float]
    pre_peak: tuple[float, float, float] | None = None


def general_near_edge(
    general: GeneralEdge,
    *,
    symbol: str,
    edge: str,
    edge_ev: float,
    rise_ev: float,
    resolution_fwhm_ev: float,
) -> NearEdge:
    """Near edge whose steepest rise, as the monochromator shows it, is where it is said to be.

    Parameters
    ----------
    general
        Shape.
    symbol, edge
        Absorber; the width of its core hole is that of the step.
    edge_ev
        Tabulated edge of the element.
    rise_ev
        Steepest rise of the compound; the chemical shift is what it is above `edge_ev`.
    resolution_fwhm_ev
        Of the monochromator, in eV.
    """
    half_width = 0.5 * float(xraydb.core_width(symbol, edge))
    rise = NearEdge(
        rise_ev,
        np.array([[0.0, half_width, 1.0]]),
        np.array([general.white_line]),
    )
    energy = rise.e0_ev + np.arange(-AROUND_EV, AROUND_EV, STEP_EV)
    seen = gaussian_filter1d(rise.shape(energy), resolution_fwhm_ev / FWHM_PER_SIGMA / STEP_EV)
    excess = float(energy[np.argmax(np.gradient(seen, energy))]) - rise.e0_ev
    centre, sigma, height = general.white_line
    peaks = [(centre - excess, sigma, height)]
    if general.pre_peak is not None:
        centre, sigma, height = general.pre_peak
        peaks.append((centre + edge_ev - rise_ev, sigma, height))
    return NearEdge(rise.e0_ev, np.array([[-excess, half_width, 1.0]]), np.array(peaks), ONSET_EV)
