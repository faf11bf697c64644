"""Fit of one shell: number, distance and disorder of the neighbours, with uncertainties."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from ._feff import FeffPath
from ._fourier import transform_matrix
from ._windows import ftwindow

__all__ = ["ShellFit", "fit_shell"]

PARAMETERS = ("n", "r", "sigma2", "e0")
SCALES = {"n": 1.0, "r": 0.01, "sigma2": 0.001, "e0": 1.0}
"""Numbers of order 1 keep the fit well conditioned."""


@dataclass(frozen=True)
class ShellFit:
    """What :func:`fit_shell` finds; the errors are standard deviations.

    Attributes
    ----------
    n, n_error : float
        Number of neighbours, for the S02 given.
    r, r_error : float
        Distance in Angstrom.
    sigma2, sigma2_error : float
        Mean square variation of the distance, in Angstrom^2.
    e0, e0_error : float
        Origin of k above the E0 of the data, in eV.
    r_factor : float
        Misfit over data, both squared and summed over the range of R: 0.02 is a good fit.
    independent : float
        Number of independent points in the data, ``1 + 2 (kmax - kmin) (rmax - rmin) / pi``.
    reduced_chi_square : float or None
        With the noise given; much more than 1 where the path does not describe the data as well
        as they are measured, which is usual.
    correlation : ndarray
        Of the parameters fitted, in the order of `fitted`.
    fitted : tuple of str
    k, chi : ndarray
        chi(k) of the model.
    """

    n: float
    r: float
    sigma2: float
    e0: float
    n_error: float
    r_error: float
    sigma2_error: float
    e0_error: float
    r_factor: float
    independent: float
    reduced_chi_square: float | None
    correlation: np.ndarray
    fitted: tuple[str, ...]
    k: np.ndarray
    chi: np.ndarray


def fit_shell(
    k: Any,
    chi: Any,
    path: FeffPath,
    *,
    s02: float = 1.0,
    kmin: float = 3.0,
    kmax: float | None = None,
    rmin: float = 1.0,
    rmax: float = 3.0,
    kweight: float | Sequence[float] = 2.0,
    dk: float = 1.0,
    window: str = "hanning",
    nfft: int = 2048,
    chi_error: float | None = None,
    hold: Mapping[str, float] | None = None,
) -> ShellFit:
    """Fit one scattering path to a range of chi(R).

    Least squares of the complex chi(R) between `rmin` and `rmax`. Uncertainties are those of
    Newville, Boyanov and Sayers, J. Synchrotron Rad. 6, 264 (1999): by the number of independent
    points, and scaled by the misfit, so that they hold for a model that is not perfect.

    Parameters
    ----------
    k, chi : array_like, shape (m,)
        Fine structure on an even grid from 0, as :func:`autobk` makes it.
    path : FeffPath
        Such as ``FeffPath.read("feff0001.dat")``.
    s02 : float
        Amplitude reduction, which only a standard tells: N and S02 enter as their product.
    kmin, kmax, dk, window
        Transform, as :func:`xftf`; by default up to 1/Angstrom below the end.
    rmin, rmax : float
        Range of the fit in Angstrom, not corrected for the scattering phase.
    kweight : float or sequence of float
        Weights of the transform; with several their chi(R) are fitted together.
    nfft : int
        Sets the step of R.
    chi_error : float, optional
        Standard deviation of a point of chi(k), for `reduced_chi_square`.
    hold : mapping, optional
        Parameters that stay: ``{"n": 12}``. Names are n, r, sigma2 and e0.

    Raises
    ------
    ValueError
        When the range holds too few independent points, or the fit does not converge.
    """
    k, chi = np.asarray(k, dtype=float), np.asarray(chi, dtype=float)
    if k.ndim != 1 or k.shape != chi.shape or len(k) < 10:
        raise ValueError(f"k has shape {k.shape} and chi {chi.shape}; give one spectrum of each")
    hold = dict(hold or {})
    if unknown := set(hold) - set(PARAMETERS):
        raise ValueError(f"hold names {', '.join(sorted(unknown))}; give {', '.join(PARAMETERS)}")
    last = float(k[-1]) - 1 if kmax is None else kmax
    independent = 1 + 2 * (last - kmin) * (rmax - rmin) / np.pi
    fitted = tuple(name for name in PARAMETERS if name not in hold)
    if not independent > len(fitted) + 1e-9 or not fitted:
        raise ValueError(
            f"k = {kmin:g} to {last:g} and R = {rmin:g} to {rmax:g} hold {independent:.1f} "
            f"independent points for {len(fitted)} parameters; widen the ranges or hold one"
        )
    weights = [float(w) for w in np.atleast_1d(kweight)]
    transform = _transform(k, kmin, last, dk, window, nfft, (rmin, rmax), weights)
    data = transform @ np.where(np.isfinite(chi), chi, 0.0)
    start = {"n": path.degeneracy, "r": path.r_eff, "sigma2": 0.005, "e0": 0.0} | hold

    def model(x: np.ndarray) -> np.ndarray:
        values = start | {name: x[i] * SCALES[name] for i, name in enumerate(fitted)}
        return path.chi(k, s02=s02, **values)

    first = np.array([start[name] / SCALES[name] for name in fitted])
    found = least_squares(lambda x: transform @ model(x) - data, first, method="lm")
    if not found.success:
        raise ValueError(
            f"the fit does not converge ({found.message}); check R's range and the path"
        )
    misfit = float(np.sum(found.fun**2))
    # The noise cancels: of chi-square = points / independent * misfit / noise^2 the errors take
    # the root of the reduced one.
    shape = np.linalg.inv(found.jac.T @ found.jac)
    covariance = shape * misfit / (independent - len(fitted))
    spread = np.sqrt(np.diag(covariance))
    scale = np.array([SCALES[name] for name in fitted])
    values = start | dict(zip(fitted, map(float, found.x * scale), strict=True))
    errors = dict.fromkeys(PARAMETERS, 0.0)
    errors |= dict(zip(fitted, map(float, spread * scale), strict=True))
    reduced = None
    if chi_error is not None:
        noise = np.sum((transform * chi_error) ** 2)
        reduced = independent * misfit / float(noise) / (independent - len(fitted))
    return ShellFit(
        **values,
        **{f"{name}_error": error for name, error in errors.items()},
        r_factor=misfit / float(np.sum(data**2)),
        independent=float(independent),
        reduced_chi_square=reduced,
        correlation=shape / np.sqrt(np.outer(np.diag(shape), np.diag(shape))),
        fitted=fitted,
        k=k,
        chi=model(found.x),
    )


def _transform(
    k: np.ndarray,
    kmin: float,
    kmax: float,
    dk: float,
    window: str,
    nfft: int,
    within: tuple[float, float],
    weights: list[float],
) -> np.ndarray:
    """Real and imaginary parts of chi(R) in the range, as a matrix that takes chi(k)."""
    step = np.pi / ((k[1] - k[0]) * nfft)
    r = step * np.arange(int(within[0] / step + 0.5), int(within[1] / step + 0.5) + 1)
    win = ftwindow(k, kmin, kmax, dk, window=window)
    parts = []
    for weight in weights:
        complex_part = transform_matrix(k, win * k**weight, r)
        # Several weights count alike, whatever their units.
        size = np.sqrt(np.sum((win * k**weight) ** 2)) if len(weights) > 1 else 1.0
        parts += [np.real(complex_part) / size, np.imag(complex_part) / size]
    return np.concatenate(parts)
