"""Corrections of fluorescence: dead time of the detector, self-absorption in the sample."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.special import lambertw

from beamline_ophyd.edges import absorption_edge

__all__ = ["SelfAbsorption", "dead_time", "self_absorption"]


def dead_time(
    counts: Any,
    dwell_s: Any,
    tau_s: float,
    model: Literal["nonparalysable", "paralysable"] = "nonparalysable",
) -> np.ndarray:
    """Counts that a detector would have without dead time.

    G. F. Knoll, Radiation Detection and Measurement, chapter 4: of the true rate n a detector
    that is blind for tau after each pulse counts ``m = n / (1 + n tau)``; one that every
    pulse makes blind anew ``m = n exp(-n tau)``, of which the lower n is taken.

    Parameters
    ----------
    counts : array_like
        Counted in `dwell_s` seconds.
    dwell_s : array_like
        Real time, in s.
    tau_s : float
        Dead time of a pulse, in s.
    model : {"nonparalysable", "paralysable"}

    Raises
    ------
    ValueError
        When a rate is one that such a detector cannot show.

    Examples
    --------
    >>> round(float(dead_time(418605.0, 1.0, 1e-6)))
    720001
    """
    counts, dwell = np.asarray(counts, dtype=float), np.asarray(dwell_s, dtype=float)
    load = counts / dwell * tau_s
    limits = {"nonparalysable": 1.0, "paralysable": float(np.exp(-1))}
    if model not in limits:
        raise ValueError(f"model is {model!r}; give one of {', '.join(limits)}")
    if np.any(load >= limits[model]):
        raise ValueError(
            f"a rate of {np.nanmax(counts / dwell):.4g} counts/s is more than a {model} detector "
            f"with a dead time of {tau_s:g} s shows, {limits[model] / tau_s:.4g}; check tau_s"
        )
    if model == "nonparalysable":
        return counts / (1 - load)
    return np.where(load == 0, counts, -np.real(lambertw(-load)) / tau_s * dwell)


@dataclass(frozen=True)
class SelfAbsorption:
    """What :func:`self_absorption` finds.

    Attributes
    ----------
    norm : ndarray
        Corrected normalised mu.
    errors : ndarray or None
        Its standard deviation, where that of the measured one was given.
    strength : ndarray, shape (n,)
        Absorption of the edge over all other: fine structure was damped by 1 / (1 + strength).
    """

    norm: np.ndarray
    errors: np.ndarray | None
    strength: np.ndarray


def self_absorption(
    energy: Any,
    norm: Any,
    formula: str,
    edge: str,
    *,
    angle_in: float = 45.0,
    angle_out: float = 45.0,
    norm_errors: Any = None,
) -> SelfAbsorption:
    """Undo the self-absorption of a thick, homogeneous sample in fluorescence.

    L. Troeger et al., Phys. Rev. B 46, 3283 (1992), with the normalised mu instead of chi: the
    yield of a thick sample is ``mu_x / (mu_x + mu_rest + mu_f sin(a)/sin(b))``, where mu_x is
    the absorption of the edge, mu_rest all other at the same energy and mu_f all at the
    fluorescence line. With ``B = mu_rest + mu_f sin(a)/sin(b)``, and both at 1 for a smooth
    mu_x, the measured m becomes ``B m / (B + mu_x (1 - m))``.

    Parameters
    ----------
    energy : array_like, shape (n,)
        In eV.
    norm : array_like, shape (..., n)
        Normalised mu of the yield If/I0; the flattened one, where a sample's smooth
        absorption has bent the post-edge.
    formula : str
        Of the sample, such as "Fe2O3"; its density does not matter.
    edge : str
        Such as "Fe-K".
    angle_in, angle_out : float
        Between the sample's surface and the beam, and the line to the detector, in degrees.
    norm_errors : array_like, optional
        Standard deviation of `norm`.

    Raises
    ------
    ValueError
        For angles, formulas and edges that there are not, and where the measured value is
        beyond what such a sample can yield.
    """
    import xraydb  # loads its database: not at import time

    for name, angle in (("angle_in", angle_in), ("angle_out", angle_out)):
        if not 0 < angle <= 90:
            raise ValueError(f"{name} is {angle:g} degrees; give an angle above 0, up to 90")
    energy, norm = np.asarray(energy, dtype=float), np.asarray(norm, dtype=float)
    element, name, e0 = absorption_edge(edge)
    parts = xraydb.chemparse(formula)
    if element is None or element not in parts:
        raise ValueError(f"{formula} holds no {element}, whose edge is {edge}")
    mass = {symbol: n * xraydb.atomic_mass(symbol) for symbol, n in parts.items()}
    lines = [line for line in xraydb.xray_lines(element, name).values() if line.intensity > 0]
    if not lines:
        raise ValueError(f"no fluorescence line of {edge} is tabulated")
    weight = np.array([line.intensity for line in lines])
    line_ev = np.array([line.energy for line in lines])
    emitted = sum(m * xraydb.mu_elam(symbol, line_ev) for symbol, m in mass.items())
    out = float(np.sum(emitted * weight) / weight.sum())
    at = np.maximum(energy, e0 + 1.0)  # below the edge the ratio is that just above it
    total = sum(m * xraydb.mu_elam(symbol, at) for symbol, m in mass.items())
    jump = mass[element] * (xraydb.mu_elam(element, at) - _without(element, e0, at))
    ratio = np.sin(np.radians(angle_in)) / np.sin(np.radians(angle_out))
    rest = total - jump + out * ratio
    left = rest + jump * (1 - norm)
    if np.any(left <= 0):
        raise ValueError(
            f"a normalised mu of {np.nanmax(norm):.3g} is more than a thick {formula} can yield, "
            f"{float(np.min(1 + rest / jump)):.3g}; check formula, angles and normalisation"
        )
    errors = None
    if norm_errors is not None:
        errors = np.asarray(norm_errors, dtype=float) * rest * (rest + jump) / left**2
    return SelfAbsorption(rest * norm / left, errors, jump / rest)


def _without(element: str, e0: float, energy: np.ndarray) -> np.ndarray:
    """Absorption as if the edge were not there: the power law just below it, continued."""
    import xraydb

    below = np.array([e0 - 60.0, e0 - 5.0])
    mu = xraydb.mu_elam(element, below)
    power = np.log(mu[1] / mu[0]) / np.log(below[1] / below[0])
    return mu[1] * (energy / below[1]) ** power
