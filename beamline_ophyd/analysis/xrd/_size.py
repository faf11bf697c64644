"""Crystallite size from the width of a peak."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["CrystalliteSize", "scherrer_size", "split_width"]


def split_width(fwhm: float, fraction: float) -> tuple[float, float]:
    """FWHM of the Gaussian and of the Lorentzian whose convolution is a pseudo-Voigt.

    P. Thompson, D. E. Cox, J. B. Hastings, J. Appl. Cryst. 20, 79 (1987).

    Parameters
    ----------
    fwhm : float
        Of the pseudo-Voigt, in any unit.
    fraction : float
        Its Lorentzian part, 0 to 1.

    Examples
    --------
    >>> split_width(0.1, 0.0), split_width(0.1, 1.0)[1]
    ((0.1, 0.0), 0.1)
    """
    eta = min(max(fraction, 0.0), 1.0)
    gaussian = max(1 - 0.74417 * eta - 0.24781 * eta**2 - 0.00810 * eta**3, 0.0)
    lorentzian = 0.72928 * eta + 0.19289 * eta**2 + 0.07783 * eta**3
    return fwhm * float(np.sqrt(gaussian)), fwhm * lorentzian


@dataclass(frozen=True)
class CrystalliteSize:
    """What :func:`scherrer_size` finds.

    Attributes
    ----------
    angstrom, error : float
        Size and its standard deviation, in Angstrom.
    broadening : float
        What is left of the width, in degrees of two-theta.
    """

    angstrom: float
    error: float
    broadening: float


def scherrer_size(
    two_theta_deg: float,
    fwhm: float,
    wavelength: float,
    *,
    fwhm_error: float = 0.0,
    instrument: float = 0.0,
    shape: Literal["lorentzian", "gaussian"] = "lorentzian",
    k: float = 0.94,
) -> CrystalliteSize:
    """Size of crystallites by Scherrer: ``L = k wavelength / (broadening cos theta)``.

    J. I. Langford, A. J. C. Wilson, J. Appl. Cryst. 11, 102 (1978). Size broadens by a
    Lorentzian, so of a pseudo-Voigt take the Lorentzian part: ``fit.widths[1]``.

    Parameters
    ----------
    two_theta_deg : float
        In degrees.
    fwhm, fwhm_error : float
        Width as measured and its standard deviation, in degrees of two-theta.
    wavelength : float
        In Angstrom.
    instrument : float
        Width that the instrument alone makes there, of the same shape, in degrees: that of a
        line of a standard such as LaB6.
    shape : {"lorentzian", "gaussian"}
        Widths of Lorentzians subtract, of Gaussians their squares do.
    k : float
        Scherrer's constant: 0.94 for the FWHM of cubic crystallites, 0.89 for spheres.

    Raises
    ------
    ValueError
        When the peak is not wider than the instrument makes it: there is no size to be had.
    """
    if shape not in ("lorentzian", "gaussian"):
        raise ValueError(f"shape is {shape!r}; give 'lorentzian' or 'gaussian'")
    gaussian = shape == "gaussian"
    left = fwhm**2 - instrument**2 if gaussian else fwhm - instrument
    if not left > 0:
        raise ValueError(
            f"the peak at {two_theta_deg:g} degrees is {fwhm:.4g} degrees wide and the instrument "
            f"makes {instrument:.4g}: the crystallites are too large for this instrument"
        )
    broadening = float(np.sqrt(left)) if gaussian else float(left)
    size = k * wavelength / (np.radians(broadening) * np.cos(np.radians(two_theta_deg / 2)))
    spread = fwhm_error * (fwhm / broadening if gaussian else 1.0)
    return CrystalliteSize(float(size), float(size * spread / broadening), broadening)
