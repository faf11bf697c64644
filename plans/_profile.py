"""What a profile along one axis tells: a peak, an edge, a sample between two edges.

Pure numpy and scipy. What a profile does not tell is an :class:`AlignmentError`, never a number.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.special import erf

__all__ = [
    "LEAST_POINTS",
    "AlignmentError",
    "Edge",
    "Peak",
    "Sample",
    "find_edge",
    "find_peak",
    "find_sample",
    "noise_of",
    "position_at_fraction",
]

LEAST_POINTS = 7
"""Fewer points do not tell a feature from the noise."""

SIGNIFICANT = 6.0
"""Standard deviations of a point by which a feature must differ from what surrounds it."""

TOP = 0.8
"""Points above this part of a peak's height are its top, which a parabola describes."""


class AlignmentError(RuntimeError):
    """A scan that does not tell what it was made for; everything is back where it was."""


@dataclass(frozen=True)
class Peak:
    """A maximum: where, its standard deviation, its height above zero, its full width.

    The width is that at half height above the lowest point; nan where the curve does not fall
    to it on both sides.
    """

    position: float
    sigma: float
    height: float
    width: float


@dataclass(frozen=True)
class Edge:
    """A step at half height: where, its standard deviation, its signed height, its 10-90 width."""

    position: float
    sigma: float
    height: float
    width: float


@dataclass(frozen=True)
class Sample:
    """What lies between two edges: its centre with standard deviation, height, full width."""

    position: float
    sigma: float
    height: float
    width: float


def find_peak(x: Any, y: Any) -> Peak:
    """The highest point of a curve, from a parabola through its top.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        Positions in the order of their measurement, and the signal.

    Raises
    ------
    AlignmentError
        For a flat curve, one that is highest at an end, or that is nowhere above zero.
    """
    x, y = _profile(x, y)
    smooth = _smoothed(y)
    best = int(np.argmax(smooth))
    height, base = float(smooth[best]), float(smooth.min())
    if height <= 0:
        raise AlignmentError(
            f"the signal is nowhere above zero, {height:.4g} at most; is the shutter open, and "
            "the dark current right?"
        )
    above = smooth >= base + TOP * (height - base)
    first, last = _run_around(above, best)
    if best in (0, len(x) - 1) or (first == 0 and last == len(x) - 1):
        raise AlignmentError(
            f"the signal is highest at the end of the range, {x[best]:g} of {x[0]:g} to "
            f"{x[-1]:g}; move or widen the range"
        )
    first, last = min(first, max(best - 2, 0)), max(last, min(best + 2, len(x) - 1))
    top = slice(first, last + 1)
    middle, scale = x[best], np.ptp(x[top])
    powers, covariance = _parabola((x[top] - middle) / scale, y[top])
    a, b, c = powers
    if a >= 0 or not abs(-b / (2 * a)) <= 1:
        raise AlignmentError(
            f"there is no peak between {x[0]:g} and {x[-1]:g}: the signal does not curve down "
            f"around {middle:g}, where it is highest; measure longer, or with finer steps"
        )
    vertex = -b / (2 * a)
    slopes = np.array([b / (2 * a * a), -1 / (2 * a), 0.0])
    sigma = math.sqrt(max(float(slopes @ covariance @ slopes), 0.0)) * scale
    height = float(c - b * b / (4 * a))
    return Peak(
        position=float(middle + vertex * scale),
        sigma=float(sigma),
        height=height,
        width=_full_width(x, y, middle, (height + y.min()) / 2),
    )


def position_at_fraction(x: Any, y: Any, peak: Peak, fraction: float, side: int) -> float:
    """Where a curve has fallen to a part of its peak's height, on one side of it.

    Parameters
    ----------
    x, y : array_like, shape (n,)
        The curve that `peak` was found in.
    fraction : float
        Of the height above zero, between 0 and 1.
    side : {-1, 1}
        Below the peak's position, or above.

    Raises
    ------
    AlignmentError
        When the curve does not fall so far within its range.
    """
    x, y = _profile(x, y)
    crossings = _crossings(x, y, fraction * peak.height)
    beyond = crossings[np.sign(crossings - peak.position) == side]
    if not len(beyond):
        ends = x[np.sign(x - peak.position) == side]
        lowest = y[np.sign(x - peak.position) == side].min() / peak.height
        raise AlignmentError(
            f"between {peak.position:g} and {ends[np.argmax(np.abs(ends - peak.position))]:g} the "
            f"signal falls to {100 * lowest:.3g} % of its peak only, not to "
            f"{100 * fraction:.3g} %; widen the range or ask for less"
        )
    return float(beyond[np.argmin(np.abs(beyond - peak.position))])


def find_edge(x: Any, y: Any) -> Edge:
    """The edge of something that is wider than the range: a step smeared by the beam.

    Fits ``base + height (1 + erf((x - position) / (sqrt(2) s))) / 2``.

    Raises
    ------
    AlignmentError
        For a flat profile, a step at an end of the range, or one that cannot be fitted.
    """
    x, y = _profile(x, y)
    sums = np.concatenate([[0.0], np.cumsum(y)])
    n = len(x)
    split = np.arange(1, n)
    below, above = sums[split] / split, (sums[n] - sums[split]) / (n - split)
    best = int(split[np.argmax(split * (n - split) * (above - below) ** 2)])
    if best < 2 or best > n - 2:
        raise AlignmentError(
            f"the edge is at the end of the range, {x[best]:g} of {x[0]:g} to {x[-1]:g}; move or "
            "widen the range"
        )
    step, span = _scale(x)

    def model(x: Any, at: float, height: float, base: float, s: float) -> Any:
        return base + height * _rise((x - at) / s)

    found, sigmas = _fit(
        model,
        x,
        y,
        ((x[best - 1] + x[best]) / 2, above[best - 1] - below[best - 1], below[best - 1], step),
        [(x.min(), x.max()), (-np.inf, np.inf), (-np.inf, np.inf), (step / 20, span)],
    )
    at, height, _, s = found.tolist()
    if 2.563 * s > span:
        raise AlignmentError(
            f"there is no edge between {x[0]:g} and {x[-1]:g}: the signal changes all along, from "
            f"{y[0]:.4g} to {y[-1]:.4g}; widen the range"
        )
    _significant("edge", height, sigmas[1])
    return Edge(at, _not_between_points(sigmas[0], s, step), height, 2.563 * s)


def find_sample(x: Any, y: Any) -> Sample:
    """The middle of something with both edges in the range, brighter or darker than the rest.

    Fits the difference of two steps of equal width.

    Raises
    ------
    AlignmentError
        For a flat profile, one with a single edge, or one that cannot be fitted.
    """
    x, y = _profile(x, y)
    first, last = _segment(y)
    if first == 0 or last == len(x):
        split = last if first == 0 else first
        raise AlignmentError(
            f"there is one edge only between {x[0]:g} and {x[-1]:g}, near "
            f"{(x[split - 1] + x[split]) / 2:g}, and no sample between two; move or widen the "
            'range, or align to="edge"'
        )
    inside = y[first:last].mean()
    outside = np.concatenate([y[:first], y[last:]]).mean()
    step, span = _scale(x)
    middle, wide = (x[first] + x[last - 1]) / 2, (last - first) * step

    def bump(t: Any, width: float, smear: float) -> Any:
        s = smear * width
        return _rise((t + width / 2) / s) - _rise((t - width / 2) / s)

    def model(x: Any, at: float, width: float, height: float, base: float, smear: float) -> Any:
        return base + height * bump(x - at, width, smear) / bump(0.0, width, smear)

    anything = (-np.inf, np.inf)
    found, sigmas = _fit(
        model,
        x,
        y,
        (middle, wide, inside - outside, outside, 0.3),
        # Edges blurred more than their distance are a Gaussian, whatever the distance.
        [(x.min(), x.max()), (step / 4, 2 * span), anything, anything, (0.01, 1.0)],
    )
    at, width, height, _, smear = found.tolist()
    _significant("sample", height, sigmas[2])
    fine = np.linspace(x.min(), x.max(), 100 * len(x))
    half = np.abs(model(fine, at, width, height, 0.0, smear)) >= abs(height) / 2
    sigma = _not_between_points(sigmas[0], smear * width, step)
    return Sample(at, sigma, height, float(np.ptp(fine[half])))


def _profile(x: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Positions and signal as arrays, of which something can be told at all."""
    x, y = np.asarray(x, float), np.asarray(y, float)
    good = np.isfinite(x) & np.isfinite(y)
    if good.sum() < LEAST_POINTS:
        raise AlignmentError(
            f"{good.sum()} of {len(x)} points have a signal that is a number; {LEAST_POINTS} are "
            "needed, see to the detector"
        )
    x, y = x[good], y[good]
    if np.ptp(_smoothed(y)) <= SIGNIFICANT * noise_of(y) or np.ptp(y) == 0:
        raise AlignmentError(
            f"the signal is flat between {x[0]:g} and {x[-1]:g}: {y.mean():.4g}, with noise of "
            f"{noise_of(y):.2g} and nothing above it; is the beam on, and is this the right axis?"
        )
    return x, y


def noise_of(y: np.ndarray) -> float:
    """Standard deviation of a point, from how it differs from the mean of its neighbours."""
    second = y[2:] - 2 * y[1:-1] + y[:-2]
    return float(np.median(np.abs(second))) / 0.6745 / math.sqrt(6)


def _smoothed(y: np.ndarray) -> np.ndarray:
    """Means of three, so that one point of noise is no peak; ends as they are."""
    smooth = y.copy()
    smooth[1:-1] = (y[:-2] + 2 * y[1:-1] + y[2:]) / 4
    return smooth


def _run_around(wanted: np.ndarray, at: int) -> tuple[int, int]:
    """First and last index of the unbroken run of True around an index."""
    gaps = np.flatnonzero(~wanted)
    before, after = gaps[gaps < at], gaps[gaps > at]
    return (
        int(before[-1]) + 1 if len(before) else 0,
        int(after[0]) - 1 if len(after) else len(wanted) - 1,
    )


def _parabola(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    design = np.vander(x, 3)
    powers, *_ = np.linalg.lstsq(design, y)
    spare = max(len(x) - 3, 1)
    variance = float(np.sum((y - design @ powers) ** 2)) / spare
    return powers, variance * np.linalg.pinv(design.T @ design)


def _crossings(x: np.ndarray, y: np.ndarray, level: float) -> np.ndarray:
    order = np.argsort(x, kind="stable")
    rising, first = np.unique(x[order], return_index=True)
    curve: Any = PchipInterpolator(rising, y[order][first] - level)
    roots = curve.roots(extrapolate=False)
    return roots[np.isfinite(roots)]


def _full_width(x: np.ndarray, y: np.ndarray, middle: float, level: float) -> float:
    crossings = _crossings(x, y, level)
    below, above = crossings[crossings < middle], crossings[crossings > middle]
    return float(above.min() - below.max()) if len(below) and len(above) else math.nan


def _rise(t: Any) -> Any:
    return (1 + erf(t / math.sqrt(2))) / 2


def _segment(y: np.ndarray) -> tuple[int, int]:
    """Half-open range of points whose mean differs most clearly from that of all others."""
    n = len(y)
    sums = np.concatenate([[0.0], np.cumsum(y)])
    first, last = np.triu_indices(n + 1, 1)
    inner = last - first
    proper = inner < n
    first, last, inner = first[proper], last[proper], inner[proper]
    total = sums[last] - sums[first]
    apart = total / inner - (sums[n] - total) / (n - inner)
    best = int(np.argmax(inner * (n - inner) * apart**2))
    return int(first[best]), int(last[best])


def _scale(x: np.ndarray) -> tuple[float, float]:
    """Distance between two points, and of the whole range."""
    return float(np.median(np.abs(np.diff(x)))), float(np.ptp(x))


def _fit(
    model: Callable[..., Any], x: np.ndarray, y: np.ndarray, start: Any, bounds: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Least squares within bounds; parameters and their standard deviations."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            found, covariance = curve_fit(
                model, x, y, p0=start, bounds=tuple(zip(*bounds, strict=True)), max_nfev=2000
            )
    except (RuntimeError, ValueError) as error:
        raise AlignmentError(
            f"the profile between {x[0]:g} and {x[-1]:g} has no clear edge ({error}); measure "
            "longer, or choose the range anew"
        ) from error
    return found, np.sqrt(np.nan_to_num(np.diag(covariance), posinf=0.0))


def _not_between_points(sigma: float, smear: float, step: float) -> float:
    """Standard deviation of an edge, which without a point on it is anywhere between two."""
    return math.hypot(sigma, step / math.sqrt(12) if smear < step / 3 else 0.0)


def _significant(what: str, height: float, sigma: float) -> None:
    if abs(height) < SIGNIFICANT * sigma:
        raise AlignmentError(
            f"no {what} is to be seen: the signal changes by {height:.3g}, known to {sigma:.2g}; "
            "measure longer, or choose the range anew"
        )
