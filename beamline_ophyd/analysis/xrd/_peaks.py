"""Peaks of a powder pattern: found by scipy, fitted by lmfit."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from scipy import signal

from ._size import split_width

if TYPE_CHECKING:
    from lmfit import Parameters
    from lmfit.model import ModelResult

__all__ = ["SHAPES", "FoundPeak", "PeakFit", "Shape", "find_peaks", "fit_peak", "fit_peaks"]

Shape = Literal["gaussian", "lorentzian", "pseudo-voigt"]
SHAPES = ("gaussian", "lorentzian", "pseudo-voigt")
KALPHA2_HEIGHT = 0.5
"""K-alpha2 over K-alpha1: the number of electrons in the two levels."""
REACH = 6.0
"""A peak is fitted to so many of its widths on either side."""
TOGETHER = 6.0
"""Peaks closer than so many widths are fitted together."""


@dataclass(frozen=True)
class FoundPeak:
    """A maximum that stands out of the noise.

    Attributes
    ----------
    two_theta : float
        Of the highest point, in degrees.
    height : float
        Above the foot of the peak, in counts.
    significance : float
        Height in standard deviations of the counts.
    fwhm : float
        Rough width, in degrees.
    """

    two_theta: float
    height: float
    significance: float
    fwhm: float


def find_peaks(
    two_theta: Any, counts: Any, *, significance: float = 6.0, smooth: float = 2.0
) -> list[FoundPeak]:
    """Find what stands out of the noise of counting, in the order of two-theta.

    The square root of Poisson distributed counts has the same noise everywhere, 1/2 (F. J.
    Anscombe, Biometrika 35, 246 (1948)), so one prominence decides for weak and strong peaks.

    Parameters
    ----------
    two_theta : array_like, shape (n,)
        In degrees, increasing.
    counts : array_like, shape (n,)
        As counted, not scaled.
    significance : float
        Standard deviations that make a peak.
    smooth : float
        Standard deviation of the Gaussian, in points, that is used to look for maxima.

    Raises
    ------
    ValueError
        When the arrays do not fit, or the angles do not increase.
    """
    x, y = _checked(two_theta, counts)
    root = 2 * np.sqrt(np.maximum(y, 0) + 0.375)
    kernel = np.exp(-0.5 * (np.arange(-4 * smooth, 4 * smooth + 1) / max(smooth, 1e-3)) ** 2)
    kernel /= kernel.sum()
    half = len(kernel) // 2
    padded = np.pad(root, half, mode="edge")
    even = np.convolve(padded, kernel, mode="valid")[: len(x)]
    noise = float(np.sqrt(np.sum(kernel**2)))
    # The lowest of n points of noise lies this deep, and prominence counts from there.
    depth = np.sqrt(2 * np.log(len(x)))
    limit = (significance + depth) * noise
    at, found = signal.find_peaks(even, prominence=limit, width=0)
    peaks = []
    for place, prominence, width in zip(at, found["prominences"], found["widths"], strict=True):
        near = slice(max(place - half, 0), place + half + 1)
        top = near.start + int(np.argmax(y[near]))
        foot = (even[place] - prominence) ** 2 / 4
        step = (x[-1] - x[0]) / (len(x) - 1)
        peaks.append(
            FoundPeak(
                float(x[top]),
                float(max(even[place] ** 2 / 4 - foot, 1.0)),
                float(prominence / noise - depth),
                float(max(width, 2.0) * step),
            )
        )
    return peaks


@dataclass(frozen=True)
class PeakFit:
    """One peak as fitted; the errors are standard deviations.

    Attributes
    ----------
    centre, centre_error : float
        Two-theta in degrees: of the K-alpha1 line where there are two.
    fwhm, fwhm_error : float
        Full width at half maximum, in degrees.
    height, height_error : float
        In counts above the background.
    area, area_error : float
        In counts times degrees.
    fraction : float
        Lorentzian part: 0 for a Gaussian, 1 for a Lorentzian.
    background : float
        Under the peak, in counts.
    reduced_chi_square : float
        About 1 where the shape is right and the noise that of counting.
    shape : str
    result : lmfit.model.ModelResult
        Everything else that lmfit says, of the peaks that were fitted together.
    """

    centre: float
    centre_error: float
    fwhm: float
    fwhm_error: float
    height: float
    height_error: float
    area: float
    area_error: float
    fraction: float
    background: float
    reduced_chi_square: float
    shape: str
    result: "ModelResult" = field(repr=False)

    @cached_property
    def widths(self) -> tuple[float, float]:
        """FWHM of the Gaussian and of the Lorentzian that make up the peak, in degrees."""
        return split_width(self.fwhm, self.fraction)


def fit_peak(
    two_theta: Any,
    counts: Any,
    near: float | None = None,
    *,
    errors: Any = None,
    shape: Shape = "pseudo-voigt",
    width: float | None = None,
    kalpha2: float | None = None,
) -> PeakFit:
    """Fit one peak on a straight background.

    Parameters
    ----------
    two_theta : array_like, shape (n,)
        In degrees, increasing.
    counts : array_like, shape (n,)
    near : float, optional
        Where the peak is, in degrees; by default the highest one.
    errors : array_like, shape (n,), optional
        Standard deviation of each point; by default the square root of the counts, taken
        from a first fit, since that of a low count pulls a fit down.
    shape : {"gaussian", "lorentzian", "pseudo-voigt"}
    width : float, optional
        Rough width in degrees, where the search for it fails.
    kalpha2 : float, optional
        Wavelength of K-alpha2 over that of K-alpha1, such as ``1.5444274 / 1.5405929`` for
        copper: adds a second line of half the height that follows from the first.

    Raises
    ------
    ValueError
        When there is no peak, too few points, or the fit does not converge.
    """
    x, y = _checked(two_theta, counts)
    found = find_peaks(x, y)
    if near is None:
        if not found:
            raise ValueError("no peak stands out of the noise; give near and width")
        peak = max(found, key=lambda one: one.height)
    else:
        if not x[0] <= near <= x[-1]:
            raise ValueError(
                f"near = {near:g} degrees is outside of the pattern, {x[0]:g} to {x[-1]:g}"
            )
        close = [p for p in found if abs(p.two_theta - near) < 3 * p.fwhm]
        peak = min(close, key=lambda p: abs(p.two_theta - near), default=None)
    if peak is None and width is None:
        raise ValueError(f"no peak stands out of the noise near {near:g} degrees; give width")
    if peak is None or width is not None:
        at = float(near if near is not None and peak is None else peak.two_theta if peak else 0.0)
        height = float(np.interp(at, x, y) - np.median(y)) if peak is None else peak.height
        peak = FoundPeak(at, max(height, 1.0), 0.0, float(width or 0.0))
    return _fit(x, y, errors, [peak], shape, kalpha2)[0]


def fit_peaks(
    two_theta: Any,
    counts: Any,
    peaks: Sequence[FoundPeak] | None = None,
    *,
    errors: Any = None,
    shape: Shape = "pseudo-voigt",
    kalpha2: float | None = None,
) -> list[PeakFit]:
    """Fit all peaks of a pattern, those that overlap together.

    Parameters
    ----------
    two_theta, counts, errors, shape, kalpha2
        See :func:`fit_peak`.
    peaks : sequence of FoundPeak, optional
        By default those of :func:`find_peaks`.
    """
    x, y = _checked(two_theta, counts)
    found = find_peaks(x, y) if peaks is None else sorted(peaks, key=lambda p: p.two_theta)
    groups: list[list[FoundPeak]] = []
    for peak in found:
        before = groups[-1][-1] if groups else None
        reach = 0.0 if before is None else TOGETHER * max(before.fwhm, peak.fwhm)
        if before is not None and peak.two_theta - before.two_theta < reach:
            groups[-1].append(peak)
        else:
            groups.append([peak])
    return [fit for group in groups for fit in _fit(x, y, errors, group, shape, kalpha2)]


def _fit(
    x: np.ndarray,
    y: np.ndarray,
    errors: Any,
    peaks: list[FoundPeak],
    shape: Shape,
    kalpha2: float | None,
) -> list[PeakFit]:
    from lmfit.models import LinearModel  # half a second: not at import time

    if shape not in SHAPES:
        raise ValueError(f"shape is {shape!r}; give one of {', '.join(SHAPES)}")
    reach = REACH * max(peak.fwhm for peak in peaks)
    last = peaks[-1].two_theta
    if kalpha2 is not None:
        last += np.degrees(2 * (kalpha2 - 1) * np.tan(np.radians(last / 2)))
    used = (x > peaks[0].two_theta - reach) & (x < last + reach)
    x, y = x[used], y[used]
    model = LinearModel(prefix="background_")
    for number in range(len(peaks)):
        model = model + _line(shape, f"peak{number}_")
        if kalpha2 is not None:
            model = model + _line(shape, f"second{number}_")
    parameters = model.make_params()
    foot = float(min(y[: max(len(y) // 8, 1)].mean(), y[-max(len(y) // 8, 1) :].mean()))
    parameters["background_slope"].set(value=0.0)
    parameters["background_intercept"].set(value=foot)
    for number, peak in enumerate(peaks):
        _start(parameters, number, peak, shape, kalpha2)
    if len(x) <= sum(p.vary for p in parameters.values()):
        raise ValueError(
            f"{len(x)} points around {peaks[0].two_theta:g} degrees are too few for the fit; "
            "measure in smaller steps, or fit a simpler shape"
        )
    sigma = np.sqrt(np.maximum(y, 1.0)) if errors is None else np.asarray(errors, float)[used]
    result = model.fit(y, parameters, x=x, weights=1 / sigma, scale_covar=False)
    if errors is None:
        sigma = np.sqrt(np.maximum(np.asarray(result.best_fit), 1.0))
        result = model.fit(y, result.params, x=x, weights=1 / sigma, scale_covar=False)
    if not result.success or not result.errorbars:
        raise ValueError(
            f"the fit around {peaks[0].two_theta:g} degrees does not converge; try shape="
            "'gaussian', or give near and width"
        )
    return [_told(result, number, shape) for number in range(len(peaks))]


def _line(shape: Shape, prefix: str) -> Any:
    from lmfit.models import GaussianModel, LorentzianModel, PseudoVoigtModel

    models = {
        "gaussian": GaussianModel,
        "lorentzian": LorentzianModel,
        "pseudo-voigt": PseudoVoigtModel,
    }
    return models[shape](prefix=prefix)


def _start(
    parameters: "Parameters", number: int, peak: FoundPeak, shape: Shape, kalpha2: float | None
) -> None:
    prefix = f"peak{number}_"
    parameters[f"{prefix}center"].set(value=peak.two_theta)
    parameters[f"{prefix}sigma"].set(value=peak.fwhm / 2, min=1e-6, max=20 * peak.fwhm)
    parameters[f"{prefix}amplitude"].set(value=peak.height * peak.fwhm * 1.3, min=0)
    if shape == "pseudo-voigt":
        parameters[f"{prefix}fraction"].set(value=0.5, min=0, max=1)
    if kalpha2 is None:
        return
    second = f"second{number}_"
    parameters[f"{second}amplitude"].set(expr=f"{KALPHA2_HEIGHT} * {prefix}amplitude")
    parameters[f"{second}sigma"].set(expr=f"{prefix}sigma")
    parameters[f"{second}center"].set(
        expr=f"360 / pi * arcsin({kalpha2!r} * sin(pi / 360 * {prefix}center))"
    )
    if shape == "pseudo-voigt":
        parameters[f"{second}fraction"].set(expr=f"{prefix}fraction")


def _told(result: "ModelResult", number: int, shape: Shape) -> PeakFit:
    prefix = f"peak{number}_"

    def value(name: str) -> tuple[float, float]:
        parameter = result.params[prefix + name]
        return float(parameter.value or 0.0), float(parameter.stderr or 0.0)

    (centre, centre_error), (fwhm, fwhm_error) = value("center"), value("fwhm")
    (height, height_error), (area, area_error) = value("height"), value("amplitude")
    fixed = {"gaussian": 0.0, "lorentzian": 1.0}
    slope, intercept = (
        float(result.params[f"background_{n}"].value or 0.0) for n in ("slope", "intercept")
    )
    return PeakFit(
        centre=centre,
        centre_error=centre_error,
        fwhm=fwhm,
        fwhm_error=fwhm_error,
        height=height,
        height_error=height_error,
        area=area,
        area_error=area_error,
        fraction=fixed[shape] if shape in fixed else value("fraction")[0],
        background=slope * centre + intercept,
        reduced_chi_square=float(result.redchi or 0.0),
        shape=shape,
        result=result,
    )


def _checked(two_theta: Any, counts: Any) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(two_theta, dtype=float), np.asarray(counts, dtype=float)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 10:
        raise ValueError(
            f"two_theta has shape {x.shape} and counts {y.shape}; give one pattern of at least "
            "10 points"
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("the pattern has values that are not finite; leave those points out")
    if not (np.diff(x) > 0).all():
        raise ValueError("two_theta does not increase strictly; sort it and merge repeats")
    return x, y
