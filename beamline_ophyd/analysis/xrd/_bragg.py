"""Bragg's law."""

from typing import Any

import numpy as np

__all__ = ["d_spacing", "two_theta"]


def d_spacing(two_theta_deg: Any, wavelength: float) -> Any:
    """Distance of lattice planes: ``d = wavelength / (2 sin theta)``.

    Parameters
    ----------
    two_theta_deg : array_like
        In degrees, above 0 and up to 180.
    wavelength : float
        In Angstrom.

    Raises
    ------
    ValueError
        For an angle at which nothing is diffracted.

    Examples
    --------
    >>> round(d_spacing(28.4412, 1.5405929), 4)  # Si (111) of NIST SRM 640f: a / sqrt(3)
    3.1357
    """
    angle = np.asarray(two_theta_deg, dtype=float)
    if np.any(~((angle > 0) & (angle <= 180))):
        raise ValueError(f"two-theta is {two_theta_deg} degrees; give angles above 0, up to 180")
    d = _positive(wavelength) / (2 * np.sin(np.radians(angle / 2)))
    return d if np.ndim(d) else float(d)


def two_theta(d_angstrom: Any, wavelength: float) -> Any:
    """Angle of the detector at which planes of a distance diffract, in degrees.

    Parameters
    ----------
    d_angstrom : array_like
        In Angstrom.
    wavelength : float
        In Angstrom.

    Returns
    -------
    float or ndarray
        nan where the wavelength is more than twice the distance.
    """
    d = np.asarray(d_angstrom, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        sine = np.where(d > 0, _positive(wavelength) / (2 * d), np.nan)
        angle = 2 * np.degrees(np.arcsin(np.where(sine <= 1, sine, np.nan)))
    return angle if np.ndim(angle) else float(angle)


def _positive(wavelength: float) -> float:
    if not 0 < wavelength < np.inf:
        raise ValueError(f"the wavelength is {wavelength} Angstrom; give one above 0")
    return float(wavelength)
