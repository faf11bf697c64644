"""Noise of spectra: from photon numbers, from repeats, from neighbours and from high R."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._fourier import xftf
from ._spectra import as_spectra, by_mask, interpolation_residue, one_or_many

__all__ = [
    "NoiseCheck",
    "check_noise",
    "counting_noise",
    "high_r_noise",
    "pair_scatter",
    "point_noise",
    "window_median",
]

NORMAL_MAD = 0.6745
"""Median of the absolute values of normal deviates of standard deviation 1."""


def counting_noise(i0_photons: Any, signal_photons: Any, mu: Any = None) -> np.ndarray:
    """Standard deviation of mu from the photons that two channels absorbed.

    The number of photons N is Poisson distributed, so the variance of its logarithm is 1/N:
    ``sigma^2(ln(I0/It)) = 1/N0 + 1/Nt``, and the ratio If/I0 has this as its relative variance.

    Parameters
    ----------
    i0_photons, signal_photons : array_like
        Photons absorbed, not counts of a V/F converter: those are some tens a photon.
    mu : array_like, optional
        The ratio If/I0, where it is one; without it the absorption is a logarithm.

    Returns
    -------
    ndarray
        nan where nothing was absorbed.

    Examples
    --------
    >>> float(counting_noise(2e8, 2e8))
    0.0001
    """
    both = np.asarray(i0_photons, dtype=float), np.asarray(signal_photons, dtype=float)
    first, second = (np.where(photons > 0, photons, np.nan) for photons in both)
    sigma = np.sqrt(1 / first + 1 / second)
    return sigma if mu is None else np.abs(np.asarray(mu, dtype=float)) * sigma


def window_median(values: np.ndarray, points: int) -> np.ndarray:
    """Median over a window of so many points, of all rows of (..., n) together: shape (n,).

    At the ends the window stays whole and off centre, and nan is passed over.
    """
    rows = values.reshape(-1, values.shape[-1])
    points = min(points, rows.shape[1])
    windows = np.lib.stride_tricks.sliding_window_view(rows, points, axis=1)
    medians = np.nanmedian(windows, axis=(0, 2))
    start = np.arange(rows.shape[1]) - points // 2
    return medians[np.clip(start, 0, len(medians) - 1)]


def pair_scatter(values: np.ndarray, points: int) -> np.ndarray:
    """Standard deviation of one of several repeats, shape (m, n), at each point: shape (n,).

    The median of the differences of pairs, over a window of `points`: single outliers do not
    count, and without a centre two or three repeats do not read low.
    """
    shifts = range(1, min(len(values) // 2, 8) + 1)
    pairs = [np.abs(values - np.roll(values, shift, axis=0)) for shift in shifts]
    return window_median(np.stack(pairs), points) / (NORMAL_MAD * np.sqrt(2))


def point_noise(
    energy: Any, mu: Any, *, low: float | None = None, high: float | None = None
) -> Any:
    """Standard deviation of one point of mu(E), from what points are off their neighbours.

    Each point is compared with the cubic through its two neighbours on either side; the median
    of that, so glitches and the few points of the edge do not count. A grid so coarse that the
    cubic misses the structure reads high: give it a smooth range.

    Parameters
    ----------
    energy : array_like, shape (n,)
        In eV, strictly increasing.
    mu : array_like, shape (..., n)
    low, high : float, optional
        Range of energies in eV to look at; by default all.

    Returns
    -------
    float or ndarray, shape (...)

    Raises
    ------
    ValueError
        With fewer than five usable points in the range.
    """
    energy, mu = as_spectra(energy, mu)
    used = np.ones(len(energy), bool)
    if low is not None:
        used &= energy >= low
    if high is not None:
        used &= energy <= high

    def noise(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        residue, gain = interpolation_residue(x, y)
        return np.median(np.abs(residue[:, 2:-2] / gain[2:-2]), axis=1) / NORMAL_MAD

    return one_or_many(by_mask(energy[used], mu[..., used], noise))


@dataclass(frozen=True)
class NoiseCheck:
    """The scatter of repeats beside the errors told.

    Attributes
    ----------
    ratio : float
        Scatter over told error, RMS over all points: 1 where the errors are right. More means
        noise that is not counting statistics: vibration, drift, a harmonic that comes and goes.
    ratio_error : float
        Standard deviation of that ratio by chance.
    scatter : ndarray, shape (n,)
        Standard deviation of the repeats at each point.
    expected : ndarray, shape (n,)
        RMS of the errors told.
    """

    ratio: float
    ratio_error: float
    scatter: np.ndarray
    expected: np.ndarray

    @property
    def agrees(self) -> bool:
        """Whether the ratio is 1 within three standard deviations, or within 10 %."""
        return abs(self.ratio - 1) < max(3 * self.ratio_error, 0.1)


def check_noise(mu: Any, mu_errors: Any) -> NoiseCheck:
    """Compare the errors told with the scatter of repeats of one measurement.

    Parameters
    ----------
    mu : array_like, shape (m, n)
        At least two repeats on one grid.
    mu_errors : array_like, shape (m, n) or (n,)
        Standard deviation of each reading, such as that of :func:`counting_noise`.

    Raises
    ------
    ValueError
        With fewer than two repeats, or without a point that all of them have.
    """
    mu = np.asarray(mu, dtype=float)
    if mu.ndim != 2 or len(mu) < 2:
        raise ValueError(f"mu has shape {mu.shape}; give at least two repeats, shape (m, n)")
    sigma = np.broadcast_to(np.asarray(mu_errors, dtype=float), mu.shape)
    usable = np.isfinite(mu).all(axis=0) & (np.isfinite(sigma) & (sigma > 0)).all(axis=0)
    if not usable.any():
        raise ValueError("no point is finite in all repeats and has errors in all of them")
    scatter = np.full(mu.shape[1], np.nan)
    scatter[usable] = np.std(mu[:, usable], axis=0, ddof=1)
    expected = np.sqrt(np.mean(sigma**2, axis=0))
    freedom = (len(mu) - 1) * np.count_nonzero(usable)
    ratio = float(np.sqrt(np.mean((scatter[usable] / expected[usable]) ** 2)))
    return NoiseCheck(ratio, ratio / np.sqrt(2 * freedom), scatter, expected)


def high_r_noise(
    k: Any,
    chi: Any,
    *,
    kmin: float = 3.0,
    kmax: float | None = None,
    kweight: float = 1.0,
    rmin: float = 15.0,
    rmax: float = 25.0,
) -> Any:
    """Noise of chi(k) by the rule that beyond 15 Angstrom chi(R) holds nothing else.

    Newville, Boyanov and Sayers, J. Synchrotron Rad. 6, 264 (1999). The rule takes the noise of
    chi(k) for white. Where the points of the scan are further apart than 0.07 1/Angstrom,
    interpolation to the even grid in k correlates it, which leaves less of it at high R: the
    rule reads 25 % low at 0.08 1/Angstrom, and more beyond. Where photons are counted take
    ``autobk(..., mu_errors=)`` instead; this is for comparison with other programs.

    Parameters
    ----------
    k : array_like, shape (n,)
        Even grid in 1/Angstrom.
    chi : array_like, shape (..., n)
    kmin, kmax : float
        Range of the transform; by default to 1/Angstrom below the end.
    kweight : float
        chi is multiplied by k to this power.
    rmin, rmax : float
        Range in Angstrom.

    Returns
    -------
    float or ndarray, shape (...)
        Standard deviation of one point of chi(k).
    """
    k = np.asarray(k, dtype=float)
    last = float(k[-1]) - 1 if kmax is None else kmax
    transform = xftf(
        k,
        chi,
        kmin=kmin,
        kmax=last,
        dk=1.0,
        kweight=kweight,
        window="hanning",
        rmax_out=rmax,
    )
    high = transform.r >= rmin
    spread = np.sqrt(np.mean(np.abs(transform.chir[..., high]) ** 2, axis=-1) / 2)
    # White noise of 1 in chi(k) makes this in the real and in the imaginary part of chi(R).
    per_unit = xftf(
        k,
        np.zeros(len(k)),
        kmin=kmin,
        kmax=last,
        dk=1.0,
        kweight=kweight,
        window="hanning",
        rmax_out=rmax,
        chi_errors=np.ones(len(k)),
    ).chir_errors
    assert per_unit is not None
    return one_or_many(spread / per_unit[..., 0])
