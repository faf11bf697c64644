"""The near edge: two arctangents and some Gaussians on top of which chi(k) sets in.

All widths are at least the core hole's, so that the curve holds no more detail than physics allows;
the resolution of the measured spectrum is taken out by the fit, which compares after broadening.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xraydb
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import least_squares

__all__ = ["NearEdge", "fit_near_edge"]

#: chi(k) sets in between these energies above E0, beside a near edge that was fitted.
ONSET_EV = (12.0, 45.0)
#: In this range, from E0, no sample has a peak: what the edge absorbs rises with energy.
RISING_EV = (-250.0, -15.0)
RISING_WEIGHT = 100.0
STEP_EV = 0.1
FWHM_PER_SIGMA = 2.3548200450309493


@dataclass(frozen=True)
class NearEdge:
    """Shape of an edge of unit step.

    Attributes
    ----------
    e0_ev
        The edge; energies below are relative to it.
    arctangents
        Rows of centre (eV), half width (eV), share of the step.
    gaussians
        Rows of centre (eV), standard deviation (eV), height.
    onset_ev
        Energies between which chi(k) sets in.
    """

    e0_ev: float
    arctangents: np.ndarray
    gaussians: np.ndarray
    onset_ev: tuple[float, float] = ONSET_EV

    def shape(self, energy_ev: np.ndarray) -> np.ndarray:
        """Step and peaks, without chi."""
        x = np.asarray(energy_ev, dtype=float)[:, None] - self.e0_ev
        centre, width, share = self.arctangents.T
        steps = share * (0.5 + np.arctan((x - centre) / width) / np.pi)
        centre, sigma, height = self.gaussians.T
        peaks = height * np.exp(-0.5 * ((x - centre) / sigma) ** 2)
        return steps.sum(axis=1) + peaks.sum(axis=1)

    def onset(self, energy_ev: np.ndarray) -> np.ndarray:
        """Weight of chi(k): 0 at the edge, 1 where the scattering paths describe it all."""
        begin, end = self.onset_ev
        x = np.clip((energy_ev - self.e0_ev - begin) / (end - begin), 0.0, 1.0)
        return x * x * (3.0 - 2.0 * x)


def _pack(x: np.ndarray, e0_ev: float, n_gaussians: int) -> NearEdge:
    share = x[4]
    arctangents = np.array([[x[0], x[1], share], [x[2], x[3], 1.0 - share]])
    return NearEdge(e0_ev, arctangents, x[5:].reshape(n_gaussians, 3))


def fit_near_edge(
    energy_ev: np.ndarray,
    normalised: np.ndarray,
    e0_ev: float,
    chi: Callable[[np.ndarray], np.ndarray],
    *,
    symbol: str,
    edge: str,
    pre_edge_ev: tuple[float, float],
    resolution_fwhm_ev: float,
    step_mu: float,
    n_gaussians: int = 8,
    above_ev: float = 90.0,
) -> tuple[NearEdge, float]:
    """Fit the near edge to a measured, normalised spectrum.

    Parameters
    ----------
    energy_ev, normalised
        Measured spectrum.
    e0_ev
        Its edge energy.
    chi
        Fine structure at energies in eV; weighted by the onset and added.
    symbol, edge
        Absorber; its core width bounds all widths from below.
    pre_edge_ev
        Range, from E0, of the line that was taken off the measured spectrum. Taken off the model
        too, it holds most of the arctangents' long tails. The fit begins where the line does.
    resolution_fwhm_ev
        Of the measurement; its mean is over the transmitted intensity, so it takes
    step_mu
        the edge step of mu*t.
    n_gaussians
        Added one after the other, each where the misfit is largest.
    above_ev
        End of the fit above E0.

    Returns
    -------
    near_edge, rms
        RMS of the residual in units of the edge step.
    """
    half_width = 0.5 * float(xraydb.core_width(symbol, edge))
    inside = (energy_ev >= e0_ev + pre_edge_ev[0]) & (energy_ev <= e0_ev + above_ev)
    energy, target = energy_ev[inside], normalised[inside]
    in_line = energy <= e0_ev + pre_edge_ev[1]
    fine = np.arange(energy[0] - 10.0, energy[-1] + 10.0, STEP_EV)
    weighted_chi = _pack(np.zeros(5), e0_ev, 0).onset(fine) * chi(fine)
    sigma_steps = resolution_fwhm_ev / FWHM_PER_SIGMA / STEP_EV
    # Equal weight for equal energy, whatever the point density, but noise-limited points count.
    weight = np.sqrt(np.clip(np.gradient(energy), 0.1, 1.0))
    before = np.arange(e0_ev + RISING_EV[0], e0_ev + RISING_EV[1])

    def broadened(near_edge: NearEdge) -> np.ndarray:
        intensity = np.exp(-step_mu * (near_edge.shape(fine) + weighted_chi))
        passed = gaussian_filter1d(intensity, sigma_steps, mode="nearest")
        mu = np.interp(energy, fine, -np.log(passed) / step_mu)
        line = np.polynomial.Polynomial.fit(energy[in_line], mu[in_line], 1)
        return (mu - line(np.minimum(energy, e0_ev))) / (1.0 - line(e0_ev))

    def fit(x0: np.ndarray, n: int) -> np.ndarray:
        low = [-15.0, half_width, -15.0, half_width, 0.0] + [-20.0, half_width, -1.5] * n
        high = [20.0, 12.0, 30.0, 25.0, 1.0] + [above_ev - 5.0, 25.0, 2.0] * n

        def residual(x: np.ndarray) -> np.ndarray:
            near_edge = _pack(x, e0_ev, n)
            falls = np.minimum(np.diff(near_edge.shape(before)), 0.0)
            misfit = weight * (broadened(near_edge) - target)
            return np.concatenate([misfit, RISING_WEIGHT * falls])

        start = np.clip(x0, np.array(low) + 1e-6, np.array(high) - 1e-6)
        scale = [1.0, 1.0, 1.0, 1.0, 0.1] + [1.0, 1.0, 0.1] * n
        return least_squares(residual, start, bounds=(low, high), x_scale=scale, max_nfev=60).x

    x = fit(np.array([0.0, 1.5, 8.0, 4.0, 0.3]), 0)
    for n in range(1, n_gaussians + 1):
        misfit = target - broadened(_pack(x, e0_ev, n - 1))
        smooth = np.interp(fine, energy, misfit)
        smooth = gaussian_filter1d(smooth, 1.5 / STEP_EV)
        worst = int(np.argmax(np.abs(smooth[100:-100]))) + 100
        added = [fine[worst] - e0_ev, 2.0, smooth[worst]]
        x = fit(np.concatenate([x, added]), n)
    near_edge = _pack(x, e0_ev, n_gaussians)
    rms = float(np.sqrt(np.mean((broadened(near_edge) - target) ** 2)))
    return near_edge, rms
