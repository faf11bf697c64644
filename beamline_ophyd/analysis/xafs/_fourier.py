"""Fourier transforms between chi(k) and chi(R)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._windows import ftwindow

__all__ = ["BackTransform", "FourierTransform", "transform_matrix", "xftf", "xftr"]


@dataclass(frozen=True)
class FourierTransform:
    """chi(R), as :func:`xftf` makes it.

    Attributes
    ----------
    r : ndarray, shape (m,)
        Distances in Angstrom (not corrected for the scattering phase), evenly spaced.
    chir : ndarray of complex, shape (..., m)
        chi(R) in 1/Angstrom^(kweight + 1).
    kwin : ndarray, shape (n,)
        The window at the k given.
    chir_errors : ndarray or None, shape (..., m)
        Standard deviation of the real and of the imaginary part (the mean of both), where
        that of chi(k) was given.
    """

    r: np.ndarray
    chir: np.ndarray
    kwin: np.ndarray
    chir_errors: np.ndarray | None = None

    @property
    def chir_mag(self) -> np.ndarray:
        """Magnitude of chi(R)."""
        return np.abs(self.chir)

    @property
    def chir_re(self) -> np.ndarray:
        """Real part of chi(R)."""
        return np.real(self.chir)

    @property
    def chir_im(self) -> np.ndarray:
        """Imaginary part of chi(R)."""
        return np.imag(self.chir)


def xftf(
    k: Any,
    chi: Any,
    *,
    kmin: float = 0.0,
    kmax: float = 20.0,
    kweight: float = 2.0,
    dk: float = 1.0,
    dk2: float | None = None,
    window: str = "kaiser",
    rmax_out: float = 10.0,
    nfft: int = 2048,
    kstep: float | None = None,
    chi_errors: Any = None,
) -> FourierTransform:
    """Fourier transform of chi(k) to R.

    ``chi(R_m) = kstep / sqrt(pi) * sum_n chi(k_n) k_n^kweight w(k_n) exp(-2i k_n R_m)`` with
    ``R_m = pi m / (kstep nfft)``; the sign is that of a forward FFT.

    Parameters
    ----------
    k : array_like, shape (n,)
        In 1/Angstrom, increasing. An even grid of multiples of `kstep` is taken as it is,
        another is interpolated linearly.
    chi : array_like, shape (..., n)
        One chi(k) or a stack. Values that are not finite count as 0.
    kmin, kmax, dk, dk2, window
        See :func:`ftwindow`; in 1/Angstrom.
    kweight : float
        chi is multiplied by k to this power.
    rmax_out : float
        Largest R returned, in Angstrom.
    nfft : int
        Points of the transform; zeros are added up to this number.
    kstep : float, optional
        Step of the grid in 1/Angstrom; by default that of `k`.
    chi_errors : array_like, shape (..., n), optional
        Standard deviation of chi(k), of independent points on the grid.

    Raises
    ------
    ValueError
        When `nfft` is too small for the grid, k does not increase, or nothing is in the window.
    """
    if not kweight >= 0:
        raise ValueError(f"kweight is {kweight:g}; give 0 or more")
    k, chi = _on_grid(k, chi, kstep)
    kstep = float(k[1] - k[0])
    if len(k) > nfft:
        raise ValueError(f"chi has {len(k)} points and nfft is {nfft}; raise nfft")
    win = ftwindow(k, kmin, kmax, dk, dk2, window)
    if not kmin < k[-1]:
        raise ValueError(f"the window from {kmin:g} is beyond chi, which ends at k = {k[-1]:g}")
    weights = win * k**kweight
    r = _distances(rmax_out, nfft, kstep)
    # 40 spectra a time stay in the processor's cache with their zeros.
    flat = chi.reshape(-1, len(k))
    out = np.empty((len(flat), len(r)), complex)
    for start in range(0, len(flat), 40):
        block = slice(start, start + 40)
        out[block] = np.fft.rfft(flat[block] * weights, nfft)[:, : len(r)]
    out *= kstep / np.sqrt(np.pi)
    errors = None
    if chi_errors is not None:
        spread = np.broadcast_to(np.asarray(chi_errors, float), np.shape(chi_errors))
        variance = np.sum((spread * weights) ** 2, axis=-1) * kstep**2 / (2 * np.pi)
        errors = np.broadcast_to(np.sqrt(variance)[..., None], (*variance.shape, len(r)))
    return FourierTransform(r, out.reshape(*chi.shape[:-1], len(r)), win, errors)


@dataclass(frozen=True)
class BackTransform:
    """chi(q), as :func:`xftr` makes it.

    Attributes
    ----------
    q : ndarray, shape (m,)
        Wave numbers in 1/Angstrom.
    chiq : ndarray of complex, shape (..., m)
        k-weighted chi of the distances in the window; its real part compares with k^w chi(k).
    rwin : ndarray
        The window at the R given.
    """

    q: np.ndarray
    chiq: np.ndarray
    rwin: np.ndarray


def xftr(
    r: Any,
    chir: Any,
    *,
    rmin: float = 0.0,
    rmax: float = 20.0,
    dr: float = 1.0,
    dr2: float | None = None,
    rw: float = 0.0,
    window: str = "kaiser",
    qmax_out: float = 20.0,
    nfft: int = 2048,
    kstep: float = 0.05,
) -> BackTransform:
    """Back-transform of chi(R) in a range of R to q.

    ``chi(q) = 2 rstep / sqrt(pi) * sum_m chi(R_m) R_m^rw w(R_m) exp(2i q R_m)``, so that a
    window over all R gives back what was transformed.

    Parameters
    ----------
    r : array_like, shape (n,)
        In Angstrom, as :func:`xftf` makes it with the same `nfft` and `kstep`.
    chir : array_like of complex, shape (..., n)
    rmin, rmax, dr, dr2, window
        See :func:`ftwindow`; in Angstrom.
    rw : float
        chi(R) is multiplied by R to this power.
    qmax_out : float
        Largest q returned, in 1/Angstrom.

    Raises
    ------
    ValueError
        When R is not the grid of `nfft` and `kstep`.
    """
    r, chir = np.asarray(r, dtype=float), np.asarray(chir, dtype=complex)
    rstep = np.pi / (kstep * nfft)
    if len(r) > nfft // 2 + 1 or not np.allclose(r, rstep * np.arange(len(r)), atol=rstep / 1e3):
        raise ValueError(
            f"r is not the grid 0, {rstep:.6f}, ... of kstep {kstep:g} and nfft {nfft}; give "
            "xftr the kstep and nfft that xftf had"
        )
    win = ftwindow(r, rmin, rmax, dr, dr2, window)
    q = kstep * np.arange(min(int(qmax_out / kstep + 1.01), nfft))
    full = np.fft.ifft(chir * win * r**rw, nfft, axis=-1)[..., : len(q)]
    return BackTransform(q, full * (2 * nfft * rstep / np.sqrt(np.pi)), win)


def transform_matrix(k: np.ndarray, weights: np.ndarray, r: np.ndarray) -> np.ndarray:
    """The transform at a few R as a matrix: chi(R) = matrix @ chi(k), shape (len(r), len(k))."""
    step = k[1] - k[0]
    return step / np.sqrt(np.pi) * np.exp(-2j * np.outer(r, k)) * weights


def _distances(rmax: float, nfft: int, kstep: float) -> np.ndarray:
    step = np.pi / (kstep * nfft)
    return step * np.arange(min(int(rmax / step + 1.01), nfft // 2 + 1))


def _on_grid(k: Any, chi: Any, kstep: float | None) -> tuple[np.ndarray, np.ndarray]:
    k, chi = np.asarray(k, dtype=float), np.asarray(chi, dtype=float)
    if k.ndim != 1 or len(k) < 2 or chi.shape[-1:] != k.shape:
        raise ValueError(
            f"k has shape {k.shape} and chi {chi.shape}; give two points or more, along the last "
            "axis of both"
        )
    steps = np.diff(k)
    if not (steps > 0).all():
        raise ValueError("k is not strictly increasing; sort it and merge repeats")
    chi = np.where(np.isfinite(chi), chi, 0.0)
    step = float(steps[0]) if kstep is None else float(kstep)
    whole = k[0] / step
    if np.allclose(steps, step, rtol=1e-6) and abs(whole - round(whole)) < 1e-6:
        zeros = round(whole)
        if zeros:
            chi = np.concatenate([np.zeros((*chi.shape[:-1], zeros)), chi], axis=-1)
    else:
        grid = step * np.arange(int(k[-1] / step + 1e-9) + 1)
        flat = chi.reshape(-1, len(k))
        rows = [np.interp(grid, k, row, left=0.0, right=0.0) for row in flat]
        chi = np.reshape(rows, (*chi.shape[:-1], len(grid)))
    return step * np.arange(chi.shape[-1]), chi
